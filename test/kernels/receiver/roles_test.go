// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

const (
	group      = "billing"
	topic      = "orders"
	partitions = 3
)

// broker is a cluster of that id, with one broker, in memory. It says where it listens.
func broker(args []string) error {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID(args[0]), kfake.SeedTopics(partitions, topic))
	if err != nil {
		return err
	}
	fmt.Println("listening on", cluster.ListenAddrs()[0])
	select {} // until it is killed
}

// round is a line of the client's input: how many records to produce to the first partition, and which offset to
// commit of it. Each further partition gets more of both, so that no two numbers are alike.
type round struct{ produce, commit int64 }

func (r round) String() string { return fmt.Sprintf("%d %d", r.produce, r.commit) }

// of is what partition p gets.
func (r round) of(p int32) round { return round{r.produce + 10*int64(p), r.commit + 3*int64(p)} }

// client is a consumer that keeps fetching, and does each round that is asked for. It says when it has.
func client(args []string) error {
	ctx := context.Background()
	c, err := kgo.NewClient(kgo.SeedBrokers(args...), kgo.ClientID("till"), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer c.Close()
	got := fetched{records: map[at]*kgo.Record{}}
	go got.poll(ctx, c)
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		var r round
		if _, err := fmt.Sscan(input.Text(), &r.produce, &r.commit); err != nil {
			return fmt.Errorf("%q: %w", input.Text(), err)
		}
		var records []*kgo.Record
		for p := range int32(partitions) {
			for range r.of(p).produce {
				records = append(records, &kgo.Record{Topic: topic, Partition: p, Value: []byte("an order")})
			}
		}
		if err := c.ProduceSync(ctx, records...).FirstErr(); err != nil {
			return err
		}
		for p := range int32(partitions) {
			last, err := got.await(ctx, at{p, r.of(p).commit - 1})
			if err != nil {
				return err
			}
			if err := c.CommitRecords(ctx, last); err != nil {
				return err
			}
		}
		fmt.Println("done", r)
	}
	return nil
}

// fetched is what a client has fetched. It keeps fetching: that is how the receiver knows where partitions end.
type fetched struct {
	mu      sync.Mutex
	records map[at]*kgo.Record
}

type at struct {
	partition int32
	offset    int64
}

func (f *fetched) poll(ctx context.Context, c *kgo.Client) {
	for {
		fetches := c.PollFetches(ctx)
		if fetches.IsClientClosed() {
			return
		}
		f.mu.Lock()
		for r := range fetches.RecordsAll() {
			f.records[at{r.Partition, r.Offset}] = r
		}
		f.mu.Unlock()
	}
}

func (f *fetched) await(ctx context.Context, a at) (r *kgo.Record, err error) {
	return r, wait.Until(ctx, func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if r = f.records[a]; r == nil {
			return fmt.Errorf("offset %d of partition %d was not fetched", a.offset, a.partition)
		}
		return nil
	})
}
