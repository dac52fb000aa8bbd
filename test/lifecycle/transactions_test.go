// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/ebpfkafka/ebpfkafka/test/clients"
	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

func (s *scene) transactions(t *testing.T) { s.transactionsIn(t, s.main) }

// transactionsOld: an epoch of the producer's lasts over its transactions.
func (s *scene) transactionsOld(t *testing.T) { s.transactionsIn(t, s.other) }

// transactor is a Java application with transactions.
type transactor struct {
	*kafka.Told
	t    *testing.T
	told int
}

// transactionTimeout is when the coordinator aborts what a producer has left
// open. The others' transactions must not take as long.
const transactionTimeout = 5 * time.Second

func (c *cluster) transactor(t *testing.T, id, group, topic string, producer map[string]string) *transactor {
	t.Helper()
	p, err := c.StartTransactionMember(t.Context(), kafka.TransactionMember{
		Group: group, Input: topic, Output: topic + "-out", ID: id, Producer: producer,
		Consumer: map[string]string{
			"max.poll.records": "10", "session.timeout.ms": fmt.Sprint(sessionTimeout.Milliseconds()),
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop(0)) })
	x := &transactor{p, t, 0}
	x.says("ready")
	return x
}

// do tells the application to do something, and awaits that it has.
func (x *transactor) do(command, answer string) {
	x.t.Helper()
	require.NoError(x.t, x.Tell(command))
	x.says(answer)
}

func (x *transactor) says(answer string) {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.t.Context(), patience)
	defer cancel()
	x.told++
	// One line for each command; what Java logs has no such lines.
	m, err := x.Await(ctx, regexp.MustCompile(fmt.Sprintf(
		`(?s)(?:(?m:^(ready|opened|added|committed|aborted|failed \w+)$).*){%d}`, x.told)))
	require.NoError(x.t, err)
	require.Regexp(x.t, answer, m[1])
}

// transactionsIn: offsets within transactions that are committed, aborted, left
// open, fenced and timed out.
func (s *scene) transactionsIn(t *testing.T, c *cluster) {
	const partitions, records = 2, 200
	topic, name := named(t, "t"), named(t, "g")
	c.topic(t, topic, partitions, records)
	require.NoError(t, c.CreateTopic(t.Context(), topic+"-out", 1))
	// The application fetches only when it is told to poll: with another's fetches the lag is known however long all takes.
	startApp(t, "reader of "+topic).client(c.Addr, "reader-of-"+topic, kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()))
	x := c.transactor(t, name, name, topic, nil)
	for range 3 {
		x.do("open", "opened")
		x.do("commit", "committed")
	}
	s.agree(t, c, name, lagsKnown)
	committed := c.truth(t, name).Committed
	require.NotEmpty(t, committed)

	x.do("open", "opened")
	s.stands(t, c, name, committed) // until it is known how it ends
	x.do("offsets", "added")
	s.stands(t, c, name, committed)
	x.do("commit", "committed")
	s.agree(t, c, name, lagsKnown)
	later := c.truth(t, name).Committed
	require.NotEqual(t, committed, later)

	x.do("open", "opened")
	x.do("abort", "aborted")
	s.stands(t, c, name, later)
	x.do("open", "opened")
	x.do("commit", "committed")
	s.agree(t, c, name, lagsKnown)
	later = c.truth(t, name).Committed

	// Another producer of the same id fences the first, whose transaction is aborted.
	x.do("open", "opened")
	other := c.transactor(t, name, name+"-other", topic, nil)
	x.do("commit", "failed (ProducerFenced|InvalidProducerEpoch)")
	s.stands(t, c, name, later)
	other.do("open", "opened")
	other.do("commit", "committed")
	s.agree(t, c, name+"-other", lagsKnown)
	s.agree(t, c, name, lagsMayLack)

	// A producer that dies: nothing of its open transaction holds.
	dying := name + "-dying"
	z := c.transactor(t, dying, dying, topic, map[string]string{
		"transaction.timeout.ms": fmt.Sprint(transactionTimeout.Milliseconds()),
	})
	z.do("open", "opened")
	z.do("commit", "committed")
	s.agree(t, c, dying, lagsKnown)
	before := c.truth(t, dying).Committed
	z.do("open", "opened")
	require.NoError(t, z.Stop(0))
	s.stands(t, c, dying, before)
	within(t, func(ctx context.Context) error { // the coordinator has aborted it
		described, err := c.admin.DescribeTransactions(ctx, dying)
		if err == nil && described[dying].State != "CompleteAbort" {
			err = errors.Join(fmt.Errorf("the transaction is %s", described[dying].State), described[dying].Err)
		}
		return err
	})
	s.stands(t, c, dying, before)
	z = c.transactor(t, dying, dying, topic, nil)
	z.do("open", "opened")
	z.do("commit", "committed")
	s.agree(t, c, dying, lagsKnown)
}

// stands requires that the broker and the next few snapshots say of a group
// what they did before.
func (s *scene) stands(t *testing.T, c *cluster, group string, want map[kafka.GroupPartition]int64) {
	t.Helper()
	const several = 3
	for range several {
		truth := c.truth(t, group)
		require.Equal(t, want, truth.Committed)
		for _, v := range s.views() {
			said, _ := v.next(t, time.Now())
			got := byPartition(said.With("group", group), "kafka_consumer_group_offset", t.Errorf)
			require.Equal(t, want, maps.Clone(got), v.name)
		}
	}
}

// transactionsOfFranz: franz-go, which commits a transaction for each poll.
func (s *scene) transactionsOfFranz(t *testing.T) {
	for name, c := range map[string]*cluster{"main": s.main, "other": s.other} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const partitions, records = 2, 50
			topic, name := named(t, "t"), named(t, "g")
			c.topic(t, topic, partitions, records)
			require.NoError(t, c.CreateTopic(t.Context(), topic+"-out", 1))
			a := startApp(t, "franz-go")
			session, err := kgo.NewGroupTransactSession(append(consumerOf(name, topic),
				kgo.SeedBrokers(c.Addr), kgo.ClientID("franz"),
				kgo.Dialer(a.dial), kgo.FetchMaxWait(pollInterval), kgo.TransactionalID(name),
				kgo.FetchIsolationLevel(kgo.ReadCommitted()))...)
			require.NoError(t, err)
			t.Cleanup(session.Close)
			read := 0
			for turn := 0; read < partitions*records; turn++ {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				fetches := session.PollRecords(ctx, 20)
				cancel()
				require.NoError(t, fetches.Err())
				require.NoError(t, session.Begin())
				fetches.EachRecord(func(r *kgo.Record) {
					session.Produce(t.Context(), &kgo.Record{Topic: topic + "-out", Value: r.Value}, nil)
				})
				end := kgo.TryCommit
				if turn == 1 {
					end = kgo.TryAbort // its records are read again
				}
				ok, err := session.End(t.Context(), end)
				require.NoError(t, err)
				if ok {
					read += fetches.NumRecords()
				}
				s.agree(t, c, name, lagsMayLack)
			}
			s.agree(t, c, name, lagsKnown)
		})
	}
}

// streams: Kafka Streams, exactly once.
func (s *scene) streams(t *testing.T) {
	const partitions, records = 3, 100
	topic, name := named(t, "t"), named(t, "g")
	s.main.topic(t, topic, partitions, records)
	require.NoError(t, s.main.CreateTopic(t.Context(), topic+"-out", 1))
	var library clients.Client
	for _, c := range clients.All() {
		if strings.Contains(c.Name, "Streams") {
			library = c
		}
	}
	p, err := library.Start(t.Context(), clients.Job{Broker: s.main.Broker, Group: name, Topics: []string{topic},
		Output: topic + "-out", Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop(patience)) })
	read := func(each int64) {
		within(t, func(context.Context) error {
			var errs []error
			truth := s.main.truth(t, name)
			for p := range int32(partitions) {
				k := kafka.GroupPartition{Group: name, Topic: topic, Partition: p}
				if got := truth.Committed[k]; got != each {
					errs = append(errs, fmt.Errorf("%v: %d, want %d", k, got, each))
				}
			}
			return errors.Join(errs...)
		})
	}
	read(records)
	s.agree(t, s.main, name, lagsKnown)
	s.main.produce(t, topic, partitions, records)
	read(2 * records)
	s.agree(t, s.main, name, lagsKnown)
}
