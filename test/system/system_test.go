// SPDX-License-Identifier: Apache-2.0

package system

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/kafka"
	"github.com/ebpfkafka/ebpfkafka/test/process"
	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

const (
	// caseTimeout bounds one case: it takes half a minute on two idle cores.
	caseTimeout = 4 * time.Minute
	// agreement is how long /metrics may take to equal the broker once all is
	// quiet: clients refresh names every 3 seconds, the receiver reports every
	// half second; the rest is for a busy machine.
	agreement = 30 * time.Second
)

// situation is one way to run the collector beside the clients.
type situation struct {
	name    string
	backend string
	role    string // the receiver's discovery.role; empty: any
	// attach: the collector starts after the clients, in mid-stream.
	attach bool
	// restart: the collector ends and starts anew while the clients work.
	restart bool
}

// TestLagEqualsBroker runs three groups on Apache Kafka (KAFKA_VERSION chooses
// the release): a console consumer that commits by itself; two Java processes
// with the classic protocol and commitSync; one with KIP-848 and commitAsync.
// The latter two stop at a known offset of each partition, so that they lag.
func TestLagEqualsBroker(t *testing.T) {
	_, err := collector.Binary()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), caseTimeout)
	defer cancel()
	broker, oracle := kafka.ForTest(ctx, t, kafka.Options{Version: os.Getenv("KAFKA_VERSION")})

	for _, s := range []situation{
		{name: "socket before", backend: "socket"},
		{name: "socket after", backend: "socket", attach: true},
		{name: "syscall before", backend: "syscall"},
		{name: "syscall after", backend: "syscall", attach: true},
		{name: "client role after", backend: "auto", role: "client", attach: true},
		{name: "broker role after", backend: "auto", role: "broker", attach: true},
		{name: "restarted", backend: "auto", restart: true},
	} {
		t.Run(s.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), caseTimeout)
			defer cancel()
			run(ctx, t, broker, oracle, s)
		})
	}
}

func run(ctx context.Context, t *testing.T, broker *kafka.Broker, oracle *kafka.Oracle, s situation) {
	l := newLoad(broker, oracle, s.name)
	t.Cleanup(func() { require.NoError(t, l.stop()) })
	var c *collector.Collector
	start := func() {
		t.Helper()
		_, port, err := net.SplitHostPort(broker.Addr)
		require.NoError(t, err)
		c, err = collector.Start(ctx, collector.Options{
			Dir:     filepath.Join(t.TempDir(), "collector"),
			Backend: s.backend,
			Role:    s.role,
			// Whatever other Kafka this host talks to, the broker of the test does not know it.
			Set: []string{"receivers::ebpf_kafka::discovery::ports: [" + port + "]"},
		})
		require.NoError(t, err)
		t.Cleanup(func() {
			if t.Failed() {
				logFailure(t, c, l.processes)
			}
			require.NoError(t, c.Stop())
		})
	}
	if !s.attach {
		start()
	}
	require.NoError(t, l.start(ctx))
	require.NoError(t, l.first(ctx))
	if s.restart {
		require.NoError(t, c.Stop())
	}
	if s.attach || s.restart {
		start()
	}
	require.NoError(t, l.second(ctx))

	// All is quiet now. Both oracles must say the same before they judge.
	truth, err := oracle.Ask(ctx)
	require.NoError(t, err)
	rows, err := broker.Describe(ctx, l.groups()...)
	require.NoError(t, err)
	requireSame(t, truth, rows)
	e := expected{truth: truth, rows: rows, cluster: broker.ClusterID, topics: l.topics(), owners: l.owners(), role: s.role}

	quiet := time.Now()
	var samples collector.Samples
	require.NoError(t, within(ctx, agreement, func() error {
		if samples, err = c.Metrics(ctx); err != nil {
			return err
		}
		return e.check(samples)
	}))
	t.Logf("equal %.1f s after the oracles had answered:\n%s", time.Since(quiet).Seconds(), e.table(samples))

	// The clients leave: their own series end, their groups' stay.
	require.NoError(t, l.stop())
	require.NoError(t, within(ctx, agreement, func() error {
		if samples, err = c.Metrics(ctx); err != nil {
			return err
		}
		return e.checkLeft(samples)
	}))
}

// within awaits a condition for a limited time.
func within(ctx context.Context, limit time.Duration, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return wait.Until(ctx, f)
}

// logFailure logs what helps to find out why: the collector's counters and
// log, and what the clients printed.
func logFailure(t *testing.T, c *collector.Collector, clients []*process.Process) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	telemetry, err := c.Telemetry(ctx)
	if err != nil {
		t.Logf("the collector's telemetry: %v", err)
	}
	for _, s := range telemetry {
		if receiverOwn(s.Name) && s.Value != 0 {
			t.Log(s)
		}
	}
	t.Logf("collector log:\n%s", c.Log())
	for _, p := range clients {
		t.Logf("%s (process %d) printed:\n%s", p.Name, p.PID(), p.Output())
	}
}
