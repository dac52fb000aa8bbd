// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

// A way is how values leave the collector: one of the examples in testdata/config.
type way struct {
	name, config string
	set          []string
	limited      bool // there is a memory_limiter
	decode       decoder
	windows      []window // what is measured of one collector
	silent       bool     // nothing is exported: debug counts the points, and says so in a line
	groupsOnly   bool     // no series of clients
	most         int      // group-partitions for which it is tried, if not 0: more take minutes, or all memory
}

// A window is what else happens each interval while the collector is measured.
type window struct {
	name   string // after the way's
	scrape func(ctx context.Context, addr string) (took time.Duration, bytes int64, err error)
}

// mostSlow is where ways end that take more than ten times the receiver's time.
const mostSlow = 100_000

// The first is the receiver's own part of all others.
var ways = []way{
	{name: "receiver alone", config: "minimal.yaml", silent: true, windows: []window{{}},
		set: []string{"exporters::debug::verbosity: basic"}},
	{name: "receiver alone, without `kafka.consumer.*`", config: "minimal.yaml", silent: true, groupsOnly: true, windows: []window{{}},
		set: []string{
			"exporters::debug::verbosity: basic",
			"receivers::ebpf_kafka::metrics::kafka.consumer.offset::enabled: false",
			"receivers::ebpf_kafka::metrics::kafka.consumer.lag::enabled: false",
		}},
	pushed("`otlp_http`, not compressed", 0, "exporters::otlp_http::compression: none",
		"exporters::otlp_http::compression_params::level: 0"),
	pushed("`otlp_http`, gzip level 1", 0), // the example's
	pushed("`otlp_http`, gzip as by default", mostSlow, "exporters::otlp_http::compression_params::level: -1"),
	{name: "`prometheus_remote_write`", config: "remotewrite.yaml", limited: true, decode: remoteWritten,
		windows: []window{{}}, most: mostSlow},
	{name: "`prometheus`", config: "prometheus.yaml", limited: true, most: mostSlow, windows: []window{
		{name: ", not scraped"},
		{name: ", scraped plain", scrape: scrapeWith("identity")},
		{name: ", scraped with gzip", scrape: scrapeWith("gzip")},
	}},
}

// series are those of a group-partition.
func (w way) series() int {
	if w.groupsOnly {
		return 2 // offset and lag
	}
	return 4 // and the client's
}

// scraped tells whether others read its values, and wait for them.
func (w way) scraped() bool { return !w.silent && w.decode == nil }

func pushed(name string, most int, set ...string) way {
	return way{name: name, config: "grafana-cloud.yaml", limited: true, decode: otlpSent, most: most,
		windows: []window{{}},
		set:     append(set, "service::extensions: [basicauth/grafana_cloud]")}
}

// scrapeWith reads /metrics as Prometheus does, with an encoding; Prometheus itself asks for gzip.
func scrapeWith(encoding string) func(context.Context, string) (time.Duration, int64, error) {
	return func(ctx context.Context, addr string) (time.Duration, int64, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", nil)
		if err != nil {
			return 0, 0, err
		}
		request.Header.Set("Accept", "text/plain;version=0.0.4")
		request.Header.Set("Accept-Encoding", encoding) // set by hand, so that nothing is decompressed here
		begin := time.Now()
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return 0, 0, err
		}
		defer response.Body.Close()
		n, err := io.Copy(io.Discard, response.Body)
		if err == nil && response.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s answers %s", request.URL, response.Status)
		}
		return time.Since(begin), n, err
	}
}

// shows tells whether what leaves the collector is what was committed.
func (w way) shows(ctx context.Context, c *collector.Collector, sink *sink, want map[kafka.GroupPartition]int64) error {
	var got []committed
	var err error
	switch {
	case w.silent:
		samples, err := c.Telemetry(ctx)
		if err != nil {
			return err
		}
		if n := samples.Own()["map_entries offsets"]; int(n) != len(want) {
			return fmt.Errorf("%v of %d offsets are in the map: %v", n, len(want), samples.Own())
		}
		return nil
	case w.scraped():
		got, err = read(ctx, c)
	default:
		got, err = sink.committed()
	}
	if err != nil {
		return err
	}
	offsets, lags := make(map[kafka.GroupPartition]int64, len(want)), 0
	for _, x := range got {
		switch {
		case !x.lag:
			offsets[x.of] = x.value
		case x.value != recordsPerPartition-want[x.of]:
			return fmt.Errorf("the lag of %v is %d and the commit at %d of %d", x.of, x.value, want[x.of], recordsPerPartition)
		default:
			lags++
		}
	}
	for of, offset := range want {
		if value, known := offsets[of]; !known || value != offset {
			return fmt.Errorf("%v was committed at %d and is shown at %d (%t); %d of %d are known",
				of, offset, value, known, len(offsets), len(want))
		}
	}
	if lags < len(want) {
		return fmt.Errorf("%d lags of %d are known", lags, len(want))
	}
	return nil
}

// committed is a value of one of the two metrics that are compared.
type committed struct {
	of    kafka.GroupPartition
	lag   bool
	value int64
}

// newCommitted finds a value's labels; false if it is of another metric.
func newCommitted(name string, label func(string) string, value float64) (committed, bool) {
	const offset, lag = "kafka_consumer_group_offset", "kafka_consumer_group_lag"
	if name != offset && name != lag {
		return committed{}, false
	}
	partition, err := strconv.ParseInt(label("partition"), 10, 32)
	of := kafka.GroupPartition{Group: label("group"), Topic: label("topic"), Partition: int32(partition)}
	return committed{of: of, lag: name == lag, value: int64(value)}, err == nil
}

func read(ctx context.Context, c *collector.Collector) (all []committed, err error) {
	samples, err := c.Metrics(ctx)
	for _, s := range samples {
		if x, ok := newCommitted(s.Name, func(label string) string { return s.Labels[label] }, s.Value); ok {
			all = append(all, x)
		}
	}
	return all, err
}
