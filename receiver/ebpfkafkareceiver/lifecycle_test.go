// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/ebpfkafka/ebpfkafka/internal/state"
	"github.com/ebpfkafka/ebpfkafka/internal/watermarks"
	"github.com/ebpfkafka/ebpfkafka/receiver/ebpfkafkareceiver/internal/metadata"
	"github.com/ebpfkafka/ebpfkafka/receiver/ebpfkafkareceiver/internal/metadatatest"
)

// fakeSource gives the same view each time, or an error.
type fakeSource struct {
	view   state.View
	stats  Stats
	err    error
	closed int
}

func (s *fakeSource) Snapshot(context.Context) (state.View, Stats, error) {
	return s.view, s.stats, s.err
}

func (s *fakeSource) Close() error {
	s.closed++
	return nil
}

func (s *fakeSource) open(context.Context, *Config, receiver.Settings) (source, resolver, error) {
	return s, fakeResolver{}, nil
}

// start makes a receiver that collects once at its start and then at each tick.
func start(
	t *testing.T, settings receiver.Settings, next consumer.Metrics, open openFunc, ticks <-chan time.Time,
) receiver.Metrics {
	t.Helper()
	config := createDefaultConfig().(*Config)
	config.InitialDelay = 0
	r, err := newReceiver(settings, config, next, open)
	require.NoError(t, err)
	r.ticks = ticks
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	return r
}

func TestReceiverCollects(t *testing.T) {
	src := &fakeSource{view: *exampleView()}
	sink := new(consumertest.MetricsSink)
	ticks := make(chan time.Time)
	r := start(t, receivertest.NewNopSettings(metadata.Type), sink, src.open, ticks)

	ticks <- time.Time{} // taken only once the first collection is over
	ticks <- time.Time{}
	require.NoError(t, r.Shutdown(t.Context()))

	require.Len(t, sink.AllMetrics(), 3)
	for _, metrics := range sink.AllMetrics() {
		assert.Len(t, points(metrics, "kafka.consumer_group.offset"), 5)
	}
	assert.Equal(t, 1, src.closed)
}

// A snapshot that fails gives no metrics, and the next tick tries again.
func TestReceiverSnapshotError(t *testing.T) {
	src := &fakeSource{err: errors.New("map is gone")}
	sink := new(consumertest.MetricsSink)
	reader := componenttest.NewTelemetry()
	ticks := make(chan time.Time)
	r := start(t, metadatatest.NewSettings(reader), sink, src.open, ticks)
	ticks <- time.Time{}
	require.NoError(t, r.Shutdown(t.Context()))
	assert.Zero(t, sink.DataPointCount())
	assert.Equal(t, 1, src.closed)
	metadatatest.AssertEqualReceiverEbpfKafkaSnapshotErrors(t, reader,
		[]metricdata.DataPoint[int64]{{Value: 2}}, metricdatatest.IgnoreTimestamp())
	require.NoError(t, reader.Shutdown(t.Context()))
}

func TestReceiverStartError(t *testing.T) {
	failed := errors.New("no CAP_BPF")
	r, err := newReceiver(receivertest.NewNopSettings(metadata.Type), createDefaultConfig().(*Config),
		consumertest.NewNop(), func(context.Context, *Config, receiver.Settings) (source, resolver, error) {
			return nil, nil, failed
		})
	require.NoError(t, err)
	require.ErrorIs(t, r.Start(t.Context(), componenttest.NewNopHost()), failed)
	require.NoError(t, r.Shutdown(t.Context()))
}

func TestReceiverTelemetry(t *testing.T) {
	src := &fakeSource{view: state.View{Time: testNow}, stats: Stats{
		Connections:        []ConnectionCount{{Role: "client", State: "decoding", Count: 3}, {Role: "broker", State: "decoding", Count: 1}},
		Frames:             []FrameCount{{API: "OffsetCommit", Count: 20}},
		Drops:              []DropCount{{Reason: "offsets_full", Count: 4}},
		Maps:               []MapUse{{Name: "offsets", Entries: 5, Capacity: 64}},
		BytesInspected:     6,
		OrphanResponses:    7,
		Resynchronisations: 8,
		WatermarkRequests:  []watermarks.Count{{Name: "ListOffsets", Count: 9}},
		WatermarkErrors:    []watermarks.Count{{Name: "timeout", Count: 10}},
	}}
	reader := componenttest.NewTelemetry()
	settings := metadatatest.NewSettings(reader)
	ticks := make(chan time.Time)
	r := start(t, settings, consumertest.NewNop(), src.open, ticks)
	ticks <- time.Time{}

	point := func(value int64, attributes ...attribute.KeyValue) metricdata.DataPoint[int64] {
		return metricdata.DataPoint[int64]{Value: value, Attributes: attribute.NewSet(attributes...)}
	}
	one := func(value int64, attributes ...attribute.KeyValue) []metricdata.DataPoint[int64] {
		return []metricdata.DataPoint[int64]{point(value, attributes...)}
	}
	ignoreTime := metricdatatest.IgnoreTimestamp()
	metadatatest.AssertEqualReceiverEbpfKafkaConnections(t, reader, []metricdata.DataPoint[int64]{
		point(3, attribute.String("role", "client"), attribute.String("state", "decoding")),
		point(1, attribute.String("role", "broker"), attribute.String("state", "decoding")),
	}, ignoreTime)
	metadatatest.AssertEqualReceiverEbpfKafkaFrames(t, reader, one(20, attribute.String("api", "OffsetCommit")), ignoreTime)
	metadatatest.AssertEqualReceiverEbpfKafkaDrops(t, reader, one(4, attribute.String("reason", "offsets_full")), ignoreTime)
	metadatatest.AssertEqualReceiverEbpfKafkaMapEntries(t, reader, one(5, attribute.String("map", "offsets")), ignoreTime)
	metadatatest.AssertEqualReceiverEbpfKafkaMapCapacity(t, reader, one(64, attribute.String("map", "offsets")), ignoreTime)
	metadatatest.AssertEqualReceiverEbpfKafkaBytesInspected(t, reader, one(6), ignoreTime)
	metadatatest.AssertEqualReceiverEbpfKafkaOrphanResponses(t, reader, one(7), ignoreTime)
	metadatatest.AssertEqualReceiverEbpfKafkaResynchronisations(t, reader, one(8), ignoreTime)
	metadatatest.AssertEqualReceiverEbpfKafkaWatermarkRequests(t, reader, one(9, attribute.String("api", "ListOffsets")), ignoreTime)
	metadatatest.AssertEqualReceiverEbpfKafkaWatermarkErrors(t, reader, one(10, attribute.String("error.type", "timeout")), ignoreTime)

	require.NoError(t, r.Shutdown(t.Context()))
	duration, err := reader.GetMetric("otelcol_receiver_ebpf_kafka_snapshot_duration")
	require.NoError(t, err)
	// One at the start, one at the tick.
	assert.EqualValues(t, 2, duration.Data.(metricdata.Histogram[float64]).DataPoints[0].Count)
	require.NoError(t, reader.Shutdown(t.Context()))
}
