// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"net/netip"
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

func TestSweepForgetsTransactions(t *testing.T) {
	p := detached(t)
	transaction(t, p)
	require.NoError(t, p.sweepTransactions(monotonic()+uint64(openTransaction)/2, time.Minute))
	left := func() int {
		n := 0
		require.NoError(t, p.reader.txnOffsets.each(p.objects.TxnOffsets, func(*uint64, *bpf.KafkaTxnOffset) { n++ }))
		return n
	}
	assert.Equal(t, 1, left())
	later := monotonic() + uint64(openTransaction) + uint64(time.Minute)
	require.NoError(t, p.sweepTransactions(later, time.Minute))
	require.NoError(t, p.sweepTransactions(later, time.Minute))
	assert.Zero(t, left())
}

// A broker whose markers are not seen: that a transaction has ended is not seen either.
func TestTransactionsAtABrokerWithoutMarkers(t *testing.T) {
	p := detached(t)
	c := answer(t, p)
	require.NoError(t, p.Feed(c, Received, txnCommitRequest(10, "g", "t", 20)))
	require.NoError(t, p.Feed(c, Sent, txnCommitResponse(10, "t")))
	assert.Empty(t, snapshot(t, p).Open, "its marker may be on its way")
	require.NoError(t, p.reader.txnOffsets.each(p.objects.TxnOffsets, func(id *uint64, v *bpf.KafkaTxnOffset) {
		v.First -= uint64(commitAge + time.Second)
		require.NoError(t, p.objects.TxnOffsets.Put(*id, v))
	}))
	s := snapshot(t, p)
	require.Len(t, s.Open, 1)
	assert.Equal(t, s.Offsets[0].Link, s.Open[0].Link)
	assert.Equal(t, []int64{7}, offsets(s), "what is known is kept: the transaction may be aborted")

	later := monotonic() + uint64(openTransaction) + uint64(time.Minute)
	for range 2 {
		require.NoError(t, p.sweepTransactions(later, time.Minute))
	}
	s = snapshot(t, p)
	assert.Empty(t, s.Open)
	assert.Equal(t, state.OffsetUnknown, s.Offsets[0].Source)
}

// answer is a connection, seen from the broker, on which 7 was committed.
func answer(t *testing.T, p *Probe) *FeedConnection {
	t.Helper()
	c := &FeedConnection{
		Key: 9, Local: netip.MustParseAddrPort("10.0.0.1:9092"), Remote: netip.MustParseAddrPort("10.0.0.9:40009"),
	}
	for _, exchange := range [][2][]byte{
		{heartbeatRequest(1, "g"), frame(int32(1), int16(0))},
		{commitRequest(2, "g", "t", 7), commitResponse(2, "t")},
	} {
		require.NoError(t, p.Feed(c, Received, exchange[0]))
		require.NoError(t, p.Feed(c, Sent, exchange[1]))
	}
	return c
}
