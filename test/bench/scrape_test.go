// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/page"
	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

var (
	scrapeSizes = flag.String("sizes", "1000,10000,100000,500000", "how many group-partitions TestScrape makes")
	writePage   = flag.Bool("write", false, "write the figures of what runs to docs/performance.md")
)

// scrapeTimeout is for everything that is awaited of one collector: half a million commits, and seeing all of them.
const scrapeTimeout = 5 * time.Minute

// defaultOffsets is the receiver's default of limits.offsets.
const defaultOffsets = 131072

// A load is how many group-partitions there are, and how long they are watched.
type load struct {
	n           int
	interval    time.Duration // from one collection to the next
	collections int           // in each measurement
}

// newLoad gives large ones the time that they need, and those that wait for slow scrapes: a collection that is not over
// when the next is due leaves that out.
func newLoad(n int, slow bool) load {
	switch {
	case n <= 10_000:
		return load{n, time.Second, 16}
	case slow:
		return load{n, 15 * time.Second, 2}
	case n <= 100_000:
		return load{n, 4 * time.Second, 4}
	default:
		return load{n, 10 * time.Second, 2}
	}
}

// TestScrape measures what the collector costs for each collection, with each way out and with group-partitions that
// were committed to a broker before its eyes. Times are no reason to fail: other values than the broker's are.
func TestScrape(t *testing.T) {
	s := newScene(t)
	found := &costReport{date: time.Now()}
	for _, text := range strings.Split(*scrapeSizes, ",") {
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		require.Zero(t, n%(topics*partitionsPerTopic), "-sizes: each group has %d partitions", topics*partitionsPerTopic)
		t.Run(text, func(t *testing.T) {
			row := sizeCosts{n: n, stages: measureStages(t, n)}
			t.Logf("stages: %+v", row.stages)
			for _, w := range ways {
				if w.most > 0 && n > w.most {
					continue
				}
				t.Run(w.name, func(t *testing.T) {
					for _, c := range measureWay(t, s, w, newLoad(n, w.scraped())) {
						t.Logf("%s", c)
						row.costs = append(row.costs, c)
					}
				})
			}
			found.sizes = append(found.sizes, row)
		})
	}
	if t.Failed() {
		return
	}
	text := found.text()
	fmt.Print("\n" + text)
	if *writePage {
		require.NoError(t, page.Write(command, text))
	}
}

// measureWay runs a collector that sees n group-partitions being committed, and measures it.
func measureWay(t *testing.T, s *scene, w way, l load) []cost {
	sink := newSink(t, w.decode)
	t.Setenv("REMOTE_WRITE_URL", sink.URL)
	t.Setenv("GRAFANA_CLOUD_OTLP_ENDPOINT", sink.URL)
	t.Setenv("GRAFANA_CLOUD_INSTANCE_ID", "1")
	t.Setenv("GRAFANA_CLOUD_API_KEY", "none")
	c, err := collector.Start(t.Context(), collector.Options{
		Dir: filepath.Join(t.TempDir(), "collector"), Role: "client", // as on a host with consumers
		Configs: []string{filepath.Join("..", "..", "testdata", "config", w.config)}, Set: settings(s, w, l),
		Wrap: first,
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Stop()) }()

	ctx, cancel := context.WithTimeout(t.Context(), scrapeTimeout)
	defer cancel()
	want := s.commit(ctx, t, l.n)
	require.NoError(t, wait.Until(ctx, func() error { return w.shows(ctx, c, sink, want) }))

	var costs []cost
	awaitHalfway(t, c, l.interval)
	for _, x := range w.windows {
		found := measure(t, c, sink, x, l)
		require.GreaterOrEqual(t, found.points, int64(w.series()*l.n), "data points of a collection: not all was there")
		found.way = strings.TrimSpace(w.name + x.name)
		costs = append(costs, found)
	}
	samples, err := c.Telemetry(t.Context())
	require.NoError(t, err)
	for name, value := range samples.Own() {
		require.False(t, strings.HasPrefix(name, "drops"), "%s: %v", name, value)
	}
	require.NotContains(t, c.Log(), "refused", "by the memory limiter, or by an exporter's queue")
	return costs
}

// first lets the collector run before others, whose load would make it leave collections out.
func first(cmd *exec.Cmd) *exec.Cmd {
	wrapped := exec.Command("nice", append([]string{"-n", "-20", cmd.Path}, cmd.Args[1:]...)...)
	wrapped.Env = cmd.Env
	return wrapped
}

// settings are over those of the example.
func settings(s *scene, w way, l load) []string {
	set := append([]string{
		fmt.Sprintf("receivers::ebpf_kafka::collection_interval: %s", l.interval),
		"receivers::ebpf_kafka::watermark_max_age: 1h", // ends are asked for once, here
		"receivers::ebpf_kafka::idle_timeout: 1h",
		fmt.Sprintf("receivers::ebpf_kafka::discovery::ports: [%s]", s.port),
		"exporters::prometheus::endpoint: ${env:EBPFKAFKA_TEST_METRICS}",
		"service::telemetry::metrics::level: normal", // the default, which tests raise
		"service::extensions: []",
	}, w.set...)
	if l.n > defaultOffsets {
		set = append(set, fmt.Sprintf("receivers::ebpf_kafka::limits::offsets: %d", 2*l.n))
	}
	if l.n > 10_000 && w.limited { // the limits of the examples are for fewer
		set = append(set, "processors::memory_limiter::limit_mib: 8192")
	}
	return set
}

// measure takes the collector's CPU time over some collections, from a moment within an interval to the same moment of
// a later one.
func measure(t *testing.T, c *collector.Collector, sink *sink, w window, l load) cost {
	var out cost
	seen, passed := collected(t, c)
	sink.forget()
	begin, before := time.Now(), cpu(t, c.PID())
	for i := range l.collections {
		if w.scrape != nil {
			took, bytes, err := w.scrape(t.Context(), c.Addr)
			require.NoError(t, err)
			out.walls = append(out.walls, took)
			out.bytes += bytes
		}
		time.Sleep(time.Until(begin.Add(time.Duration(i+1) * l.interval))) // that much time is what is measured
	}
	after := cpu(t, c.PID())
	out.bytes += sink.received()
	collections, points := collected(t, c)
	require.EqualValues(t, l.collections, collections-seen, "collections: an interval of %s is too short", l.interval)
	out.points = (points - passed) / int64(l.collections)
	out.cpu = (after - before) / time.Duration(l.collections)
	out.bytes /= int64(l.collections)
	status := fmt.Sprintf("/proc/%d/status", c.PID())
	out.resident = field(t, status, "VmRSS:") * 1024
	out.peak = field(t, status, "VmHWM:") * 1024
	slices.Sort(out.walls)
	return out
}

// cpu is the time that all threads of a process have run, to the nanosecond, which /proc/PID/stat has not.
func cpu(t *testing.T, pid int) time.Duration {
	const scheduled = 2 // CPUCLOCK_SCHED of linux/posix-timers_types.h
	var ts unix.Timespec
	require.NoError(t, unix.ClockGettime(int32(^pid<<3|scheduled), &ts), "CPU clock of process %d", pid)
	return time.Duration(ts.Nano())
}

// awaitHalfway returns halfway between two collections: one is over, and some intervals later so many more are.
func awaitHalfway(t *testing.T, c *collector.Collector, interval time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), scrapeTimeout)
	defer cancel()
	before := snapshots(t, c)
	require.NoError(t, wait.Until(ctx, func() error {
		if snapshots(t, c) == before {
			return errors.New("no collection")
		}
		return nil
	}))
	time.Sleep(interval / 2)
}

// collected is how many collections there were, and how many data points the receiver has passed on.
func collected(t *testing.T, c *collector.Collector) (collections, points int64) {
	samples, err := c.Telemetry(t.Context())
	require.NoError(t, err)
	for _, s := range samples {
		if strings.HasPrefix(s.Name, "otelcol_receiver_accepted_metric_points") {
			points += int64(s.Value)
		}
	}
	return int64(samples.Own()["snapshot_duration"]), points // of a histogram it is how many there were
}

func snapshots(t *testing.T, c *collector.Collector) int64 {
	n, _ := collected(t, c)
	return n
}
