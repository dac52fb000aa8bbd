// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

// transactionsBesideCommits: somebody resets the offsets while a transaction
// is open. The coordinator goes by the order of the two commits.
func (s *scene) transactionsBesideCommits(t *testing.T) {
	const records = 100
	topic, name := named(t, "t"), named(t, "g")
	s.main.topic(t, topic, 1, records)
	require.NoError(t, s.main.CreateTopic(t.Context(), topic+"-out", 1))
	admin := startApp(t, "admin").client(s.main.Addr, "admin")
	producer := startApp(t, "producer").client(s.main.Addr, "producer", kgo.TransactionalID(name))
	offset := int64(10)
	transact := func(end kgo.TransactionEndTry, between ...int64) {
		t.Helper()
		offset += 10
		require.NoError(t, producer.BeginTransaction())
		require.NoError(t, producer.ProduceSync(t.Context(), &kgo.Record{Topic: topic + "-out"}).FirstErr())
		require.NoError(t, commitInTransaction(t.Context(), producer, name, topic, offset))
		for _, plain := range between {
			commit(t, admin, name, topic, plain)
		}
		require.NoError(t, producer.EndTransaction(t.Context(), end))
		s.agree(t, s.main, name, lagsMayLack)
	}
	transact(kgo.TryCommit)
	transact(kgo.TryAbort)
	transact(kgo.TryCommit, 1)
	transact(kgo.TryAbort, 2)
	commit(t, admin, name, topic, 3)
	s.agree(t, s.main, name, lagsMayLack)
	transact(kgo.TryCommit)
}

// commitInTransaction commits an offset of partition 0, as nobody's member.
func commitInTransaction(ctx context.Context, producer *kgo.Client, group, topic string, offset int64) error {
	id, epoch, err := producer.ProducerID(ctx)
	if err != nil {
		return err
	}
	add := kmsg.NewPtrAddOffsetsToTxnRequest() // since KIP-890 the next request does that, too
	add.TransactionalID, add.Group, add.ProducerID, add.ProducerEpoch = transactionalID(producer), group, id, epoch
	added, err := add.RequestWith(ctx, producer)
	if err == nil {
		err = kerr.ErrorForCode(added.ErrorCode)
	}
	if err != nil {
		return err
	}
	q := kmsg.NewPtrTxnOffsetCommitRequest()
	q.TransactionalID, q.Group, q.ProducerID, q.ProducerEpoch = transactionalID(producer), group, id, epoch
	p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	p.Offset = offset
	one := kmsg.NewTxnOffsetCommitRequestTopic()
	one.Topic, one.Partitions = topic, append(one.Partitions, p)
	q.Topics = append(q.Topics, one)
	r, err := q.RequestWith(ctx, producer)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(r.Topics[0].Partitions[0].ErrorCode)
}

func transactionalID(producer *kgo.Client) string {
	return producer.OptValue(kgo.TransactionalID).(string)
}

// transactionsInTwoClusters: one process, one client id and one producer id in
// two clusters, both of which number their producers from 0.
func (s *scene) transactionsInTwoClusters(t *testing.T) {
	const records = 100
	topic, name := named(t, "t"), named(t, "g")
	a := startApp(t, "producers")
	both := []*cluster{s.main, s.other}
	producers, ids := make([]*kgo.Client, 2), make([]int64, 2)
	for _, c := range both {
		c.topic(t, topic, 1, records)
	}
	for n := 0; n == 0 || ids[0] != ids[1]; n++ { // of the one that is behind, a new one
		for i, c := range both {
			if n > 0 && ids[i] >= ids[1-i] {
				continue
			}
			options := []kgo.Opt{kgo.TransactionalID(fmt.Sprintf("%s-%d", name, n))}
			if c == s.other {
				options = append(options, kgo.MaxVersions(kversion.V3_8_0())) // before KIP-890, as the broker
			}
			producers[i] = a.client(c.Addr, "same", options...)
			var err error
			ids[i], _, err = producers[i].ProducerID(t.Context())
			require.NoError(t, err)
		}
	}
	offset := int64(0)
	for _, ends := range [][]kgo.TransactionEndTry{
		{kgo.TryCommit, kgo.TryCommit}, {kgo.TryCommit, kgo.TryAbort},
		{kgo.TryAbort, kgo.TryCommit}, {kgo.TryCommit, kgo.TryCommit},
	} {
		for i, p := range producers {
			offset++
			require.NoError(t, p.BeginTransaction())
			require.NoError(t, p.ProduceSync(t.Context(), &kgo.Record{Topic: topic}).FirstErr())
			within(t, func(ctx context.Context) error { return commitInTransaction(ctx, p, name, topic, offset+int64(i)*50) })
		}
		for i, p := range producers {
			require.NoError(t, p.EndTransaction(t.Context(), ends[i]))
			for _, c := range both {
				s.rightOrNone(t, c, name)
			}
		}
	}
}

// rightOrNone awaits that each view has a group's only offset as the broker has
// it, or has none and says that it lost something.
func (s *scene) rightOrNone(t *testing.T, c *cluster, group string) {
	t.Helper()
	for _, v := range s.views() {
		v.await(t, time.Now(), func(said snapshot) error {
			truth := c.truth(t, group) // markers come after the answer to who ends a transaction
			of := said.With("group", group).With("kafka_cluster_id", c.ClusterID)
			if len(of.Named("kafka_consumer_group_offset")) > 0 || len(truth.Committed) == 0 {
				return compare(said.Samples, c, truth, group, lagsMayLack)
			}
			counters := v.counters()
			if counters["drops transaction_unknown"]+counters["drops_total transaction_unknown"] == 0 {
				return fmt.Errorf("there is no offset of %s in %s and no reason: %v", group, c.ClusterID, counters)
			}
			return nil
		})
	}
}

// transactionsUnanswered: a producer dies after it has asked to commit and
// before it is answered. The old offset must not stand.
func (s *scene) transactionsUnanswered(t *testing.T) {
	const records, before, after = 100, 10, 20
	topic, name := named(t, "t"), named(t, "g")
	s.main.topic(t, topic, 1, records)
	a := startApp(t, "producer")
	producer := a.client(s.main.Addr, "producer", kgo.TransactionalID(name))
	transact := func(offset int64) {
		require.NoError(t, producer.BeginTransaction())
		require.NoError(t, producer.ProduceSync(t.Context(), &kgo.Record{Topic: topic}).FirstErr())
		require.NoError(t, commitInTransaction(t.Context(), producer, name, topic, offset))
	}
	transact(before)
	require.NoError(t, producer.EndTransaction(t.Context(), kgo.TryCommit))
	s.agree(t, s.main, name, lagsMayLack)
	transact(after)
	id, epoch, err := producer.ProducerID(t.Context())
	require.NoError(t, err)

	// On a connection that has spoken before: what comes first might be anything.
	c, err := a.dial(t.Context(), "", s.main.Addr+readsOnce)
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	formatter := kmsg.NewRequestFormatter(kmsg.FormatterClientID("producer"))
	versions := kmsg.NewPtrApiVersionsRequest()
	versions.Version, versions.ClientSoftwareName, versions.ClientSoftwareVersion = 3, "test", "1"
	_, err = c.Write(formatter.AppendRequest(nil, versions, 1))
	require.NoError(t, err)
	size := make([]byte, 4)
	_, err = io.ReadFull(c, size)
	require.NoError(t, err)
	_, err = io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(size)))
	require.NoError(t, err)
	end := kmsg.NewPtrEndTxnRequest()
	end.Version, end.TransactionalID, end.ProducerID, end.ProducerEpoch, end.Commit = 5, name, id, epoch, true
	_, err = c.Write(formatter.AppendRequest(nil, end, 2))
	require.NoError(t, err)
	within(t, func(context.Context) error { // the broker has done it; nobody reads its answer
		if got := s.main.truth(t, name).Committed[kafka.GroupPartition{Group: name, Topic: topic}]; got != after {
			return fmt.Errorf("committed %d", got)
		}
		return nil
	})
	a.kill()
	s.agreeOn(t, []*view{s.broker}, s.main, name, lagsMayLack)
	s.clients.await(t, time.Now(), func(said snapshot) error {
		left := said.Named("kafka_consumer_group_offset").With("group", name)
		if len(left) == 0 {
			return nil
		}
		return fmt.Errorf("still there: %v", left)
	})
}
