// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/ebpfkafka/ebpfkafka/receiver/ebpfkafkareceiver"
	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

var skips = flag.Bool("skips", false,
	"the kernel skips programs: a value may be absent if the receiver counts some that were skipped, and none may be wrong")

// published is what a receiver publishes of a cluster.
type published struct {
	sink      *consumertest.MetricsSink
	telemetry *componenttest.Telemetry
	cluster   string
}

// receive starts a receiver with the settings that it has by default, until the test ends.
func receive(t *testing.T, backend ebpfkafkareceiver.Backend, cluster string) *published {
	t.Helper()
	factory := ebpfkafkareceiver.NewFactory()
	config := factory.CreateDefaultConfig().(*ebpfkafkareceiver.Config)
	config.Backend = backend
	config.CollectionInterval = time.Second
	p := &published{new(consumertest.MetricsSink), componenttest.NewTelemetry(), cluster}
	settings := receivertest.NewNopSettings(factory.Type())
	settings.TelemetrySettings = p.telemetry.NewTelemetrySettings()
	var r receiver.Metrics
	r, err := factory.CreateMetrics(t.Context(), settings, config, p.sink)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() {
		require.NoError(t, r.Shutdown(context.Background()))
		require.NoError(t, p.telemetry.Shutdown(context.Background()))
	})
	return p
}

// check compares what was published last with the truth.
func (p *published) check(truth values, absent bool) (values, error) {
	all := p.sink.AllMetrics()
	if len(all) == 0 {
		return nil, fmt.Errorf("nothing is published")
	}
	got := p.values(all[len(all)-1])
	if err := got.within(truth); err != nil || maps.Equal(got, truth) {
		return got, err
	}
	if n, err := p.count("program_skipped"); !absent || err != nil || n == 0 {
		return nil, fmt.Errorf("published: %v, the broker says: %v; %d programs skipped (%w)", got, truth, n, err)
	}
	return got, nil
}

// hold returns what is published after the truth has not changed for a while, and fails if something else was meanwhile.
func (p *published) hold(t *testing.T, truth values) (got values) {
	t.Helper()
	const collections = 5 // longer than what a client is silent for, which sends heartbeats every three seconds
	from := len(p.sink.AllMetrics())
	require.NoError(t, wait.Until(within(t), func() error {
		if n := len(p.sink.AllMetrics()) - from; n < collections {
			return fmt.Errorf("%d collections", n)
		}
		return nil
	}))
	for _, m := range p.sink.AllMetrics()[from:] {
		got = p.values(m)
		require.NoError(t, got.within(truth))
	}
	return got
}

func (p *published) skipped(t *testing.T) int64 {
	t.Helper()
	n, err := p.count("program_skipped")
	require.NoError(t, err)
	return n
}

// count is what the receiver says of itself that it dropped for a reason.
func (p *published) count(reason string) (int64, error) {
	// Without a drop there is no such metric.
	m, err := p.telemetry.GetMetric("otelcol_receiver_ebpf_kafka_drops")
	if err != nil {
		_, err = p.telemetry.GetMetric("otelcol_receiver_ebpf_kafka_frames")
		return 0, err
	}
	for _, point := range m.Data.(metricdata.Sum[int64]).DataPoints {
		if r, _ := point.Attributes.Value("reason"); r.AsString() == reason {
			return point.Value, nil
		}
	}
	return 0, nil
}

// values are those of the cluster. A second series of one partition, or one of another group or topic, has a name of its
// own, which no truth has.
func (p *published) values(m pmetric.Metrics) values {
	v := make(values)
	for _, rm := range m.ResourceMetrics().All() {
		if id, ok := rm.Resource().Attributes().Get("kafka.cluster.id"); !ok || id.AsString() != p.cluster {
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

// within says which values are not the truth's.
func (v values) within(truth values) error {
	for name, n := range v {
		if want, ok := truth[name]; !ok || want != n {
			return fmt.Errorf("wrong: %s is published as %d; published: %v, the broker says: %v", name, n, v, truth)
		}
	}
	return nil
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
