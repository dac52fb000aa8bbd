// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/costs"
	"github.com/ebpfkafka/ebpfkafka/test/process"
)

const (
	// callsRounds is how often each backend is measured, each time between two measurements without a collector.
	callsRounds = 7
	callsWindow = 3 * time.Second
)

// calls are what a process has made that has nothing to do with Kafka.
type calls struct {
	made      int
	cpu, wall time.Duration
}

func (c calls) rate() float64 { return float64(c.made) / c.wall.Seconds() }

var callsLine = regexp.MustCompile(`calls (\d+) cpu (\d+) wall (\d+)`)

// startCalls starts a process that makes 50,000 system calls a second for a time. What it returns awaits its end.
func startCalls(t *testing.T, crowd string, lasts time.Duration) func(context.Context) (calls, error) {
	p, err := process.Start("calls", "", exec.Command(crowd, "calls", "-for", lasts.String()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop(0)) })
	return func(ctx context.Context) (calls, error) {
		if err := p.Wait(ctx); err != nil {
			return calls{}, err
		}
		found := callsLine.FindStringSubmatch(p.Output())
		if found == nil {
			return calls{}, fmt.Errorf("calls: no figures in %q", p.Output())
		}
		var n [3]int
		for i := range n {
			var err error
			if n[i], err = strconv.Atoi(found[i+1]); err != nil {
				return calls{}, err
			}
		}
		return calls{made: n[0], cpu: time.Duration(n[1]), wall: time.Duration(n[2])}, nil
	}
}

// callCosts are what others' calls cost with each backend and without.
type callCosts struct {
	of   []callCost // for each backend, in their order
	rate []float64  // calls a second, of each measurement
}

// A callCost is that with one backend.
type callCost struct {
	backend probe.Backend
	calls   []costs.Pair    // of the calling thread, in nanoseconds a call
	host    []costs.Pair    // of all processors, in milliseconds a second
	own     []time.Duration // of the collector, in a second
}

// A callWindow is one measurement.
type callWindow struct{ call, host float64 }

// pair is a measurement with a collector, and the mean of those before and after it.
func pair(before, with, after callWindow, f func(callWindow) float64) costs.Pair {
	return costs.Pair{With: f(with), Without: (f(before) + f(after)) / 2}
}

// measureCalls measures without a collector and with one of each backend in turn.
func measureCalls(ctx context.Context, t *testing.T, crowd string, backends []probe.Backend) callCosts {
	var found callCosts
	for _, b := range backends {
		found.of = append(found.of, callCost{backend: b})
	}
	window := func() callWindow {
		began, before := time.Now(), idle(t)
		made, err := startCalls(t, crowd, callsWindow)(ctx)
		require.NoError(t, err)
		lasted := time.Since(began)
		worked := lasted*time.Duration(runtime.NumCPU()) - (idle(t) - before)
		found.rate = append(found.rate, made.rate())
		return callWindow{
			call: float64(made.cpu.Nanoseconds()) / float64(made.made),
			host: worked.Seconds() * 1000 / lasted.Seconds(),
		}
	}
	before := window()
	for range callsRounds {
		for i := range found.of {
			of := &found.of[i]
			with, own := withCollector(ctx, t, of.backend, window)
			after := window()
			of.own = append(of.own, own)
			of.calls = append(of.calls, pair(before, with, after, func(w callWindow) float64 { return w.call }))
			of.host = append(of.host, pair(before, with, after, func(w callWindow) float64 { return w.host }))
			before = after
		}
	}
	t.Logf("%+v", found)
	return found
}

// withCollector measures while a collector with that backend watches, and tells the collector's own CPU time in a
// second.
func withCollector(ctx context.Context, t *testing.T, b probe.Backend,
	window func() callWindow) (callWindow, time.Duration) {
	c, err := collector.Start(ctx, collector.Options{
		Dir: filepath.Join(t.TempDir(), "collector"), Backend: string(b), Set: []string{
			"receivers::ebpf_kafka::collection_interval: 1s",
			"service::telemetry::metrics::level: normal",
		}})
	require.NoError(t, err)
	began, before := time.Now(), cpu(t, c.PID())
	found := window()
	own := time.Duration(float64(cpu(t, c.PID())-before) / time.Since(began).Seconds())
	require.NoError(t, c.Stop())
	return found, own
}

// idle is how long all processors have had nothing to do, by /proc/stat: idle, iowait, and steal, when the machine
// below has kept them (proc_stat(5)). The kernel measures it, where it only samples what it was that ran: what runs
// for a part of each millisecond would be missed or counted whole.
func idle(t *testing.T) time.Duration {
	const tick = 10 * time.Millisecond // USER_HZ is 100 on all architectures that the receiver knows
	f, err := os.Open("/proc/stat")
	require.NoError(t, err)
	defer f.Close()
	line, err := bufio.NewReader(f).ReadString('\n')
	require.NoError(t, err)
	fields := strings.Fields(line)
	require.Greater(t, len(fields), 8, "fields of /proc/stat: %q", line)
	var sum time.Duration
	for _, i := range []int{4, 5, 8} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		require.NoError(t, err)
		sum += time.Duration(n) * tick
	}
	return sum
}
