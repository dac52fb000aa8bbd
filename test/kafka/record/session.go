// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
	"github.com/ebpfkafka/ebpfkafka/test/process"
	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

const (
	partitions = 3
	// each is how many records a partition gets by each codec.
	each  = 8
	topic = "orders"
	// grace is what a Java client gets to leave its group and close.
	grace = 20 * time.Second
)

// assigned is what TestConsumer prints when it has partitions.
var assigned = regexp.MustCompile(`assigned \[.+\]`)

func codecs() []string { return []string{"none", "gzip", "snappy", "lz4", "zstd"} }

// session holds the conversations that are recorded.
type session struct {
	broker      *kafka.Broker
	plain, sasl string // the proxies' addresses
}

type capture struct {
	name string
	talk func(context.Context) error
}

// captures in this order: later ones consume what earlier ones produced.
func (s *session) captures() []capture {
	all := []capture{
		{"java-produce", s.javaProduce},
		{"java-classic", s.javaClassic},
		{"java-next", s.javaNext},
		{"java-transactions", s.javaTransactions},
		{"java-sasl", s.javaSASL},
		{"kgo", s.kgo},
	}
	if kafka.AtLeast(s.broker.Version, firstShare) {
		all = append(all, capture{"java-share", s.javaShare})
	}
	return all
}

func (s *session) prepare(ctx context.Context) error {
	err := errors.Join(s.broker.CreateTopic(ctx, topic, partitions), s.broker.CreateTopic(ctx, "copies", 2),
		s.broker.CreateTopic(ctx, "notes", 1))
	if err == nil && kafka.AtLeast(s.broker.Version, firstShare) {
		err = s.prepareShare(ctx)
	}
	return err
}

// javaProduce produces with every codec, and with acks=0, which is not answered.
func (s *session) javaProduce(ctx context.Context) error {
	for _, codec := range codecs() {
		err := s.broker.Produce(ctx, kafka.Production{Topic: topic, Partitions: partitions, Count: each, Addr: s.plain,
			Properties: map[string]string{"compression.type": codec}})
		if err != nil {
			return err
		}
	}
	return s.broker.Produce(ctx, kafka.Production{Topic: "notes", Partitions: 1, Count: each, Addr: s.plain,
		Properties: map[string]string{"acks": "0", "enable.idempotence": "false"}})
}

// javaClassic: two members join one after the other, so that there is a
// rebalance, heartbeat, commit synchronously, and leave.
func (s *session) javaClassic(ctx context.Context) error {
	c := kafka.Consumer{Group: "classic", Topics: []string{topic}, Addr: s.plain,
		Properties: map[string]string{"heartbeat.interval.ms": "500"}}
	first, err := s.consume(ctx, c, len(codecs())*each)
	if err != nil {
		return err
	}
	c.ClientID, c.Commit = "second-member", kafka.Auto
	second, err := s.consume(ctx, c, len(codecs())*each)
	return errors.Join(err, stop(first), stop(second))
}

// javaNext: the same by KIP-848, committing asynchronously and by topic id.
func (s *session) javaNext(ctx context.Context) error {
	p, err := s.consume(ctx, kafka.Consumer{Group: "next", Topics: []string{topic}, Addr: s.plain,
		Protocol: kafka.Next, Commit: kafka.Async}, len(codecs())*each)
	return errors.Join(err, stop(p))
}

// javaTransactions: one aborted, then one committed.
func (s *session) javaTransactions(ctx context.Context) error {
	return s.broker.Transact(ctx, kafka.Transaction{Group: "copier", Input: "notes", Output: "copies",
		Count: each, Aborts: 1, Addr: s.plain})
}

// javaSASL: PLAIN, then Kafka as ever on the same connections.
func (s *session) javaSASL(ctx context.Context) error {
	p, err := s.consume(ctx, kafka.Consumer{Group: "sasl", Topics: []string{topic}, Addr: s.sasl,
		Properties: kafka.SASLProperties()}, len(codecs())*each)
	return errors.Join(err, stop(p))
}

// kgo: franz-go produces with every codec, consumes in a group, commits, and
// asks what an administrator asks.
func (s *session) kgo(ctx context.Context) error {
	for _, codec := range []kgo.CompressionCodec{
		kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(),
	} {
		producer, err := kgo.NewClient(kgo.SeedBrokers(s.plain), kgo.ProducerBatchCompression(codec))
		if err != nil {
			return err
		}
		for range each {
			r := kgo.Record{Topic: topic, Value: make([]byte, 100)}
			if err := producer.ProduceSync(ctx, &r).FirstErr(); err != nil {
				producer.Close()
				return err
			}
		}
		producer.Close()
	}
	consumer, err := kgo.NewClient(kgo.SeedBrokers(s.plain), kgo.ConsumerGroup("kgo"), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.HeartbeatInterval(500*time.Millisecond))
	if err != nil {
		return err
	}
	defer consumer.Close()
	for n := 0; n < (partitions+1)*len(codecs())*each; {
		fetches := consumer.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		n += fetches.NumRecords()
		if err := consumer.CommitUncommittedOffsets(ctx); err != nil {
			return err
		}
	}
	admin := kadm.NewClient(consumer)
	if _, err := admin.FetchOffsets(ctx, "kgo"); err != nil {
		return err
	}
	if _, err := admin.ListStartOffsets(ctx, topic); err != nil {
		return err
	}
	if _, err := admin.ListEndOffsets(ctx, topic); err != nil {
		return err
	}
	if _, err := admin.DescribeGroups(ctx, "kgo"); err != nil {
		return err
	}
	// An administrator may not commit for a group with members: refused, with
	// an error for each partition. For one without, it is a commit like any other.
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, 0, 1, -1)
	offsets.AddOffset(topic, 1, 2, -1)
	refused, err := admin.CommitOffsets(ctx, "kgo", offsets)
	if err != nil {
		return err
	}
	if refused.Error() == nil {
		return errors.New("the broker took an administrator's commit for a group with members")
	}
	if err := admin.CommitAllOffsets(ctx, "administered", offsets); err != nil {
		return err
	}
	// Of groups without members: one partition's offset, then a whole group.
	deleted := kadm.TopicsSet{}
	deleted.Add(topic, 0)
	if _, err := admin.DeleteOffsets(ctx, "classic", deleted); err != nil {
		return err
	}
	if _, err := admin.DeleteGroup(ctx, "next"); err != nil {
		return err
	}
	return consumer.LeaveGroupContext(ctx)
}

// consume starts a consumer and waits until each partition is committed at
// end, and the consumer has had partitions assigned.
func (s *session) consume(ctx context.Context, c kafka.Consumer, end int) (*process.Process, error) {
	p, err := s.broker.StartConsumer(ctx, c)
	if err != nil {
		return nil, err
	}
	if _, err := p.Await(ctx, assigned); err != nil {
		return p, err
	}
	oracle, err := s.broker.Oracle()
	if err != nil {
		return p, err
	}
	defer oracle.Close()
	return p, wait.Until(ctx, func() error {
		truth, err := oracle.Ask(ctx, c.Group)
		if err != nil {
			return err
		}
		for n := range int32(partitions) {
			k := kafka.GroupPartition{Group: c.Group, Topic: topic, Partition: n}
			if truth.Committed[k] != int64(end) {
				return fmt.Errorf("%v is committed at %d, not yet %d", k, truth.Committed[k], end)
			}
		}
		return nil
	})
}

func stop(p *process.Process) error {
	if p == nil {
		return nil
	}
	return p.Stop(grace)
}
