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

func TestUnansweredCommitsAreDoubted(t *testing.T) {
	p := detached(t)
	const link, group, topic, connection, correlation = 70, 71, 72, 1 << 60, 5
	sent := monotonic() - uint64(time.Millisecond)
	key := func(partition int32) bpf.KafkaOffsetKey {
		return bpf.KafkaOffsetKey{Link: link, Group: group, Topic: topic, Partition: partition}
	}
	known := func(partition int32, asked, acked uint64) {
		require.NoError(t, p.objects.Offsets.Put(key(partition),
			bpf.KafkaOffsetValue{Offset: 10, Time: acked, Acked: acked, Ordered: asked}))
	}
	require.NoError(t, p.objects.Links.Put(uint64(link), bpf.KafkaLinkValue{LastSeen: sent}))
	known(0, sent-2, sent-1)
	known(1, sent+1, sent+2)
	known(2, sent-2, sent-1)
	known(4, sent-1, sent+1)
	require.NoError(t, p.objects.Requests.Put(bpf.KafkaRequestKey{Connection: connection, Correlation: correlation},
		bpf.KafkaRequest{Link: link, Group: group, Api: apiOffsetCommit, Time: sent}))
	for _, partition := range []int32{0, 1, 3, 4} {
		require.NoError(t, p.objects.Pending.Put(
			bpf.KafkaPendingKey{Connection: connection, Correlation: correlation, Topic: topic, Partition: partition},
			bpf.KafkaPendingValue{Group: group, Value: 20, Time: sent}))
	}
	snapshot(t, p)
	for partition, want := range []bpf.KafkaOffsetSource{
		bpf.KafkaOffsetSourceOFFSET_UNKNOWN, // changed, perhaps
		bpf.KafkaOffsetSourceOFFSET_COMMIT,  // asked for and acknowledged since
		bpf.KafkaOffsetSourceOFFSET_COMMIT,  // not part of it
		bpf.KafkaOffsetSourceOFFSET_UNKNOWN, // another link may know an older one
		bpf.KafkaOffsetSourceOFFSET_UNKNOWN, // acknowledged since, but asked for before
	} {
		var v bpf.KafkaOffsetValue
		require.NoError(t, p.objects.Offsets.Lookup(key(int32(partition)), &v), partition)
		assert.EqualValues(t, want, v.Source, partition)
	}

	// The request outlives its connection, and with a short idle_timeout its link, too.
	require.NoError(t, p.objects.Links.Delete(uint64(link)))
	for partition := range int32(5) {
		require.NoError(t, ignoreMissing(p.objects.Offsets.Delete(key(partition))))
	}
	assert.Empty(t, snapshot(t, p).Offsets)
	assert.Empty(t, snapshot(t, p).Offsets, "nobody would remove what is written for a link that is gone")
}

// A client that does not read the answer, because it is stopped, does not know what the broker has stored.
func TestCommitsThatStayUnansweredAreDoubted(t *testing.T) {
	p := detached(t)
	c := talk(t, p, 1, "10.0.0.1:9092")
	require.NoError(t, p.Feed(c, Sent, commitRequest(9, "g", "t", 20)))
	known := func() state.Offset {
		s := snapshot(t, p)
		require.Len(t, s.Offsets, 1)
		return s.Offsets[0]
	}
	assert.EqualValues(t, 7, known().Offset, "the answer is on its way")
	past(t, p, commitAge+time.Second)
	assert.Equal(t, state.OffsetUnknown, known().Source)
	assert.Equal(t, state.OffsetUnknown, known().Source)
	require.NoError(t, p.Feed(c, Received, commitResponse(9, "t")))
	assert.EqualValues(t, 20, known().Offset, "the answer was read after all")
}

// A commit of a transaction without an answer may or may not have come into force.
func TestUnansweredTransactionsAreDoubted(t *testing.T) {
	for _, commit := range []bool{true, false} {
		p := detached(t)
		transaction(t, p)
		s := snapshot(t, p)
		link := s.Offsets[0].Link
		now := monotonic()
		var ids []uint64
		require.NoError(t, p.reader.txnOffsets.each(p.objects.TxnOffsets, func(id *uint64, v *bpf.KafkaTxnOffset) {
			v.Asked = now - uint64(time.Minute)
			ids = append(ids, *id)
			require.NoError(t, p.objects.TxnOffsets.Put(*id, v))
		}))
		require.Len(t, ids, 1)
		var offset bpf.KafkaOffsetKey
		require.NoError(t, p.reader.offsets.each(p.objects.Offsets, func(k *bpf.KafkaOffsetKey, v *bpf.KafkaOffsetValue) {
			offset = *k
			v.Time -= uint64(time.Minute)
			v.Ordered -= uint64(time.Minute)
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

		var v bpf.KafkaOffsetValue
		require.NoError(t, p.objects.Offsets.Lookup(&offset, &v))
		assert.Equal(t, commit, v.Source == uint8(bpf.KafkaOffsetSourceOFFSET_UNKNOWN))
		require.NoError(t, p.objects.TxnOffsets.Lookup(ids[0], &bpf.KafkaTxnOffset{}), "the client may ask again")
	}
}

// What makes an offset doubtful decides what makes it known again: the answer to the end of a transaction brings the
// offset of its commit into force, unless a later commit has not been answered.
func TestAnsweredEndsOfTransactionsAfterDoubt(t *testing.T) {
	for name, unanswered := range map[string]bool{"the end alone": false, "a later commit too": true} {
		t.Run(name, func(t *testing.T) {
			p := detached(t)
			c := transaction(t, p)
			if unanswered {
				require.NoError(t, p.Feed(c, Sent, txnCommitRequest(11, "g", "t", 30)))
			}
			require.NoError(t, p.Feed(c, Sent, endRequest(12, true)))
			past(t, p, commitAge+time.Second)
			for range 2 {
				s := snapshot(t, p)
				require.Len(t, s.Offsets, 1)
				require.Equal(t, state.OffsetUnknown, s.Offsets[0].Source)
			}
			retry := *c
			retry.Key, retry.Local = 2, netip.AddrPortFrom(c.Local.Addr(), c.Local.Port()+1)
			require.NoError(t, p.Feed(&retry, Sent, endRequest(13, true)))
			require.NoError(t, p.Feed(&retry, Received, frame(int32(13), int32(0), int16(0))))
			want := int64(20)
			if unanswered {
				want = -1
			}
			assert.Equal(t, []int64{want}, offsets(snapshot(t, p)))
		})
	}
}

// past has everything in the maps of commits and transactions be older by so much.
func past(t *testing.T, p *Probe, age time.Duration) {
	t.Helper()
	by := uint64(age)
	m := &p.objects.KafkaMaps
	require.NoError(t, p.reader.requests.each(m.Requests, func(k *bpf.KafkaRequestKey, v *bpf.KafkaRequest) {
		v.Time -= by
		require.NoError(t, m.Requests.Put(k, v))
	}))
	require.NoError(t, p.reader.pending.each(m.Pending, func(k *bpf.KafkaPendingKey, v *bpf.KafkaPendingValue) {
		v.Time -= by
		require.NoError(t, m.Pending.Put(k, v))
	}))
	require.NoError(t, p.reader.txnOffsets.each(m.TxnOffsets, func(id *uint64, v *bpf.KafkaTxnOffset) {
		v.Asked -= by
		require.NoError(t, m.TxnOffsets.Put(*id, v))
	}))
	require.NoError(t, p.reader.offsets.each(m.Offsets, func(k *bpf.KafkaOffsetKey, v *bpf.KafkaOffsetValue) {
		v.Time, v.Acked, v.Ordered, v.Committed = v.Time-by, v.Acked-by, v.Ordered-by, v.Committed-by
		require.NoError(t, m.Offsets.Put(k, v))
	}))
}
