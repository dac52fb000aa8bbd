// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/ebpfkafka/ebpfkafka/internal/state"
	"github.com/ebpfkafka/ebpfkafka/receiver/ebpfkafkareceiver/internal/metadata"
	"github.com/ebpfkafka/ebpfkafka/receiver/ebpfkafkareceiver/internal/metadatatest"
)

// severalPages is a view with more entries than fit on two pages, of one cluster and of 500 processes.
func severalPages() *state.View {
	return largeView(5, 10, 100, 2*pageRows)
}

// pages are all that publish delivers of a view.
func pages(view *state.View) []pmetric.Metrics {
	p := newPublisher(createDefaultConfig().(*Config), receivertest.NewNopSettings(metadata.Type), fakeResolver{}, testStart)
	var all []pmetric.Metrics
	p.publish(view, func(page pmetric.Metrics) { all = append(all, page) })
	return all
}

// Where a page ends must not be seen in what is on them: each point once, with the resource that is its own.
func TestPublishPages(t *testing.T) {
	view := severalPages()
	got := make(map[string]int)
	count := func(metrics pmetric.Metrics) {
		for _, name := range []string{
			"kafka.consumer_group.offset", "kafka.consumer_group.lag", "kafka.consumer_group.lag_sum",
			"kafka.consumer_group.offset_sum", "kafka.partition.current_offset", "kafka.partition.oldest_offset",
			"kafka.consumer.offset",
		} {
			for _, point := range points(metrics, name) {
				got[name+" "+point]++
			}
		}
	}
	points := 0
	all := pages(view)
	assert.Greater(t, len(all), 3)
	for _, page := range all {
		count(page)
		points += page.DataPointCount()
		assert.LessOrEqual(t, page.DataPointCount(), 5*pageRows)
	}
	assert.Len(t, got, points, "each point is there once")

	const resource = "map[kafka.cluster.id:MkU3OEVBNTcwNTJENDM2Qg"
	for _, e := range view.Groups {
		of := fmt.Sprintf(" %s] | map[group:%s partition:%d topic:%s] = ", resource, e.Group, e.Partition, e.Topic)
		require.Equal(t, 1, got["kafka.consumer_group.offset"+of+"900"], of)
		require.Equal(t, 1, got["kafka.consumer_group.lag"+of+"100"], of)
	}
	for _, e := range view.Partitions {
		of := fmt.Sprintf(" %s] | map[partition:%d topic:%s] = ", resource, e.Partition, e.Topic)
		require.Equal(t, 1, got["kafka.partition.current_offset"+of+"1000"], of)
		require.Equal(t, 1, got["kafka.partition.oldest_offset"+of+"0"], of)
	}
	const offsetsOfClients = 2 * pageRows
	assert.Equal(t, 2*len(view.Groups)+2*50+2*len(view.Partitions)+offsetsOfClients, points)
}

// refusing takes all pages but the first.
type refusing struct {
	consumer.Metrics
	taken int
	calls int
}

func (c *refusing) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (c *refusing) ConsumeMetrics(_ context.Context, page pmetric.Metrics) error {
	if c.calls++; c.calls == 1 {
		return errors.New("no memory")
	}
	c.taken += page.DataPointCount()
	return nil
}

// stuck takes nothing, and says so once it is told to.
type stuck struct {
	consumer.Metrics
	begun, end chan struct{}
	calls      int
}

func (c *stuck) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (c *stuck) ConsumeMetrics(context.Context, pmetric.Metrics) error {
	c.calls++
	close(c.begun)
	<-c.end
	return errors.New("the backend is down")
}

// A collector that is to stop does not try each page with a backend that is down.
func TestShutdownAfterRefusedPage(t *testing.T) {
	view := severalPages()
	sum := 0
	for _, page := range pages(view) {
		sum += page.DataPointCount()
	}
	reader := componenttest.NewTelemetry()
	next := &stuck{begun: make(chan struct{}), end: make(chan struct{})}
	r := start(t, metadatatest.NewSettings(reader), next, (&fakeSource{view: *view}).open, make(chan time.Time))
	<-next.begun
	done := make(chan error)
	go func() { done <- r.Shutdown(context.Background()) }()
	<-r.(*kafkaReceiver).stop
	close(next.end)
	require.NoError(t, <-done)
	assert.Equal(t, 1, next.calls)
	metric, err := reader.GetMetric("otelcol_receiver_refused_metric_points")
	require.NoError(t, err)
	assert.EqualValues(t, sum, metric.Data.(metricdata.Sum[int64]).DataPoints[0].Value, "nothing is left out silently")
	require.NoError(t, reader.Shutdown(t.Context()))
}

// A page that the next component refuses is counted, and the others are passed on.
func TestPageRefused(t *testing.T) {
	view := severalPages()
	all := pages(view)
	sum := 0
	for _, page := range all {
		sum += page.DataPointCount()
	}
	reader := componenttest.NewTelemetry()
	ticks := make(chan time.Time)
	next := new(refusing)
	r := start(t, metadatatest.NewSettings(reader), next, (&fakeSource{view: *view}).open, ticks)
	ticks <- time.Time{} // taken only once the first collection is over
	require.NoError(t, r.Shutdown(t.Context()))
	assert.Equal(t, 2*len(all), next.calls)
	assert.Equal(t, 2*sum-all[0].DataPointCount(), next.taken)

	for name, want := range map[string]int{
		"otelcol_receiver_accepted_metric_points": next.taken,
		"otelcol_receiver_refused_metric_points":  all[0].DataPointCount(),
	} {
		metric, err := reader.GetMetric(name)
		require.NoError(t, err)
		assert.EqualValues(t, want, metric.Data.(metricdata.Sum[int64]).DataPoints[0].Value, name)
	}
	require.NoError(t, reader.Shutdown(t.Context()))
}
