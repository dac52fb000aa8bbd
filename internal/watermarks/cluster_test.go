// SPDX-License-Identifier: Apache-2.0

package watermarks

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

const (
	// brief is an interval in which a test sees many rounds; long one in which it sees the first only.
	brief, long = 20 * time.Millisecond, time.Hour
	// patience is shorter than what the poller itself waits for a broker with a long interval.
	patience = maxTimeout * 2 / 5
)

// testCluster is a cluster in memory, of which each request is noted.
type testCluster struct {
	*kfake.Cluster
	mu       sync.Mutex
	requests []kmsg.Request
}

// newCluster has topic "t" with 4 partitions and "u" with one.
func newCluster(t *testing.T, id string, options ...kfake.Opt) *testCluster {
	t.Helper()
	options = append([]kfake.Opt{
		kfake.NumBrokers(2), kfake.ClusterID(id), kfake.SeedTopics(4, "t"), kfake.SeedTopics(1, "u"),
	}, options...)
	fake, err := kfake.NewCluster(options...)
	require.NoError(t, err)
	t.Cleanup(fake.Close)
	c := &testCluster{Cluster: fake}
	fake.Control(func(request kmsg.Request) (kmsg.Response, error, bool) {
		fake.KeepControl()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.requests = append(c.requests, request)
		return nil, nil, false
	})
	return c
}

// of returns the requests of one API.
func of[R kmsg.Request](c *testCluster) []R {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []R
	for _, r := range c.requests {
		if r, ok := r.(R); ok {
			out = append(out, r)
		}
	}
	return out
}

// refuse answers each partition of each ListOffsets with an error, until the end of the test or the returned function.
func (c *testCluster) refuse(err *kerr.Error) (end func()) {
	return c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Err: err, Count: -1}).Remove
}

// produce appends records to a partition.
func (c *testCluster) produce(t *testing.T, topic string, partition int32, records int, options ...kgo.Opt) {
	t.Helper()
	options = append(options, kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	client, err := kgo.NewClient(options...)
	require.NoError(t, err)
	defer client.Close()
	for range records {
		result := client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: partition, Value: []byte("x")})
		require.NoError(t, result.FirstErr())
	}
}

func start(t *testing.T, o Options) *Poller {
	t.Helper()
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	p := New(o)
	p.Start()
	t.Cleanup(p.Shutdown)
	return p
}

// want is all partitions of "t" in one cluster.
func (c *testCluster) want(id string) []Wanted {
	return []Wanted{{Cluster: id, Partitions: map[string][]int32{"t": {0, 1, 2, 3}}, Brokers: c.ListenAddrs()}}
}

type end struct {
	cluster, topic string
	partition      int32
	end            state.End
}

func high(cluster string, partition int32) end {
	return end{cluster: cluster, topic: "t", partition: partition}
}

// offsets returns the offsets of all answers.
func (p *Poller) offsets() map[end]int64 {
	offsets := map[end]int64{}
	for _, a := range p.Answers(nil, time.Now(), uint64(time.Hour)) {
		offsets[end{a.Cluster, a.Topic, a.Partition, a.End}] = a.Offset
	}
	return offsets
}

// await waits for a condition.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		}
	}
}

func count(counts []Count, name string) uint64 {
	for _, c := range counts {
		if c.Name == name {
			return c.Count
		}
	}
	return 0
}
