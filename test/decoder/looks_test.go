// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// What several clients commit, end and look at, in orders in which the newest statement is not the one that came last:
// from frames to what is published.

// view publishes what the maps hold: -1000 for unknown.
func (s *situation) view(t *testing.T) map[int32]int64 {
	t.Helper()
	m := state.New(state.Options{WatermarkMaxAge: time.Minute, IdleTimeout: time.Hour})
	v := m.Update(s.k.snapshot())
	require.NoError(t, s.k.Forget(m.Void()))
	all := map[int32]int64{}
	for _, g := range v.Groups {
		if g.Group != "g" || g.Topic != "t" {
			continue
		}
		all[g.Partition] = g.Committed
		if g.Unknown {
			all[g.Partition] = changedUnseen
		}
	}
	return all
}

// as runs something of another client id.
func as(client string, f func()) {
	before := testClient
	testClient = client
	defer func() { testClient = before }()
	f()
}

// Who looks at the offset does not make known what its committer sent since.
func TestLostAfterALook(t *testing.T) {
	for _, look := range []bool{false, true} {
		s := situate(t, roomy)
		monitor := s.another()
		s.exchange("g", "t", 1, 10)
		if look {
			as("monitor", func() { monitor.offsetFetch("g", "t", 0, 10) })
		}
		request, response := s.commit("g", "t", 1, 20)
		request[7] = 99 // a version that is too new
		s.feed(true, request)
		s.feed(false, response)
		assert.Equal(t, map[int32]int64{0: changedUnseen}, s.view(t), "look %v", look)
	}
}

// A client that finds its own commit unchanged has not committed anew.
func TestConfirmedWhileTransactionOpen(t *testing.T) {
	s := situate(t, roomy)
	other := s.another()
	a, b := transaction{producer: 7, epoch: 1, committed: true}, transaction{producer: 8, epoch: 1, committed: true}
	s.txn(a, "g", "t", 1, 10)
	s.end(a, 0)
	time.Sleep(2100 * time.Millisecond) // TXN_MARKERS_NS
	as("b", func() { other.txn(b, "g", "t", 1, 20) })
	s.offsetFetch("g", "t", 0, 10)
	as("b", func() { other.end(b, 0) })
	assert.Equal(t, counting(1, 20), s.view(t))
}

// Somebody looks during a group's first transaction, and finds no offset.
func TestNoneFoundWhileTransactionOpen(t *testing.T) {
	s := situate(t, roomy)
	monitor := s.another()
	s.requireUnderstands(t, "before")
	s.txn(txnCommit, "g", "t", 1, 20)
	as("monitor", func() { monitor.offsetFetch("g", "t", 0, -1) })
	s.end(txnCommit, 0)
	for range 2 { // what is void would be forgotten
		assert.Equal(t, counting(1, 20), s.view(t))
	}
}

// There was no room for a transaction's offset; somebody, or the client itself, looks before it ends.
func TestTransactionsFullAndALook(t *testing.T) {
	for _, who := range []string{"monitor", testClient} {
		o := roomy
		o.Pending = 64
		s := situate(t, o)
		monitor := s.another()
		s.exchange("g", "t", 1, 10)
		s.txn(transaction{producer: 9, committed: true}, "h", "u", 60, 1)
		s.txn(transaction{producer: 9, committed: true}, "h", "v", 4, 1)
		s.txn(txnCommit, "g", "t", 1, 20)
		as(who, func() { monitor.offsetFetch("g", "t", 0, 10) })
		s.end(txnCommit, 0)
		v := s.view(t)
		assert.EqualValues(t, changedUnseen, v[0], who)
	}
}

// The answer to a commit within a transaction is not seen, and somebody looks before the transaction ends.
func TestTransactionAnswerUnseenAndALook(t *testing.T) {
	s := situate(t, roomy)
	monitor := s.another()
	s.exchange("g", "t", 1, 10)
	request, response := s.txnFrames(txnCommit, "g", "t", 1, 20)
	s.feed(true, request)
	s.unseen(false, len(response))
	as("monitor", func() { monitor.offsetFetch("g", "t", 0, 10) })
	s.end(txnCommit, 0)
	s.awaitUnknown(t)
}

// awaitUnknown waits until what was not heard of again is doubted.
func (s *situation) awaitUnknown(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return s.view(t)[0] == changedUnseen }, time.Minute, 100*time.Millisecond)
}

// A plain commit is sent before the transaction's, and its answer read after the transaction's end.
func TestPlainAnsweredAfterTheEnd(t *testing.T) {
	s := situate(t, roomy)
	other := s.another()
	s.requireUnderstands(t, "before")
	other.requireUnderstands(t, "before")
	request, response := other.commit("g", "t", 1, 10)
	other.feed(true, request)
	s.txn(txnCommit, "g", "t", 1, 20)
	s.end(txnCommit, 0)
	other.feed(false, response)
	assert.Contains(t, []int64{20, changedUnseen}, s.view(t)[0])
}

// The end of a transaction makes the offset unknown; whoever looks before the markers are written sees the old one.
func TestUnknownEndAndALookBeforeMarkers(t *testing.T) {
	s := situate(t, roomy)
	monitor := s.another()
	s.exchange("g", "t", 1, 10)
	s.txn(txnCommit, "g", "t", 1, -1) // stands for an offset that was not seen
	s.end(txnCommit, 0)
	require.Equal(t, map[int32]int64{0: changedUnseen}, s.view(t))
	as("monitor", func() { monitor.offsetFetch("g", "t", 0, 10) }) // markers are not written yet
	assert.Equal(t, map[int32]int64{0: changedUnseen}, s.view(t), "another client's look")
	s.offsetFetch("g", "t", 0, 10)
	assert.Equal(t, map[int32]int64{0: changedUnseen}, s.view(t), "its own")
}

// Of two commits in flight at once, the one that was sent first does not win because it was answered first.
func TestPlainBesideTransaction(t *testing.T) {
	s := situate(t, roomy)
	other := s.another()
	s.requireUnderstands(t, "before")
	as("b", func() { other.requireUnderstands(t, "before") })
	plain, plainAnswer := s.commit("g", "t", 1, 10)
	s.feed(true, plain)
	as("b", func() {
		txn, txnAnswer := other.txnFrames(txnCommit, "g", "t", 1, 20)
		other.feed(true, txn)
		s.feed(false, plainAnswer)
		other.feed(false, txnAnswer)
		other.end(txnCommit, 0)
	})
	assert.Equal(t, counting(1, 20), s.view(t))
}

// endUnseen ends a producer's transaction; nobody sees how that is answered.
func (s *situation) endUnseen(p transaction) {
	s.correlation++
	req := kmsg.NewPtrEndTxnRequest()
	req.Version, req.ProducerID, req.ProducerEpoch, req.Commit = 4, p.producer, p.epoch, p.committed
	s.feed(true, requestFrame(req, s.correlation, &testClient, noTags))
	s.unseen(false, 20)
}

// The answer to an abort is not seen, and the next transaction, of the same epoch (before KIP-890), is committed.
func TestAbortUnseen(t *testing.T) {
	s := situate(t, roomy)
	s.exchange("g", "t", 2, 10)
	s.txn(txnCommit, "g", "t", 2, 20)
	s.endUnseen(txnAbort)
	s.txn(txnCommit, "g", "t", 1, 30)
	s.end(txnCommit, 0)
	v := s.view(t)
	assert.EqualValues(t, 30, v[0])
	assert.Contains(t, []int64{11, changedUnseen}, v[1], "21 was aborted")
}

// The answer to the end of a transaction is not seen, and the producer's next one is aborted.
func TestCommitUnseen(t *testing.T) {
	for _, bump := range []int16{0, 1} {
		s := situate(t, roomy)
		s.exchange("g", "t", 1, 10)
		s.txn(txnCommit, "g", "t", 1, 20)
		s.endUnseen(txnCommit)
		next := transaction{producer: 7, epoch: txnCommit.epoch + bump}
		s.txn(next, "g", "t", 1, 30)
		s.end(next, 0)
		assert.Equal(t, map[int32]int64{0: changedUnseen}, s.view(t), "the broker has 20")
	}
}

// Markers that are not seen: the brokers encrypt what they say to each other, or one was not understood.
func TestMarkersUnseen(t *testing.T) {
	for _, bump := range []int16{0, 1} {
		s := situateBroker(t, roomy)
		s.offsetFetch("g", "t", 0, 10) // by the member, before it begins
		p := txnCommit
		require.Eventually(t, func() bool {
			s.txn(p, "g", "t", 1, 20)
			p.epoch += bump
			return s.view(t)[0] == changedUnseen
		}, time.Minute, 100*time.Millisecond)
		s.offsetFetch("g", "t", 0, 20)
		assert.Equal(t, map[int32]int64{0: changedUnseen}, s.view(t), "a marker may have come at any time")
		marker := s.another()
		p.epoch -= bump
		marker.feed(true, marker.markers(p))
		assert.Equal(t, counting(1, 20), s.view(t))
	}
}

func TestMarkerNotUnderstood(t *testing.T) {
	s := situateBroker(t, roomy)
	s.exchange("g", "t", 1, 10)
	marker := s.another()
	as("broker-7-txn-marker-sender", func() { marker.requireUnderstands(t, "before") })
	s.txn(txnCommit, "g", "t", 1, 20)
	frame := marker.markers(txnCommit)
	frame[7] = 99 // a version that is too new
	marker.feed(true, frame)
	s.awaitUnknown(t)
}

// ListOffsets tells where the log ends, and nothing of the last stable offset.
func TestStableOffsetIsNotMadeFresh(t *testing.T) {
	s := situate(t, roomy)
	s.requireUnderstands(t, "before")
	fetch := kmsg.NewPtrFetchRequest()
	fetched := kmsg.NewPtrFetchResponse()
	fetch.Version, fetched.Version = 12, 12
	ft := kmsg.NewFetchResponseTopic()
	ft.Topic = "t"
	fp := kmsg.NewFetchResponseTopicPartition()
	fp.HighWatermark, fp.LastStableOffset = 100, 90
	ft.Partitions = append(ft.Partitions, fp)
	fetched.Topics = append(fetched.Topics, ft)
	s.ask(fetch, fetched)

	list := kmsg.NewPtrListOffsetsRequest()
	listed := kmsg.NewPtrListOffsetsResponse()
	list.Version, listed.Version, list.ReplicaID = 6, 6, -1
	qt, rt := kmsg.NewListOffsetsRequestTopic(), kmsg.NewListOffsetsResponseTopic()
	qt.Topic, rt.Topic = "t", "t"
	qp, rp := kmsg.NewListOffsetsRequestTopicPartition(), kmsg.NewListOffsetsResponseTopicPartition()
	qp.Timestamp, rp.Offset = -1, 200
	qt.Partitions, rt.Partitions = append(qt.Partitions, qp), append(rt.Partitions, rp)
	list.Topics = append(list.Topics, qt)
	listed.Topics = append(listed.Topics, rt)
	stable := func() (high, stable int64) {
		for _, w := range s.k.snapshot().Watermarks {
			if s.k.name(uint64(w.Topic)).bytes == "t" {
				return w.HighWatermark, w.LastStable
			}
		}
		return 0, 0
	}
	high, last := stable()
	require.Equal(t, []int64{100, 90}, []int64{high, last})
	s.ask(list, listed)
	high, last = stable()
	assert.Equal(t, []int64{200, -1}, []int64{high, last})
}

// ask makes a request and its response.
func (s *situation) ask(request kmsg.Request, response kmsg.Response) {
	s.correlation++
	s.feed(true, requestFrame(request, s.correlation, &testClient, noTags))
	s.feed(false, responseFrame(response, s.correlation, noTags))
}
