// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/schema"
)

// What must be reported of the messages about members of groups.

func (e *expectation) member(code int16, member name, generation int32) {
	e.report(schema.SinkMember, number(schema.RegTopError, code), named(schema.RegMember, member),
		number(schema.RegGeneration, generation), number(schema.RegAssignment, e.assigning))
}

func (e *expectation) assigned(topic name, partition int32, code int16) {
	e.report(schema.SinkAssigned, number(schema.RegTopError, code), named(schema.RegTopic, topic), number(schema.RegPartition, partition))
}

func (e *expectation) consumerHeartbeatResponse(m *kmsg.ConsumerGroupHeartbeatResponse) {
	member := e.nullable(m.MemberID)
	if m.Assignment != nil {
		e.report(schema.SinkAssignment)
		e.assigning = 1
		for i := range m.Assignment.Topics {
			t := &m.Assignment.Topics[i]
			for _, p := range t.Partitions {
				e.assigned(topicID(t.TopicID), p, m.ErrorCode)
			}
		}
	}
	e.member(m.ErrorCode, member, m.MemberEpoch)
}

func (e *expectation) shareHeartbeatResponse(m *kmsg.ShareGroupHeartbeatResponse) {
	member := e.nullable(m.MemberID)
	if m.Assignment != nil {
		e.report(schema.SinkAssignment)
		e.assigning = 1
		for i := range m.Assignment.TopicPartitions {
			t := &m.Assignment.TopicPartitions[i]
			for _, p := range t.Partitions {
				e.assigned(topicID(t.TopicID), p, m.ErrorCode)
			}
		}
	}
	e.member(m.ErrorCode, member, m.MemberEpoch)
}

// assignment reads the bytes that the leader of a group gave a member. Between consumers they are a version and
// topics with partitions; others write what they like, so it is read as far as it makes sense.
func (e *expectation) assignment(b []byte, code int16) {
	whole := true
	take := func(n int) []byte {
		if n > len(b) {
			whole = false
			return make([]byte, n)
		}
		taken := b[:n]
		b = b[n:]
		return taken
	}
	count := func() int { // each element has a byte at least
		n := int(int32(binary.BigEndian.Uint32(take(4))))
		whole = whole && n >= -1 && n <= len(b)
		return n
	}
	if len(b) == 0 {
		return
	}
	defer func() {
		if !whole { // then it is none, whatever it began like
			e.assigning = 2
		}
	}()
	if take(2); !whole {
		return
	}
	e.report(schema.SinkAssignment)
	e.assigning = 1
	for topics := count(); topics > 0 && whole; topics-- {
		length := int(int16(binary.BigEndian.Uint16(take(2))))
		if whole = whole && length >= -1 && length <= len(b); !whole {
			return
		}
		topic := name{}
		if length >= 0 {
			topic = e.text(string(take(length)))
		}
		for partitions := count(); partitions > 0 && whole; partitions-- {
			if p := int32(binary.BigEndian.Uint32(take(4))); whole {
				e.assigned(topic, p, code)
			}
		}
	}
}
