// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// situation is one connection in which something particular happens.
type situation struct {
	*connection
	began *probe.Stats
}

var testClient = "test-client"

// situate loads a decoder and opens a connection of a client.
func situate(t testing.TB, o probe.Options) *situation {
	k := load(t, o)
	return &situation{connection: k.connect(state.RoleClient), began: k.stats()}
}

// another opens another connection of the same client.
func (s *situation) another() *situation {
	return &situation{connection: s.k.connect(s.role), began: s.began}
}

// commit makes an OffsetCommit of version 9 and its response, which accepts everything. Partition i of the topic
// is committed at offset first+i.
func (s *situation) commit(group, topic string, partitions int, first int64) (request, response []byte) {
	s.correlation++
	return commitRequest(s.correlation, group, topic, partitions, first), commitResponse(s.correlation, topic, partitions, 0)
}

func commitRequest(correlation int32, group, topic string, partitions int, first int64) []byte {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.MemberID = 9, group, "member"
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic = topic
	for i := range partitions {
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset = int32(i), first+int64(i)
		t.Partitions = append(t.Partitions, p)
	}
	req.Topics = append(req.Topics, t)
	return requestFrame(req, correlation, &testClient, noTags)
}

func commitResponse(correlation int32, topic string, partitions int, code int16) []byte {
	resp := kmsg.NewPtrOffsetCommitResponse()
	resp.Version = 9
	t := kmsg.NewOffsetCommitResponseTopic()
	t.Topic = topic
	for i := range partitions {
		p := kmsg.NewOffsetCommitResponseTopicPartition()
		p.Partition, p.ErrorCode = int32(i), code
		t.Partitions = append(t.Partitions, p)
	}
	resp.Topics = append(resp.Topics, t)
	return responseFrame(resp, correlation, noTags)
}

// exchange makes a commit and feeds both frames whole.
func (s *situation) exchange(group, topic string, partitions int, first int64) {
	request, response := s.commit(group, topic, partitions, first)
	s.feed(true, request)
	s.feed(false, response)
}

// committed returns the committed offsets of a group and topic by partition. Offsets that changed to something
// that was not seen are marked.
func (s *situation) committed(group, topic string) map[int32]int64 {
	all := map[int32]int64{}
	for _, o := range s.k.snapshot().Offsets {
		if s.k.name(uint64(o.Group)).bytes == group && s.k.name(uint64(o.Topic)).bytes == topic {
			all[o.Partition] = o.Offset
			if o.Source == state.OffsetUnknown {
				all[o.Partition] = changedUnseen
			}
		}
	}
	return all
}

const changedUnseen = -1000

func counting(partitions int, first int64) map[int32]int64 {
	all := map[int32]int64{}
	for i := range partitions {
		all[int32(i)] = first + int64(i)
	}
	return all
}

// left returns what was left out since the situation began.
func (s *situation) left() map[string]uint64 { return drops(s.began, s.k.stats()) }

// requireUnderstands proves that the connection is understood, by a commit of its own.
func (s *situation) requireUnderstands(t *testing.T, why string) {
	t.Helper()
	s.exchange("after", "after", 2, 77)
	require.Equal(t, counting(2, 77), s.committed("after", "after"), why)
}

// none is what nothing left out looks like.
var none = map[string]uint64{}

func count(n uint64, reasons ...string) map[string]uint64 {
	all := map[string]uint64{}
	for _, r := range reasons {
		all[r] = n
	}
	return all
}
