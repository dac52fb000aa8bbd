// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
)

// A snapshot is everything that the receiver said at one moment, with the names
// that Prometheus would show. A Prometheus exporter repeats what is over, until
// it expires there; so the collector sends its metrics here.
type snapshot struct {
	at time.Time
	collector.Samples
}

// A view is one collector and all it has said.
type view struct {
	name string
	*collector.Collector

	mu        sync.Mutex
	snapshots []snapshot
	came      chan struct{} // closed with the next snapshot
	problem   error
}

func startView(ctx context.Context, t *testing.T, name string, o collector.Options) *view {
	t.Helper()
	v := &view{name: name, came: make(chan struct{})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: v}
	go server.Serve(l)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	o.Dir = filepath.Join(t.TempDir(), "collector")
	// Without a queue snapshots come in order, each in one request.
	o.Set = append(o.Set,
		"exporters::otlp_http::endpoint: http://"+l.Addr().String(), "exporters::otlp_http::encoding: json",
		"exporters::otlp_http::compression: none", "exporters::otlp_http::sending_queue::enabled: false",
		"service::pipelines::metrics::exporters: [otlp_http]")
	v.Collector, err = collector.Start(ctx, o)
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s: %v\n%s", name, v.counters(), v.Log())
		}
		require.NoError(t, v.Stop())
	})
	return v
}

// ServeHTTP takes a snapshot.
func (v *view) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var taken snapshot
	if err == nil {
		taken, err = readSnapshot(body)
	}
	v.mu.Lock()
	if err != nil {
		v.problem = err
	} else {
		v.snapshots = append(v.snapshots, taken)
	}
	close(v.came)
	v.came = make(chan struct{})
	v.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, "{}")
}

// since returns the snapshots that were taken after a moment, and a channel
// that is closed when there is one more.
func (v *view) since(t *testing.T, then time.Time) ([]snapshot, <-chan struct{}) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	require.NoError(t, v.problem)
	from := len(v.snapshots)
	for from > 0 && v.snapshots[from-1].at.After(then) {
		from--
	}
	return v.snapshots[from:], v.came
}

// await returns the first snapshot after a moment that f finds nothing wrong
// with. It fails when there is none within patience.
func (v *view) await(t *testing.T, then time.Time, f func(snapshot) error) snapshot {
	t.Helper()
	timeout := time.After(patience)
	err := fmt.Errorf("no snapshot since %v", then)
	for {
		more, came := v.since(t, then)
		for _, s := range more {
			if err = f(s); err == nil {
				return s
			}
			then = s.at
		}
		select {
		case <-came:
		case <-timeout:
			require.NoError(t, err, "%s: not within %v", v.name, patience)
		}
	}
}

// counters are what the receiver says of itself that is not 0.
func (v *view) counters() map[string]float64 {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	samples, err := v.Telemetry(ctx)
	if err != nil {
		return nil
	}
	return samples.Own()
}

// What is read of OTLP's JSON. 64-bit integers are strings there.
type (
	otlpMetrics struct {
		ResourceMetrics []struct {
			Resource     struct{ Attributes []otlpAttribute }
			ScopeMetrics []struct{ Metrics []otlpMetric }
		}
	}
	otlpMetric struct {
		Name, Unit string
		Gauge      *otlpPoints
		Sum        *otlpPoints
	}
	otlpPoints struct {
		DataPoints []struct {
			Attributes   []otlpAttribute
			TimeUnixNano string
			AsInt        *string
			AsDouble     *float64
		}
	}
	otlpAttribute struct {
		Key   string
		Value struct {
			StringValue *string
			IntValue    *string
		}
	}
)

func readSnapshot(body []byte) (snapshot, error) {
	var m otlpMetrics
	var s snapshot
	if err := json.Unmarshal(body, &m); err != nil {
		return s, err
	}
	for _, r := range m.ResourceMetrics {
		for _, scope := range r.ScopeMetrics {
			for _, metric := range scope.Metrics {
				name, points := prometheusName(metric)
				for _, p := range points.DataPoints {
					labels := map[string]string{}
					for _, a := range append(r.Resource.Attributes, p.Attributes...) {
						value := a.Value.StringValue
						if value == nil {
							value = a.Value.IntValue
						}
						if value == nil {
							return s, fmt.Errorf("%s: %s is neither string nor integer", metric.Name, a.Key)
						}
						labels[strings.ReplaceAll(a.Key, ".", "_")] = *value
					}
					sample := collector.Sample{Name: name, Labels: labels}
					switch {
					case p.AsDouble != nil:
						sample.Value = *p.AsDouble
					case p.AsInt != nil:
						n, err := strconv.ParseInt(*p.AsInt, 10, 64)
						if err != nil {
							return s, err
						}
						sample.Value = float64(n)
					}
					nanos, err := strconv.ParseInt(p.TimeUnixNano, 10, 64)
					if err != nil {
						return s, err
					}
					s.at = time.Unix(0, nanos)
					s.Samples = append(s.Samples, sample)
				}
			}
		}
	}
	return s, nil
}

// prometheusName is the name as docs/metrics.md has it.
func prometheusName(m otlpMetric) (string, otlpPoints) {
	name, points := strings.ReplaceAll(m.Name, ".", "_"), m.Gauge
	if m.Unit == "s" {
		name += "_seconds"
	}
	if m.Sum != nil {
		name, points = name+"_total", m.Sum
	}
	if points == nil {
		points = new(otlpPoints)
	}
	return name, *points
}
