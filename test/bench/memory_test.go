// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/process"
)

const mebibyte = 1 << 20

// BenchmarkMemory is what the receiver adds to a collector at its default limits: resident memory of the
// process, and the kernel's memory for the maps.
func BenchmarkMemory(b *testing.B) {
	binary, err := collector.Binary()
	require.NoError(b, err)
	// The pipeline is the same; only one of the two collectors starts the receiver.
	with := run(b, binary, "[ebpf_kafka, otlp]")
	without := run(b, binary, "[otlp]")
	for b.Loop() { // the figures are of one run each: starting is what takes time
	}
	b.ReportMetric(float64(without.resident)/mebibyte, "MiB-without")
	b.ReportMetric(float64(with.resident-without.resident)/mebibyte, "MiB-added")
	b.ReportMetric(float64(with.maps)/mebibyte, "MiB-maps")
}

type memory struct{ resident, maps int64 }

func run(b *testing.B, binary, receivers string) memory {
	b.Helper()
	config := filepath.Join(b.TempDir(), "config.yaml")
	require.NoError(b, os.WriteFile(config, []byte(`
receivers:
  ebpf_kafka: {collection_interval: 200ms, initial_delay: 0s}
  otlp: {protocols: {grpc: {endpoint: "127.0.0.1:0"}}}
exporters: {debug: {}}
service:
  telemetry: {metrics: {level: none}}
  pipelines: {metrics: {receivers: `+receivers+`, exporters: [debug]}}
`), 0o600))
	p, err := process.Start("collector", "", exec.Command(binary, "--config", config))
	require.NoError(b, err)
	defer func() { require.NoError(b, p.Stop(10*time.Second)) }()
	_, err = p.Await(b.Context(), regexp.MustCompile("Everything is ready"))
	require.NoError(b, err)
	time.Sleep(2 * time.Second) // ten snapshots: a benchmark may wait for its subject to settle
	return memory{
		resident: field(b, fmt.Sprintf("/proc/%d/status", p.PID()), "VmRSS:") * 1024,
		maps:     mapsOf(b, p.PID()),
	}
}

// mapsOf sums what the kernel charges for the process's BPF maps and programs.
func mapsOf(b *testing.B, pid int) int64 {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	require.NoError(b, err)
	total := int64(0)
	for _, f := range files {
		total += field(b, f, "memlock:")
	}
	return total
}

// field reads a number behind a name; 0 if the file is gone or has no such name.
func field(tb testing.TB, path, name string) int64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name); ok {
			var n int64
			_, err := fmt.Sscan(rest, &n)
			require.NoError(tb, err)
			return n
		}
	}
	return 0
}
