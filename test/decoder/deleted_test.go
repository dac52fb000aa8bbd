// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// What administrators delete, and what brokers do not have.

func (s *situation) deleteOffsets(group, topic string, top int16, codes ...int16) {
	req, resp := kmsg.NewPtrOffsetDeleteRequest(), kmsg.NewPtrOffsetDeleteResponse()
	req.Group, resp.ErrorCode = group, top
	t := kmsg.OffsetDeleteResponseTopic{Topic: topic}
	for i, code := range codes {
		t.Partitions = append(t.Partitions, kmsg.OffsetDeleteResponseTopicPartition{Partition: int32(i), ErrorCode: code})
	}
	resp.Topics = append(resp.Topics, t)
	s.answered(req, resp)
}

func (s *situation) deleteTopics(version int16, topics ...kmsg.DeleteTopicsResponseTopic) {
	req, resp := kmsg.NewPtrDeleteTopicsRequest(), kmsg.NewPtrDeleteTopicsResponse()
	req.Version, resp.Topics = version, topics
	s.answered(req, resp)
}

func (s *situation) metadata(version int16, topics ...kmsg.MetadataResponseTopic) {
	req, resp := kmsg.NewPtrMetadataRequest(), kmsg.NewPtrMetadataResponse()
	req.Version, resp.Topics = version, topics
	s.answered(req, resp)
}

// gone are the names, and ids, of topics that are not there.
func (s *situation) gone() map[string]bool {
	all := map[string]bool{}
	for _, g := range s.k.snapshot().Gone {
		all[s.k.name(uint64(g.Topic)).bytes] = true
	}
	return all
}

func TestOffsetsDeleted(t *testing.T) {
	s := situate(t, roomy)
	s.exchange("g", "orders", 4, 10)
	s.deleteOffsets("g", "orders", 0, 0, 0, 86) // GROUP_SUBSCRIBED_TO_TOPIC
	require.Equal(t, map[int32]int64{0: -1, 1: -1, 2: 12, 3: 13}, s.committed("g", "orders"))
	require.Equal(t, state.OffsetDeleted, s.sources("g", "orders")[1])
	s.deleteOffsets("g", "orders", 68, 0, 0, 0, 0) // NON_EMPTY_GROUP
	require.Equal(t, map[int32]int64{0: -1, 1: -1, 2: 12, 3: 13}, s.committed("g", "orders"))
	s.exchange("g", "orders", 1, 20)
	require.Equal(t, map[int32]int64{0: 20, 1: -1, 2: 12, 3: 13}, s.committed("g", "orders"))
	// By an administrator whose client has never committed: it is known to be none.
	s.deleteOffsets("g", "payments", 0, 0)
	require.Equal(t, map[int32]int64{0: -1}, s.committed("g", "payments"))
	require.Equal(t, none, s.left())
}

func TestGroupsDeleted(t *testing.T) {
	s := situate(t, roomy)
	req, resp := kmsg.NewPtrDeleteGroupsRequest(), kmsg.NewPtrDeleteGroupsResponse()
	req.Version = 2
	resp.Groups = []kmsg.DeleteGroupsResponseGroup{{Group: "g1"}, {Group: "g2", ErrorCode: 68}, {Group: "g3"}}
	s.answered(req, resp)
	deleted := map[string]bool{}
	for _, g := range s.k.snapshot().Groups {
		deleted[s.k.name(uint64(g.Group)).bytes] = g.Deleted != 0
	}
	require.Equal(t, map[string]bool{"g1": true, "g3": true}, deleted)
	require.Equal(t, none, s.left())
}

func TestTopicsDeleted(t *testing.T) {
	s := situate(t, roomy)
	id := [16]byte{7}
	s.deleteTopics(1, kmsg.DeleteTopicsResponseTopic{Topic: kmsg.StringPtr("a")},
		kmsg.DeleteTopicsResponseTopic{Topic: kmsg.StringPtr("b"), ErrorCode: 29}) // TOPIC_AUTHORIZATION_FAILED
	s.deleteTopics(6, kmsg.DeleteTopicsResponseTopic{Topic: kmsg.StringPtr("c"), TopicID: id},
		kmsg.DeleteTopicsResponseTopic{TopicID: [16]byte{8}}, kmsg.DeleteTopicsResponseTopic{TopicID: [16]byte{9}, ErrorCode: 100})
	eight := [16]byte{8}
	require.Equal(t, map[string]bool{"a": true, "c": true, string(id[:]): true, string(eight[:]): true}, s.gone())
	require.Equal(t, none, s.left())
}

// UNKNOWN_TOPIC_OR_PARTITION and UNKNOWN_TOPIC_ID: the broker does not have it. Any other error says nothing.
func TestTopicsUnknown(t *testing.T) {
	s := situate(t, roomy)
	for version := int16(0); version <= 13; version++ {
		s.metadata(version, kmsg.MetadataResponseTopic{Topic: kmsg.StringPtr(fmt.Sprint("gone-", version)), ErrorCode: 3},
			kmsg.MetadataResponseTopic{Topic: kmsg.StringPtr(fmt.Sprint("there-", version))},
			kmsg.MetadataResponseTopic{Topic: kmsg.StringPtr(fmt.Sprint("elected-", version)), ErrorCode: 5})
	}
	id := [16]byte{7}
	s.metadata(12, kmsg.MetadataResponseTopic{TopicID: id, ErrorCode: 100})
	want := map[string]bool{string(id[:]): true}
	for version := 1; version <= 13; version++ {
		want[fmt.Sprint("gone-", version)] = true
	}
	require.Equal(t, want, s.gone())
	require.Equal(t, none, s.left())
}

func TestGoneTopicsFull(t *testing.T) {
	s := situate(t, probe.Options{Names: 64})
	for i := range 12 {
		s.metadata(5, kmsg.MetadataResponseTopic{Topic: kmsg.StringPtr(fmt.Sprint("topic-", i)), ErrorCode: 3})
	}
	require.Equal(t, count(4, "gone_topics_full"), s.left())
	require.Len(t, s.gone(), 8)
}
