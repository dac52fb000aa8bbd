// SPDX-License-Identifier: Apache-2.0

package storms

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

// kernelIDs are of what a process has in the kernel's eBPF: the kernel gives an
// id a second time only after all 2^31.
type kernelIDs struct{ programs, maps, links []uint32 }

// idsOf reads them off the process's file descriptors (proc_pid_fdinfo(5)).
func idsOf(t *testing.T, pid int) kernelIDs {
	t.Helper()
	folder := fmt.Sprintf("/proc/%d/fdinfo", pid)
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	var ids kernelIDs
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue // closed meanwhile
		}
		require.NoError(t, err)
		fields := map[string]uint32{}
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(line, ":")
			if n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 32); err == nil {
				fields[key] = uint32(n)
			}
		}
		// A link tells its program's id beside its own.
		if id := fields["link_id"]; id != 0 {
			ids.links = append(ids.links, id)
		} else if id := fields["prog_id"]; id != 0 {
			ids.programs = append(ids.programs, id)
		} else if id := fields["map_id"]; id != 0 {
			ids.maps = append(ids.maps, id)
		}
	}
	return ids
}

// left is an error that names what is still there.
func (ids kernelIDs) left() error {
	var errs []error
	check := func(what string, id uint32, err error) {
		if err == nil {
			err = fmt.Errorf("%s %d is still loaded", what, id)
		} else if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		errs = append(errs, err)
	}
	for _, id := range ids.programs {
		p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
		p.Close()
		check("program", id, err)
	}
	for _, id := range ids.maps {
		m, err := ebpf.NewMapFromID(ebpf.MapID(id))
		m.Close()
		check("map", id, err)
	}
	for _, id := range ids.links {
		l, err := link.NewFromID(link.ID(id))
		if err == nil {
			l.Close()
		}
		check("link", id, err)
	}
	return errors.Join(errs...)
}

// TestKilled: a collector that is killed leaves nothing in the kernel, nor does
// one that is stopped; and the next one works.
func TestKilled(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		ctx := testContext(t)
		b := newBroker(ctx, t)
		on := newTallies(t)
		steady := newClients(t, b, modeSteady, on)
		for _, signal := range []unix.Signal{unix.SIGKILL, unix.SIGTERM} {
			c := newCollector(ctx, t, b, backend)
			(&watch{c: c, board: on.board}).during(ctx, t, time.Second)
			ids := idsOf(t, c.PID())
			require.NotEmpty(t, ids.programs)
			require.NotEmpty(t, ids.maps)
			require.NotEmpty(t, ids.links)
			require.Error(t, ids.left(), "nothing of %+v can be found", ids)
			require.NoError(t, unix.Kill(c.PID(), signal))
			// The kernel frees programs and maps some time after their last user has gone.
			require.NoError(t, wait.Until(ctx, ids.left))
			t.Logf("%s: %d programs, %d maps, %d links are gone", signal, len(ids.programs), len(ids.maps), len(ids.links))
		}
		c := newCollector(ctx, t, b, backend)
		(&watch{c: c, board: on.board}).during(ctx, t, time.Second)
		steady.end(t)
		awaitExact(ctx, t, c, on.board, false)
	})
}

// TestTwoCollectors: two on one host, with both backends, do not disturb each
// other.
func TestTwoCollectors(t *testing.T) {
	ctx := testContext(t)
	b := newBroker(ctx, t)
	one := newCollector(ctx, t, b, "receivers::ebpf_kafka::backend: socket")
	two := newCollector(ctx, t, b, "receivers::ebpf_kafka::backend: syscall")
	on := newTallies(t)
	storming := newClients(t, b, modeKafka, on)
	first, second := watch{c: one, board: on.board}, watch{c: two, board: on.board}
	for end := time.Now().Add(*storm); time.Now().Before(end); {
		require.NoError(t, first.look(ctx))
		require.NoError(t, second.look(ctx))
	}
	storming.end(t)
	require.NotZero(t, first.seen)
	require.NotZero(t, second.seen)
	awaitExact(ctx, t, one, on.board, true)
	awaitExact(ctx, t, two, on.board, true)

	// One that ends takes nothing of the other's along.
	require.NoError(t, one.Stop())
	storming = newClients(t, b, modeKafka, on)
	second.during(ctx, t, time.Second)
	storming.end(t)
	awaitExact(ctx, t, two, on.board, true)
}

// TestReload: a collector that is told to read its configuration again loads its
// programs anew. What was committed meanwhile is not counted; no value is wrong,
// and all are right after the next commits.
func TestReload(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		ctx := testContext(t)
		b := newBroker(ctx, t)
		c := newCollector(ctx, t, b, backend)
		on := newTallies(t)
		steady := newClients(t, b, modeSteady, on)
		w := watch{c: c, board: on.board}
		w.during(ctx, t, time.Second)
		for n := range 3 {
			before := idsOf(t, c.PID())
			require.NoError(t, unix.Kill(c.PID(), unix.SIGHUP))
			require.NoError(t, wait.Until(ctx, func() error {
				if strings.Count(c.Log(), "Everything is ready") < 2+n {
					return errors.New("the collector has not started anew")
				}
				return nil
			}), c.Log())
			require.NoError(t, wait.Until(ctx, before.left), "of before")
			w.during(ctx, t, time.Second)
		}
		steady.end(t)
		awaitExact(ctx, t, c, on.board, false)
		awaitEmpty(ctx, t, c, knownNames)
	})
}
