// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/kafka"
	"github.com/ebpfkafka/ebpfkafka/test/page"
	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

var (
	duration = flag.Duration("soak", 30*time.Second, "how long the groups rebalance")
	write    = flag.Bool("write", false, "write what the collector used to docs/performance.md")
)

const (
	startTimeout = 3 * time.Minute
	stopTimeout  = 20 * time.Second
	// quiet is how long the collector may take to be equal to the broker once nothing happens any more.
	quiet = time.Minute

	// forgotten is the collector's idle_timeout, and as long as values are believed by default: what is over is no
	// longer in any map then, so that a soak of some minutes shows whether all of it goes.
	forgotten = time.Minute
	// names is the collector's limit of them: unused ones go once the map is nearly full, here every minute or so. About
	// half as many are in use.
	names = 256

	// A broker has stored a commit before the client has read its acknowledgement, and with it the receiver: on a busy
	// machine that takes a while. What is shown may be that much behind the broker, never ahead.
	acknowledged = time.Second
	// A consumer learns the high watermark with its next fetch, which the broker answers at once while there are records.
	fetched = 2 * time.Second
)

// TestSoak: while members come and go, each committed offset and each lag is what the broker had at that moment; and
// the collector uses no more of anything than before.
func TestSoak(t *testing.T) {
	_, err := collector.Binary()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), *duration+2*startTimeout)
	defer cancel()
	broker, oracle := kafka.ForTest(ctx, t, kafka.Options{Version: os.Getenv("KAFKA_VERSION")})
	oracle.Topics = topics
	for _, topic := range topics {
		require.NoError(t, broker.CreateTopic(ctx, topic, partitions))
	}
	_, port, err := net.SplitHostPort(broker.Addr)
	require.NoError(t, err)
	c, err := collector.Start(ctx, collector.Options{Dir: filepath.Join(t.TempDir(), "collector"), Set: []string{
		"exporters::prometheus::send_timestamps: true",
		// Not what whoever else runs Kafka here has: neither in the maps, nor published.
		"receivers::ebpf_kafka::discovery::ports: [" + port + "]",
		"receivers::ebpf_kafka::topics::include: [^soak-, ^visit-]",
		"receivers::ebpf_kafka::idle_timeout: " + forgotten.String(),
		fmt.Sprintf("receivers::ebpf_kafka::limits::names: %d", names),
	}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Stop()) })

	require.NoError(t, wait.Until(ctx, func() error { // the first question makes the topic that holds the offsets
		_, err := oracle.Ask(ctx, groups...)
		return err
	}))

	consumers := []kafka.Consumer{
		{Group: classicGroup, Topics: topics, Commit: kafka.Async, Properties: map[string]string{"session.timeout.ms": "6000", "heartbeat.interval.ms": "500"}},
		{Group: nextGroup, Topics: topics, Commit: kafka.Async, Protocol: kafka.Next},
	}
	for _, consumer := range consumers {
		p, err := broker.StartConsumer(ctx, consumer)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, p.Stop(stopTimeout)) })
	}

	var (
		h                          = &history{}
		seen                       = &sightings{}
		used                       = &uses{}
		commits, changes, visitors atomic.Int64
		work                       sync.WaitGroup
		asking                     sync.WaitGroup
	)
	used.start, err = look(ctx, c)
	require.NoError(t, err)
	working, stop := context.WithCancel(ctx)
	defer stop()
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	start := func(group *sync.WaitGroup, what string, f func() error) {
		group.Add(1)
		go func() {
			defer group.Done()
			if err := f(); err != nil {
				t.Errorf("%s: %v", what, err)
				stop()
			}
		}()
	}
	start(&asking, "the oracle", func() error { return h.keep(watching, oracle, groups) })
	start(&asking, "the collector", func() error { return seen.keep(watching, c) })
	start(&work, "the producer", func() error { return produce(working, broker) })
	start(&work, "Go members", func() error { return churnGo(working, broker, &commits, &changes) })
	start(&work, "visitors", func() error { return visits(working, broker, &visitors) })
	start(&work, "what the collector uses", func() error { return used.keep(working, c, *duration) })
	for _, consumer := range consumers {
		start(&work, "members of "+consumer.Group, func() error { return churnJava(working, broker, consumer, &changes) })
	}
	select {
	case <-working.Done():
	case <-time.After(*duration): // the soak itself
	}
	stop()
	work.Wait()

	// Quiet: what is left of the groups reads on to the end; then all is equal, exactly.
	var compared int
	quietly, cancelQuiet := context.WithTimeout(ctx, quiet)
	defer cancelQuiet()
	require.NoError(t, wait.Until(quietly, func() error {
		var err error
		compared, err = equal(quietly, oracle, c)
		return err
	}))
	stopWatching()
	asking.Wait()

	found := report{date: time.Now(), lasted: *duration, verdict: judge(h, seen), changes: changes.Load(),
		visits: visitors.Load()}
	t.Logf("%d changes of membership; %d visitors; the broker was asked %d times; %d group-partitions equal once quiet",
		found.changes, found.visits, len(h.answers), compared)
	t.Log(found.verdict)
	telemetry, err := c.Telemetry(ctx)
	require.NoError(t, err)
	for _, s := range telemetry {
		if s.Value > 0 && (strings.Contains(s.Name, "ebpf_kafka_drops") || strings.Contains(s.Name, "ebpf_kafka_held")) {
			t.Logf("%s %v: %v", s.Name, s.Labels["reason"], s.Value)
			require.NotContains(t, s.Labels["reason"], "_full", "a map had no room")
		}
	}
	require.Empty(t, found.verdict.wrong)
	require.NotZero(t, found.verdict.offsets)
	require.NotZero(t, found.verdict.lags)
	require.NotZero(t, found.visits)
	found.trends, err = used.trends()
	require.NoError(t, err)
	text := found.text()
	fmt.Print("\n" + text + "\n")
	if *duration < trendLeast {
		t.Logf("too short for a trend, which takes %s: what is used is not judged", trendLeast)
		return
	}
	require.NoError(t, flat(found.trends), "the collector uses more and more")
	if *write {
		require.NoError(t, page.Write(command, text))
	}
}

// equal compares all groups with the broker while nothing happens.
func equal(ctx context.Context, oracle *kafka.Oracle, c *collector.Collector) (int, error) {
	truth, err := oracle.Ask(ctx, groups...)
	if err != nil {
		return 0, err
	}
	samples, err := c.Metrics(ctx)
	if err != nil {
		return 0, err
	}
	shown := map[kafka.GroupPartition]int64{}
	for _, s := range samples.Named("kafka_consumer_group_offset") {
		k, err := groupPartition(s)
		if err != nil {
			return 0, err
		}
		shown[k] = int64(s.Value)
	}
	for k, want := range truth.Committed {
		if got, ok := shown[k]; !ok || got != want {
			return 0, fmt.Errorf("%v: the broker has %d, the collector shows %d (%t)", k, want, got, ok)
		}
	}
	return len(truth.Committed), nil
}

func groupPartition(s collector.Sample) (kafka.GroupPartition, error) {
	partition, err := strconv.ParseInt(s.Labels["partition"], 10, 32)
	if err != nil {
		return kafka.GroupPartition{}, fmt.Errorf("%v: %w", s, err)
	}
	return kafka.GroupPartition{Group: s.Labels["group"], Topic: s.Labels["topic"], Partition: int32(partition)}, nil
}
