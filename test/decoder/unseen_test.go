// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// Bytes that pass unseen: a broker sends the records of a Fetch by sendfile.

// fetch makes a Fetch of one topic and its response; each partition i has high watermark 1000+i and its records.
func (s *situation) fetch(records ...[]byte) (request, response []byte) {
	return s.fetchAs(-1, records...)
}

// fetchAs is fetch by the broker with that id, or by a consumer: -1.
func (s *situation) fetchAs(replica int32, records ...[]byte) (request, response []byte) {
	s.correlation++
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.ReplicaID = 12, replica
	resp := kmsg.NewPtrFetchResponse()
	resp.Version = 12
	t := kmsg.NewFetchResponseTopic()
	t.Topic = "orders"
	for i, b := range records {
		p := kmsg.NewFetchResponseTopicPartition()
		p.Partition, p.HighWatermark, p.RecordBatches = int32(i), int64(1000+i), b
		t.Partitions = append(t.Partitions, p)
	}
	resp.Topics = append(resp.Topics, t)
	return requestFrame(req, s.correlation, &testClient, noTags), responseFrame(resp, s.correlation, noTags)
}

func (s *situation) highWatermarks() map[int32]int64 {
	all := map[int32]int64{}
	for _, w := range s.k.snapshot().Watermarks {
		all[w.Partition] = w.HighWatermark
	}
	return all
}

// Later partitions' watermarks stand between the unseen records.
func TestUnseenRecords(t *testing.T) {
	for _, pieces := range []int{1, 2, 7} { // sendfile may be partial
		s := situate(t, roomy)
		s.requireUnderstands(t, "before")
		records := [][]byte{bytes.Repeat([]byte{1}, 5000), bytes.Repeat([]byte{2}, 70), bytes.Repeat([]byte{3}, 100000)}
		request, response := s.fetch(records...)
		s.feed(true, request)
		for _, b := range records {
			at := bytes.Index(response, b)
			s.feed(false, response[:at])
			for left, i := len(b), pieces; i > 0; i-- {
				s.unseen(false, left/i)
				left -= left / i
			}
			response = response[at+len(b):]
		}
		s.feed(false, response)
		require.Equal(t, counting(3, 1000), s.highWatermarks())
		require.Equal(t, none, s.left())
		s.requireUnderstands(t, "after")
	}
}

// Unseen from within a batch's head on, at each of its bytes.
func TestUnseenWithinABatch(t *testing.T) {
	s := situate(t, roomy)
	s.requireUnderstands(t, "before")
	b := (&kmsg.RecordBatch{Length: 49 + 30, Magic: 2, Records: make([]byte, 30)}).AppendTo(nil)
	for cut := range b {
		request, response := s.fetch(b, b)
		s.feed(true, request)
		at := bytes.Index(response, b)
		s.feed(false, response[:at+cut])
		s.unseen(false, len(b)-cut)
		s.feed(false, response[at+len(b):])
		require.Equal(t, none, s.left(), "cut at %d", cut)
	}
	require.Equal(t, counting(2, 1000), s.highWatermarks())
}

// Within a field the place is lost: counted, and found again with the next response.
func TestUnseenField(t *testing.T) {
	s := situate(t, roomy)
	s.exchange("g", "orders", 3, 10)
	began := s.k.stats().Resynchronisations
	request, response := s.commit("g", "orders", 3, 20)
	s.feed(true, request)
	s.feed(false, response[:20])
	s.unseen(false, 5)
	s.feed(false, response[25:])
	require.Equal(t, count(1, "unseen_bytes"), s.left())
	require.Equal(t, began+1, s.k.stats().Resynchronisations)
	s.requireUnderstands(t, "after")

	request, _ = s.commit("g", "orders", 3, 30)
	s.unseen(true, len(request))
	require.Equal(t, count(2, "unseen_bytes"), s.left())
	s.requireUnderstands(t, "a request that was not seen at all")
}

// A skipped string may pass unseen as well.
func TestUnseenWithinASkip(t *testing.T) {
	s := situate(t, roomy)
	s.requireUnderstands(t, "before")
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID = 3, "g", "m"
	a := kmsg.NewSyncGroupRequestGroupAssignment()
	a.MemberAssignment = bytes.Repeat([]byte{7}, 1000)
	req.GroupAssignment = append(req.GroupAssignment, a)
	s.correlation++
	b := requestFrame(req, s.correlation, &testClient, noTags)
	at := bytes.Index(b, a.MemberAssignment)
	s.feed(true, b[:at+1])
	s.unseen(true, 998)
	s.feed(true, b[at+999:])
	require.EqualValues(t, 1, s.k.stats().Frames["SyncGroup"])
	require.Equal(t, none, s.left())
}

// The role of a recognised connection is asked anew after failuresToStartAnew calls (FAILURES_TO_START_ANEW of
// bpf/config.h). Records that were to be passed over are then no longer believed in either.
const failuresToStartAnew = 64

func TestRoleDoubtedWithinRecords(t *testing.T) {
	s := situate(t, roomy)
	s.requireUnderstands(t, "before")
	request, response := s.fetch(bytes.Repeat([]byte{1}, 1<<20))
	s.feed(true, request)
	s.feed(false, response[:len(response)/2])
	for range failuresToStartAnew {
		s.feed(true, bytes.Repeat([]byte{0xee}, 100))
	}
	broker := &situation{connection: &connection{FeedConnection: s.FeedConnection, k: s.k, role: state.RoleBroker}, began: s.began}
	request, response = broker.commit("other", "other", 1, 7)
	broker.feed(true, request)
	broker.feed(false, response)
	require.Equal(t, counting(1, 7), s.committed("other", "other"))
}
