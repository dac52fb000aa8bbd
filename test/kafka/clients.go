// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/ebpfkafka/ebpfkafka/test/process"
)

// Protocol is how a Java consumer joins its group: group.protocol.
type Protocol string

const (
	// Classic joins with JoinGroup and SyncGroup, and commits by topic name.
	Classic Protocol = "classic"
	// Next is KIP-848: ConsumerGroupHeartbeat, and commits by topic id.
	Next Protocol = "consumer"
)

// Commit is how a Java consumer commits.
type Commit string

const (
	// Sync commits each batch and waits.
	Sync Commit = "sync"
	// Async commits each batch and goes on.
	Async Commit = "async"
	// Auto leaves it to the client, once a second.
	Auto Commit = "auto"
)

// fresh makes clients refresh their metadata every three seconds instead of
// every five minutes, so that who attaches mid-stream soon sees topic names.
const fresh = "3000"

// Consumer is a Java application that consumes until it is stopped.
type Consumer struct {
	Group    string
	Topics   []string
	Protocol Protocol // empty: Classic
	Commit   Commit   // empty: Sync
	ClientID string   // empty: Java's own consumer-GROUP-1
	// StopAt and StopStep, with StopAt > 0: partition p is consumed and
	// committed up to offset StopAt + p*StopStep and no further.
	StopAt, StopStep int64
	// Hold: records whose value is "hold" are read and not committed, until a
	// later one is.
	Hold bool
	// Version of the Java client; empty: the broker's.
	Version string
	// Addr overrides the broker's plaintext address.
	Addr string
	// Namespace is the network namespace to run in, as process.In takes it.
	Namespace string
	// Properties are added to the consumer's, over what this package sets.
	Properties map[string]string
}

func (b *Broker) bootstrap(addr string) string {
	if addr != "" {
		return addr
	}
	return b.Addr
}

func (b *Broker) consumerProperties(c Consumer) map[string]string {
	p := map[string]string{
		"bootstrap.servers":       b.bootstrap(c.Addr),
		"group.id":                c.Group,
		"auto.offset.reset":       "earliest",
		"max.poll.records":        "50",
		"metadata.max.age.ms":     fresh,
		"enable.auto.commit":      strconv.FormatBool(c.Commit == Auto),
		"auto.commit.interval.ms": "1000",
	}
	if c.Protocol == Next {
		p["group.protocol"] = string(Next)
	}
	if c.ClientID != "" {
		p["client.id"] = c.ClientID
	}
	maps.Copy(p, c.Properties)
	return p
}

// StartConsumer starts a Java consumer that uses the consumer API. It prints
// "committed TOPIC PARTITION OFFSET" at each acknowledged commit of its own.
func (b *Broker) StartConsumer(ctx context.Context, c Consumer) (*process.Process, error) {
	if c.Commit == "" {
		c.Commit = Sync
	}
	stopAt := c.StopAt
	if stopAt == 0 {
		stopAt = -1
	}
	config, err := b.propertiesFile(b.consumerProperties(c))
	if err != nil {
		return nil, err
	}
	return b.start(ctx, c, "TestConsumer", "config="+config, "topics="+strings.Join(c.Topics, ","),
		"commit="+string(c.Commit), fmt.Sprintf("stopAt=%d", stopAt), fmt.Sprintf("stopStep=%d", c.StopStep),
		fmt.Sprintf("hold=%t", c.Hold))
}

// StartConsoleConsumer starts kafka-console-consumer, which commits by itself
// once a second. Commit, StopAt, StopStep and Hold do not apply.
func (b *Broker) StartConsoleConsumer(ctx context.Context, c Consumer) (*process.Process, error) {
	c.Commit = Auto
	config, err := b.propertiesFile(b.consumerProperties(c))
	if err != nil {
		return nil, err
	}
	option := "--command-config" // KIP-1147
	if version := b.clientVersion(c); !AtLeast(version, "4.0") {
		option = "--consumer.config"
	}
	return b.start(ctx, c, "org.apache.kafka.tools.consumer.ConsoleConsumer",
		"--bootstrap-server", b.bootstrap(c.Addr), "--include", strings.Join(c.Topics, "|"), "--group", c.Group, "--from-beginning", option, config)
}

// Production is what Produce sends: Count records to each partition of a topic.
type Production struct {
	Topic             string
	Partitions, Count int
	// Rounds: the records are sent in so many rounds, each acknowledged before
	// the next; 0: one round.
	Rounds int
	// PauseMillis is the pause between rounds.
	PauseMillis int
	// Size of a record's value in bytes; 0: 100.
	Size int
	// Addr overrides the broker's plaintext address.
	Addr string
	// Namespace is the network namespace to run in, as process.In takes it.
	Namespace string
	// Properties are added to the producer's, over what this package sets.
	Properties map[string]string
}

// Produce runs a Java producer to its end.
func (b *Broker) Produce(ctx context.Context, p Production) error {
	properties := map[string]string{"bootstrap.servers": b.bootstrap(p.Addr), "metadata.max.age.ms": fresh}
	maps.Copy(properties, p.Properties)
	config, err := b.propertiesFile(properties)
	if err != nil {
		return err
	}
	if p.Size == 0 {
		p.Size = 100
	}
	cmd, err := client(ctx, b.Version, "TestProducer", "config="+config, "topic="+p.Topic,
		fmt.Sprintf("partitions=%d", p.Partitions), fmt.Sprintf("count=%d", p.Count), fmt.Sprintf("rounds=%d", max(1, p.Rounds)),
		fmt.Sprintf("pause=%d", p.PauseMillis), fmt.Sprintf("size=%d", p.Size))
	if err != nil {
		return err
	}
	_, err = process.Run(ctx, "producer of "+p.Topic, process.In(p.Namespace, cmd))
	return err
}

// ConsoleProduce runs kafka-console-producer with lines as its input,
// each a record, to its end.
func (b *Broker) ConsoleProduce(ctx context.Context, topic string, lines ...string) error {
	class := "org.apache.kafka.tools.ConsoleProducer"
	if strings.HasPrefix(b.Version, "3.") {
		class = "kafka.tools.ConsoleProducer"
	}
	cmd, err := client(ctx, b.Version, class,
		"--bootstrap-server", b.Addr, "--topic", topic)
	if err != nil {
		return err
	}
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	_, err = process.Run(ctx, "console producer of "+topic, cmd)
	return err
}

// Transaction is what Transact does.
type Transaction struct {
	Group, Input, Output string
	// Count of records to read at least.
	Count int
	// Aborts is how many transactions to abort before the first that is committed.
	Aborts int
	// Addr overrides the broker's plaintext address.
	Addr string
	// Namespace is the network namespace to run in, as process.In takes it.
	Namespace string
}

// Transact runs a Java application that reads Input and writes Output in
// transactions, its offsets with them, to its end.
func (b *Broker) Transact(ctx context.Context, t Transaction) error {
	config, err := b.propertiesFile(b.consumerProperties(Consumer{
		Group: t.Group, Addr: t.Addr, Properties: map[string]string{"isolation.level": "read_committed"},
	}))
	if err != nil {
		return err
	}
	producer, err := b.propertiesFile(map[string]string{
		"bootstrap.servers": b.bootstrap(t.Addr), "transactional.id": "transactor-" + t.Group, "metadata.max.age.ms": fresh,
	})
	if err != nil {
		return err
	}
	cmd, err := client(ctx, b.Version, "TestTransactor", "config="+config, "producer="+producer, "topic="+t.Input,
		"output="+t.Output, fmt.Sprintf("count=%d", t.Count), fmt.Sprintf("aborts=%d", t.Aborts))
	if err != nil {
		return err
	}
	_, err = process.Run(ctx, "transactor of "+t.Group, process.In(t.Namespace, cmd))
	return err
}

func (b *Broker) clientVersion(c Consumer) string {
	if c.Version != "" {
		return c.Version
	}
	return b.Version
}

func (b *Broker) start(ctx context.Context, c Consumer, class string, args ...string) (*process.Process, error) {
	cmd, err := client(ctx, b.clientVersion(c), class, args...)
	if err != nil {
		return nil, err
	}
	return process.Start(class+" of "+c.Group, "", process.In(c.Namespace, cmd))
}
