// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
)

var (
	all     = flag.String("all", "detached,socket,fentry,kprobe,syscall", "every backend there is, with commas")
	expects = flag.String("expects", unknown, "those of them that this kernel has to accept; the others it has to refuse")
)

// unknown: nobody has said what to expect of this kernel.
const unknown = "unknown"

// TestBackends loads each backend: the kernel has to accept what is expected of it, and what it refuses with a reason.
func TestBackends(t *testing.T) {
	expected := strings.FieldsFunc(*expects, func(r rune) bool { return r == ',' })
	for _, name := range strings.Split(*all, ",") {
		t.Run(name, func(t *testing.T) {
			l, err := load(t, probe.Backend(name))
			text, errText := json.Marshal(l)
			require.NoError(t, errText)
			fmt.Fprintf(os.Stdout, "%s%s\n", Line, text)
			if *expects == unknown {
				return
			}
			if slices.Contains(expected, name) {
				require.NoError(t, err)
				return
			}
			require.Error(t, err, "this kernel accepts %s: tell kernels.txt", name)
			verifier := (*ebpf.VerifierError)(nil)
			if errors.As(err, &verifier) && strings.Contains(err.Error(), "verifier") {
				t.Errorf("the verifier refuses %s, and no check before it has found out why:\n%s", name, tail(verifier.Log))
			}
		})
	}
}

// tail is the end of the verifier's log, with what led to its refusal.
func tail(log []string) string {
	const lines = 80
	return strings.Join(log[max(0, len(log)-lines):], "\n")
}

func load(t *testing.T, b probe.Backend) (Loaded, error) {
	t.Helper()
	before := programs(t)
	began := uptime(t)
	p, err := probe.Open(probe.Options{Backend: b})
	end := uptime(t)
	l := Loaded{Backend: string(b), Took: end - began}
	if err != nil {
		l.Refused = err.Error()
		return l, err
	}
	for id, info := range programs(t) {
		if _, ok := before[id]; ok {
			continue // somebody else's
		}
		n, _ := info.VerifiedInstructions()
		began, _ := info.LoadTime()
		l.Programs = append(l.Programs, Program{info.Name, n, began})
	}
	// The kernel tells when it began with each. It is done with one when it begins with the next.
	slices.SortFunc(l.Programs, func(a, b Program) int { return int(b.Took - a.Took) })
	for i := range l.Programs {
		began := l.Programs[i].Took
		l.Programs[i].Took = end - began
		end = began
	}
	slices.SortFunc(l.Programs, func(a, b Program) int { return strings.Compare(a.Name, b.Name) })
	require.NoError(t, p.Close())
	return l, nil
}

// programs are all that are loaded on this machine.
func programs(t *testing.T) map[ebpf.ProgramID]*ebpf.ProgramInfo {
	t.Helper()
	m := make(map[ebpf.ProgramID]*ebpf.ProgramInfo)
	for id := ebpf.ProgramID(0); ; {
		next, err := ebpf.ProgramGetNextID(id)
		if err != nil {
			require.ErrorIs(t, err, os.ErrNotExist)
			return m
		}
		id = next
		p, err := ebpf.NewProgramFromID(id)
		if errors.Is(err, os.ErrNotExist) {
			continue // unloaded meanwhile
		}
		require.NoError(t, err)
		m[id], err = p.Info()
		require.NoError(t, errors.Join(err, p.Close()))
	}
}

// uptime is the clock of ProgramInfo.LoadTime.
func uptime(t *testing.T) time.Duration {
	t.Helper()
	var now unix.Timespec
	require.NoError(t, unix.ClockGettime(unix.CLOCK_BOOTTIME, &now))
	return time.Duration(now.Nano())
}
