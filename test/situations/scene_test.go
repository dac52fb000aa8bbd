// SPDX-License-Identifier: Apache-2.0

package situations

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/kafka"
	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

const (
	// metadataMax is offset.metadata.max.bytes: near the most that a string
	// of Kafka's can hold.
	metadataMax = 30_000
	// reauthentication is short enough for a test to see some of them.
	reauthentication = 3 * time.Second
)

// brokersEnd is the view whose discovery.role leaves out the clients' ends.
const brokersEnd = "broker's end"

// scene is what situations share.
type scene struct {
	broker *kafka.Broker
	oracle *kafka.Oracle
	hidden *kgo.Client // talks TLS: what it does, no view sees
	ledger *ledger
	views  []*view
	// Listeners of this process on ports that the views look at.
	cutter, script net.Listener
}

// view is one collector, and where it looks from.
type view struct {
	name string
	*collector.Collector
}

func newScene(t *testing.T) *scene {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	s := &scene{ledger: newLedger()}
	properties := kafka.SASLListener(map[kafka.Mechanism]time.Duration{
		kafka.ScramSHA256: reauthentication, kafka.ScramSHA512: reauthentication,
	})
	for _, more := range []map[string]string{kafka.StandardAuthorizer(), {
		"offset.metadata.max.bytes": fmt.Sprint(metadataMax),
		// Short windows: a throttled client need not wait long.
		"quota.window.num": "2", "quota.window.size.seconds": "1",
		// A rebalance need not take longer than a test says.
		"group.min.session.timeout.ms": "1000",
	}} {
		for k, v := range more {
			properties[k] = v
		}
	}
	var err error
	s.broker, err = kafka.Start(ctx, kafka.Options{Dir: t.TempDir(), Properties: properties})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.broker.Stop()) })
	require.NoError(t, s.broker.AddSCRAMUser(ctx))
	s.oracle, err = s.broker.Oracle()
	require.NoError(t, err)
	t.Cleanup(s.oracle.Close)
	config, err := s.broker.TLSConfig()
	require.NoError(t, err)
	s.hidden, err = kgo.NewClient(kgo.SeedBrokers(s.broker.TLSAddr), kgo.DialTLSConfig(config),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	t.Cleanup(s.hidden.Close)
	s.committed(t, "nobody") // the broker coordinates no group before it is asked who does
	s.cutter, s.script = listen(t), listen(t)

	ports := []string{portOf(t, s.broker.Addr), portOf(t, s.broker.SASLAddr),
		portOf(t, s.cutter.Addr().String()), portOf(t, s.script.Addr().String())}
	for _, o := range []struct{ name, backend, role string }{
		{"socket", "socket", "any"}, {"syscall", "syscall", "any"}, {brokersEnd, "socket", "broker"},
	} {
		s.views = append(s.views, startView(ctx, t, o.name, o.backend, o.role, ports))
	}
	return s
}

func startView(ctx context.Context, t *testing.T, name, backend, role string, ports []string, set ...string) *view {
	t.Helper()
	c, err := collector.Start(ctx, collector.Options{
		Dir: filepath.Join(t.TempDir(), "collector"), Backend: backend, Role: role,
		Set: append(set, "receivers::ebpf_kafka::collection_interval: 1s",
			"receivers::ebpf_kafka::discovery::ports: ["+strings.Join(ports, ", ")+"]"),
	})
	require.NoError(t, err)
	v := &view{name, c}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s: %v\n%s", v.name, v.counters(t), v.Log())
		}
		require.NoError(t, v.Stop())
	})
	return v
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

func portOf(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	return port
}

// topic creates a topic, and writes so many records to each of its partitions.
func (s *scene) topic(t *testing.T, name string, partitions, records int) {
	t.Helper()
	require.NoError(t, s.broker.CreateTopic(t.Context(), name, partitions))
	s.produce(t, name, partitions, records)
}

// produce writes records that no view sees.
func (s *scene) produce(t *testing.T, topic string, partitions, records int) {
	t.Helper()
	var all []*kgo.Record
	for p := range int32(partitions) {
		for range records {
			all = append(all, &kgo.Record{Topic: topic, Partition: p, Value: make([]byte, 100)})
		}
	}
	require.NoError(t, s.hidden.ProduceSync(t.Context(), all...).FirstErr())
}

// within awaits a condition for as long as patience lasts.
func within(t *testing.T, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, wait.Until(ctx, f))
}

// counters are what the receiver says of itself, by metric and label, where it
// is not 0.
func (v *view) counters(t *testing.T) map[string]float64 {
	samples, err := v.Telemetry(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Errorf("%s: telemetry: %v", v.name, err)
		return nil
	}
	return samples.Own()
}

// losses are the counters of what was left out.
func losses(counters map[string]float64) map[string]float64 {
	out := map[string]float64{}
	for name, n := range counters {
		if reason, ok := strings.CutPrefix(name, "drops"); ok {
			out[strings.Trim(strings.TrimPrefix(reason, "_total"), " ")] = n
		} else if strings.HasPrefix(name, "orphan_responses") || strings.HasPrefix(name, "resynchronisations") {
			out[name] = n
		}
	}
	return out
}

// watch remembers what each view has dropped so far, and returns a check that
// since then nothing was dropped but for the reasons given, each of all views or
// "view: reason" of one.
func (s *scene) watch(t *testing.T) func(reasons ...string) {
	before := map[string]map[string]float64{}
	for _, v := range s.views {
		before[v.name] = losses(v.counters(t))
	}
	return func(reasons ...string) {
		t.Helper()
		for _, v := range s.views {
			// A response that waits for its request is counted once it has
			// waited in vain.
			within(t, func() error {
				if n := v.counters(t)["map_entries parked"]; n != 0 {
					return fmt.Errorf("%s: %v responses wait for their requests", v.name, n)
				}
				return nil
			})
			for reason, n := range losses(v.counters(t)) {
				if n -= before[v.name][reason]; n == 0 {
					continue
				}
				if slices.Contains(reasons, reason) || slices.Contains(reasons, v.name+": "+reason) {
					t.Logf("%s: %s %v", v.name, reason, n)
				} else {
					t.Errorf("%s: dropped %v for %s", v.name, n, reason)
				}
			}
		}
	}
}
