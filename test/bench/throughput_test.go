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
		"TestThroughput: how often to measure with the collector, each between two times without")

	// What a JVM does now and then is short against the default. Where the machine's speed changes from one second to the
	// next, many short measurements tell more.
	speedTime = flag.Duration("throughput-time", 3*time.Second, "TestThroughput: about how long each measurement takes")
)

const (
	// speedInterval is between two collections, three in ten measurements.
	speedInterval = 10 * time.Second

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

// measure does the work with a collector and without in turn.
func (s *speedScene) measure(ctx context.Context, t *testing.T, w speedWork) speed {
	out := speed{speedWork: w}
	once := func(c *collector.Collector) (throughput, client, broker float64) {
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
		used := make([]float64, len(pids))
		for i, pid := range pids {
			used[i] = (cpu(t, pid) - before[i]).Seconds() / w.unit(done)
		}
		if c != nil {
			out.collector = append(out.collector, used[2])
		}
		throughput = w.count(done) / done.Took.Seconds()
		t.Logf("collector %t: %.0f %s in %v; CPU seconds a %s: %.3f", c != nil, throughput, w.what,
			done.Took.Round(time.Millisecond), w.per, used)
		return throughput, used[0], used[1]
	}
	without := func() {
		throughput, client, broker := once(nil)
		out.throughput.Without = append(out.throughput.Without, throughput)
		out.client.Without = append(out.client.Without, client)
		out.broker.Without = append(out.broker.Without, broker)
	}
	without()
	for range *speedPairs {
		c := s.watch(ctx, t, speedInterval)
		throughput, client, broker := once(c)
		require.NoError(t, c.Stop())
		out.throughput.With = append(out.throughput.With, throughput)
		out.client.With = append(out.client.With, client)
		out.broker.With = append(out.broker.With, broker)
		without()
	}
	return out
}
