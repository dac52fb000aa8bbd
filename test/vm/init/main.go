// SPDX-License-Identifier: Apache-2.0

// Command init is the first and only process that the kernel of a test machine starts: it runs the job, tells how it
// ended and switches the machine off.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/test/vm/guest"
)

// mounts are what a distribution has, by folder: what of it the kernel lacks is left out. Order matters.
var mounts = []struct{ folder, kind string }{
	{"/proc", "proc"},
	{"/sys", "sysfs"},
	{"/dev", "devtmpfs"},
	{"/tmp", "tmpfs"},
	{"/sys/fs/cgroup", "cgroup2"},
	{"/sys/fs/bpf", "bpf"},
	{"/sys/kernel/tracing", "tracefs"},
	{"/sys/kernel/debug", "debugfs"},
	{"/sys/kernel/security", "securityfs"},
}

func main() {
	ended := run()
	text, err := json.Marshal(ended)
	if err != nil {
		panic(err) // a struct of numbers and strings
	}
	fmt.Printf("\n%s%s\n", guest.End, text)
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	// Without an init the kernel panics, which ends the machine too.
}

func run() (ended guest.Ended) {
	prepare()
	text, err := os.ReadFile("/" + guest.JobFile)
	if err != nil {
		return guest.Ended{Error: err.Error()}
	}
	var job guest.Job
	if err := json.Unmarshal(text, &job); err != nil {
		return guest.Ended{Error: fmt.Sprintf("/%s: %v", guest.JobFile, err)}
	}
	cmd := exec.Command("/"+guest.Binary, job.Args...)
	cmd.Env = append([]string{"PATH=/bin", "HOME=/tmp"}, job.Env...)
	cmd.Dir = "/tmp"
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	// What the kernel complained of while it booted is of its own making.
	if _, err := unix.Klogctl(unix.SYSLOG_ACTION_CLEAR, nil); err != nil {
		return guest.Ended{Error: fmt.Sprintf("clearing the kernel's log: %v", err)}
	}
	fmt.Printf("\n%s\n", guest.Begin)
	err = cmd.Run()
	ended.Complaints = complaints()
	exit := (*exec.ExitError)(nil)
	switch {
	case err == nil:
	case !errors.As(err, &exit):
		ended.Error = err.Error()
	case exit.ExitCode() >= 0:
		ended.ExitCode = exit.ExitCode()
	default:
		ended.ExitCode = 128 + int(exit.Sys().(interface{ Signal() unix.Signal }).Signal())
	}
	return ended
}

// prepare makes of a bare kernel what programs expect. What fails the job will miss and tell.
func prepare() {
	for _, m := range mounts {
		if err := os.MkdirAll(m.folder, 0o755); err != nil {
			fmt.Println(err)
		} else if err := unix.Mount(m.kind, m.folder, m.kind, 0, ""); err != nil {
			fmt.Printf("mount %s: %v\n", m.folder, err)
		}
	}
	if err := loopbackUp(); err != nil {
		fmt.Println("setting the loopback interface up:", err)
	}
	// The console belongs to the job now. A panic is printed nevertheless.
	if err := os.WriteFile("/proc/sys/kernel/printk", []byte("1"), 0); err != nil {
		fmt.Println(err)
	}
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

// wrong is how the kernel begins its complaints about itself.
var wrong = regexp.MustCompile(`\b(BUG|WARNING|Oops|KASAN|UBSAN|INFO: (task|rcu)|rcu: INFO|Call [Tt]race)\b`)

// complaints reads the kernel's log since the job began.
func complaints() (all []string) {
	size, err := unix.Klogctl(unix.SYSLOG_ACTION_SIZE_BUFFER, nil)
	if err != nil {
		return []string{fmt.Sprintf("size of the kernel's log: %v", err)}
	}
	log := make([]byte, size)
	n, err := unix.Klogctl(unix.SYSLOG_ACTION_READ_ALL, log)
	if err != nil {
		return []string{fmt.Sprintf("the kernel's log: %v", err)}
	}
	for line := range strings.Lines(string(log[:n])) {
		if wrong.MatchString(line) {
			all = append(all, strings.TrimSpace(line))
		}
	}
	return all
}
