// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxStatBytes bounds /proc/PID/stat: 52 fields of at most 20 digits, and a
// comm of at most 64 bytes (only kernel workers exceed 15).
const maxStatBytes = 4 << 10

// nanosecondsPerTick is the unit of time in /proc/PID/stat. The kernel shows
// ticks of USER_HZ, which is 100 on every architecture that has eBPF.
const nanosecondsPerTick = 1_000_000_000 / 100

// Positions of the fields of proc_pid_stat(5), counted from "state" (field 3),
// the first one behind comm.
const (
	statState      = 0
	statThreads    = 20 - 3
	statStartTime  = 22 - 3
	statStartCode  = 26 - 3
	statStartStack = 28 - 3
)

var errMalformedStat = errors.New("malformed process stat")

// stat is what one line of /proc/PID/stat says.
type stat struct {
	comm    string
	state   byte
	threads uint64
	// startTicks is field 22: start of the thread-group leader since boot, in
	// ticks of nanosecondsPerTick, rounded down.
	startTicks uint64
	// Fields 26 and 28: addresses of the program's text and of its first stack
	// frame. The kernel draws them anew at each exec; it shows 0 or 1 to a reader
	// who may not trace the process.
	startCode, startStack uint64
}

// program names what a process has executed last. Two values differ if there
// was an exec in between; a false difference is possible, and harmless.
type program struct {
	startCode, startStack uint64
	comm                  string
}

// parseStat reads the contents of /proc/PID/stat. Comm may hold anything,
// spaces, parentheses and newlines included, so that the last ")" ends it: no
// field behind it can hold one.
func parseStat(b []byte) (stat, error) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return stat{}, fmt.Errorf("%w: no command name in parentheses", errMalformedStat)
	}
	fields := strings.Fields(string(b[end+1:]))
	if len(fields) <= statStartStack {
		return stat{}, fmt.Errorf("%w: %d fields behind the command name, want at least %d",
			errMalformedStat, len(fields), statStartStack+1)
	}
	if len(fields[statState]) != 1 {
		return stat{}, fmt.Errorf("%w: state %q", errMalformedStat, fields[statState])
	}
	s := stat{comm: string(b[open+1 : end]), state: fields[statState][0]}
	for _, field := range []struct {
		position int
		value    *uint64
	}{
		{statThreads, &s.threads},
		{statStartTime, &s.startTicks},
		{statStartCode, &s.startCode},
		{statStartStack, &s.startStack},
	} {
		value, err := strconv.ParseUint(fields[field.position], 10, 64)
		if err != nil {
			return stat{}, fmt.Errorf("%w: field %d: %w", errMalformedStat, field.position+3, err)
		}
		*field.value = value
	}
	return s, nil
}

// startedAt reports whether the process is the one that the kernel says started
// at startTime (nanoseconds of CLOCK_BOOTTIME). Both are the same
// task_struct.start_boottime, of which stat shows whole ticks, rounded down. A
// pid cannot come round again within a tick.
func (s stat) startedAt(startTime uint64) bool {
	return startTime/nanosecondsPerTick == s.startTicks
}

// ended reports whether the process runs no more, though its parent may not
// have waited for it yet.
func (s stat) ended() bool {
	return s.state == 'X' || s.state == 'x' || s.state == 'Z' && s.threads <= 1
}

// leaderEnded reports whether the thread-group leader has left the other threads
// running. The process works on, but its memory, and with it exe, cmdline and
// environ, can no longer be reached by its pid.
func (s stat) leaderEnded() bool {
	return s.state == 'Z' && s.threads > 1
}

// program is the fingerprint of what was executed last: addresses where they
// are shown, else comm, which exec sets to the file's name. (Not both: a
// process may rename itself without an exec.)
func (s stat) program() program {
	if s.startStack == 0 {
		return program{comm: s.comm}
	}
	return program{startCode: s.startCode, startStack: s.startStack}
}
