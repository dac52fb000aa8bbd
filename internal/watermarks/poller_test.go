// SPDX-License-Identifier: Apache-2.0

package watermarks

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// One Metadata and one ListOffsets to each leader, for what is wanted and nothing else.
func TestOneRequestToEachLeader(t *testing.T) {
	c := newCluster(t, "C")
	for partition := range int32(4) {
		require.NoError(t, c.MoveTopicPartition("t", partition, partition%2))
		c.produce(t, "t", partition, int(partition)+1)
	}
	before := len(of[*kmsg.MetadataRequest](c)) // the producers'
	p := start(t, Options{Interval: long})
	p.Want(c.want("C"))
	want := map[end]int64{high("C", 0): 1, high("C", 1): 2, high("C", 2): 3, high("C", 3): 4}
	await(t, "all partitions are answered", func() bool { return maps.Equal(p.offsets(), want) })

	metadata := of[*kmsg.MetadataRequest](c)[before:]
	require.Len(t, metadata, 1)
	require.Len(t, metadata[0].Topics, 1)
	assert.Equal(t, "t", *metadata[0].Topics[0].Topic)
	assert.False(t, metadata[0].AllowAutoTopicCreation)
	requests := of[*kmsg.ListOffsetsRequest](c)
	require.Len(t, requests, 2)
	for _, r := range requests {
		assert.Equal(t, int32(-1), r.ReplicaID)
		assert.Zero(t, r.IsolationLevel)
		require.Len(t, r.Topics, 1)
		require.Len(t, r.Topics[0].Partitions, 2)
		for _, partition := range r.Topics[0].Partitions {
			assert.Equal(t, int64(-1), partition.Timestamp)
			assert.GreaterOrEqual(t, partition.CurrentLeaderEpoch, int32(0))
		}
	}
	assert.Equal(t, uint64(2), count(p.Requests(), "ListOffsets"))
	assert.Equal(t, uint64(1), count(p.Requests(), "Metadata"))
	assert.Empty(t, p.Errors())
}

func TestAllEnds(t *testing.T) {
	c := newCluster(t, "C", kfake.NumBrokers(1))
	c.produce(t, "t", 0, 9)
	require.NoError(t, c.DeleteRecords("t", 0, 2))
	p := start(t, Options{Interval: long, LogStart: true, LastStable: true})
	p.Want([]Wanted{{Cluster: "C", Partitions: map[string][]int32{"t": {0}}, Brokers: c.ListenAddrs()}})
	want := map[end]int64{
		{"C", "t", 0, state.HighWatermarkEnd}: 9, {"C", "t", 0, state.LogStartEnd}: 2, {"C", "t", 0, state.LastStableEnd}: 9,
	}
	await(t, "all ends are answered", func() bool { return maps.Equal(p.offsets(), want) })
	requests := of[*kmsg.ListOffsetsRequest](c)
	require.Len(t, requests, 3)
	asked := func(r *kmsg.ListOffsetsRequest) [2]int64 {
		return [2]int64{r.Topics[0].Partitions[0].Timestamp, int64(r.IsolationLevel)}
	}
	assert.Equal(t, [2]int64{-1, 0}, asked(requests[0]))
	assert.Equal(t, [2]int64{-2, 0}, asked(requests[1]))
	assert.Equal(t, [2]int64{-1, 1}, asked(requests[2]))
}

// The times are those before and after the request, on the clock of the snapshot.
func TestTimes(t *testing.T) {
	c := newCluster(t, "C")
	p := New(Options{Interval: long, Logger: zap.NewNop()})
	t.Cleanup(p.Shutdown)
	before := time.Now()
	p.Want(c.want("C"))
	await(t, "an answer", func() bool { return len(p.offsets()) == 4 })
	after := time.Now()
	const now = uint64(time.Hour)
	for _, a := range p.Answers(nil, after, now) {
		assert.GreaterOrEqual(t, a.Asked, now-uint64(after.Sub(before)))
		assert.Greater(t, a.Answered, a.Asked)
		assert.LessOrEqual(t, a.Answered, now)
	}
	// A snapshot from before the answer.
	for _, a := range p.Answers(nil, before, now) {
		assert.Greater(t, a.Answered, now)
	}
}

func TestFollowsTheBroker(t *testing.T) {
	c := newCluster(t, "C")
	p := start(t, Options{Interval: brief})
	p.Want(c.want("C"))
	at := func(offset int64) func() bool {
		return func() bool { return p.offsets()[high("C", 0)] == offset }
	}
	await(t, "an empty log", func() bool { return len(p.offsets()) == 4 })
	c.produce(t, "t", 0, 5)
	await(t, "records", at(5))
	// The leader moves to the other broker.
	require.NoError(t, c.MoveTopicPartition("t", 0, 1-c.LeaderFor("t", 0)))
	c.produce(t, "t", 0, 2)
	await(t, "records at another leader", at(7))
	// The topic goes, and is made anew.
	require.NoError(t, c.DeleteTopic("t"))
	await(t, "nothing of a topic that is gone", func() bool { return len(p.offsets()) == 0 })
	await(t, "it is counted", func() bool { return count(p.Errors(), "UNKNOWN_TOPIC_OR_PARTITION") > 0 })
	require.NoError(t, c.CreateTopic("t", 4, nil))
	c.produce(t, "t", 0, 1)
	await(t, "the new topic", at(1))
}

func TestWantChanges(t *testing.T) {
	c := newCluster(t, "C")
	p := start(t, Options{Interval: brief})
	p.Want(c.want("C"))
	await(t, "t", func() bool { return len(p.offsets()) == 4 })
	p.Want([]Wanted{{Cluster: "C", Partitions: map[string][]int32{"t": {1}, "u": {0}}, Brokers: c.ListenAddrs()}})
	want := map[end]int64{high("C", 1): 0, {cluster: "C", topic: "u"}: 0}
	await(t, "one of t, and u", func() bool { return maps.Equal(p.offsets(), want) })
	p.Want(nil)
	assert.Empty(t, p.offsets())
	// The cluster is not asked any more, and its connections end.
	p.mu.Lock()
	assert.Empty(t, p.observed)
	p.mu.Unlock()
	p.Want(c.want("C"))
	await(t, "t again", func() bool { return len(p.offsets()) == 4 })
}

// What a broker says is filed under the cluster that it says it belongs to, or not at all.
func TestOtherCluster(t *testing.T) {
	c := newCluster(t, "D")
	p := start(t, Options{Interval: brief})
	p.Want(c.want("C"))
	await(t, "the mismatch is counted twice", func() bool { return count(p.Errors(), otherCluster) > 1 })
	assert.Empty(t, p.offsets())
	assert.Empty(t, of[*kmsg.ListOffsetsRequest](c))
}

func TestClusterWithoutID(t *testing.T) {
	c := newCluster(t, "")
	p := start(t, Options{Interval: long, Clusters: []Cluster{{Brokers: c.ListenAddrs()}}})
	await(t, "it is counted", func() bool { return count(p.Errors(), noClusterID) > 0 })
}

// Configured clusters learn their ids from their brokers, and are asked for what is wanted of these.
func TestConfiguredClusters(t *testing.T) {
	c, d := newCluster(t, "C"), newCluster(t, "D")
	c.produce(t, "t", 0, 3)
	d.produce(t, "t", 0, 5)
	producers := len(of[*kmsg.MetadataRequest](c))
	p := start(t, Options{Interval: long, Clusters: []Cluster{{Brokers: d.ListenAddrs()}, {Brokers: c.ListenAddrs()}}})
	assert.False(t, p.Observes())
	// Once they are known, new wishes do not wait for the next round.
	await(t, "both are known", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.configured[0].id == "D" && p.configured[1].id == "C"
	})
	for _, r := range of[*kmsg.MetadataRequest](c)[producers:] {
		assert.NotNil(t, r.Topics, "nobody asked for all topics")
		assert.Empty(t, r.Topics)
	}
	p.Want([]Wanted{
		{Cluster: "C", Partitions: map[string][]int32{"t": {0}}},
		{Cluster: "D", Partitions: map[string][]int32{"t": {0}}},
		{Cluster: "E", Partitions: map[string][]int32{"t": {0}}, Brokers: c.ListenAddrs()}, // not configured
	})
	want := map[end]int64{high("C", 0): 3, high("D", 0): 5}
	await(t, "each has its own", func() bool { return maps.Equal(p.offsets(), want) })
}

// A wish that is there before the cluster is known.
func TestConfiguredClusterWantedEarly(t *testing.T) {
	c := newCluster(t, "C")
	p := New(Options{Interval: long, Clusters: []Cluster{{Brokers: c.ListenAddrs()}}, Logger: zap.NewNop()})
	t.Cleanup(p.Shutdown)
	p.Want(c.want("C"))
	p.Start()
	await(t, "an answer", func() bool { return len(p.offsets()) == 4 })
}

// silent is a listener that accepts connections and never answers.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func TestBrokenClusterHoldsUpNobody(t *testing.T) {
	c := newCluster(t, "C")
	p := start(t, Options{Interval: long})
	p.Want(append(c.want("C"),
		Wanted{Cluster: "B", Partitions: map[string][]int32{"t": {0}}, Brokers: []string{silent(t)}}))
	await(t, "the one that answers", func() bool { return len(p.offsets()) == 4 })
	assert.Empty(t, p.Errors(), "the other is still being waited for")

	// Nor does the end wait for it.
	ended := make(chan struct{})
	go func() {
		p.Shutdown()
		close(ended)
	}()
	await(t, "the end", func() bool {
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
}

func TestNoAnswer(t *testing.T) {
	p := start(t, Options{Interval: 200 * time.Millisecond})
	p.Want([]Wanted{{Cluster: "B", Partitions: map[string][]int32{"t": {0}}, Brokers: []string{silent(t)}}})
	await(t, "it is counted", func() bool { return count(p.Errors(), timedOut)+count(p.Errors(), connectionFailed) > 0 })
}

// Partitions that a broker refuses are left out and counted. It is logged once, as is its end.
func TestRefused(t *testing.T) {
	c := newCluster(t, "C")
	c.produce(t, "t", 0, 3)
	core, logged := observer.New(zap.InfoLevel)
	p := start(t, Options{Interval: brief, Logger: zap.New(core)})
	end := c.refuse(kerr.TopicAuthorizationFailed)
	p.Want(c.want("C"))
	await(t, "many are counted", func() bool { return count(p.Errors(), "TOPIC_AUTHORIZATION_FAILED") >= 20 })
	assert.Empty(t, p.offsets())
	require.Equal(t, 1, logged.Len())
	assert.Equal(t, zap.WarnLevel, logged.All()[0].Level)
	assert.Equal(t, "TOPIC_AUTHORIZATION_FAILED", logged.All()[0].ContextMap()["kinds"])

	end()
	await(t, "answers", func() bool { return p.offsets()[high("C", 0)] == 3 })
	await(t, "the end is logged", func() bool { return logged.FilterLevelExact(zap.InfoLevel).Len() == 1 })
	assert.Equal(t, 2, logged.Len())
}

// What is known stays while a broker refuses, and grows old.
func TestRefusedForAWhile(t *testing.T) {
	c := newCluster(t, "C")
	c.produce(t, "t", 0, 3)
	p := start(t, Options{Interval: brief})
	p.Want(c.want("C"))
	await(t, "answers", func() bool { return p.offsets()[high("C", 0)] == 3 })
	c.refuse(kerr.NotLeaderForPartition)
	await(t, "it is counted", func() bool { return count(p.Errors(), "NOT_LEADER_OR_FOLLOWER") >= 8 })
	moment := time.Now()
	answered := func() uint64 {
		var newest uint64
		for _, a := range p.Answers(nil, moment, uint64(time.Hour)) {
			newest = max(newest, a.Answered)
		}
		return newest
	}
	before, counted := answered(), count(p.Errors(), "NOT_LEADER_OR_FOLLOWER")
	await(t, "it is counted more", func() bool { return count(p.Errors(), "NOT_LEADER_OR_FOLLOWER") >= counted+8 })
	assert.Equal(t, int64(3), p.offsets()[high("C", 0)])
	assert.Equal(t, before, answered(), "it was not answered anew")
}

// One broker of two that is gone costs what it leads, and nothing else.
func TestOneBrokerGone(t *testing.T) {
	c := newCluster(t, "C")
	for partition := range int32(4) {
		require.NoError(t, c.MoveTopicPartition("t", partition, partition%2))
	}
	// The broker closes the connection on the question.
	c.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if c.CurrentNode() == 1 {
			return nil, errors.New("gone"), true
		}
		return nil, nil, false
	})
	p := start(t, Options{Interval: 500 * time.Millisecond})
	p.Want(c.want("C"))
	await(t, "what the other leads", func() bool {
		offsets := p.offsets()
		_, zero := offsets[high("C", 0)]
		_, two := offsets[high("C", 2)]
		return zero && two && len(offsets) == 2
	})
	await(t, "it is counted", func() bool { return count(p.Errors(), connectionFailed) > 0 })
}

func TestTooManyClusters(t *testing.T) {
	core, logged := observer.New(zap.WarnLevel)
	p := start(t, Options{Interval: long, Logger: zap.New(core)})
	var wanted []Wanted
	for i := range MaxClusters + 2 {
		wanted = append(wanted, Wanted{Cluster: fmt.Sprintf("%02d", i), Brokers: []string{silent(t)},
			Partitions: map[string][]int32{"t": {0}}})
	}
	p.Want(wanted)
	p.Want(wanted)
	assert.Equal(t, uint64(4), count(p.Errors(), tooManyClusters))
	assert.Equal(t, 1, logged.Len())
}

func TestShutdown(t *testing.T) {
	p := New(Options{Interval: brief, Logger: zap.NewNop()})
	p.Shutdown() // without a start
	p.Want([]Wanted{{Cluster: "C", Partitions: map[string][]int32{"t": {0}}, Brokers: []string{"127.0.0.1:1"}}})
	p.Start()
	p.Shutdown()
	assert.Empty(t, p.Requests())
}

// A cluster that does not answer is left alone until its time has come, whatever is wanted of it meanwhile.
func TestBackOffIsKept(t *testing.T) {
	c := newCluster(t, "C")
	p := start(t, Options{Interval: long, Clusters: []Cluster{{Brokers: c.ListenAddrs()}}})
	await(t, "the cluster is known", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.configured[0].id == "C"
	})
	// Each broker closes its connections.
	c.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		return nil, errors.New("gone"), true
	})
	p.Want(c.want("C"))
	failed := func() uint64 { return count(p.Errors(), connectionFailed) }
	await(t, "a round fails", func() bool { return failed() == 1 })
	p.Want(nil)
	p.Want(c.want("C"))
	// Another cluster is asked many times meanwhile.
	d := newCluster(t, "D")
	other := start(t, Options{Interval: brief})
	other.Want(d.want("D"))
	await(t, "many rounds", func() bool { return count(other.Requests(), "ListOffsets") >= 20 })
	assert.Equal(t, uint64(1), failed())
}

func TestBackOff(t *testing.T) {
	a := &asker{poller: New(Options{Interval: 30 * time.Second})}
	for _, seconds := range []time.Duration{30, 60, 120, 240, 300, 300} {
		assert.Equal(t, seconds*time.Second, a.pause())
		a.failures++
	}
	a.poller.options.Interval = time.Hour
	assert.Equal(t, time.Hour, a.pause())
}
