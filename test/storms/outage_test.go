// SPDX-License-Identifier: Apache-2.0

package storms

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/otlp"
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
	r := &remote{offsets: map[string]pmetric.NumberDataPoint{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.down {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		if err := r.take(request.Body); err != nil {
			r.err = err
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *remote) take(request io.Reader) error {
	body, err := io.ReadAll(request)
	if err != nil {
		return err
	}
	return otlp.EachGauge(body, func(metric string, p pmetric.NumberDataPoint) {
		if metric != "kafka.consumer_group.offset" {
			return
		}
		partition, _ := p.Attributes().Get("partition")
		if last, ok := r.offsets[partition.AsString()]; !ok || last.Timestamp() < p.Timestamp() {
			r.offsets[partition.AsString()] = p
		}
	})
}

func (r *remote) goes(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
}

func (r *remote) published() (map[string]float64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]float64{}
	for partition, p := range r.offsets {
		out[partition] = float64(p.IntValue())
	}
	return out, r.err
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
	t.Cleanup(func() { require.NoError(t, c.Stop()) })
	on := newTallies(t)
	steady := newClients(t, b, modeSteady, on)
	awaitCame(ctx, t, other, func(came map[string]float64) bool { return len(came) == workers })

	other.goes(true)
	awaitRefused(ctx, t, c)
	steady.end(t)
	want := byPartition(on.board.acknowledged())
	other.goes(false)
	awaitCame(ctx, t, other, func(came map[string]float64) bool { return maps.Equal(came, want) })

	other.goes(true)
	awaitRefused(ctx, t, c)
	require.NoError(t, c.Stop())
	require.Contains(t, c.Log(), "Shutdown complete", "it had to be killed, since the other side is down")
}

func awaitCame(ctx context.Context, t *testing.T, r *remote, enough func(map[string]float64) bool) {
	t.Helper()
	require.NoError(t, wait.Until(ctx, func() error {
		came, err := r.published()
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
