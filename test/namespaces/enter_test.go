// SPDX-License-Identifier: Apache-2.0

package namespaces

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// roleEnter prepares what is within namespaces, then becomes another program.
const roleEnter = "enter"

// A place is where a program runs. The zero value is the test's own.
type place struct {
	// cgroup is a folder of the cgroup file system, which becomes the root of a
	// cgroup namespace.
	cgroup string
	// ownPIDs gives it pid and mount namespaces, and a /proc that shows no other
	// processes.
	ownPIDs bool
	// hostProc is a folder at which it finds the host's /proc.
	hostProc string
	// ownNetwork gives it a network namespace.
	ownNetwork bool
}

// wrap makes a command run there.
func (p place) wrap(cmd *exec.Cmd) *exec.Cmd {
	args := []string{"/proc/self/exe", roleEnter}
	attributes := &syscall.SysProcAttr{}
	if p.cgroup != "" {
		args = append(args, "-cgroup="+p.cgroup)
	}
	if p.ownPIDs {
		args = append(args, "-own-proc", "-host-proc="+p.hostProc)
		attributes.Cloneflags |= unix.CLONE_NEWPID | unix.CLONE_NEWNS
	}
	if p.ownNetwork {
		args = append(args, "-loopback")
		attributes.Cloneflags |= unix.CLONE_NEWNET
	}
	inside := exec.Command(args[0], slices.Concat(args[1:], []string{"--", cmd.Path}, cmd.Args[1:])...)
	inside.Dir, inside.Env, inside.SysProcAttr = cmd.Dir, cmd.Env, attributes
	inside.Stdin, inside.Stdout, inside.Stderr = cmd.Stdin, cmd.Stdout, cmd.Stderr
	return inside
}

// enter is the other half of wrap: it runs within the new namespaces.
func enter(args []string) error {
	flags := flag.NewFlagSet(roleEnter, flag.ContinueOnError)
	cgroup := flags.String("cgroup", "", "")
	ownProc := flags.Bool("own-proc", false, "")
	hostProc := flags.String("host-proc", "", "")
	loopback := flags.Bool("loopback", false, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	program, err := exec.LookPath(flags.Arg(0))
	if err != nil {
		return err
	}
	// A namespace belongs to a thread; exec makes this one the process.
	runtime.LockOSThread()
	if *cgroup != "" {
		if err := os.WriteFile(filepath.Join(*cgroup, "cgroup.procs"), []byte("0"), 0); err != nil {
			return err
		}
		if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
			return fmt.Errorf("unshare the cgroup namespace: %w", err)
		}
	}
	if *ownProc {
		if err := mountProc(*hostProc); err != nil {
			return err
		}
	}
	if *loopback {
		if err := loopbackUp(); err != nil {
			return err
		}
	}
	return fmt.Errorf("exec %s: %w", program, syscall.Exec(program, flags.Args(), os.Environ()))
}

// mountProc mounts a /proc of this pid namespace, and the present one elsewhere.
func mountProc(hostProc string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keeping mounts to this namespace: %w", err)
	}
	if hostProc != "" {
		if err := unix.Mount("/proc", hostProc, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("mounting the host's /proc at %s: %w", hostProc, err)
		}
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	return nil
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFFLAGS, uintptr(unsafe.Pointer(r))); errno != 0 {
		return fmt.Errorf("setting the loopback interface up: %w", errno)
	}
	return nil
}

// newFolder makes a folder that a bind mount can go to.
func newFolder(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.Mkdir(path, 0o755))
	return path
}

// removeAll removes cgroups, the innermost first. The kernel refuses while there
// are processes in them.
func removeAll(folders []string) error {
	var errs []error
	for _, folder := range slices.Backward(folders) {
		if err := unix.Rmdir(folder); err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("removing the cgroup %s: %w", folder, err))
		}
	}
	return errors.Join(errs...)
}
