// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
	"github.com/ebpfkafka/ebpfkafka/test/ports"
)

// The nodes of the cluster whose log is truncated. The witness holds no replica: it keeps the quorum.
const (
	leader = iota
	follower
	witness
)

// freeNodes are places for three brokers at one port, each at an address of its own.
func freeNodes(t *testing.T) []kafka.Node {
	t.Helper()
	free, err := ports.Free(1)
	require.NoError(t, err)
	nodes := make([]kafka.Node, 3)
	for i := range nodes {
		nodes[i] = kafka.Node{Host: fmt.Sprintf("127.0.0.%d", 11+i), Port: free[0]}
	}
	return nodes
}

// logTruncated: the leader of a partition is lost, and a replica that lacks the end of its log takes over.
func (s *scene) logTruncated(t *testing.T) {
	const kept, lost, committed, more = 50, 30, 20, 5
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience)
	defer cancel()
	brokers, err := kafka.StartCluster(ctx, kafka.ClusterOptions{
		Dir: t.TempDir(), Heap: "256m", Nodes: s.nodes, Properties: map[string]string{
			"unclean.leader.election.enable": "true",
			"broker.session.timeout.ms":      "6000", // longer than a busy machine keeps a living one waiting
			"offsets.topic.num.partitions":   "1",
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, brokers.Stop()) })
	c := connect(t, brokers.Brokers[witness], brokers.Oracle)

	topic, behind, ahead := named(t, "t"), named(t, "behind"), named(t, "ahead")
	c.replicated(t, topic, leader+1, follower+1)
	c.produce(t, topic, 1, kept)
	var clients []*kgo.Client
	for _, group := range []string{behind, ahead} {
		client := startApp(t, "consumer of "+group).client(c.Addr, "consumer-"+group, consumerOf(group, topic)...)
		consume(t, client, kept)
		s.agree(t, c, group, lagsKnown)
		clients = append(clients, client)
	}
	c.awaitReplicas(t, topic, 2)
	require.NoError(t, brokers.Brokers[follower].Kill())
	c.awaitReplicas(t, topic, 1)
	c.produce(t, topic, 1, lost)
	for _, client := range clients {
		consume(t, client, lost)
	}
	within(t, func(ctx context.Context) error { return commitAt(ctx, clients[0], topic, committed) })
	for _, group := range []string{behind, ahead} {
		s.agree(t, c, group, lagsKnown)
	}

	require.NoError(t, brokers.Brokers[leader].Kill())
	require.NoError(t, brokers.Restart(ctx, follower))
	within(t, func(context.Context) error {
		if end := c.end(t, topic); end != kept {
			return fmt.Errorf("the log ends at %d, not at %d", end, kept)
		}
		return nil
	})
	// Who has read beyond the end goes back to it, and reads what is written there instead.
	s.agree(t, c, behind, lagsKnown)
	s.agree(t, c, ahead, lagsMayLack)
	c.produce(t, topic, 1, more)
	s.agree(t, c, behind, lagsKnown)
	for _, client := range clients {
		consumeTo(t, client, kept+more)
	}
	for _, group := range []string{behind, ahead} {
		require.EqualValues(t, kept+more, c.truth(t, group).Committed[kafka.GroupPartition{Group: group, Topic: topic}])
		s.agree(t, c, group, lagsKnown)
	}
	for _, v := range s.views() {
		v.await(t, time.Now(), equals("kafka_consumer_group_lag", behind, 0))
	}
}

// replicated creates a topic of one partition on the nodes of those ids; the first leads.
func (c *cluster) replicated(t *testing.T, topic string, nodes ...int32) {
	t.Helper()
	within(t, func(ctx context.Context) error {
		request := kmsg.NewPtrCreateTopicsRequest()
		wanted := kmsg.NewCreateTopicsRequestTopic()
		wanted.Topic, wanted.NumPartitions, wanted.ReplicationFactor = topic, -1, -1
		assignment := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		assignment.Replicas = nodes
		wanted.ReplicaAssignment = append(wanted.ReplicaAssignment, assignment)
		request.Topics = append(request.Topics, wanted)
		r, err := request.RequestWith(ctx, c.hidden)
		if err == nil {
			err = kerr.ErrorForCode(r.Topics[0].ErrorCode)
		}
		if err == kerr.TopicAlreadyExists {
			err = nil // was done at an earlier try
		}
		return err
	})
}

// awaitReplicas awaits that so many replicas of partition 0 are in sync.
func (c *cluster) awaitReplicas(t *testing.T, topic string, inSync int) {
	t.Helper()
	within(t, func(ctx context.Context) error {
		metadata, err := c.admin.Metadata(ctx, topic)
		if err != nil {
			return err
		}
		p := metadata.Topics[topic].Partitions[0]
		if len(p.ISR) != inSync || p.Err != nil {
			return fmt.Errorf("in sync: %v of %v, want %d (%v)", p.ISR, p.Replicas, inSync, p.Err)
		}
		return nil
	})
}

// end is the end of partition 0, -1 while nobody knows.
func (c *cluster) end(t *testing.T, topic string) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience/6)
	defer cancel()
	ends, err := c.admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return -1
	}
	end, ok := ends.Lookup(topic, 0)
	if !ok || end.Err != nil {
		return -1
	}
	return end.Offset
}
