// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// The tests of this file look at real processes, or need named pipes.

// bootTime is the kernel's clock for the start of processes, in nanoseconds.
func bootTime(t *testing.T) uint64 {
	t.Helper()
	const clockBootTime = 7 // CLOCK_BOOTTIME
	var ts syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockBootTime, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		t.Fatal(errno)
	}
	return uint64(ts.Nano())
}

// start runs a command and gives its pid and its start time, as near to what
// the kernel would report as user space can come, and checked against the clock.
func start(t *testing.T, cmd *exec.Cmd) (pid uint32, startTime uint64) {
	t.Helper()
	before := bootTime(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	after := bootTime(t)
	pid = uint32(cmd.Process.Pid)
	var s stat
	for s.startCode == 0 { // Start returns within the exec, before the new program has its environment
		b, err := os.ReadFile(procFile("/proc", pid, "stat"))
		if err != nil {
			t.Fatal(err)
		}
		if s, err = parseStat(b); err != nil {
			t.Fatal(err)
		}
	}
	startTime = s.startTicks * nanosecondsPerTick
	if startTime+nanosecondsPerTick < before || startTime > after {
		t.Fatalf("started at %d by stat, between %d and %d by the clock", startTime, before, after)
	}
	return pid, startTime
}

func TestLiveProcess(t *testing.T) {
	executable, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	if executable, err = filepath.EvalSymlinks(executable); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "3600")
	cmd.Env = []string{"SECRET=hunter2", "OTEL_SERVICE_NAME=sleeper", "OTEL_RESOURCE_ATTRIBUTES=service.instance.id=bed-1"}
	pid, startTime := start(t, cmd)

	resolver := New(Options{})
	got := resolver.Resolve(pid, startTime, "sleep")
	want := Process{
		PID: pid, StartTime: startTime, Executable: filepath.Base(executable),
		ServiceName: "sleeper", ServiceInstanceID: "bed-1",
		ContainerID: got.ContainerID, PodUID: got.PodUID, // those of where the test runs
	}
	check(t, got, want)
	check(t, resolver.Resolve(pid, startTime, "sleep"), want)

	if got := resolver.Resolve(pid, startTime+5*nanosecondsPerTick, "other"); !got.Gone || got.ServiceName != "" {
		t.Errorf("another start time: %+v", got)
	}

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	want.Gone = true
	check(t, resolver.Resolve(pid, startTime, "sleep"), want)
	if got := New(Options{}).Resolve(pid, startTime, "sleep"); !got.Gone || got.Executable != "sleep" || got.ServiceName != "" {
		t.Errorf("a new resolver: %+v", got)
	}
}

// Pid and start time stay, the program changes.
func TestLiveExec(t *testing.T) {
	cmd := exec.Command("sh", "-c", `read line; exec env OTEL_SERVICE_NAME=after cat`)
	cmd.Env = []string{"OTEL_SERVICE_NAME=before", "PATH=" + os.Getenv("PATH")}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	pid, startTime := start(t, cmd)
	resolver := New(Options{})
	if got := resolver.Resolve(pid, startTime, ""); got.ServiceName != "before" {
		t.Errorf("before: %+v", got)
	}
	// An answer of cat's says that the exec is done.
	if _, err := io.WriteString(in, "go\nping\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ping\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if got := resolver.Resolve(pid, startTime, ""); got.ServiceName != "after" || got.Gone {
		t.Errorf("after: %+v", got)
	}
}

// The own process has threads, and is not a child.
func TestLiveSelf(t *testing.T) {
	b, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	s, err := parseStat(b)
	if err != nil {
		t.Fatal(err)
	}
	got := New(Options{}).Resolve(uint32(os.Getpid()), s.startTicks*nanosecondsPerTick, "")
	if want := filepath.Base(os.Args[0]); got.Executable != want || got.Gone {
		t.Errorf("got %+v, want the executable %q", got, want)
	}
}

// whileReading calls change while the resolver is between its two looks at
// stat: its read of cgroup, a named pipe here, waits for the other end.
func whileReading(t *testing.T, root string, process fakeProcess, change func(folder string)) {
	t.Helper()
	process.write(t, root)
	folder := filepath.Join(root, fmt.Sprint(process.pid))
	pipe := filepath.Join(folder, "cgroup")
	if err := os.Remove(pipe); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { <-done })
	go func() {
		defer close(done)
		writer, err := os.OpenFile(pipe, os.O_WRONLY, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer writer.Close()
		change(folder)
		if _, err := io.WriteString(writer, process.cgroup); err != nil {
			t.Error(err)
		}
	}()
}

// replace puts a file in place of another at one stroke.
func replace(t *testing.T, folder, name, text string) {
	temporary := filepath.Join(folder, name+".new")
	if err := os.WriteFile(temporary, []byte(text), 0o644); err != nil {
		t.Error(err)
	}
	if err := os.Rename(temporary, filepath.Join(folder, name)); err != nil {
		t.Error(err)
	}
}

func TestPidUsedAgainWhileReading(t *testing.T) {
	root := t.TempDir()
	other := orders
	other.ticks += 500
	other.environ = []string{"OTEL_SERVICE_NAME=other"}
	other.cgroup = podCgroup
	process := other
	process.ticks = orders.ticks
	whileReading(t, root, process, func(folder string) { replace(t, folder, "stat", other.stat()) })
	resolver := New(Options{ProcRoot: root, Hostname: "host-1"})
	check(t, resolver.Resolve(orders.pid, orders.startTime(), "from-kernel\xff"), unknown())
	if entries := resolver.Stats().Entries; entries != 0 {
		t.Errorf("%d entries", entries)
	}
}

func TestEndsWhileReading(t *testing.T) {
	root := t.TempDir()
	whileReading(t, root, orders, func(folder string) {
		if err := os.Remove(filepath.Join(folder, "stat")); err != nil {
			t.Error(err)
		}
	})
	check(t, New(Options{ProcRoot: root, Hostname: "host-1"}).Resolve(orders.pid, orders.startTime(), "from-kernel\xff"), unknown())
}

func TestExecWhileReading(t *testing.T) {
	root := t.TempDir()
	shell, program := orders, orders
	shell.environ = []string{"OTEL_SERVICE_NAME=shell"}
	program.startStack++
	program.environ = []string{"OTEL_SERVICE_NAME=program"}
	program.cgroup = dockerCgroup
	whileReading(t, root, shell, func(folder string) {
		replace(t, folder, "environ", nulTerminated(program.environ))
		replace(t, folder, "cgroup", program.cgroup)
		replace(t, folder, "stat", program.stat())
	})
	got := New(Options{ProcRoot: root, Hostname: "host-1"}).Resolve(orders.pid, orders.startTime(), "")
	if got.ServiceName != "program" || got.ContainerID != innerID || got.Gone {
		t.Errorf("got %+v", got)
	}
}

// A secret must not stay in the answer, wherever it stands.
func TestNothingElseIsKept(t *testing.T) {
	root := t.TempDir()
	process := orders
	process.exe = "/usr/bin/java"
	process.environ = []string{"PASSWORD=hunter2", "OTEL_RESOURCE_ATTRIBUTES=token=hunter2,service.instance.id=i-1"}
	process.cmdline = []string{"java", "-Dpassword=hunter2", "-cp", "hunter2", "shop.Orders", "hunter2"}
	process.write(t, root)
	resolver := New(Options{ProcRoot: root})
	got := resolver.Resolve(process.pid, process.startTime(), "")
	if got.ServiceName != "shop.Orders" || got.ServiceInstanceID != "i-1" {
		t.Errorf("got %+v", got)
	}
	if kept := fmt.Sprintf("%+v", resolver.cache.entries); strings.Contains(kept, "hunter2") {
		t.Errorf("kept %s", kept)
	}
}

func BenchmarkResolve(b *testing.B) {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		b.Fatal(err)
	}
	s, err := parseStat(text)
	if err != nil {
		b.Fatal(err)
	}
	pid, startTime := uint32(os.Getpid()), s.startTicks*nanosecondsPerTick
	resolver := New(Options{})
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			resolver.Forget(pid, startTime)
			resolver.Resolve(pid, startTime, "")
		}
	})
	b.Run("cached", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			resolver.Resolve(pid, startTime, "")
		}
	})
	b.Run("gone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			resolver.Resolve(pid, startTime+1e9, "")
		}
	})
}

// A process that calls exec at every look gets a poor answer, and is not kept.
func TestExecOverAndOver(t *testing.T) {
	root := t.TempDir()
	process := orders
	process.write(t, root)
	pipe := filepath.Join(root, "4711", "stat")
	if err := os.Remove(pipe); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	// Each look at stat needs a pipe of its own, or it could read two lines.
	const looks = maxAttempts + 1
	done := make(chan struct{})
	go func() {
		defer close(done)
		for look := range looks {
			writer, err := os.OpenFile(pipe, os.O_WRONLY, 0)
			if err != nil {
				t.Error(err)
				return
			}
			process.startStack++
			next := pipe + ".next"
			if look == looks-1 { // a further look would wait for ever: let it read a file
				err = os.WriteFile(next, []byte(process.stat()), 0o644)
			} else {
				err = syscall.Mkfifo(next, 0o644)
			}
			if err == nil {
				err = os.Rename(next, pipe)
			}
			if err == nil {
				_, err = io.WriteString(writer, process.stat())
			}
			if err != nil {
				t.Error(err)
			}
			writer.Close()
		}
	}()
	want := unknown()
	want.Gone = false
	resolver := New(Options{ProcRoot: root, Hostname: "host-1"})
	check(t, resolver.Resolve(orders.pid, orders.startTime(), "from-kernel\xff"), want)
	<-done
	if entries := resolver.Stats().Entries; entries != 0 {
		t.Errorf("%d entries", entries)
	}
}
