// SPDX-License-Identifier: Apache-2.0

package costs

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/test/kernels"
	"github.com/ebpfkafka/ebpfkafka/test/page"
	"github.com/ebpfkafka/ebpfkafka/test/process"
	"github.com/ebpfkafka/ebpfkafka/test/vm"
)

var (
	write     = flag.Bool("write", false, "write the figures to docs/performance.md")
	hostPairs = flag.Int("pairs", 9, "how often to measure with hooks on this machine, each between two times without")
)

const (
	// Where instructions are counted, one pair is enough: what is counted twice is the same.
	machinePairs, machineBatches = 1, 31

	// machineTimeout is for a machine that hangs: it takes two minutes on two busy cores.
	machineTimeout = 10 * time.Minute

	// hostTimeout has room for waiting until other collectors have ended.
	hostTimeout = 20 * time.Minute
)

// TestCosts measures on this machine, then on each of the kernels.
func TestCosts(t *testing.T) {
	dir := t.TempDir()
	found := &report{date: time.Now()}
	t.Run("here", func(t *testing.T) { found.here = measureHere(t, build(t, dir, "")) })
	binaries := map[string]string{}
	for _, k := range machines {
		if binaries[k.arch] == "" {
			binaries[k.arch] = build(t, dir, k.arch)
		}
	}
	found.machines = make([]measured, len(machines))
	t.Run("machines", func(t *testing.T) { // returns when all have ended
		for i, k := range machines {
			t.Run(k.String(), func(t *testing.T) {
				t.Parallel()
				found.machines[i] = measureMachine(t, k, binaries[k.arch])
			})
		}
	})
	if t.Failed() {
		return
	}
	text := found.text(t.Context())
	fmt.Print("\n" + text)
	if *write {
		require.True(t, found.whole(), "the page is not written: something was left out")
		require.NoError(t, page.Write(command, text))
	}
}

// build compiles the tests of the hooks; arch is empty for this machine's.
func build(t *testing.T, dir, arch string) string {
	t.Helper()
	path := filepath.Join(dir, "hooks-"+arch)
	cmd := exec.Command("go", "test", "-c", "-trimpath", "-o", path, "./hooks")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if arch != "" {
		cmd.Env = append(cmd.Env, "GOARCH="+arch)
	}
	_, err := process.Run(t.Context(), "go test -c ./hooks", cmd)
	require.NoError(t, err)
	return path
}

// arguments make the tests of the hooks run their benchmark.
func arguments(pairs int, backends []probe.Backend, more ...string) []string {
	var names []string
	for _, b := range backends {
		names = append(names, string(b))
	}
	return append([]string{
		"-test.run", "^$", "-test.bench", "^BenchmarkCalls$", "-test.timeout", hostTimeout.String(), "-costs", "-pairs",
		fmt.Sprint(pairs), "-backends", strings.Join(names, ","),
	}, more...)
}

// measured are the costs of one kernel, in the order of its backends and then of works.
type measured struct {
	kernel
	version string
	costs   []Cost
}

// measureHere measures with the backends that this machine's kernel has.
func measureHere(t *testing.T, binary string) measured {
	m := measured{kernel: kernel{name: "here"}}
	for _, b := range []probe.Backend{probe.Socket, probe.Fentry, probe.Kprobe, probe.Syscall} {
		p, err := probe.Open(probe.Options{Backend: b})
		if err != nil {
			t.Logf("%s is left out: %v", b, err)
			continue
		}
		require.NoError(t, p.Close())
		m.backends = append(m.backends, b)
	}
	require.NotEmpty(t, m.backends, "backends that attach here")
	ctx, cancel := context.WithTimeout(t.Context(), hostTimeout)
	defer cancel()
	output, err := process.Run(ctx, "BenchmarkCalls", exec.Command(binary, arguments(*hostPairs, m.backends)...))
	require.NoError(t, err)
	m.read(t, output)
	return m
}

// measureMachine counts instructions under another kernel.
func measureMachine(t *testing.T, k kernel, binary string) measured {
	ctx, cancel := context.WithTimeoutCause(t.Context(), machineTimeout, fmt.Errorf("not within %s", machineTimeout))
	defer cancel()
	image, version, err := kernels.Fetch(ctx, k.name, k.arch)
	require.NoError(t, err)
	args := arguments(machinePairs, k.backends, "-instructions", "-batches", fmt.Sprint(machineBatches))
	r, err := vm.Boot(ctx, vm.Kernel{Arch: k.arch, Image: image}, vm.Job{Binary: binary, Instructions: true, Args: args})
	require.NoError(t, err)
	require.Zero(t, r.ExitCode, r.Output)
	assert.Empty(t, r.Complaints, "the kernel complains")
	m := measured{kernel: k, version: version}
	m.read(t, r.Output)
	for _, c := range m.costs {
		judge(t, c)
	}
	t.Logf("booted in %.1f s, ran for %.1f s", r.Boot.Seconds(), r.Took.Seconds())
	return m
}

// unhooked tells of what no hook of the backend sees.
func unhooked(c Cost) bool {
	return c.Backend != string(probe.Syscall) && (c.Work == "getppid" || c.Work == "read 4 KiB of a file")
}

// judge fails if what no hook sees has become dearer, or what one has to see has not.
func judge(t *testing.T, c Cost) {
	p := c.Pairs()[0]
	if !unhooked(c) {
		// What is added to a large read that is not Kafka's can be less than TCP's own moods.
		if !strings.Contains(c.Work, "not Kafka") {
			assert.Greater(t, p.Difference(), 0.0, "instructions that %s adds to %s", c.Backend, c.Work)
		}
		return
	}
	// An instruction is what the clock can tell of a batch's call (16 ns on arm64). Where the two counts without hooks
	// are further apart, other threads have interrupted most batches of one; that may not be much.
	apart := math.Abs(c.Without[0] - c.Without[1])
	assert.LessOrEqual(t, apart, p.Without/50, "instructions between two counts without hooks of %s", c.Work)
	assert.InDelta(t, 0, p.Difference(), max(1, apart), "instructions that %s adds to %s", c.Backend, c.Work)
}

// read finds what the benchmark has printed.
func (m *measured) read(t *testing.T, output string) {
	all, err := parse(output)
	require.NoError(t, err)
	var seen []probe.Backend
	for _, c := range all {
		require.Len(t, c.Without, len(c.With)+1, "%s %s", c.Backend, c.Work)
		if b := probe.Backend(c.Backend); !slices.Contains(seen, b) {
			seen = append(seen, b)
		}
	}
	require.Equal(t, m.backends, seen, "backends with figures")
	m.costs = all
}

func parse(output string) (all []Cost, err error) {
	for line := range strings.Lines(output) {
		text, ok := strings.CutPrefix(line, Line)
		if !ok {
			continue
		}
		var c Cost
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New("the benchmark printed no figures")
	}
	return all, nil
}
