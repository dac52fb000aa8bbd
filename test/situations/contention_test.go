// SPDX-License-Identifier: Apache-2.0

package situations

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/test/process"
)

var commits = flag.Int("commits", 200_000, "commits that TestContention has acknowledged, in all, with each backend")

const (
	contenders = 8 // client processes, each with a thread that writes and one that reads
	// contended is how many partitions each of them commits, in turn.
	contended       = 4
	contendedGroup  = "contention"
	contendedDepth  = 48 // commits in flight on each connection
	contentionLimit = 4 * time.Minute
)

func contendedTopic(client int) string { return fmt.Sprintf("contention-%d", client) }

// TestContention: eight processes and a broker keep every CPU busy, and many
// responses are read before the hook of their request's write has run. Counted are requests, each a commit of one partition: as many as were
// acknowledged to the clients are in the receiver's counter, and the last
// offset of each partition is the receiver's.
func TestContention(t *testing.T) {
	for _, backend := range []string{"socket", "syscall"} {
		t.Run(backend, func(t *testing.T) { contend(t, backend) })
	}
}

func contend(t *testing.T, backend string) {
	ctx, cancel := context.WithTimeout(t.Context(), contentionLimit)
	defer cancel()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	listener, err := l.File()
	require.NoError(t, err)
	// Connections inherit it.
	require.NoError(t, unix.SetsockoptInt(int(listener.Fd()), unix.SOL_SOCKET, unix.SO_RCVBUF, socketBuffer))
	require.NoError(t, l.Close()) // the child has its own descriptor
	address := l.Addr().String()
	v := startView(ctx, t, backend, backend, "any", []string{portOf(t, address)})
	broker := startChild(t, roleBroker, listener)
	require.NoError(t, listener.Close())

	each := *commits / contenders
	began := time.Now()
	var clients []*process.Process
	for i := range contenders {
		clients = append(clients, startChild(t, roleClient, nil, address, strconv.Itoa(i), strconv.Itoa(each)))
	}
	acknowledged, want := int64(0), map[string]int64{}
	for i, c := range clients {
		said, err := c.Await(ctx, regexp.MustCompile(`acknowledged (\d+)\n`))
		require.NoError(t, err)
		n, err := strconv.ParseInt(said[1], 10, 64)
		require.NoError(t, err)
		require.EqualValues(t, each, n)
		acknowledged += n
		for at := n - contended; at < n; at++ {
			want[fmt.Sprintf("%s-%d", contendedTopic(i), at%contended)] = goodOffset + at
		}
	}
	took := time.Since(began)
	defer func() {
		counters := v.counters(t)
		t.Logf("%d commits acknowledged in %.1f s, %.0f a second; %.0f responses overtook requests; left out: %v",
			acknowledged, took.Seconds(), float64(acknowledged)/took.Seconds(), counters["late_requests"], losses(counters))
	}()
	within(t, func() error {
		samples, err := v.Metrics(ctx)
		if err != nil {
			return err
		}
		p := problems{}
		counted := int64(0)
		for _, c := range samples.Named("kafka_consumer_group_commits_total").With("group", contendedGroup) {
			if c.Labels["error_type"] != "" {
				p.add("nothing was refused: %v", c)
			}
			counted += int64(c.Value)
		}
		if counted != acknowledged {
			p.add("%d commits counted, %d were acknowledged", counted, acknowledged)
		}
		got := map[string]int64{}
		for _, o := range samples.Named("kafka_consumer_group_offset").With("group", contendedGroup) {
			got[o.Labels["topic"]+"-"+o.Labels["partition"]] = int64(o.Value)
		}
		for k, at := range want {
			if got[k] != at {
				p.add("%s is at %d, last acknowledged was %d", k, got[k], at)
			}
		}
		return p.err(v.name)
	})
	require.Empty(t, losses(v.counters(t)))
	require.NotZero(t, v.counters(t)["late_requests"], "no response has overtaken its request: nothing was tested")
	for _, c := range clients {
		require.NoError(t, c.Stop(patience))
	}
	require.True(t, broker.Running())
}

// startChild starts this test binary in another role. A file becomes its
// descriptor 3.
func startChild(t *testing.T, role string, file *os.File, args ...string) *process.Process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	if file != nil {
		cmd.ExtraFiles = []*os.File{file}
	}
	c, err := process.Start(role, "", cmd)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Stop(0)) })
	return c
}
