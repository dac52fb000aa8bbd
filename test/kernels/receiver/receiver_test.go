// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"context"
	"fmt"
	"maps"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/ebpfkafka/ebpfkafka/receiver/ebpfkafkareceiver"
	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

// values are numbers by metric and partition.
type values map[string]int64

const (
	committed = "kafka.consumer_group.offset"
	lag       = "kafka.consumer_group.lag"
	end       = "kafka.partition.current_offset"
	oldest    = "kafka.partition.oldest_offset"
)

func key(metric string, partition int64) string { return fmt.Sprintf("%s of %d", metric, partition) }

var rounds = []round{{20, 5}, {50, 61}, {0, 66}}

// TestReceiver compares what the receiver publishes with what the broker answers.
func TestReceiver(t *testing.T) {
	if len(backends) == 0 {
		backends = []string{string(ebpfkafkareceiver.BackendAuto)}
	}
	for _, b := range backends {
		t.Run(b, func(t *testing.T) { compare(t, ebpfkafkareceiver.Backend(b)) })
	}
}

func compare(t *testing.T, backend ebpfkafkareceiver.Backend) {
	cluster := fmt.Sprintf("%s of %d", t.Name(), os.Getpid()) // whatever else the host runs
	broker, _ := start(t, "broker", cluster)
	m, err := broker.Await(within(t), regexp.MustCompile(`listening on (\S+)`))
	require.NoError(t, err)
	address := m[1]
	// Asked by this process, which the receiver does not hear.
	oracle, err := kgo.NewClient(kgo.SeedBrokers(address))
	require.NoError(t, err)
	defer oracle.Close()

	sink := receive(t, backend)
	client, input := start(t, "client", address)
	for _, r := range rounds {
		_, err := fmt.Fprintln(input, r)
		require.NoError(t, err)
		_, err = client.Await(within(t), regexp.MustCompile(fmt.Sprintf("done %s\n", r)))
		require.NoError(t, err)
		truth := ask(t, kadm.NewClient(oracle))
		for p := range int32(partitions) {
			require.Equal(t, r.of(p).commit, truth[key(committed, int64(p))], "the broker's offset of partition %d", p)
		}
		require.NoError(t, wait.Until(within(t), func() error {
			if got := published(sink, cluster); !maps.Equal(truth, got) {
				return fmt.Errorf("published: %v, the broker says: %v", got, truth)
			}
			return nil
		}), "after round %s; the client printed %s", r, client.Output())
	}
}

// receive starts a receiver with the settings that it has by default, until the test ends.
func receive(t *testing.T, backend ebpfkafkareceiver.Backend) *consumertest.MetricsSink {
	t.Helper()
	factory := ebpfkafkareceiver.NewFactory()
	config := factory.CreateDefaultConfig().(*ebpfkafkareceiver.Config)
	config.Backend = backend
	config.CollectionInterval = time.Second
	sink := new(consumertest.MetricsSink)
	r, err := factory.CreateMetrics(t.Context(), receivertest.NewNopSettings(factory.Type()), config, sink)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() { require.NoError(t, r.Shutdown(context.Background())) })
	return sink
}

// ask asks the broker for what the receiver should publish.
func ask(t *testing.T, admin *kadm.Client) values {
	t.Helper()
	v := make(values)
	offsets, err := admin.FetchOffsets(within(t), group)
	require.NoError(t, err)
	ends, err := admin.ListEndOffsets(within(t), topic)
	require.NoError(t, err)
	require.NoError(t, ends.Error())
	starts, err := admin.ListStartOffsets(within(t), topic)
	require.NoError(t, err)
	require.NoError(t, starts.Error())
	for p := range int32(partitions) {
		o, ok := offsets.Lookup(topic, p)
		require.True(t, ok)
		require.NoError(t, o.Err)
		v[key(committed, int64(p))] = o.At
		e, _ := ends.Lookup(topic, p)
		v[key(end, int64(p))] = e.Offset
		v[key(lag, int64(p))] = e.Offset - o.At
		s, _ := starts.Lookup(topic, p)
		v[key(oldest, int64(p))] = s.Offset
	}
	return v
}

// published is what the receiver published last of a cluster. A second series of one partition, or one of another group
// or topic, has a name of its own, which no truth has.
func published(sink *consumertest.MetricsSink, cluster string) values {
	v := make(values)
	all := sink.AllMetrics()
	if len(all) == 0 {
		return v
	}
	for _, rm := range all[len(all)-1].ResourceMetrics().All() {
		if id, ok := rm.Resource().Attributes().Get("kafka.cluster.id"); !ok || id.AsString() != cluster {
			continue
		}
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				for _, p := range points(m).All() {
					v.add(m.Name(), p)
				}
			}
		}
	}
	return v
}

func (v values) add(metric string, p pmetric.NumberDataPoint) {
	a := p.Attributes().AsRaw()
	n, _ := a["partition"].(int64)
	want := map[string]any{"topic": topic, "partition": n}
	if metric == committed || metric == lag {
		want["group"] = group
	}
	name := key(metric, n)
	if _, twice := v[name]; twice || !maps.Equal(a, want) {
		name = fmt.Sprintf("%s: %v", metric, a)
	}
	v[name] = p.IntValue()
}

// points are those of the metrics that are compared.
func points(m pmetric.Metric) pmetric.NumberDataPointSlice {
	switch m.Name() {
	case committed, lag, end, oldest:
		return m.Gauge().DataPoints()
	}
	return pmetric.NewNumberDataPointSlice()
}
