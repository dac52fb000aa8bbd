// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
)

// Share groups (KIP-932): records acknowledged, by what became of them.

// ackBatch is a batch of acknowledgements: types 0 gap, 1 accept, 2 release, 3 reject, 4 renew.
type ackBatch struct {
	first, last int64
	types       []int8
}

var jobs = [16]byte{1, 2, 3}

// share makes a request that acknowledges, partition i of the topic with batches[i], and its response. It goes along
// with a fetch or stands by itself. Partitions are answered with codes; those beyond codes are not answered.
func (s *situation) share(fetch bool, group string, batches [][]ackBatch, top int16, codes ...int16) (request, response []byte) {
	s.correlation++
	if fetch {
		req, resp := kmsg.NewPtrShareFetchRequest(), kmsg.NewPtrShareFetchResponse()
		req.Version, req.GroupID, req.MemberID = 1, &group, kmsg.StringPtr("member")
		resp.Version, resp.ErrorCode = 1, top
		qt, rt := kmsg.NewShareFetchRequestTopic(), kmsg.NewShareFetchResponseTopic()
		qt.TopicID, rt.TopicID = jobs, jobs
		for i, all := range batches {
			p := kmsg.NewShareFetchRequestTopicPartition()
			p.Partition = int32(i)
			for _, b := range all {
				p.AcknowledgementBatches = append(p.AcknowledgementBatches, kmsg.ShareFetchRequestTopicPartitionAcknowledgementBatch{
					FirstOffset: b.first, LastOffset: b.last, AcknowledgeTypes: b.types,
				})
			}
			qt.Partitions = append(qt.Partitions, p)
		}
		for i, code := range codes {
			p := kmsg.NewShareFetchResponseTopicPartition()
			p.Partition, p.AcknowledgeErrorCode, p.Records = int32(i), code, make([]byte, 70*i)
			rt.Partitions = append(rt.Partitions, p)
		}
		req.Topics, resp.Topics = append(req.Topics, qt), append(resp.Topics, rt)
		return requestFrame(req, s.correlation, &testClient, noTags), responseFrame(resp, s.correlation, noTags)
	}
	req, resp := kmsg.NewPtrShareAcknowledgeRequest(), kmsg.NewPtrShareAcknowledgeResponse()
	req.Version, req.GroupID, req.MemberID = 1, &group, kmsg.StringPtr("member")
	resp.Version, resp.ErrorCode = 1, top
	qt, rt := kmsg.NewShareAcknowledgeRequestTopic(), kmsg.NewShareAcknowledgeResponseTopic()
	qt.TopicID, rt.TopicID = jobs, jobs
	for i, all := range batches {
		p := kmsg.NewShareAcknowledgeRequestTopicPartition()
		p.Partition = int32(i)
		for _, b := range all {
			p.AcknowledgementBatches = append(p.AcknowledgementBatches, kmsg.ShareAcknowledgeRequestTopicPartitionAcknowledgementBatch{
				FirstOffset: b.first, LastOffset: b.last, AcknowledgeTypes: b.types,
			})
		}
		qt.Partitions = append(qt.Partitions, p)
	}
	for i, code := range codes {
		p := kmsg.NewShareAcknowledgeResponseTopicPartition()
		p.Partition, p.ErrorCode = int32(i), code
		rt.Partitions = append(rt.Partitions, p)
	}
	req.Topics, resp.Topics = append(req.Topics, qt), append(resp.Topics, rt)
	return requestFrame(req, s.correlation, &testClient, noTags), responseFrame(resp, s.correlation, noTags)
}

// acknowledged is what was counted of a group, by partition.
func (s *situation) acknowledged(group string) map[int32]acknowledgements {
	all := map[int32]acknowledgements{}
	for _, x := range s.k.snapshot().Shares {
		if s.k.name(uint64(x.Group)).bytes == group {
			all[x.Partition] = acknowledgements{x.Accepted, x.Released, x.Rejected}
		}
	}
	return all
}

func TestShareAcknowledgements(t *testing.T) {
	batches := [][]ackBatch{
		{{0, 9, []int8{1}}},             // one type for all
		{{5, 9, []int8{1, 2, 3, 3, 2}}}, // one for each
		{{0, 0, []int8{2}}, {1, 3, []int8{1}}, {7, 9, []int8{3, 0, 4}}}, // several; a gap, and one that is renewed
		{{100, 1999 + 100, []int8{3}}, {3000, 3001, []int8{0}}},         // as many as a broker hands out at once
		{{0, 4, []int8{1, 1}}},     // says nothing that makes sense
		{{0, 1, []int8{0, 0}}}, {}, // nothing is acknowledged
	}
	want := map[int32]acknowledgements{
		0: {accepted: 10}, 1: {accepted: 1, released: 2, rejected: 2}, 2: {accepted: 3, released: 1, rejected: 1}, 3: {rejected: 2000},
	}
	for _, fetch := range []bool{true, false} {
		s := situate(t, roomy)
		request, response := s.share(fetch, "g", batches, 0, 0, 0, 0, 0, 0, 0, 0)
		s.feed(true, request)
		require.Empty(t, s.acknowledged("g"))
		s.feed(false, response)
		require.Equal(t, want, s.acknowledged("g"))
		require.Zero(t, s.k.entries()["pending"])
		request, response = s.share(fetch, "g", batches[:1], 0, 0)
		s.feed(true, request)
		s.feed(false, response)
		require.Equal(t, acknowledgements{accepted: 20}, s.acknowledged("g")[0], "counts add up")
		require.Equal(t, none, s.left())
	}
}

// What is refused, or not answered, does not count.
func TestShareAcknowledgementsRefused(t *testing.T) {
	batches := [][]ackBatch{{{0, 9, []int8{1}}}, {{0, 4, []int8{2}}}, {{0, 6, []int8{3}}}}
	for _, fetch := range []bool{true, false} {
		s := situate(t, roomy)
		request, response := s.share(fetch, "g", batches, 0, 0, 121) // INVALID_RECORD_STATE; the third is left out
		s.feed(true, request)
		s.feed(false, response)
		require.Equal(t, map[int32]acknowledgements{0: {accepted: 10}}, s.acknowledged("g"))
		request, response = s.share(fetch, "g", batches, 122, 0, 0, 0) // SHARE_SESSION_NOT_FOUND
		s.feed(true, request)
		s.feed(false, response)
		require.Equal(t, map[int32]acknowledgements{0: {accepted: 10}}, s.acknowledged("g"))
		s.requireUnderstands(t, "after")
		require.Equal(t, none, s.left())
	}
}

// Acknowledgements that were not seen are not counted, and none is counted twice.
func TestShareAcknowledgementsOfARequestThatWasNotSeen(t *testing.T) {
	s := situate(t, roomy)
	s.requireUnderstands(t, "before")
	request, response := s.share(false, "g", [][]ackBatch{{{0, 9, []int8{1}}}}, 0, 0)
	s.feed(false, response)
	require.Empty(t, s.acknowledged("g"))
	s.feed(true, request) // it was only late
	require.Equal(t, map[int32]acknowledgements{0: {accepted: 10}}, s.acknowledged("g"))
	s.feed(false, response)
	require.Equal(t, map[int32]acknowledgements{0: {accepted: 10}}, s.acknowledged("g"))
}

func TestSharesFull(t *testing.T) {
	s := situate(t, probe.Options{Offsets: 64})
	for i := range 12 {
		request, response := s.share(true, string(rune('a'+i)), [][]ackBatch{{{0, 9, []int8{1}}}}, 0, 0)
		s.feed(true, request)
		s.feed(false, response)
	}
	require.Equal(t, count(4, "shares_full"), s.left())
	require.Equal(t, map[int32]acknowledgements{0: {accepted: 10}}, s.acknowledged("h"))
	require.Empty(t, s.acknowledged("i"))
}
