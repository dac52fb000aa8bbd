// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"maps"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// Offsets within transactions: what counts is how the transaction ends.

const (
	producerFenced         = 90
	concurrentTransactions = 51
)

// situateBroker is situate at the end that answers.
func situateBroker(t testing.TB, o probe.Options) *situation {
	k := load(t, o)
	return &situation{connection: k.connect(state.RoleBroker), began: k.stats()}
}

// at opens another connection of the same client, to another broker.
func (s *situation) at(broker string) *situation {
	other := s.another()
	other.Remote = netip.MustParseAddrPort(broker)
	return other
}

// txn commits within a producer's transaction, partition i at first+i; everything is accepted.
func (s *situation) txn(producer transaction, group, topic string, partitions int, first int64) {
	request, response := s.txnFrames(producer, group, topic, partitions, first)
	s.feed(true, request)
	s.feed(false, response)
}

func (s *situation) txnFrames(producer transaction, group, topic string, partitions int, first int64) (request, response []byte) {
	s.correlation++
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.Version, req.Group, req.ProducerID, req.ProducerEpoch = 5, group, producer.producer, producer.epoch
	resp := kmsg.NewPtrTxnOffsetCommitResponse()
	resp.Version = 5
	qt := kmsg.NewTxnOffsetCommitRequestTopic()
	rt := kmsg.NewTxnOffsetCommitResponseTopic()
	qt.Topic, rt.Topic = topic, topic
	for i := range partitions {
		p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset = int32(i), first+int64(i)
		qt.Partitions = append(qt.Partitions, p)
		rt.Partitions = append(rt.Partitions, kmsg.TxnOffsetCommitResponseTopicPartition{Partition: int32(i)})
	}
	req.Topics, resp.Topics = append(req.Topics, qt), append(resp.Topics, rt)
	return requestFrame(req, s.correlation, &testClient, noTags), responseFrame(resp, s.correlation, noTags)
}

// end ends a producer's transaction as the client does, and answers with an error code.
func (s *situation) end(producer transaction, code int16) {
	s.correlation++
	req := kmsg.NewPtrEndTxnRequest()
	req.Version, req.ProducerID, req.ProducerEpoch, req.Commit = 5, producer.producer, producer.epoch, producer.committed
	resp := kmsg.NewPtrEndTxnResponse()
	resp.Version, resp.ErrorCode, resp.ProducerID, resp.ProducerEpoch = 5, code, producer.producer, producer.epoch+1
	s.feed(true, requestFrame(req, s.correlation, &testClient, noTags))
	s.feed(false, responseFrame(resp, s.correlation, noTags))
}

// markers are what a transaction's coordinator tells the group's.
func (s *situation) markers(ends ...transaction) []byte {
	s.correlation++
	sender := "broker-7-txn-marker-sender"
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	req.Version = 1
	for _, e := range ends {
		m := kmsg.NewWriteTxnMarkersRequestMarker()
		m.ProducerID, m.ProducerEpoch, m.Committed = e.producer, e.epoch, e.committed
		m.Topics = append(m.Topics, kmsg.WriteTxnMarkersRequestMarkerTopic{Topic: "__consumer_offsets", Partitions: []int32{3, 4}})
		req.Markers = append(req.Markers, m)
	}
	return requestFrame(req, s.correlation, &sender, noTags)
}

// fetched makes an OffsetFetch of one partition and its response.
func (s *situation) fetched(group, topic string, partition int32, offset int64) (request, response []byte) {
	s.correlation++
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.Group = 5, group
	resp := kmsg.NewPtrOffsetFetchResponse()
	resp.Version = 5
	t := kmsg.NewOffsetFetchResponseTopic()
	t.Topic = topic
	p := kmsg.NewOffsetFetchResponseTopicPartition()
	p.Partition, p.Offset = partition, offset
	t.Partitions = append(t.Partitions, p)
	resp.Topics = append(resp.Topics, t)
	return requestFrame(req, s.correlation, &testClient, noTags), responseFrame(resp, s.correlation, noTags)
}

func (s *situation) offsetFetch(group, topic string, partition int32, offset int64) {
	request, response := s.fetched(group, topic, partition, offset)
	s.feed(true, request)
	s.feed(false, response)
}

// sources tells how the offsets of a group and topic came to be known.
func (s *situation) sources(group, topic string) map[int32]state.OffsetSource {
	all := map[int32]state.OffsetSource{}
	for _, o := range s.k.snapshot().Offsets {
		if s.k.name(uint64(o.Group)).bytes == group && s.k.name(uint64(o.Topic)).bytes == topic {
			all[o.Partition] = o.Source
		}
	}
	return all
}

// describe has the broker say which cluster it is of.
func (s *situation) describe(cluster string) {
	s.correlation++
	req := kmsg.NewPtrDescribeClusterRequest()
	resp := kmsg.NewPtrDescribeClusterResponse()
	resp.ClusterID = cluster
	s.feed(true, requestFrame(req, s.correlation, &testClient, noTags))
	s.feed(false, responseFrame(resp, s.correlation, noTags))
}

var (
	txnCommit = transaction{producer: 7, epoch: 3, committed: true}
	txnAbort  = transaction{producer: 7, epoch: 3}
)

func TestTransactionCommitted(t *testing.T) {
	s := situate(t, roomy)
	s.exchange("g", "orders", 2, 10)
	s.txn(txnCommit, "g", "orders", 3, 20)
	require.Equal(t, counting(2, 10), s.committed("g", "orders"), "while the transaction is open")
	s.end(txnCommit, 0)
	require.Equal(t, counting(3, 20), s.committed("g", "orders"))
	require.Equal(t, map[int32]state.OffsetSource{
		0: state.OffsetTransaction, 1: state.OffsetTransaction, 2: state.OffsetTransaction,
	}, s.sources("g", "orders"))
	s.end(txnCommit, 0) // a retry of what has ended
	require.Equal(t, counting(3, 20), s.committed("g", "orders"))
	require.Zero(t, s.k.entries()["txn_offsets"])
	require.Equal(t, none, s.left())
}

func TestTransactionAborted(t *testing.T) {
	s := situate(t, roomy)
	s.exchange("g", "orders", 2, 10)
	s.txn(txnCommit, "g", "orders", 3, 20)
	s.end(txnAbort, 0)
	require.Equal(t, counting(2, 10), s.committed("g", "orders"))
	s.end(txnCommit, 0) // of another transaction, in which no offsets were
	require.Equal(t, counting(2, 10), s.committed("g", "orders"))
	s.txn(txnCommit, "g", "orders", 3, 30)
	s.end(txnCommit, 0)
	require.Equal(t, counting(3, 30), s.committed("g", "orders"))
	require.Equal(t, none, s.left())
}

// A transaction with several groups, whose coordinators and whose own are different brokers.
func TestTransactionOverSeveralBrokers(t *testing.T) {
	s := situate(t, roomy)
	one, two, coordinator := s.at("10.0.0.3:9092"), s.at("10.0.0.4:9092"), s.at("10.0.0.5:9092")
	s.txn(txnCommit, "g1", "orders", 3, 10)
	one.txn(txnCommit, "g2", "orders", 3, 20)
	two.txn(txnCommit, "g2", "payments", 3, 30)
	two.txn(txnCommit, "g3", "payments", 3, 40)
	one.close()
	require.Empty(t, s.k.snapshot().Offsets)
	coordinator.end(txnCommit, 0)
	require.Equal(t, counting(3, 10), s.committed("g1", "orders"))
	require.Equal(t, counting(3, 20), s.committed("g2", "orders"))
	require.Equal(t, counting(3, 30), s.committed("g2", "payments"))
	require.Equal(t, counting(3, 40), s.committed("g3", "payments"))
	require.Equal(t, none, s.left())
}

// Another client of the same process, and another producer of the same client, end theirs.
func TestTransactionsOfOthers(t *testing.T) {
	s := situate(t, roomy)
	s.txn(txnCommit, "g", "orders", 1, 10)
	s.end(transaction{producer: 8, epoch: 3, committed: true}, 0)
	require.Empty(t, s.committed("g", "orders"))
	testClient = "other-client"
	s.another().end(txnCommit, 0)
	testClient = "test-client"
	require.Empty(t, s.committed("g", "orders"))
	s.end(txnCommit, 0)
	require.Equal(t, counting(1, 10), s.committed("g", "orders"))
}

// The latest within the transaction counts.
func TestTransactionTwice(t *testing.T) {
	s := situate(t, roomy)
	s.txn(txnCommit, "g", "orders", 3, 10)
	s.txn(txnCommit, "g", "orders", 2, 5)
	s.end(txnCommit, 0)
	require.Equal(t, map[int32]int64{0: 5, 1: 6, 2: 12}, s.committed("g", "orders"))
	require.Equal(t, none, s.left())
}

func TestTransactionEndRefused(t *testing.T) {
	s := situate(t, roomy)
	s.exchange("g", "orders", 1, 10)
	s.txn(txnCommit, "g", "orders", 1, 20)
	s.end(txnCommit, concurrentTransactions)
	require.Equal(t, counting(1, 10), s.committed("g", "orders"))
	s.end(txnCommit, 0)
	require.Equal(t, counting(1, 20), s.committed("g", "orders"))
	s.txn(txnCommit, "g", "orders", 1, 30)
	s.end(txnCommit, producerFenced)
	require.Equal(t, counting(1, 20), s.committed("g", "orders"))
}

// What an older epoch of the producer left open was aborted when the new one began.
func TestTransactionOfAnOlderEpoch(t *testing.T) {
	s := situate(t, roomy)
	s.exchange("g", "orders", 3, 10)
	s.txn(txnCommit, "g", "orders", 3, 20) // and its producer dies
	newer := transaction{producer: 7, epoch: 4, committed: true}
	s.txn(newer, "g", "orders", 1, 30)
	s.end(newer, 0)
	require.Equal(t, map[int32]int64{0: 30, 1: 11, 2: 12}, s.committed("g", "orders"))
	s.end(txnCommit, 0)
	require.Equal(t, map[int32]int64{0: 30, 1: 11, 2: 12}, s.committed("g", "orders"))
	require.Zero(t, s.k.entries()["txn_offsets"])
}

// The epoch grows with each transaction (KIP-890), and after the largest comes another producer id.
func TestTransactionEpochs(t *testing.T) {
	s := situate(t, roomy)
	p := transaction{producer: 7, epoch: 32765, committed: true}
	for i := range 5 {
		s.txn(p, "g", "orders", 2, int64(10*i))
		s.end(p, 0)
		require.Equal(t, counting(2, int64(10*i)), s.committed("g", "orders"))
		if p.epoch++; p.epoch == 32767 {
			p = transaction{producer: 8, committed: true}
		}
	}
}

func TestTransactionOfADeadProducer(t *testing.T) {
	s := situate(t, roomy)
	s.exchange("g", "orders", 2, 10)
	s.txn(txnCommit, "g", "orders", 2, 20)
	s.close()
	require.NoError(t, s.k.Sweep(time.Hour))
	require.Equal(t, counting(2, 10), s.committed("g", "orders"))
	require.Equal(t, 2, s.k.entries()["txn_offsets"], "a commit on its way may still bring them into force")
}

// A broker answers EndTxn before it has written the markers: so long an OffsetFetch may tell the old offset.
func TestTransactionReadBeforeItsMarkers(t *testing.T) {
	s := situate(t, roomy)
	s.exchange("g", "orders", 1, 10)
	s.txn(txnCommit, "g", "orders", 1, 20)
	began := time.Now()
	s.end(txnCommit, 0)
	s.offsetFetch("g", "orders", 0, 10)
	require.Equal(t, counting(1, 20), s.committed("g", "orders"))
	s.offsetFetch("g", "orders", 0, 20)
	require.Equal(t, state.OffsetTransaction, s.sources("g", "orders")[0])
	for s.committed("g", "orders")[0] == 20 {
		require.Less(t, time.Since(began), time.Minute)
		time.Sleep(10 * time.Millisecond)
		s.offsetFetch("g", "orders", 0, 15)
	}
	require.Equal(t, counting(1, 15), s.committed("g", "orders"))
	require.Greater(t, time.Since(began), 2*time.Second) // TXN_MARKERS_NS of bpf/sinks_offsets.h
}

// An offset that was read and found to be the transaction's does not keep a newer one from being read.
func TestTransactionConfirmedAndOvertaken(t *testing.T) {
	s := situate(t, roomy)
	s.txn(txnCommit, "g", "orders", 1, 20)
	s.end(txnCommit, 0)
	time.Sleep(2100 * time.Millisecond) // TXN_MARKERS_NS
	s.offsetFetch("g", "orders", 0, 20)
	s.offsetFetch("g", "orders", 0, 30) // what another member has committed
	require.Equal(t, counting(1, 30), s.committed("g", "orders"))
}

// A group's coordinator goes by the order of the commits.
func TestCommitDuringATransaction(t *testing.T) {
	s := situate(t, roomy)
	s.exchange("g", "orders", 3, 10)
	s.txn(txnCommit, "g", "orders", 3, 20)
	s.exchange("g", "orders", 2, 30)
	s.end(txnCommit, 0)
	require.Equal(t, map[int32]int64{0: 30, 1: 31, 2: 22}, s.committed("g", "orders"))
}

// A commit from before the transaction that is read again during it is still from before.
func TestCommitReadDuringATransaction(t *testing.T) {
	s := situate(t, roomy)
	s.exchange("g", "orders", 1, 10)
	s.txn(txnCommit, "g", "orders", 1, 20)
	s.offsetFetch("g", "orders", 0, 10)
	s.end(txnCommit, 0)
	require.Equal(t, counting(1, 20), s.committed("g", "orders"))
}

// The same of an offset that another client committed, or that was not there.
func TestOffsetReadDuringATransaction(t *testing.T) {
	for _, before := range []int64{10, -1} {
		s := situate(t, roomy)
		s.offsetFetch("g", "orders", 0, before)
		s.txn(txnCommit, "g", "orders", 1, 20)
		s.offsetFetch("g", "orders", 0, before)
		s.end(txnCommit, 0)
		require.Equal(t, counting(1, 20), s.committed("g", "orders"))
	}
}

func TestLargeTransaction(t *testing.T) {
	for _, markers := range []bool{false, true} {
		s := situate(t, roomy)
		if markers {
			s = situateBroker(t, roomy)
		}
		s.requireUnderstands(t, "before")
		s.txn(txnCommit, "g", "orders", 5000, 1000)
		if markers {
			s.feed(true, s.markers(txnCommit))
		} else {
			s.end(txnCommit, 0)
		}
		require.Equal(t, counting(5000, 1000), s.committed("g", "orders"))
		require.Zero(t, s.k.entries()["txn_offsets"])
		require.Equal(t, none, s.left())
	}
}

// No room: the transaction's end will change the offset to one that is not known.
func TestTransactionsFull(t *testing.T) {
	s := situate(t, probe.Options{Pending: 64})
	s.exchange("g", "orders", 1, 10)
	s.txn(txnCommit, "g", "orders", 60, 100)
	s.txn(txnCommit, "g", "payments", 10, 200)
	require.Equal(t, count(6, "transaction_full"), s.left())
	s.end(txnCommit, 0)
	require.Equal(t, counting(60, 100), s.committed("g", "orders"))
	sums := map[int64]int{}
	for p, offset := range s.committed("g", "payments") {
		if offset == changedUnseen {
			sums[offset]++
		} else {
			require.Equal(t, int64(200+p), offset)
		}
	}
	require.Equal(t, map[int64]int{changedUnseen: 6}, sums)
	time.Sleep(2100 * time.Millisecond) // TXN_MARKERS_NS
	s.offsetFetch("g", "payments", 9, 7)
	require.EqualValues(t, 7, s.committed("g", "payments")[9])
	for i := range int64(9) { // more producers than there is room for
		s.txn(transaction{producer: 100 + i, committed: true}, "g", "refunds", 1, 10)
	}
	require.Greater(t, s.left()["transaction_full"], uint64(6))
}

// An offset of less than nothing is no lack of room.
func TestTransactionOfANegativeOffset(t *testing.T) {
	s := situate(t, roomy)
	s.txn(txnCommit, "g", "orders", 1, -5)
	s.end(txnCommit, 0)
	require.Equal(t, map[int32]int64{0: changedUnseen}, s.committed("g", "orders"))
	require.Equal(t, none, s.left())
	s.exchange("g", "orders", 1, 10)
	s.txn(txnCommit, "g", "orders", 1, -5)
	require.Equal(t, counting(1, 10), s.committed("g", "orders"), "while the transaction is open")
	s.end(txnAbort, 0)
	require.Equal(t, counting(1, 10), s.committed("g", "orders"))
}

// What is not known of a partition may be newer than what a transaction has of it: its end does not make it known.
func TestTransactionOverUnknown(t *testing.T) {
	type step func(s *situation, p transaction)
	for name, c := range map[string]struct {
		then step
		want map[int32]state.OffsetSource
	}{
		"commit of the transaction, without room": {func(s *situation, p transaction) {
			other := s.another()
			request, response := other.commit("h", "u", 200, 1)
			other.feed(true, request)
			s.txn(p, "g", "t", 1, 5000)
			other.feed(false, response) // and room again
		}, map[int32]state.OffsetSource{0: state.OffsetUnknown}},
		"commit of the transaction, not an offset": {func(s *situation, p transaction) {
			s.txn(p, "g", "t", 1, -1)
		}, map[int32]state.OffsetSource{0: state.OffsetUnknown}},
		"... and another looks": {func(s *situation, p transaction) {
			s.txn(p, "g", "t", 1, -1)
			s.offsetFetch("g", "t", 0, 7)
		}, map[int32]state.OffsetSource{0: state.OffsetUnknown}},
		"plain commit, not an offset": {func(s *situation, _ transaction) {
			s.exchange("g", "t", 1, -1)
		}, map[int32]state.OffsetSource{0: state.OffsetUnknown}},
		"plain commit, not an offset, and another looks": {func(s *situation, _ transaction) {
			s.exchange("g", "t", 1, -1)
			s.offsetFetch("g", "t", 0, 5000)
		}, map[int32]state.OffsetSource{0: state.OffsetFetched}},
		"plain commit, and another looks": {func(s *situation, _ transaction) {
			s.exchange("g", "t", 1, 4000)
			s.offsetFetch("g", "t", 0, 5000)
		}, map[int32]state.OffsetSource{0: state.OffsetFetched}},
	} {
		t.Run(name, func(t *testing.T) {
			o := roomy
			o.Pending = 64
			s := situate(t, o)
			s.requireUnderstands(t, "before")
			p := transaction{producer: 7, epoch: 1, committed: true}
			s.txn(p, "g", "t", 1, 100)
			c.then(s, p)
			s.end(p, 0)
			require.Equal(t, c.want, s.sources("g", "t"))
			s.txn(p, "g", "t", 1, 6000)
			s.end(p, 0)
			require.Equal(t, counting(1, 6000), s.committed("g", "t"))
		})
	}
}

// A marker comes over a connection of its own, from another broker, for several producers. With KIP-890 its epoch is
// one more than that of the commits.
func TestMarkers(t *testing.T) {
	s := situateBroker(t, roomy)
	s.exchange("g", "orders", 4, 10)
	marker := s.another()
	marker.requireUnderstands(t, "before")
	for p := range int64(4) {
		s.txn(transaction{producer: p, epoch: 3}, "g"+string(rune('0'+p)), "orders", 3, 100*p)
	}
	require.Empty(t, s.committed("g0", "orders"))
	marker.feed(true, marker.markers(
		transaction{producer: 0, epoch: 3, committed: true}, transaction{producer: 1, epoch: 4, committed: true},
		transaction{producer: 2, epoch: 3}, transaction{producer: 99, committed: true}, transaction{producer: 3, epoch: 5, committed: true}))
	require.Equal(t, counting(3, 0), s.committed("g0", "orders"))
	require.Equal(t, counting(3, 100), s.committed("g1", "orders"))
	require.Empty(t, s.committed("g2", "orders"), "aborted")
	require.Empty(t, s.committed("g3", "orders"), "two epochs older: aborted before")
	require.Equal(t, counting(4, 10), s.committed("g", "orders"))
	require.Zero(t, s.k.entries()["txn_offsets"])
	require.Equal(t, none, s.left())
	s.txn(transaction{producer: 2, epoch: 4}, "g2", "orders", 3, 7)
	marker.feed(true, marker.markers(transaction{producer: 2, epoch: 5, committed: true}))
	require.Equal(t, counting(3, 7), s.committed("g2", "orders"))
}

// Brokers before Kafka 4.0 begin a connection for markers with the first of them.
func TestMarkerFirstOfItsConnection(t *testing.T) {
	s := situateBroker(t, roomy)
	s.exchange("g", "orders", 1, 10)
	s.txn(txnCommit, "g", "orders", 1, 20)
	marker := s.another()
	marker.feed(true, marker.markers(txnCommit))
	resp := kmsg.NewPtrWriteTxnMarkersResponse()
	resp.Version = 1
	marker.feed(false, responseFrame(resp, marker.correlation, noTags))
	require.Equal(t, counting(1, 20), s.committed("g", "orders"))
}

// The transaction's coordinator, if that is here, only sends markers; and what clients say to it ends nothing on
// brokers, which wait for the marker.
func TestEndsThatAreNone(t *testing.T) {
	s := situate(t, roomy)
	s.exchange("g", "orders", 1, 10)
	s.txn(txnCommit, "g", "orders", 1, 20)
	s.feed(true, s.markers(txnCommit))
	require.Equal(t, counting(1, 10), s.committed("g", "orders"))

	b := situateBroker(t, roomy)
	b.exchange("g", "orders", 1, 10)
	b.txn(txnCommit, "g", "orders", 1, 20)
	b.end(txnCommit, 0)
	require.Equal(t, counting(1, 10), b.committed("g", "orders"))
	b.feed(true, b.markers(txnCommit))
	require.Equal(t, counting(1, 20), b.committed("g", "orders"))
}

// One client id in two clusters, in each a producer of the same id: which of the two ends is not known.
func TestTransactionUnknown(t *testing.T) {
	for _, end := range []transaction{txnCommit, txnAbort} {
		s := situate(t, roomy)
		other := s.at("10.9.0.1:9092")
		s.describe("cluster-1")
		other.describe("cluster-2")
		s.exchange("g", "orders", 1, 10)
		s.txn(txnCommit, "g", "orders", 1, 20)
		other.txn(txnCommit, "g", "payments", 1, 30)
		other.end(end, 0)
		if end.committed {
			require.Equal(t, counting(1, 30), s.committed("g", "payments"))
		}
		s.end(txnCommit, 0)
		got := s.committed("g", "orders")
		require.Contains(t, []map[int32]int64{{0: changedUnseen}, {0: 20}}, got, "ended there: %+v", end)
		if maps.Equal(got, map[int32]int64{0: changedUnseen}) {
			require.Equal(t, count(1, "transaction_unknown"), s.left())
		}
	}
}
