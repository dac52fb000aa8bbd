// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeProcess is a process in a proc tree of a test.
type fakeProcess struct {
	pid        uint32
	comm       string
	state      string // "S" if empty
	threads    int    // 1 if zero
	ticks      uint64
	startStack uint64 // another one is another program
	exe        string // target of the link; none if empty
	environ    []string
	cmdline    []string
	cgroup     string
}

// startTime is what the kernel reports of the process in nanoseconds.
func (p fakeProcess) startTime() uint64 { return p.ticks*nanosecondsPerTick + 1234 }

func (p fakeProcess) stat() string {
	if p.state == "" {
		p.state = "S"
	}
	if p.threads == 0 {
		p.threads = 1
	}
	return fmt.Sprintf("%d (%s) %s 1 1 1 0 -1 4194560 100 0 0 0 0 0 0 0 20 0 %d 0 %d 3133440 362 18446744073709551615 1 1 %d 0 0\n",
		p.pid, p.comm, p.state, p.threads, p.ticks, p.startStack)
}

// write puts the process into a proc tree, in place of the one with its pid.
func (p fakeProcess) write(t *testing.T, root string) {
	t.Helper()
	p.remove(t, root)
	folder := filepath.Join(root, strconv.Itoa(int(p.pid)))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"stat":    p.stat(),
		"environ": nulTerminated(p.environ),
		"cmdline": nulTerminated(p.cmdline),
		"cgroup":  p.cgroup,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if p.exe != "" {
		if err := os.Symlink(p.exe, filepath.Join(folder, "exe")); err != nil {
			t.Fatal(err)
		}
	}
}

func (p fakeProcess) remove(t *testing.T, root string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(root, strconv.Itoa(int(p.pid)))); err != nil {
		t.Fatal(err)
	}
}

const (
	podCgroup    = "0::/kubepods/burstable/pod" + podUID + "/" + innerID + "\n"
	dockerCgroup = "0::/system.slice/docker-" + innerID + ".scope\n"
)

// orders is the process that the tests vary.
var orders = fakeProcess{
	pid: 4711, comm: "orders", ticks: 123600, startStack: 0x7ffc0000,
	exe: "/usr/local/bin/orders", cmdline: []string{"orders", "hunter2"}, cgroup: "0::/system.slice/orders.service\n",
}

func TestResolve(t *testing.T) {
	const instance = "9e4c0b7a52d8:4711"
	tests := map[string]struct {
		vary func(*fakeProcess)
		want Process
	}{
		"host": {
			func(p *fakeProcess) {},
			Process{Executable: "orders", ServiceName: "orders", ServiceInstanceID: "host-1:4711"},
		},
		"declared": {
			func(p *fakeProcess) {
				p.environ = []string{"PASSWORD=hunter2", "OTEL_SERVICE_NAME=shop", "OTEL_RESOURCE_ATTRIBUTES=service.instance.id=i-1"}
			},
			Process{Executable: "orders", ServiceName: "shop", ServiceInstanceID: "i-1"},
		},
		"container": {
			func(p *fakeProcess) { p.cgroup = dockerCgroup },
			Process{Executable: "orders", ServiceName: "orders", ServiceInstanceID: instance, ContainerID: innerID},
		},
		"pod": {
			func(p *fakeProcess) { p.cgroup = podCgroup },
			Process{Executable: "orders", ServiceInstanceID: instance, ContainerID: innerID, PodUID: podUID},
		},
		"pod, declared": {
			func(p *fakeProcess) { p.cgroup, p.environ = podCgroup, []string{"OTEL_SERVICE_NAME=shop"} },
			Process{Executable: "orders", ServiceName: "shop", ServiceInstanceID: instance, ContainerID: innerID, PodUID: podUID},
		},
		"pod, interpreter": {
			func(p *fakeProcess) {
				p.cgroup, p.exe, p.cmdline = podCgroup, "/usr/bin/node", []string{"node", "orders.js"}
			},
			Process{Executable: "node", ServiceInstanceID: instance, ContainerID: innerID, PodUID: podUID},
		},
		"pod hidden by a cgroup namespace": {
			func(p *fakeProcess) {
				p.cgroup, p.environ = "0::/../"+innerID+"\n", []string{"KUBERNETES_SERVICE_HOST=10.0.0.1"}
			},
			Process{Executable: "orders", ServiceInstanceID: instance, ContainerID: innerID},
		},
		"pod hidden, runtime seen": {
			func(p *fakeProcess) { p.cgroup = "0::/../cri-containerd-" + innerID + ".scope\n" },
			Process{Executable: "orders", ServiceInstanceID: instance, ContainerID: innerID},
		},
		"interpreter": {
			func(p *fakeProcess) {
				p.exe, p.cmdline = "/opt/jdk/bin/java", []string{"java", "-jar", "shop.jar", "hunter2"}
			},
			Process{Executable: "java", ServiceName: "shop", ServiceInstanceID: "host-1:4711"},
		},
		"interpreter of nothing": {
			func(p *fakeProcess) {
				p.exe, p.cmdline = "/usr/bin/python3.11", []string{"python3", "-c", "hunter2"}
			},
			Process{Executable: "python3.11", ServiceName: "python3.11", ServiceInstanceID: "host-1:4711"},
		},
		"interpreter by comm": {
			func(p *fakeProcess) {
				p.exe, p.comm, p.cmdline = "", "java", []string{"java", "-jar", "shop.jar"}
			},
			Process{Executable: "java", ServiceName: "shop", ServiceInstanceID: "host-1:4711"},
		},
		"replaced executable": {
			func(p *fakeProcess) { p.exe = "/usr/local/bin/orders (deleted)" },
			Process{Executable: "orders", ServiceName: "orders", ServiceInstanceID: "host-1:4711"},
		},
		"executable in memory": {
			func(p *fakeProcess) { p.exe = "/memfd:orders (deleted)" },
			Process{Executable: "memfd:orders", ServiceName: "memfd:orders", ServiceInstanceID: "host-1:4711"},
		},
		"executable not UTF-8": {
			func(p *fakeProcess) { p.exe = "/bin/caf\xe9" },
			Process{Executable: "caf\uFFFD", ServiceName: "caf\uFFFD", ServiceInstanceID: "host-1:4711"},
		},
		"executable not to be read": {
			func(p *fakeProcess) { p.exe, p.comm = "", "or) ders\xff" },
			Process{Executable: "or) ders\uFFFD", ServiceName: "or) ders\uFFFD", ServiceInstanceID: "host-1:4711"},
		},
		"threads outlive the leader": {
			func(p *fakeProcess) {
				p.exe, p.state, p.threads, p.startStack, p.cgroup = "", "Z", 3, 0, dockerCgroup
			},
			Process{Executable: "orders", ServiceName: "orders", ServiceInstanceID: instance, ContainerID: innerID},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			process := orders
			test.vary(&process)
			process.write(t, root)
			want := test.want
			want.PID, want.StartTime = process.pid, process.startTime()
			r := New(Options{ProcRoot: root, Hostname: "host-1"})
			for range 2 { // read, then from the cache
				check(t, r.Resolve(process.pid, process.startTime(), "from-kernel"), want)
			}
		})
	}
}

func TestResolveOnlyReadable(t *testing.T) {
	root := t.TempDir()
	orders.write(t, root)
	for _, name := range []string{"exe", "environ", "cmdline", "cgroup"} {
		if err := os.Remove(filepath.Join(root, "4711", name)); err != nil {
			t.Fatal(err)
		}
	}
	check(t, New(Options{ProcRoot: root, Hostname: "host-1"}).Resolve(4711, orders.startTime(), "x"), Process{
		PID: 4711, StartTime: orders.startTime(),
		Executable: "orders", ServiceName: "orders", ServiceInstanceID: "host-1:4711",
	})
}

// unknown is what is known of orders if it was gone before anybody looked.
func unknown() Process {
	return Process{
		PID: orders.pid, StartTime: orders.startTime(), Executable: "from-kernel\uFFFD",
		ServiceInstanceID: "host-1:4711", Gone: true,
	}
}

func TestResolveGone(t *testing.T) {
	other := orders
	other.exe, other.environ, other.cgroup = "/bin/other", []string{"OTEL_SERVICE_NAME=other"}, podCgroup
	zombie, dead := other, other
	zombie.state, dead.state = "Z", "X"
	later, earlier := other, other
	later.ticks++
	earlier.ticks--
	tests := map[string]func(t *testing.T, root string){
		"no such process":     func(t *testing.T, root string) { orders.remove(t, root) },
		"zombie":              func(t *testing.T, root string) { zombie.write(t, root) },
		"dead":                func(t *testing.T, root string) { dead.write(t, root) },
		"pid used again":      func(t *testing.T, root string) { later.write(t, root) },
		"pid used by the one": func(t *testing.T, root string) { earlier.write(t, root) },
	}
	for name, end := range tests {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			resolver := New(Options{ProcRoot: root, Hostname: "host-1"})
			orders.write(t, root)
			want := resolver.Resolve(orders.pid, orders.startTime(), "from-kernel")
			end(t, root)
			want.Gone = true
			check(t, resolver.Resolve(orders.pid, orders.startTime(), "from-kernel"), want)
			// Once gone, gone, whatever the files say.
			orders.write(t, root)
			check(t, resolver.Resolve(orders.pid, orders.startTime(), "from-kernel"), want)

			end(t, root)
			resolver = New(Options{ProcRoot: root, Hostname: "host-1"})
			check(t, resolver.Resolve(orders.pid, orders.startTime(), "from-kernel\xff"), unknown())
			if entries := resolver.Stats().Entries; entries != 0 {
				t.Errorf("%d entries for a process that was never seen", entries)
			}
		})
	}
}

func TestResolveBothOwnersOfAPid(t *testing.T) {
	root := t.TempDir()
	resolver := New(Options{ProcRoot: root, Hostname: "host-1"})
	orders.write(t, root)
	resolver.Resolve(orders.pid, orders.startTime(), "")
	next := orders
	next.ticks, next.exe = orders.ticks+500, "/bin/next"
	next.write(t, root)
	if got := resolver.Resolve(next.pid, next.startTime(), ""); got.Executable != "next" || got.Gone {
		t.Errorf("new owner: %+v", got)
	}
	if got := resolver.Resolve(orders.pid, orders.startTime(), ""); got.Executable != "orders" || !got.Gone {
		t.Errorf("old owner: %+v", got)
	}
}

// What cannot be read proves nothing: the process is not gone, what is known of
// it stays, and the next call finds it again.
func TestResolveUnreadable(t *testing.T) {
	for name, spoil := range map[string]func(folder string) error{
		"malformed stat": func(folder string) error {
			return os.WriteFile(filepath.Join(folder, "stat"), []byte("?"), 0o644)
		},
		"cgroup error": func(folder string) error { // a read of a folder fails
			if err := os.Remove(filepath.Join(folder, "cgroup")); err != nil {
				return err
			}
			return os.Mkdir(filepath.Join(folder, "cgroup"), 0o755)
		},
		"exe error": func(folder string) error { // no link
			if err := os.Remove(filepath.Join(folder, "exe")); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(folder, "exe"), nil, 0o644)
		},
		"environ error": func(folder string) error {
			if err := os.Remove(filepath.Join(folder, "environ")); err != nil {
				return err
			}
			return os.Mkdir(filepath.Join(folder, "environ"), 0o755)
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			resolver, clock := withClock(Options{ProcRoot: root, Hostname: "host-1"})
			orders.write(t, root)
			if err := spoil(filepath.Join(root, "4711")); err != nil {
				t.Fatal(err)
			}
			poor := unknown()
			poor.Gone = false
			check(t, resolver.Resolve(orders.pid, orders.startTime(), "from-kernel\xff"), poor)

			orders.write(t, root)
			want := resolver.Resolve(orders.pid, orders.startTime(), "")
			if want.Executable != "orders" || want.Gone {
				t.Fatalf("got %+v once all can be read", want)
			}
			clock.advance(refreshInterval)
			if err := spoil(filepath.Join(root, "4711")); err != nil {
				t.Fatal(err)
			}
			check(t, resolver.Resolve(orders.pid, orders.startTime(), ""), want)
		})
	}
}

func TestResolveAfterExec(t *testing.T) {
	root := t.TempDir()
	resolver, _ := withClock(Options{ProcRoot: root, Hostname: "host-1"})
	shell := orders
	shell.exe, shell.comm, shell.environ = "/bin/dash", "sh", []string{"OTEL_SERVICE_NAME=shell"}
	shell.write(t, root)
	if got := resolver.Resolve(shell.pid, shell.startTime(), ""); got.Executable != "dash" || got.ServiceName != "shell" {
		t.Fatalf("before: %+v", got)
	}
	program := orders
	program.startStack++
	program.write(t, root)
	if got := resolver.Resolve(shell.pid, shell.startTime(), ""); got.Executable != "orders" || got.ServiceName != "orders" {
		t.Errorf("after: %+v", got)
	}
}

// Without permission to see addresses, comm tells of an exec.
func TestResolveAfterExecUnprivileged(t *testing.T) {
	root := t.TempDir()
	resolver, _ := withClock(Options{ProcRoot: root, Hostname: "host-1"})
	process := orders
	process.startStack, process.exe, process.comm = 0, "", "sh"
	process.write(t, root)
	if got := resolver.Resolve(process.pid, process.startTime(), ""); got.Executable != "sh" {
		t.Fatalf("before: %+v", got)
	}
	process.comm = "orders"
	process.write(t, root)
	if got := resolver.Resolve(process.pid, process.startTime(), ""); got.Executable != "orders" {
		t.Errorf("after: %+v", got)
	}
}

func TestResolveRefreshes(t *testing.T) {
	root := t.TempDir()
	resolver, clock := withClock(Options{ProcRoot: root, Hostname: "host-1"})
	process := orders
	process.environ = []string{"OTEL_SERVICE_NAME=shop"}
	process.write(t, root)
	before := resolver.Resolve(process.pid, process.startTime(), "")

	process.cgroup, process.environ, process.comm = dockerCgroup, []string{"worker 3", ""}, "renamed"
	process.write(t, root)
	clock.advance(refreshInterval - 1)
	check(t, resolver.Resolve(process.pid, process.startTime(), ""), before)

	clock.advance(1)
	want := before
	want.ContainerID, want.ServiceInstanceID = innerID, "9e4c0b7a52d8:4711"
	// The title has overwritten the environment; the name is still the name.
	check(t, resolver.Resolve(process.pid, process.startTime(), ""), want)
}

// The process works on, and what is known of it cannot be read any more.
func TestResolveWhenTheLeaderEnds(t *testing.T) {
	root := t.TempDir()
	resolver, clock := withClock(Options{ProcRoot: root, Hostname: "host-1"})
	process := orders
	process.environ = []string{"OTEL_SERVICE_NAME=shop"}
	process.write(t, root)
	want := resolver.Resolve(process.pid, process.startTime(), "")
	process.state, process.threads, process.startStack, process.exe, process.environ = "Z", 2, 0, "", nil
	process.write(t, root)
	clock.advance(2 * refreshInterval)
	check(t, resolver.Resolve(process.pid, process.startTime(), ""), want)
}

func TestCacheIsBounded(t *testing.T) {
	root := t.TempDir()
	resolver, clock := withClock(Options{ProcRoot: root, Hostname: "host-1", MaxEntries: 2})
	var processes []fakeProcess
	for i := range uint32(3) {
		process := orders
		process.pid += i
		process.write(t, root)
		processes = append(processes, process)
		clock.advance(time.Second)
		if got := resolver.Resolve(process.pid, process.startTime(), ""); got.ServiceName != "orders" || got.PID != process.pid {
			t.Errorf("got %+v", got)
		}
	}
	want := Stats{Entries: 2, Capacity: 2, Refused: 1}
	if got := resolver.Stats(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	// The first came 2 s ago and is used now, the second 1 s ago.
	resolver.Resolve(processes[0].pid, processes[0].startTime(), "")
	if dropped := resolver.Sweep(time.Second); dropped != 0 {
		t.Errorf("dropped %d that were in use", dropped)
	}
	clock.advance(time.Second)
	resolver.Resolve(processes[1].pid, processes[1].startTime(), "")
	if dropped := resolver.Sweep(time.Second - 1); dropped != 1 {
		t.Errorf("dropped %d, want the one that was not used", dropped)
	}
	processes[1].remove(t, root)
	if got := resolver.Resolve(processes[1].pid, processes[1].startTime(), ""); !got.Gone || got.ServiceName != "orders" {
		t.Errorf("got %+v of a process that was kept", got)
	}
	resolver.Forget(processes[1].pid, processes[1].startTime())
	if got := resolver.Resolve(processes[1].pid, processes[1].startTime(), ""); !got.Gone || got.ServiceName != "" {
		t.Errorf("got %+v of a process that was forgotten", got)
	}
	want.Entries = 0
	if got := resolver.Stats(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestDefaults(t *testing.T) {
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	resolver := New(Options{})
	if resolver.root != "/proc" || resolver.hostname != hostname || resolver.Stats().Capacity != DefaultMaxEntries {
		t.Errorf("root %q, host name %q, %+v", resolver.root, resolver.hostname, resolver.Stats())
	}
}

func TestInstanceIDsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for _, container := range []string{"", innerID, outerID, ecsTask + "-2495160603", "short"} {
		for _, pid := range []uint32{1, 11, 4294967295} {
			id := instanceID(container, "host-1", pid)
			if seen[id] {
				t.Errorf("%s twice", id)
			}
			seen[id] = true
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	root := t.TempDir()
	resolver := New(Options{ProcRoot: root, Hostname: "host-1", MaxEntries: 4})
	for i := range uint32(8) {
		process := orders
		process.pid = i + 1
		process.write(t, root)
	}
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := range 100 {
				pid := uint32(i*(worker+1))%8 + 1
				got := resolver.Resolve(pid, orders.startTime(), "")
				if got.PID != pid || !strings.HasSuffix(got.ServiceInstanceID, fmt.Sprintf(":%d", pid)) || got.Gone {
					t.Errorf("got %+v of pid %d", got, pid)
				}
				resolver.Sweep(time.Millisecond)
				resolver.Forget(pid, orders.startTime())
				if stats := resolver.Stats(); stats.Entries > stats.Capacity {
					t.Errorf("got %+v", stats)
				}
			}
		})
	}
	group.Wait()
}

// clock is a time that a test sets.
type clock struct{ now time.Time }

func (c *clock) advance(d time.Duration) { c.now = c.now.Add(d) }

func withClock(o Options) (*Resolver, *clock) {
	c := &clock{time.Unix(1_700_000_000, 0)}
	resolver := New(o)
	resolver.now = func() time.Time { return c.now }
	return resolver, c
}

func check(t *testing.T, got, want Process) {
	t.Helper()
	if got != want {
		t.Errorf("\ngot  %+v\nwant %+v", got, want)
	}
}
