// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/test/kernels/verifier"
)

func TestList(t *testing.T) {
	all, err := parse(list)
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, k := range all {
		require.False(t, seen[k.String()], k)
		seen[k.String()] = true
		require.Contains(t, []string{"amd64", "arm64"}, k.arch, k)
		require.Subset(t, backends, k.backends, k)
	}
	all, err = parse("6.1 amd64 bookworm linux kprobe,syscall(skips) # a comment\n\n6.1 arm64 bookworm linux none")
	require.NoError(t, err)
	require.Equal(t, []kernel{
		{"6.1", "amd64", "bookworm", "linux", []probe.Backend{probe.Kprobe, probe.Syscall}, []probe.Backend{probe.Syscall}},
		{"6.1", "arm64", "bookworm", "linux", nil, nil},
	}, all)
	_, err = parse("# comment\n 6.1 amd64 bookworm")
	require.ErrorContains(t, err, "line 2")
}

func TestCompare(t *testing.T) {
	k := kernel{name: "6.1", arch: "amd64"}
	loaded := func(instructions uint32) []verifier.Loaded {
		return []verifier.Loaded{{Backend: "kprobe", Programs: []verifier.Program{{Name: "p", Instructions: instructions}}}}
	}
	known := figuresOf(k, loaded(1000))
	known[[3]string{"6.1-arm64", "kprobe", "q"}] = figure{} // of a kernel that was not booted
	for _, n := range []uint32{900, 1000, 1100} {
		assert.Empty(t, known.compare(k, loaded(n)), n)
	}
	for _, n := range []uint32{899, 1101, 0} {
		assert.Len(t, known.compare(k, loaded(n)), 1, n)
	}
	assert.Len(t, known.compare(k, nil), 1, "not loaded any more")
	assert.Len(t, make(figures).compare(k, loaded(1)), 1, "new")
}

func TestJobs(t *testing.T) {
	j := job{tests: []string{"TestA/^(B|C)$", "TestD"}}
	assert.Equal(t, "^TestA$/^(B|C)$|^TestD$", j.pattern())
	assert.Empty(t, j.missing("=== RUN\n--- PASS: TestA (1.00s)\n    --- PASS: TestA/B (1.00s)\n--- PASS: TestD (0.00s)\n"))
	assert.Equal(t, []string{"TestD"}, j.missing("\n--- PASS: TestA (1.00s)\n--- FAIL: TestD (0.00s)\n"))
	assert.Equal(t, j.tests, j.missing("testing: warning: no tests to run\nPASS\n"))
}
