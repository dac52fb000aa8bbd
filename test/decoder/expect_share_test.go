// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/schema"
)

// What must be reported of the messages of share groups (KIP-932).

func (e *expectation) shareBatch(first, last int64, types []int8) {
	for _, t := range types {
		e.report(schema.SinkShareType, number(schema.RegAckType, t))
	}
	e.report(schema.SinkShareBatch, number(schema.RegBatchBase, first), number(schema.RegBatchLast, last))
}

func (e *expectation) shareAsked(topic name, partition int32) {
	e.report(schema.SinkShareAsked, named(schema.RegGroup, e.asked.group), named(schema.RegTopic, topic), number(schema.RegPartition, partition))
}

func (e *expectation) shareFetchRequest(m *kmsg.ShareFetchRequest) {
	e.asked.group, e.asked.member = e.nullable(m.GroupID), e.nullable(m.MemberID)
	for i := range m.Topics {
		t := &m.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			for _, b := range p.AcknowledgementBatches {
				e.shareBatch(b.FirstOffset, b.LastOffset, b.AcknowledgeTypes)
			}
			e.shareAsked(topicID(t.TopicID), p.Partition)
		}
	}
}

func (e *expectation) shareAcknowledgeRequest(m *kmsg.ShareAcknowledgeRequest) {
	e.asked.group, e.asked.member = e.nullable(m.GroupID), e.nullable(m.MemberID)
	for i := range m.Topics {
		t := &m.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			for _, b := range p.AcknowledgementBatches {
				e.shareBatch(b.FirstOffset, b.LastOffset, b.AcknowledgeTypes)
			}
			e.shareAsked(topicID(t.TopicID), p.Partition)
		}
	}
}

func (e *expectation) shareAnswered(top int16, id [16]byte, partition int32, code int16) {
	e.report(schema.SinkShareAnswered, number(schema.RegTopError, top), named(schema.RegTopic, topicID(id)),
		number(schema.RegPartition, partition), number(schema.RegError, code))
}

// What a partition says of records that it hands out is not what became of those acknowledged.
func (e *expectation) shareFetchResponse(m *kmsg.ShareFetchResponse) {
	for i := range m.Topics {
		t := &m.Topics[i]
		for j := range t.Partitions {
			e.shareAnswered(m.ErrorCode, t.TopicID, t.Partitions[j].Partition, t.Partitions[j].AcknowledgeErrorCode)
		}
	}
}

func (e *expectation) shareAcknowledgeResponse(m *kmsg.ShareAcknowledgeResponse) {
	for i := range m.Topics {
		t := &m.Topics[i]
		for j := range t.Partitions {
			e.shareAnswered(m.ErrorCode, t.TopicID, t.Partitions[j].Partition, t.Partitions[j].ErrorCode)
		}
	}
}
