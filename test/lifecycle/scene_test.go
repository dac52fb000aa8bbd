// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/kafka"
	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

const (
	// patience bounds whatever should be quick but may not be on a busy machine.
	patience = 60 * time.Second
	// interval is between two snapshots.
	interval = 500 * time.Millisecond
	// sessionTimeout is when a broker takes a silent member for dead: longer
	// than a busy machine keeps a living one from its heartbeat.
	sessionTimeout = 8 * time.Second
	heartbeat      = 500 * time.Millisecond
	// watermarkMaxAge is short enough for a test to see what comes after it.
	watermarkMaxAge = 10 * time.Second
)

// scene is what situations share.
type scene struct {
	// Two clusters; the other's transactions are of version 1 (before KIP-890).
	main, other *cluster
	// Where a cluster of several brokers may run; the views look there too.
	nodes []kafka.Node
	// What is seen on the clients' side, with the process of each, and what on
	// the broker's, as if its clients were on other hosts.
	clients, broker *view
}

// cluster is a broker, and who talks to it over TLS, where no view looks.
type cluster struct {
	*kafka.Broker
	oracle *kafka.Oracle
	admin  *kadm.Client
	hidden *kgo.Client
}

func newScene(t *testing.T) *scene {
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	s := &scene{main: newCluster(ctx, t), other: newCluster(ctx, t), nodes: freeNodes(t)}
	const safeDowngrade = 2
	updated, err := s.other.admin.UpdateFeatures(ctx, false,
		kadm.FeatureUpdate{Feature: "transaction.version", MaxVersionLevel: 1, UpgradeType: safeDowngrade})
	require.NoError(t, err)
	for _, feature := range updated {
		require.NoError(t, feature.Err)
	}
	ports := "receivers::ebpf_kafka::discovery::ports: [" + portOf(t, s.main.Addr) + ", " + portOf(t, s.other.Addr) + ", " +
		strconv.Itoa(s.nodes[0].Port) + "]"
	options := func(role string, more ...string) collector.Options {
		return collector.Options{Role: role, Set: append([]string{
			ports,
			"receivers::ebpf_kafka::collection_interval: " + interval.String(),
			"receivers::ebpf_kafka::watermark_max_age: " + watermarkMaxAge.String(),
			"receivers::ebpf_kafka::metrics::kafka.consumer.assignment::enabled: true",
			"receivers::ebpf_kafka::metrics::kafka.consumer_group.commit_age::enabled: true",
			"receivers::ebpf_kafka::metrics::kafka.partition.watermark_age::enabled: true",
		}, more...)}
	}
	s.clients = startView(ctx, t, "any", options("any"))
	s.broker = startView(ctx, t, "broker", options("broker"))
	return s
}

// views are all collectors.
func (s *scene) views() []*view { return []*view{s.clients, s.broker} }

func newCluster(ctx context.Context, t *testing.T) *cluster {
	t.Helper()
	millis := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	b, err := kafka.Start(ctx, kafka.Options{Dir: t.TempDir(), Properties: map[string]string{
		"group.min.session.timeout.ms":             "1000",
		"group.consumer.min.session.timeout.ms":    "1000",
		"group.consumer.session.timeout.ms":        millis(sessionTimeout),
		"group.consumer.min.heartbeat.interval.ms": millis(heartbeat),
		"group.consumer.heartbeat.interval.ms":     millis(heartbeat),
		"group.share.min.session.timeout.ms":       "1000",
		"group.share.session.timeout.ms":           millis(sessionTimeout),
		"group.share.min.heartbeat.interval.ms":    millis(heartbeat),
		"group.share.heartbeat.interval.ms":        millis(heartbeat),
		// How often the coordinator looks for transactions that took too long.
		"transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
	}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Stop()) })
	return connect(t, b, b.Oracle)
}

// connect makes the clients of a cluster that no view sees.
func connect(t *testing.T, b *kafka.Broker, oracle func() (*kafka.Oracle, error)) *cluster {
	t.Helper()
	o, err := oracle()
	require.NoError(t, err)
	t.Cleanup(o.Close)
	c := &cluster{Broker: b, oracle: o, admin: o.Admin()}
	c.hidden = c.tls(t)
	return c
}

// tls returns a client that no view sees.
func (c *cluster) tls(t *testing.T, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	config, err := c.TLSConfig()
	require.NoError(t, err)
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(c.TLSAddr), kgo.DialTLSConfig(config),
		kgo.MetadataMinAge(metadataAge), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

func portOf(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	return port
}

// topic creates a topic, and writes so many records to each of its partitions.
func (c *cluster) topic(t *testing.T, name string, partitions, records int) {
	t.Helper()
	require.NoError(t, c.CreateTopic(t.Context(), name, partitions))
	c.produce(t, name, partitions, records)
}

// produce writes records that no view sees.
func (c *cluster) produce(t *testing.T, topic string, partitions, records int) {
	t.Helper()
	produceBy(t, c.hidden, topic, partitions, records)
}

func produceBy(t *testing.T, client *kgo.Client, topic string, partitions, records int) {
	t.Helper()
	var all []*kgo.Record
	for p := range int32(partitions) {
		for range records {
			all = append(all, &kgo.Record{Topic: topic, Partition: p, Value: make([]byte, 100)})
		}
	}
	if len(all) > 0 {
		require.NoError(t, client.ProduceSync(t.Context(), all...).FirstErr())
	}
}

// commit is what tools do that reset offsets: as nobody's member.
func commit(t *testing.T, client *kgo.Client, group, topic string, offsets ...int64) {
	t.Helper()
	all := kadm.Offsets{}
	for p, offset := range offsets {
		all.AddOffset(topic, int32(p), offset, -1)
	}
	within(t, func(ctx context.Context) error {
		return kadm.NewClient(client).CommitAllOffsets(ctx, group, all)
	})
}

// consume reads until the group's client is at the end of every partition, and
// commits what it has read.
func consume(t *testing.T, client *kgo.Client, records int) {
	t.Helper()
	read := 0
	within(t, func(ctx context.Context) error { // a broker that has just been lost is an error at first
		for read < records {
			fetches := client.PollFetches(ctx)
			read += fetches.NumRecords()
			if err := fetches.Err0(); err != nil {
				return fmt.Errorf("%d of %d records read: %w", read, records, err)
			}
		}
		return nil
	})
	within(t, client.CommitUncommittedOffsets)
}

// consumeTo reads to the end of a topic's only partition, and commits: from wherever a rebalance has put the client.
func consumeTo(t *testing.T, client *kgo.Client, end int64) {
	t.Helper()
	at := int64(0)
	within(t, func(ctx context.Context) error {
		for at < end {
			fetches := client.PollFetches(ctx)
			fetches.EachRecord(func(r *kgo.Record) { at = r.Offset + 1 })
			if err := fetches.Err0(); err != nil {
				return fmt.Errorf("read up to %d of %d: %w", at, end, err)
			}
		}
		return nil
	})
	within(t, client.CommitUncommittedOffsets)
}

// consumerOf are the options of a consumer that commits when it is told to.
func consumerOf(name string, topics ...string) []kgo.Opt {
	return []kgo.Opt{
		kgo.ConsumerGroup(name), kgo.ConsumeTopics(topics...), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(sessionTimeout), kgo.HeartbeatInterval(heartbeat),
	}
}

// within awaits what is to succeed in the end.
func within(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, context.DeadlineExceeded)
	defer cancel()
	var last error
	require.NoError(t, wait.Until(ctx, func() error {
		if err := f(ctx); err == nil || last == nil || !errors.Is(err, context.DeadlineExceeded) {
			last = err // why not; not that there is no more time to ask
		}
		return last
	}))
}

// named is the name of a topic or group that is one situation's own.
func named(t *testing.T, suffix string) string {
	name := strings.ToLower(t.Name()[strings.Index(t.Name(), "/")+1:])
	return strings.NewReplacer(" ", "-", "_", "-", ",", "", "/", "-", "=", "-").Replace(name) + "-" + suffix
}
