// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

// GroupPartition names what a committed offset belongs to.
type GroupPartition struct {
	Group, Topic string
	Partition    int32
}

func (k GroupPartition) String() string {
	return fmt.Sprintf("%s %s-%d", k.Group, k.Topic, k.Partition)
}

// Partition names one partition of a topic.
type Partition struct {
	Topic     string
	Partition int32
}

func (k Partition) String() string { return fmt.Sprintf("%s-%d", k.Topic, k.Partition) }

// Bounds are the first offset that a partition still has, and its high watermark.
type Bounds struct{ Start, End int64 }

// Truth is what the broker says.
type Truth struct {
	// Committed has an entry for each partition that a group has committed.
	Committed map[GroupPartition]int64
	// Bounds has an entry for each partition of each topic that was asked about,
	// internal ones too.
	Bounds map[Partition]Bounds
}

// Lag returns the high watermark less the committed offset, at least 0.
func (t Truth) Lag(k GroupPartition) (int64, bool) {
	committed, ok := t.Committed[k]
	if !ok {
		return 0, false
	}
	bounds, ok := t.Bounds[Partition{k.Topic, k.Partition}]
	return max(0, bounds.End-committed), ok
}

// Oracle asks the broker over TLS, so that a program that watches plaintext
// on the host cannot learn an answer from the question.
type Oracle struct {
	// Topics are those whose bounds Ask tells; empty: all. To ask about topics
	// that others delete meanwhile takes long, and fails.
	Topics []string

	client *kgo.Client
	admin  *kadm.Client
}

// Oracle connects an oracle to the broker. Close it.
func (b *Broker) Oracle() (*Oracle, error) {
	return b.oracle(b.TLSAddr)
}

func (b *Broker) oracle(addrs ...string) (*Oracle, error) {
	config, err := b.TLSConfig()
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(addrs...), kgo.DialTLSConfig(config), kgo.ClientID("oracle"))
	if err != nil {
		return nil, err
	}
	return &Oracle{client: client, admin: kadm.NewClient(client)}, nil
}

// Close ends the oracle's connections.
func (o *Oracle) Close() { o.client.Close() }

// Admin returns the admin client that the oracle asks with.
func (o *Oracle) Admin() *kadm.Client { return o.admin }

// Ask returns the truth about the given groups, or about all if none is given.
func (o *Oracle) Ask(ctx context.Context, groups ...string) (Truth, error) {
	t := Truth{Committed: map[GroupPartition]int64{}, Bounds: map[Partition]Bounds{}}
	if len(groups) == 0 {
		listed, err := o.admin.ListGroups(ctx)
		if err != nil {
			return t, fmt.Errorf("list groups: %w", err)
		}
		groups = listed.Groups()
	}
	if len(groups) > 0 {
		fetched := o.admin.FetchManyOffsets(ctx, groups...)
		for _, r := range fetched {
			if r.Err != nil {
				return t, fmt.Errorf("fetch the offsets of group %s: %w", r.Group, r.Err)
			}
			r.Fetched.Each(func(offset kadm.OffsetResponse) {
				if offset.At >= 0 {
					t.Committed[GroupPartition{r.Group, offset.Topic, offset.Partition}] = offset.At
				}
			})
		}
	}
	topics := o.Topics
	if len(topics) == 0 {
		listed, err := o.admin.ListTopicsWithInternal(ctx)
		if err != nil {
			return t, fmt.Errorf("list topics: %w", err)
		}
		topics = listed.Names()
	}
	starts, err := o.admin.ListStartOffsets(ctx, topics...)
	if err != nil {
		return t, fmt.Errorf("list start offsets: %w", err)
	}
	ends, err := o.admin.ListEndOffsets(ctx, topics...)
	if err != nil {
		return t, fmt.Errorf("list end offsets: %w", err)
	}
	if err := starts.Error(); err != nil {
		return t, err
	}
	if err := ends.Error(); err != nil {
		return t, err
	}
	ends.Each(func(end kadm.ListedOffset) {
		start, _ := starts.Lookup(end.Topic, end.Partition)
		t.Bounds[Partition{end.Topic, end.Partition}] = Bounds{Start: start.Offset, End: end.Offset}
	})
	return t, nil
}

// CreateTopic creates a topic over TLS. It returns when the broker leads all
// of its partitions.
func (b *Broker) CreateTopic(ctx context.Context, topic string, partitions int) error {
	return b.withOracle(func(o *Oracle) error {
		r, err := o.admin.CreateTopic(ctx, int32(partitions), 1, nil, topic)
		if err == nil {
			err = r.Err
		}
		if err != nil {
			return fmt.Errorf("create topic %s: %w", topic, err)
		}
		return wait.Until(ctx, func() error {
			listed, err := o.admin.ListEndOffsets(ctx, topic)
			if err == nil {
				err = listed.Error()
			}
			if err == nil && len(listed[topic]) != partitions {
				err = fmt.Errorf("topic %s has %d of %d partitions", topic, len(listed[topic]), partitions)
			}
			return err
		})
	})
}

// DeleteRecords moves the log start of a partition up to before, over TLS.
func (b *Broker) DeleteRecords(ctx context.Context, topic string, partition int32, before int64) error {
	return b.withOracle(func(o *Oracle) error {
		offsets := kadm.Offsets{}
		offsets.AddOffset(topic, partition, before, -1)
		r, err := o.admin.DeleteRecords(ctx, offsets)
		if err == nil {
			err = r.Error()
		}
		if err != nil {
			return fmt.Errorf("delete records of %s-%d before %d: %w", topic, partition, before, err)
		}
		return nil
	})
}

func (b *Broker) withOracle(f func(*Oracle) error) error {
	o, err := b.Oracle()
	if err != nil {
		return err
	}
	defer o.Close()
	return f(o)
}

func (b *Broker) awaitAnswer(ctx context.Context) error {
	return b.withOracle(func(o *Oracle) error {
		return wait.Until(ctx, func() error {
			metadata, err := o.admin.BrokerMetadata(ctx)
			if err == nil && len(metadata.Brokers) == 0 {
				err = errors.New("the cluster has no broker yet")
			}
			b.ClusterID = metadata.Cluster // with ZooKeeper the broker has chosen it
			return err
		})
	})
}
