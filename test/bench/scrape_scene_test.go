// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

// recordsPerPartition is how many records there are in each partition: offsets committed are below it, so that there is
// a lag.
const recordsPerPartition = 100

// A scene is a broker with topics.
type scene struct {
	broker *kafka.Broker
	port   string
	round  int // the offsets of each are others
}

func newScene(t *testing.T) *scene {
	ctx, cancel := context.WithTimeout(t.Context(), scrapeTimeout)
	defer cancel()
	broker, _ := kafka.ForTest(ctx, t, kafka.Options{Heap: "768m"})
	_, port, err := net.SplitHostPort(broker.Addr)
	require.NoError(t, err)
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	defer client.Close()
	for i := range topics {
		require.NoError(t, broker.CreateTopic(ctx, topicName(i), partitionsPerTopic))
		for p := range partitionsPerTopic {
			for range recordsPerPartition {
				client.Produce(ctx, &kgo.Record{Topic: topicName(i), Partition: int32(p), Value: []byte("x")}, nil)
			}
		}
	}
	require.NoError(t, client.Flush(ctx))
	return &scene{broker: broker, port: port}
}

// commit makes n group-partitions, and asks where partitions end. The client lives as long as the test.
func (s *scene) commit(ctx context.Context, t *testing.T, n int) map[kafka.GroupPartition]int64 {
	// It stays connected: what a client has is published as long as it is there.
	client, err := kgo.NewClient(kgo.SeedBrokers(s.broker.Addr), kgo.ClientID("bench"), kgo.ConnIdleTimeout(15*time.Minute))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	admin := kadm.NewClient(client)
	_, err = admin.ListTopics(ctx) // names of the ids that a commit may have instead
	require.NoError(t, err)
	s.round++
	want := make(map[kafka.GroupPartition]int64, n)
	for g := range n / (topics * partitionsPerTopic) {
		name := fmt.Sprintf("group-%03d", g)
		offsets := kadm.Offsets{}
		for i := range topics {
			for p := range int32(partitionsPerTopic) {
				at := (int64(g) + int64(p) + int64(s.round)) % recordsPerPartition
				offsets.AddOffset(topicName(i), p, at, -1)
				want[kafka.GroupPartition{Group: name, Topic: topicName(i), Partition: p}] = at
			}
		}
		answers, err := admin.CommitOffsets(ctx, name, offsets)
		require.NoError(t, err)
		require.NoError(t, answers.Error())
	}
	require.Len(t, want, n)
	ends, err := admin.ListEndOffsets(ctx)
	require.NoError(t, err)
	require.NoError(t, ends.Error())
	return want
}
