// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// programsOf are the loaded eBPF programs that a process holds, by name; others may have loaded the same.
func programsOf(t *testing.T, pid int) map[string]*ebpf.Program {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	require.NoError(t, err)
	programs := make(map[string]*ebpf.Program)
	for _, file := range files {
		id := field(t, file, "prog_id:")
		if id == 0 {
			continue
		}
		program, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, program.Close()) })
		info, err := program.Info()
		require.NoError(t, err)
		programs[info.Name] = program
	}
	return programs
}

// keepStatistics has the kernel note how often and how long each program runs, which itself takes some time.
func keepStatistics(t *testing.T) (stop func()) {
	stats, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
	require.NoError(t, err)
	return func() { require.NoError(t, stats.Close()) }
}

// hookRuns are how often the hooks of a collector ran, and how long in all.
type hookRuns struct {
	runs uint64
	took time.Duration
}

// countHooks returns what the hooks of a process do while f runs.
func countHooks(t *testing.T, pid int, f func()) (counted hookRuns) {
	defer keepStatistics(t)()
	programs := programsOf(t, pid)
	require.NotEmpty(t, programs, "eBPF programs of process %d", pid)
	sum := func() (all hookRuns) {
		for _, p := range programs {
			stats, err := p.Stats()
			require.NoError(t, err)
			all.runs += stats.RunCount
			all.took += stats.Runtime
		}
		return all
	}
	before := sum()
	f()
	after := sum()
	return hookRuns{after.runs - before.runs, after.took - before.took}
}
