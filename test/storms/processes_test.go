// SPDX-License-Identifier: Apache-2.0

package storms

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/process"
	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

// buildVisitor builds the command of that name.
func buildVisitor(ctx context.Context, t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "visitor")
	cmd := exec.Command("go", "build", "-o", path, "./visitor")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	_, err := process.Run(ctx, "go build", cmd)
	require.NoError(t, err)
	return path
}

// visit is the command that commits one offset.
func visit(visitor, address string, partition int32, offset int64, options ...string) *exec.Cmd {
	text := base64.StdEncoding.EncodeToString
	return exec.Command(visitor, append(options, address, text(hello()), text(commit(partition, offset, 1)))...)
}

// visits starts processes as fast as it can, each of which commits one more and
// ends, until done is set.
func visits(visitor string, b *broker, on *board, done *atomic.Bool) error {
	var wg sync.WaitGroup
	failed := make([]error, workers)
	for p := range workers {
		wg.Go(func() {
			for !done.Load() && failed[p] == nil {
				offset := on[p].asked.Add(1)
				out, err := visit(visitor, b.addresses[0], int32(p), offset).CombinedOutput()
				if err != nil {
					failed[p] = fmt.Errorf("%w: %s", err, out)
				}
				on[p].acknowledged.Store(offset)
				on[p].connections.Add(1)
			}
		})
	}
	wg.Wait()
	return errors.Join(failed...)
}

// TestProcesses: processes that commit once and end. Each is a link of its own,
// and a host has room for as many as its limit in the time of idle_timeout.
func TestProcesses(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		ctx := testContext(t)
		visitor := buildVisitor(ctx, t)
		b := newBroker(ctx, t)
		c := newCollector(ctx, t, b, backend)
		on := newTallies(t)
		var done atomic.Bool
		ended := make(chan error, 1)
		began := time.Now()
		go func() { ended <- visits(visitor, b, on.board, &done) }()
		(&watch{c: c, board: on.board}).during(ctx, t, *storm)
		done.Store(true)
		require.NoError(t, <-ended)
		t.Logf("%.0f processes a second", float64(on.connections())/time.Since(began).Seconds())
		awaitExact(ctx, t, c, on.board, true)
		awaitEmpty(ctx, t, c, knownNames)
	})
}

// A guest is a visitor that stays.
type guest struct {
	process *process.Process
	in      io.Closer
}

// invite starts a visitor that calls itself by a name; with a pid that is not 0
// only such a one is let in.
func invite(ctx context.Context, t *testing.T, pid int, name string, cmd func() *exec.Cmd) *guest {
	t.Helper()
	const attempts = 200 // others start processes, too
	for range attempts {
		if pid != 0 {
			const next = "/proc/sys/kernel/ns_last_pid"
			require.NoError(t, os.WriteFile(next, []byte(strconv.Itoa(pid-1)), 0),
				"needs root and a kernel with CONFIG_CHECKPOINT_RESTORE")
		}
		c := cmd()
		c.Env = append(os.Environ(), "OTEL_SERVICE_NAME="+name)
		in, err := c.StdinPipe()
		require.NoError(t, err)
		p, err := process.Start(name, "", c)
		require.NoError(t, err)
		if pid != 0 && p.PID() != pid {
			require.NoError(t, p.Stop(0))
			continue
		}
		t.Cleanup(func() { require.NoError(t, p.Stop(0)) })
		_, err = p.Await(ctx, regexp.MustCompile("done"))
		require.NoError(t, err)
		return &guest{p, in}
	}
	require.Fail(t, "a pid cannot be had again", "%d, in %d attempts", pid, attempts)
	return nil
}

// TestPIDReuse: a process that gets the pid of one that has ended is another
// one, whether the collector has seen the first while it lived or not.
func TestPIDReuse(t *testing.T) {
	for name, seen := range map[string]bool{"known": true, "never looked up": false} {
		t.Run(name, func(t *testing.T) {
			ctx := testContext(t)
			visitor := buildVisitor(ctx, t)
			b := newBroker(ctx, t)
			// Of the second case: both processes pass between two snapshots, or nearly so.
			interval := map[bool]string{true: "200ms", false: "5s"}[seen]
			c := newCollector(ctx, t, b, "receivers::ebpf_kafka::collection_interval: "+interval,
				"receivers::ebpf_kafka::idle_timeout: 1m", "exporters::prometheus::metric_expiration: 20s")
			stay := func(partition int32, offset int64) func() *exec.Cmd {
				return func() *exec.Cmd { return visit(visitor, b.addresses[0], partition, offset, "-stay") }
			}
			first := invite(ctx, t, 0, "first", stay(0, 11))
			pid := first.process.PID()
			if seen {
				awaitOwner(ctx, t, c, "0", 11, pid, "first")
			}
			require.NoError(t, first.in.Close())
			require.NoError(t, first.process.Wait(ctx))
			awaitTick(ctx, t)
			second := invite(ctx, t, pid, "second", stay(1, 22))
			require.Equal(t, pid, second.process.PID())
			awaitOwner(ctx, t, c, "1", 22, pid, "second")
			samples, err := c.Metrics(ctx)
			require.NoError(t, err)
			require.Equal(t, map[string]float64{"0": 11, "1": 22}, published(samples))
		})
	}
}

// awaitTick awaits that a process which starts then shows in /proc to have
// started later than all before, to the hundredth of a second. Nobody takes
// every other pid in less.
func awaitTick(ctx context.Context, t *testing.T) {
	t.Helper()
	tick := func() int64 {
		var now unix.Timespec
		require.NoError(t, unix.ClockGettime(unix.CLOCK_BOOTTIME, &now))
		return now.Nano() / (10 * time.Millisecond).Nanoseconds()
	}
	before := tick()
	require.NoError(t, wait.Until(ctx, func() error {
		if now := tick(); now == before {
			return fmt.Errorf("it is still hundredth %d of a second since the start", now)
		}
		return nil
	}))
}

// awaitOwner awaits that an offset is published as that of a process, and that
// nothing is published as another's by mistake.
func awaitOwner(ctx context.Context, t *testing.T, c *collector.Collector, partition string, offset float64, pid int, service string) {
	t.Helper()
	services := map[string]string{"0": "first", "1": "second"}
	require.NoError(t, wait.Until(ctx, func() error {
		samples, err := c.Metrics(ctx)
		if err != nil {
			return err
		}
		found := false
		for _, s := range samples.Named("kafka_consumer_offset") {
			p, name := s.Labels["partition"], s.Labels["service_name"]
			require.True(t, name == "" || name == services[p], "%v is another's", s)
			found = found || p == partition && name == service && s.Value == offset &&
				s.Labels["process_pid"] == strconv.Itoa(pid)
		}
		if !found {
			return fmt.Errorf("partition %s is not published as that of %s, process %d: %v", partition, service, pid,
				samples.Named("kafka_consumer_offset"))
		}
		return nil
	}))
}
