// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// refreshInterval is how old an answer from the cache may be though stat
	// shows no exec. It bounds for how long an exec that stat does not show (no
	// permission to see addresses, and the same comm as before) and a move to
	// another cgroup are missed.
	refreshInterval = time.Minute

	// maxAttempts is how often a process is read that calls exec while it is
	// being read. A launcher's chain of execs takes milliseconds.
	maxAttempts = 3
)

// Options configure a Resolver. The zero value is ready for use on the host.
type Options struct {
	// ProcRoot is where the host's proc file system is mounted, "/proc" if
	// empty; in a container "/host/proc" by custom.
	ProcRoot string
	// Hostname goes into the instance id of processes outside containers. Empty
	// means the kernel's, which in a container is the container's own: give the
	// node's there.
	Hostname string
	// MaxEntries is how many processes the cache holds, DefaultMaxEntries if not
	// positive. Beyond it processes are resolved all the same, but each time
	// anew.
	MaxEntries int
}

// Stats are numbers of a Resolver's cache.
type Stats struct {
	// Entries is the number of processes held, Capacity the highest allowed.
	Entries, Capacity int
	// Refused counts the answers that were not kept because the cache was full.
	Refused uint64
}

// Resolver tells what processes are. It is safe for concurrent use; no lock is
// held while files are read.
type Resolver struct {
	root     string
	hostname string
	cache    cache
	now      func() time.Time
	// foreign: root does not show the kernel's own pids, as CheckNamespace found.
	foreign atomic.Bool
}

// New makes a Resolver. It reads nothing of ProcRoot yet.
func New(o Options) *Resolver {
	if o.ProcRoot == "" {
		o.ProcRoot = "/proc"
	}
	if o.Hostname == "" {
		o.Hostname, _ = os.Hostname()
	}
	if o.Hostname == "" {
		o.Hostname = "localhost"
	}
	if o.MaxEntries <= 0 {
		o.MaxEntries = DefaultMaxEntries
	}
	return &Resolver{
		root:     o.ProcRoot,
		hostname: validUTF8(o.Hostname),
		cache:    cache{max: o.MaxEntries, entries: make(map[key]entry)},
		now:      time.Now,
	}
}

// Resolve tells what the process is that has the given pid and started at
// startTime: nanoseconds of CLOCK_BOOTTIME at which its thread-group leader
// started, the kernel's task->group_leader->start_boottime. Comm is the
// leader's as the kernel reported it, used where nothing better is known.
//
// It never fails and never gives data of another process: /proc/PID is trusted
// only if the start time in it, read before and after everything else, is the
// one asked for. If it is not, or if there is no such process, or only a zombie,
// Gone is set and the rest is what earlier calls have learnt, or pid, comm and
// an instance id if there were none. If /proc cannot be read for another reason
// (too many open files, say), or the process calls exec over and over, the
// answer is as poor but not Gone, and the next call tries again.
//
// Answers come from a cache. A process's environment does not change, but exec
// makes another program of it under the same pid and start time. So each call
// reads /proc/PID/stat, which tells that the process still lives, and whether
// it has called exec since, by the addresses of its text and stack; only then,
// and once a minute, the rest is read again. A call costs some 20 µs then, and
// 100 µs when all is read; a process that is known to be gone costs nothing.
func (r *Resolver) Resolve(pid uint32, startTime uint64, comm string) Process {
	k := key{pid, startTime}
	now := r.now()
	known, isKnown := r.cache.get(k, now)
	if isKnown && known.process.Gone {
		return known.process
	}
	fallback := known.process
	if !isKnown {
		fallback = Process{
			PID:               pid,
			StartTime:         startTime,
			Executable:        validUTF8(comm),
			ServiceInstanceID: instanceID("", r.hostname, pid),
		}
	}

	if r.foreign.Load() {
		return fallback
	}

	before, err := r.readStat(pid)
	for attempt := 0; ; attempt++ {
		if hasEnded(before, err, startTime) {
			r.cache.markGone(k)
			fallback.Gone = true
			return fallback
		}
		if err != nil || attempt == maxAttempts {
			return fallback
		}
		sameProgram := isKnown && before.program() == known.program
		if isKnown && (before.leaderEnded() || sameProgram && now.Sub(known.readAt) < refreshInterval) {
			return known.process
		}

		f := files{root: r.root, pid: pid}
		fresh := entry{program: before.program(), readAt: now, usedAt: now, declared: f.declared()}
		if sameProgram && fresh.declared == (declared{}) {
			// A process that changes its title may overwrite its environment.
			fresh.declared = known.declared
		}
		fresh.process = r.describe(&f, before, fresh.declared)
		fresh.process.StartTime = startTime

		var after stat
		after, err = r.readStat(pid)
		if err == nil && !hasEnded(after, nil, startTime) && after.program() == before.program() {
			if f.failed {
				return fallback
			}
			r.cache.put(k, fresh)
			return fresh.process
		}
		before = after
	}
}

// Forget drops what is known of a process, for a caller that will not ask for it
// again.
func (r *Resolver) Forget(pid uint32, startTime uint64) {
	r.cache.forget(key{pid, startTime})
}

// Sweep drops the processes that Resolve was not asked for during the last idle
// time, and says how many. It reads no files. Processes that are gone stay for
// as long as they are asked for, so that what is known of them is not lost
// before their last values are.
func (r *Resolver) Sweep(idle time.Duration) int {
	return r.cache.sweep(r.now().Add(-idle))
}

// Stats gives the numbers of the cache.
func (r *Resolver) Stats() Stats {
	return r.cache.stats()
}

// readStat reads and parses /proc/PID/stat.
func (r *Resolver) readStat(pid uint32) (stat, error) {
	b, err := readBounded(procFile(r.root, pid, "stat"), maxStatBytes)
	if err != nil {
		return stat{}, err
	}
	return parseStat(b)
}

// hasEnded reports whether what reading stat has given proves that the process
// runs no more. An error that proves nothing (no file descriptors left, no
// permission) does not.
func hasEnded(s stat, err error, startTime uint64) bool {
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
	}
	return s.ended() || !s.startedAt(startTime)
}

// describe reads what is not in stat and environ, and puts all together.
func (r *Resolver) describe(f *files, s stat, d declared) Process {
	place := f.containment()
	p := Process{
		PID:               f.pid,
		Executable:        f.executable(),
		ServiceName:       d.serviceName,
		ServiceInstanceID: d.instanceID,
		ContainerID:       place.containerID,
		PodUID:            place.podUID,
	}
	if p.Executable == "" {
		p.Executable = validUTF8(s.comm)
	}
	if p.ServiceName == "" && !place.kubernetes && !d.kubernetes {
		if runsOthers(p.Executable) {
			p.ServiceName = f.programName(p.Executable)
		}
		if p.ServiceName == "" {
			p.ServiceName = p.Executable
		}
	}
	if p.ServiceInstanceID == "" {
		p.ServiceInstanceID = instanceID(p.ContainerID, r.hostname, p.PID)
	}
	return p
}

// files is one look at the files of a process. A file that is not there or
// may not be read is as good as an empty one; any other error sets failed.
type files struct {
	root   string
	pid    uint32
	failed bool
}

func (f *files) note(err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		f.failed = true
	}
}

// executable is the base name of the exe link, empty if it cannot be read.
// Kernel threads have none.
func (f *files) executable() string {
	target, err := os.Readlink(procFile(f.root, f.pid, "exe"))
	f.note(err)
	if err != nil {
		return ""
	}
	// The kernel marks a file that was removed or replaced, by an upgrade say.
	return validUTF8(baseName(strings.TrimSuffix(target, " (deleted)")))
}

func (f *files) containment() containment {
	b, err := readBounded(procFile(f.root, f.pid, "cgroup"), maxCgroupBytes)
	f.note(err)
	return parseCgroup(b)
}

func (f *files) declared() (d declared) {
	f.words("environ", func(w *words) { d = readDeclared(w) })
	return d
}

func (f *files) programName(executable string) (name string) {
	f.words("cmdline", func(w *words) { name = programName(executable, w) })
	return name
}

// words hands the words of a file to read.
func (f *files) words(name string, read func(*words)) {
	file, err := os.Open(procFile(f.root, f.pid, name))
	if err != nil {
		f.note(err)
		return
	}
	defer file.Close()
	w := newWords(file)
	defer w.clear()
	read(w)
	f.note(w.err)
}

func procFile(root string, pid uint32, name string) string {
	return filepath.Join(root, strconv.FormatUint(uint64(pid), 10), name)
}

// readBounded reads a file of at most limit bytes; of a longer one its
// beginning.
func readBounded(name string, limit int64) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, limit))
}
