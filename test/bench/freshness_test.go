// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

const (
	freshCommits = 1000
	// freshGap is the time between commits: a part of a second that no small
	// number of commits fills, so that they meet every phase of the interval.
	freshGap = 61_803 * time.Microsecond
	// freshPoll is the time between two looks at /metrics; a figure is too
	// large by as much.
	freshPoll = 5 * time.Millisecond
	// freshest is what a collection interval of a second allows: the interval,
	// and what reading the maps and exporting take.
	freshest = 1100 * time.Millisecond
	group    = "freshness"
)

// BenchmarkFreshness is the time from a commit's acknowledgement, by Apache
// Kafka, until /metrics says so, with a collection interval of one second.
func BenchmarkFreshness(b *testing.B) {
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	broker, err := kafka.Start(ctx, kafka.Options{Dir: b.TempDir()})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, broker.Stop()) })
	require.NoError(b, broker.CreateTopic(ctx, group, 1))
	_, port, err := net.SplitHostPort(broker.Addr)
	require.NoError(b, err)
	c, err := collector.Start(ctx, collector.Options{Dir: filepath.Join(b.TempDir(), "collector"), Set: []string{
		"receivers::ebpf_kafka::collection_interval: 1s", "receivers::ebpf_kafka::discovery::ports: [" + port + "]",
	}})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, c.Stop()) })
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr), kgo.ClientID(group))
	require.NoError(b, err)
	defer client.Close()

	commit := func(offset int64) error {
		offsets := kadm.Offsets{}
		offsets.AddOffset(group, 0, offset, -1)
		committed, err := kadm.NewClient(client).CommitOffsets(ctx, group, offsets)
		return errors.Join(err, committed.Error())
	}
	require.NoError(b, commit(0)) // finds the coordinator

	acknowledged := make(chan time.Time, freshCommits) // of offsets 1, 2, …
	failed := make(chan error, 1)
	go func() {
		tick := time.NewTicker(freshGap)
		defer tick.Stop()
		for offset := int64(1); offset <= freshCommits; offset++ {
			<-tick.C
			if err := commit(offset); err != nil {
				failed <- err
				return
			}
			acknowledged <- time.Now()
		}
	}()
	var ages []time.Duration
	for len(ages) < freshCommits {
		select {
		case err := <-failed:
			require.NoError(b, err)
		case <-ctx.Done():
			b.Fatalf("%d of %d commits were visible: %v", len(ages), freshCommits, context.Cause(ctx))
		case <-time.After(freshPoll):
		}
		samples, err := c.Metrics(ctx)
		require.NoError(b, err)
		now := time.Now()
		for _, s := range samples.Named("kafka_consumer_group_offset").With("group", group) {
			for int64(len(ages)) < int64(s.Value) {
				ages = append(ages, now.Sub(<-acknowledged))
			}
		}
	}
	slices.Sort(ages)
	for b.Loop() { // the figures are of one run
	}
	for name, share := range map[string]float64{"s-p50": 0.5, "s-p90": 0.9, "s-p99": 0.99, "s-max": 1} {
		b.ReportMetric(ages[int(share*(freshCommits-1))].Seconds(), name)
	}
	if most := ages[freshCommits-1]; most > freshest {
		b.Errorf("a commit was visible after %v, which should be %v at most; is the machine busy?", most, freshest)
	}
}
