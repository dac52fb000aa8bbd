// SPDX-License-Identifier: Apache-2.0

package privilege

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// checkRefusal requires that the collector has ended with one line that says why.
func checkRefusal(t *testing.T, err error, why string) {
	t.Helper()
	require.Error(t, err, "the collector runs")
	var lines []string
	for line := range strings.Lines(err.Error()) {
		// The collector repeats what stops it, behind this word.
		if strings.HasPrefix(line, "Error: ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	require.Len(t, lines, 1, "one line at the end of the log:\n%v", err)
	assert.Contains(t, lines[0], "ebpf_kafka: ")
	assert.Contains(t, lines[0], why)
	assert.Contains(t, lines[0], "see docs/privileges.md")
}

// TestRefusals sets obstacles that no capability takes away.
func TestRefusals(t *testing.T) {
	s := newPrograms(t)
	filtered := func(errno syscall.Errno) []string {
		p := &privilege{capabilities: documented, user: collectorUser}
		return append(p.setpriv(), "env", roleVariable+"=filter", errnoVariable+"="+strconv.Itoa(int(errno)), s.path(consumerName))
	}
	for name, c := range map[string]struct {
		behind []string
		why    string
	}{
		"user namespace": {
			behind: []string{"unshare", "--user", "--map-root-user", "--"},
			why:    "the collector is in a user namespace (/proc/self/uid_map: 0 0 1), where capabilities do not count for BPF",
		},
		"seccomp filter": {
			behind: filtered(unix.EPERM),
			why:    "operation not permitted): the collector has the capabilities, but a seccomp filter is active",
		},
		"seccomp filter that denies bpf to exist": {
			behind: filtered(unix.ENOSYS),
			why:    "function not implemented): a seccomp filter is active",
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			running, err := s.run(ctx, t, "auto", c.behind...)
			if err == nil {
				assert.NoError(t, running.Stop())
			}
			checkRefusal(t, err, c.why)
		})
	}
}

// playFilter becomes the program that its arguments name, behind a filter that
// refuses bpf(2) with an error and allows the rest, as container runtimes do.
func playFilter(context.Context) error {
	errno, err := strconv.Atoi(os.Getenv(errnoVariable))
	if err != nil {
		return err
	}
	const number = 0 // where struct seccomp_data has the number of the system call
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_BPF, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread() // the filter is the thread's, which becomes the program
	if _, _, failed := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program))); failed != 0 {
		return fmt.Errorf("set the filter: %w", failed)
	}
	return errors.Join(errors.New("become "+os.Args[1]), unix.Exec(os.Args[1], os.Args[1:], os.Environ()))
}
