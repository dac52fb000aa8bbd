// SPDX-License-Identifier: Apache-2.0

package storms

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

// A remote takes OTLP, unless it is down.
type remote struct {
	*httptest.Server
	mu   sync.Mutex
	down bool
	// offsets are the group's by partition, as they came last. Requests may overtake each other, so that the time counts.
	offsets map[string]pmetric.NumberDataPoint
	err     error
}

func newRemote(t *testing.T) *remote {
	b := &remote{offsets: map[string]pmetric.NumberDataPoint{}}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.down {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		if err := b.take(r.Body); err != nil {
			b.err = err
		}
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *remote) take(body io.Reader) error {
	plain, err := gzip.NewReader(body)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(plain)
	if err != nil {
		return err
	}
	all, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(text) // a request is written as what it holds
	if err != nil {
		return err
	}
	for _, resource := range all.ResourceMetrics().All() {
		for _, scope := range resource.ScopeMetrics().All() {
			for _, m := range scope.Metrics().All() {
				if m.Name() != "kafka.consumer_group.offset" {
					continue
				}
				for _, p := range m.Gauge().DataPoints().All() {
					partition, _ := p.Attributes().Get("partition")
					if last, ok := b.offsets[partition.AsString()]; !ok || last.Timestamp() < p.Timestamp() {
						b.offsets[partition.AsString()] = p
					}
				}
			}
		}
	}
	return nil
}

func (b *remote) goes(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
}

func (b *remote) published() (map[string]float64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string]float64{}
	for partition, p := range b.offsets {
		out[partition] = float64(p.IntValue())
	}
	return out, b.err
}

// TestOutage: the example that pushes has a short queue, for which the receiver waits. While the other side is down it
// goes on looking, and counts what it could not pass on; afterwards what comes is of then; and it can be stopped at any
// time.
func TestOutage(t *testing.T) {
	ctx := testContext(t)
	b := newBroker(ctx, t)
	other := newRemote(t)
	t.Setenv("PROMETHEUS_OTLP_ENDPOINT", other.URL)
	c, err := collector.Start(ctx, collector.Options{
		Dir: t.TempDir(), Configs: []string{filepath.Join("..", "..", "testdata", "config", "prometheus-otlp.yaml")},
		Set: []string{
			b.onlyHere(),
			"receivers::ebpf_kafka::collection_interval: 200ms",
			"receivers::ebpf_kafka::initial_delay: 0s",
			"receivers::ebpf_kafka::timeout: 400ms",
			"exporters::otlp_http::sending_queue::queue_size: 256",
			"exporters::otlp_http::sending_queue::batch::min_size: 32",
			"exporters::otlp_http::sending_queue::batch::max_size: 32",
			"exporters::otlp_http::retry_on_failure::initial_interval: 100ms",
			"exporters::otlp_http::retry_on_failure::max_interval: 200ms",
			"service::extensions: []",
		},
	})
	require.NoError(t, err)
	stopped := false
	t.Cleanup(func() {
		if !stopped {
			require.NoError(t, c.Stop())
		}
	})
	on := newTallies(t)
	steady := newClients(t, b, modeSteady, on)
	awaitCame(ctx, t, other, func(came map[string]float64) bool { return len(came) == workers })

	other.goes(true)
	awaitRefused(ctx, t, c)
	steady.end(t)
	want := map[string]float64{}
	for p, n := range on.board.acknowledged() {
		want[strconv.Itoa(p)] = float64(n)
	}
	other.goes(false)
	awaitCame(ctx, t, other, func(came map[string]float64) bool { return maps.Equal(came, want) })

	other.goes(true)
	awaitRefused(ctx, t, c)
	stopped = true
	require.NoError(t, c.Stop())
	require.Contains(t, c.Log(), "Shutdown complete", "it had to be killed, since the other side is down")
}

func awaitCame(ctx context.Context, t *testing.T, b *remote, enough func(map[string]float64) bool) {
	t.Helper()
	require.NoError(t, wait.Until(ctx, func() error {
		came, err := b.published()
		require.NoError(t, err)
		if !enough(came) {
			return fmt.Errorf("the other side has %v", came)
		}
		return nil
	}))
}

// awaitRefused awaits that points are refused, and that the receiver looks again and again all the same.
func awaitRefused(ctx context.Context, t *testing.T, c *collector.Collector) {
	t.Helper()
	look := func() (refused, looked float64) {
		samples, err := c.Telemetry(ctx)
		require.NoError(t, err)
		for _, s := range samples {
			if strings.HasPrefix(s.Name, "otelcol_receiver_refused_metric_points") { // a unit follows
				refused += s.Value
			}
		}
		return refused, samples.Own()["snapshot_duration"]
	}
	began, _ := look()
	var looked float64 // snapshots when the first was refused
	require.NoError(t, wait.Until(ctx, func() error {
		refused, now := look()
		if refused > began && looked == 0 {
			looked = now
		}
		if looked == 0 || now < looked+5 {
			return fmt.Errorf("%v points were refused, of %v snapshots; %v when the first was", refused-began, now, looked)
		}
		return nil
	}))
}
