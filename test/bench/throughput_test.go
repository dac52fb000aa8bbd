// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"flag"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/clients"
	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/costs"
	"github.com/ebpfkafka/ebpfkafka/test/page"
	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

var (
	speedPairs = flag.Int("throughput-pairs", 10,
		"TestThroughput: how many series of measurements to make with a collector, each between two without")
	speedRuns = flag.Int("throughput-runs", 6, "TestThroughput: how many measurements make a series")
	speedTime = flag.Duration("throughput-time", 800*time.Millisecond, "TestThroughput: about how long a measurement takes")
)

const (
	// speedInterval is between two collections: one in each series.
	speedInterval = 5 * time.Second

	// checkInterval is between those of the collector that shows whether it sees the traffic.
	checkInterval = 500 * time.Millisecond

	// checkTimeout is for showing it.
	checkTimeout = time.Minute

	// speedTimeout is for everything.
	speedTimeout = 50 * time.Minute

	gigabyte, million = 1e9, 1e6
)

// A speedWork is one kind of traffic.
type speedWork struct {
	name     string
	worker   *clients.Worker
	consumes bool
	what     string // what its throughput counts
	per      string // what its CPU time is of

	// run does so much of it.
	run func(ctx context.Context, t *testing.T, amount int) clients.WorkDone

	// amount that warms up, and how much of what throughput counts, and of what CPU time is of, is in what was done.
	amount      int
	count, unit func(clients.WorkDone) float64

	// shows tells whether a collector that saw it says what it has to; nil: it has nothing to say.
	shows func(collector.Samples, clients.WorkDone) error
}

func (s *speedScene) works() []speedWork {
	megabytes := func(d clients.WorkDone) float64 { return float64(d.Bytes) / million }
	gigabytes := func(d clients.WorkDone) float64 { return float64(d.Bytes) / gigabyte }
	commits := func(d clients.WorkDone) float64 { return float64(d.Records) }
	millions := func(d clients.WorkDone) float64 { return float64(d.Records) / million }
	var all []speedWork
	for _, w := range []struct {
		name   string
		worker *clients.Worker
	}{{"Java", s.java}, {"librdkafka", s.librdkafka}} {
		group := "speed-" + strings.ToLower(w.name)
		all = append(all, speedWork{
			name: w.name + " consumer", worker: w.worker, consumes: true, what: "MB/s", per: "GB", amount: 4,
			count: megabytes, unit: gigabytes,
			run: func(ctx context.Context, t *testing.T, rounds int) clients.WorkDone {
				done, err := w.worker.Consume(ctx, speedTopic, speedPartitions, rounds)
				require.NoError(t, err)
				require.EqualValues(t, rounds*speedRecords*speedRecordSize, done.Bytes)
				return done
			},
			shows: func(found collector.Samples, _ clients.WorkDone) error { return hasConsumed(found, group) },
		}, speedWork{
			name: w.name + " producer", worker: w.worker, what: "MB/s", per: "GB", amount: 1_000_000,
			count: megabytes, unit: gigabytes,
			run: func(ctx context.Context, t *testing.T, count int) clients.WorkDone {
				return s.produce(ctx, t, w.worker, count)
			},
		}, speedWork{
			name: w.name + ", commits", worker: w.worker, what: "commits/s", per: "million", amount: 20_000,
			count: commits, unit: millions,
			run: func(ctx context.Context, t *testing.T, count int) clients.WorkDone {
				done, err := w.worker.Commit(ctx, speedTopic, count)
				require.NoError(t, err)
				return done
			},
			shows: func(found collector.Samples, done clients.WorkDone) error {
				return hasCommitted(found.With("partition", "0"), group, done.Records)
			},
		})
	}
	return all
}

// hasConsumed is what a consumer of the whole topic shows: where it ends, by what it fetched, and what it committed.
func hasConsumed(found collector.Samples, group string) error {
	if end := speedSum(found.Named("kafka_partition_current_offset").With("topic", speedTopic)); end != speedRecords {
		return fmt.Errorf("partitions end at %v in sum, not %d", end, speedRecords)
	}
	return hasCommitted(found, group, speedRecords)
}

// hasCommitted compares the sum of a group's offsets.
func hasCommitted(found collector.Samples, group string, want int64) error {
	offsets := found.Named("kafka_consumer_group_offset").With("group", group).With("topic", speedTopic)
	if at := speedSum(offsets); at != float64(want) {
		return fmt.Errorf("%d offsets of %s are %v in sum, not %d", len(offsets), group, at, want)
	}
	return nil
}

func speedSum(samples collector.Samples) (sum float64) {
	for _, s := range samples {
		sum += s.Value
	}
	return sum
}

// A speed is what was found of one kind of traffic.
type speed struct {
	speedWork
	throughput     costs.Cost // of what is counted, a second
	client, broker costs.Cost // seconds of CPU time for each unit
	collector      []float64  // the same
	reads          reads      // of the client, before
	hooks          hookRuns   // of the collector, before
	hooked         clients.WorkDone
}

// TestThroughput measures what clients at full speed lose by a collector on their host, with the broker on that host,
// too, and what CPU time client, broker and collector take for it.
func TestThroughput(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), speedTimeout)
	defer cancel()
	s := newSpeedScene(ctx, t)
	found := &speedReport{date: time.Now(), version: s.broker.Version,
		libraries: []string{s.java.Library, s.librdkafka.Library}}
	works := s.works()
	for _, w := range works {
		t.Run(w.name, func(t *testing.T) {
			hooked, hooks := s.check(ctx, t, w)
			var done clients.WorkDone
			received := countReads(t, w.worker.PID(), func() { done = w.run(ctx, t, w.amount) })
			w.amount = max(1, int(math.Round(float64(w.amount)*speedTime.Seconds()/done.Took.Seconds())))
			measured := s.measure(ctx, t, w)
			measured.reads, measured.hooks, measured.hooked = received, hooks, hooked
			found.speeds = append(found.speeds, measured)
		})
	}
	t.Run("requests", func(t *testing.T) { found.requests = s.requests(ctx, t) })
	if t.Failed() {
		return
	}
	text := found.text()
	fmt.Print("\n" + text)
	if *writePage {
		require.True(t, found.whole(len(works)), "the page is not written: something was left out")
		require.NoError(t, page.Write(speedCommand, text))
	}
}

// check warms up, and makes sure that a collector sees the traffic that is measured: what is not seen costs nothing.
// It returns how long the hooks ran for so much work.
func (s *speedScene) check(ctx context.Context, t *testing.T, w speedWork) (done clients.WorkDone, hooks hookRuns) {
	c := s.watch(ctx, t, checkInterval)
	defer func() { require.NoError(t, c.Stop()) }()
	hooks = countHooks(t, c.PID(), func() { done = w.run(ctx, t, w.amount) })
	if w.shows != nil {
		awaitShown(ctx, t, c, func(found collector.Samples) error { return w.shows(found, done) })
	}
	own, err := c.Telemetry(ctx)
	require.NoError(t, err)
	for name, value := range own.Own() {
		require.False(t, strings.HasPrefix(name, "drops"), "%s: %v", name, value)
	}
	s.clean(ctx, t)
	return done, hooks
}

// awaitShown waits until a collector shows something.
func awaitShown(ctx context.Context, t *testing.T, c *collector.Collector, shows func(collector.Samples) error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	require.NoError(t, wait.Until(ctx, func() error {
		samples, err := c.Metrics(ctx)
		if err != nil {
			return err
		}
		return shows(samples)
	}))
}

// measure does the work in series, with a collector and without in turn.
func (s *speedScene) measure(ctx context.Context, t *testing.T, w speedWork) speed {
	out := speed{speedWork: w}
	without := func() {
		found := s.series(ctx, t, w, nil)
		out.throughput.Without = append(out.throughput.Without, found.throughput)
		out.client.Without = append(out.client.Without, found.client)
		out.broker.Without = append(out.broker.Without, found.broker)
	}
	without()
	for range *speedPairs {
		c := s.watch(ctx, t, speedInterval)
		found := s.series(ctx, t, w, c)
		require.NoError(t, c.Stop())
		out.throughput.With = append(out.throughput.With, found.throughput)
		out.client.With = append(out.client.With, found.client)
		out.broker.With = append(out.broker.With, found.broker)
		out.collector = append(out.collector, found.collector)
		without()
	}
	return out
}

// measured is what was counted in a second, and the CPU time for each unit, in seconds.
type measured struct{ throughput, client, broker, collector float64 }

// series does the work some times, and returns the median of each figure, of the collector's the mean: a collection
// falls into one of the times. The first time does not count: whoever comes behind the start of a collector, or behind
// its end, finds the processors' caches cold.
func (s *speedScene) series(ctx context.Context, t *testing.T, w speedWork, c *collector.Collector) measured {
	s.once(ctx, t, w, c)
	runs := make([]measured, *speedRuns)
	for i := range runs {
		runs[i] = s.once(ctx, t, w, c)
	}
	each := func(figure func(measured) float64) (all []float64) {
		for _, r := range runs {
			all = append(all, figure(r))
		}
		return all
	}
	return measured{
		throughput: speedMedian(each(func(m measured) float64 { return m.throughput })),
		client:     speedMedian(each(func(m measured) float64 { return m.client })),
		broker:     speedMedian(each(func(m measured) float64 { return m.broker })),
		collector:  speedMean(each(func(m measured) float64 { return m.collector })),
	}
}

// once does the work; the collector is nil if there is none.
func (s *speedScene) once(ctx context.Context, t *testing.T, w speedWork, c *collector.Collector) measured {
	s.clean(ctx, t)
	pids := []int{w.worker.PID(), s.broker.PID()}
	if c != nil {
		pids = append(pids, c.PID())
	}
	before := make([]time.Duration, len(pids))
	for i, pid := range pids {
		before[i] = cpu(t, pid)
	}
	done := w.run(ctx, t, w.amount)
	used := make([]float64, 3)
	for i, pid := range pids {
		used[i] = (cpu(t, pid) - before[i]).Seconds() / w.unit(done)
	}
	out := measured{w.count(done) / done.Took.Seconds(), used[0], used[1], used[2]}
	t.Logf("collector %t: %.0f %s in %v; CPU seconds a %s: %.3f", c != nil, out.throughput, w.what,
		done.Took.Round(time.Millisecond), w.per, used[:len(pids)])
	return out
}
