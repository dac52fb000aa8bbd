// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/test/page"
	"github.com/ebpfkafka/ebpfkafka/test/process"
)

const (
	// hostProcesses have nothing to do with Kafka: they wait.
	hostProcesses = 5000
	// hostClients are processes, with hostConnections to the broker in all.
	hostClients     = 500
	hostConnections = 5000

	// hostTimeout is for everything that is awaited: starting some thousand processes, and seeing all commits.
	hostTimeout = 10 * time.Minute
)

// TestHost measures the collector on a host on which a lot goes on: what it takes to start, what to watch many clients,
// and what the others pay. Times are no reason to fail: other values than what was committed are.
func TestHost(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), hostTimeout)
	defer cancel()
	crowd := buildCrowd(ctx, t)
	found := &hostReport{date: time.Now(), backends: backendsHere(t)}
	t.Run("start", func(t *testing.T) { found.starts = measureStarts(ctx, t, found.backends) })
	t.Run("clients", func(t *testing.T) { found.clients = measureClients(ctx, t, crowd) })
	t.Run("calls", func(t *testing.T) { found.calls = measureCalls(ctx, t, crowd, found.backends) })
	if t.Failed() || !found.whole() {
		return
	}
	text := found.text()
	fmt.Print("\n" + text)
	if *writePage {
		require.NoError(t, page.Write(hostCommand, text))
	}
}

// buildCrowd builds the command of that name.
func buildCrowd(ctx context.Context, t *testing.T) string {
	path := filepath.Join(t.TempDir(), "crowd")
	cmd := exec.Command("go", "build", "-o", path, "./crowd")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	_, err := process.Run(ctx, "go build", cmd)
	require.NoError(t, err)
	return path
}

// backendsHere are those that attach to this machine's kernel.
func backendsHere(t *testing.T) (all []probe.Backend) {
	for _, b := range []probe.Backend{probe.Socket, probe.Fentry, probe.Kprobe, probe.Syscall} {
		p, err := probe.Open(probe.Options{Backend: b})
		if err != nil {
			t.Logf("%s is left out: %v", b, err)
			continue
		}
		require.NoError(t, p.Close())
		all = append(all, b)
	}
	require.NotEmpty(t, all, "backends that attach here")
	return all
}

// waiters are processes that wait for the end of their input, which comes when this process ends at the latest.
// They are programs of their own, and not copies of one, as those of a host are.
func waiters(ctx context.Context, t *testing.T, n int) (end func()) {
	const script = `exec 3<&0; i=0
while [ $i -lt $0 ]; do cat <&3 >/dev/null 2>&1 & i=$((i+1)); done
echo started; wait`
	cmd := exec.Command("sh", "-c", script, fmt.Sprint(n))
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	p, err := process.Start("waiters", "", cmd)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop(0)) })
	_, err = p.Await(ctx, regexp.MustCompile("started"))
	require.NoError(t, err)
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", p.PID(), p.PID()))
	require.NoError(t, err)
	require.Len(t, bytes.Fields(children), n, "processes that wait")
	return func() {
		require.NoError(t, in.Close())
		require.NoError(t, p.Wait(ctx))
	}
}
