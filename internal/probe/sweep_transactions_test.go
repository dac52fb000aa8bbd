// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/bpf"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

const producerID, producerEpoch = int64(4000), int16(3)

func txnCommitRequest(correlation int32, group, topic string, offset int64) []byte {
	return frame(int16(apiTxnOffsetCommit), int16(0), correlation, "client", "txn", group, producerID, producerEpoch,
		one, topic, one, int32(0), offset, "")
}

func txnCommitResponse(correlation int32, topic string) []byte {
	return frame(correlation, int32(0), one, topic, one, int32(0), int16(0))
}

func endRequest(correlation int32, commit bool) []byte {
	return frame(int16(apiEndTxn), int16(0), correlation, "client", "txn", producerID, producerEpoch, commit)
}

// transaction makes a connection with an open transaction that would take group "g" from 7 to 20.
func transaction(t *testing.T, p *Probe) *FeedConnection {
	t.Helper()
	c := talk(t, p, 1, "10.0.0.1:9092")
	require.NoError(t, p.Feed(c, Sent, txnCommitRequest(10, "g", "t", 20)))
	require.NoError(t, p.Feed(c, Received, txnCommitResponse(10, "t")))
	require.Equal(t, []int64{7}, offsets(snapshot(t, p)), "the transaction is open")
	return c
}

func offsets(s *state.Snapshot) []int64 {
	var values []int64
	for i := range s.Offsets {
		values = append(values, s.Offsets[i].Offset)
	}
	return values
}

func TestTransaction(t *testing.T) {
	p := detached(t)
	c := transaction(t, p)
	require.NoError(t, p.Sweep(time.Hour))
	require.NoError(t, p.Feed(c, Sent, endRequest(11, true)))
	assert.Equal(t, []int64{7}, offsets(snapshot(t, p)), "not answered yet")
	require.NoError(t, p.Feed(c, Received, frame(int32(11), int32(0), int16(0))))
	s := snapshot(t, p)
	assert.Equal(t, []int64{20}, offsets(s))
	assert.Equal(t, state.OffsetTransaction, s.Offsets[0].Source)
}

// A commit of a transaction without an answer may or may not have come into force.
func TestSweepDoubtsUnansweredTransactions(t *testing.T) {
	for _, commit := range []bool{true, false} {
		p := detached(t)
		transaction(t, p)
		s := snapshot(t, p)
		link := s.Offsets[0].Link
		now := monotonic()
		var ids []uint64
		require.NoError(t, p.reader.txnOffsets.each(p.objects.TxnOffsets, func(id *uint64, v *bpf.KafkaTxnOffset) {
			v.Acked = now - uint64(time.Minute)
			ids = append(ids, *id)
			require.NoError(t, p.objects.TxnOffsets.Put(*id, v))
		}))
		require.Len(t, ids, 1)
		var offset bpf.KafkaOffsetKey
		require.NoError(t, p.reader.offsets.each(p.objects.Offsets, func(k *bpf.KafkaOffsetKey, v *bpf.KafkaOffsetValue) {
			offset = *k
			v.Time -= uint64(time.Minute)
			require.NoError(t, p.objects.Offsets.Put(k, v))
		}))
		end := bpf.KafkaRequest{
			Link: uint64(link), Api: apiEndTxn, Producer: producerID, Time: now - uint64(deadAge+time.Second),
		}
		if commit {
			end.Committed = 1
		}
		require.NoError(t, p.objects.Requests.Put(bpf.KafkaRequestKey{Connection: 1 << 60, Correlation: 5}, end))
		snapshot(t, p)
		require.NoError(t, p.Sweep(time.Hour))

		var v bpf.KafkaOffsetValue
		require.NoError(t, p.objects.Offsets.Lookup(&offset, &v))
		assert.Equal(t, commit, v.Source == uint8(bpf.KafkaOffsetSourceOFFSET_UNKNOWN))
		require.NoError(t, p.objects.TxnOffsets.Lookup(ids[0], &bpf.KafkaTxnOffset{}), "the client may ask again")
	}
}

func TestSweepForgetsTransactions(t *testing.T) {
	p := detached(t)
	transaction(t, p)
	unknown := make(map[bpf.KafkaOffsetKey]uint64)
	require.NoError(t, p.sweepTransactions(monotonic()+uint64(openTransaction)/2, time.Minute, nil, unknown))
	left := func() int {
		n := 0
		require.NoError(t, p.reader.txnOffsets.each(p.objects.TxnOffsets, func(*uint64, *bpf.KafkaTxnOffset) { n++ }))
		return n
	}
	assert.Equal(t, 1, left())
	later := monotonic() + uint64(openTransaction) + uint64(time.Minute)
	require.NoError(t, p.sweepTransactions(later, time.Minute, nil, unknown))
	require.NoError(t, p.sweepTransactions(later, time.Minute, nil, unknown))
	assert.Zero(t, left())
	assert.Empty(t, unknown)
}
