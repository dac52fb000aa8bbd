// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/schema"
)

// What must be reported of the messages about committed offsets.

func (e *expectation) offsetCommitRequest(m *kmsg.OffsetCommitRequest) {
	e.asked.group = e.text(m.Group)
	if m.Version >= 1 {
		e.asked.generation, e.asked.member = m.Generation, e.text(m.MemberID)
	}
	for i := range m.Topics {
		t := &m.Topics[i]
		topic := e.topic(t.Topic, t.TopicID, 10)
		for j := range t.Partitions {
			p := &t.Partitions[j]
			e.commitAsked(topic, p.Partition, p.Offset, since(e, 6, p.LeaderEpoch, -1))
		}
	}
}

func (e *expectation) txnOffsetCommitRequest(m *kmsg.TxnOffsetCommitRequest) {
	e.asked.group = e.text(m.Group)
	e.asked.transaction = transaction{producer: m.ProducerID, epoch: m.ProducerEpoch}
	if m.Version >= 3 {
		e.asked.generation, e.asked.member = m.Generation, e.text(m.MemberID)
	}
	for i := range m.Topics {
		t := &m.Topics[i]
		topic := e.text(t.Topic)
		for j := range t.Partitions {
			p := &t.Partitions[j]
			e.commitAsked(topic, p.Partition, p.Offset, since(e, 2, p.LeaderEpoch, -1))
			w := &e.wants[len(e.wants)-1]
			w.values = append(w.values, number(schema.RegProducer, m.ProducerID), number(schema.RegProducerEpoch, m.ProducerEpoch))
		}
	}
}

func (e *expectation) commitAsked(topic name, partition int32, offset int64, leaderEpoch int32) {
	e.report(schema.SinkCommitAsked,
		named(schema.RegGroup, e.asked.group), named(schema.RegMember, e.asked.member), number(schema.RegGeneration, e.asked.generation),
		named(schema.RegTopic, topic), number(schema.RegPartition, partition), number(schema.RegOffset, offset),
		number(schema.RegLeaderEpoch, leaderEpoch))
}

func (e *expectation) offsetCommitResponse(m *kmsg.OffsetCommitResponse) {
	for i := range m.Topics {
		t := &m.Topics[i]
		topic := e.topic(t.Topic, t.TopicID, 10)
		for j := range t.Partitions {
			e.commitAnswered(topic, t.Partitions[j].Partition, t.Partitions[j].ErrorCode)
		}
	}
}

func (e *expectation) txnOffsetCommitResponse(m *kmsg.TxnOffsetCommitResponse) {
	for i := range m.Topics {
		t := &m.Topics[i]
		topic := e.text(t.Topic)
		for j := range t.Partitions {
			e.commitAnswered(topic, t.Partitions[j].Partition, t.Partitions[j].ErrorCode)
		}
	}
}

func (e *expectation) commitAnswered(topic name, partition int32, code int16) {
	e.report(schema.SinkCommitAnswered, named(schema.RegTopic, topic), number(schema.RegPartition, partition), number(schema.RegError, code))
}

func (e *expectation) offsetFetchResponse(m *kmsg.OffsetFetchResponse) {
	fetched := func(group, topic name, partition int32, offset int64, leaderEpoch int32, code int16) {
		e.report(schema.SinkOffsetFetched, named(schema.RegGroup, group), named(schema.RegTopic, topic),
			number(schema.RegPartition, partition), number(schema.RegOffset, offset),
			number(schema.RegLeaderEpoch, leaderEpoch), number(schema.RegError, code))
	}
	if m.Version < 8 {
		for i := range m.Topics {
			t := &m.Topics[i]
			topic := e.text(t.Topic)
			for j := range t.Partitions {
				p := &t.Partitions[j]
				fetched(name{}, topic, p.Partition, p.Offset, since(e, 5, p.LeaderEpoch, -1), p.ErrorCode)
			}
		}
		return
	}
	for i := range m.Groups {
		g := &m.Groups[i]
		group := e.text(g.Group)
		for j := range g.Topics {
			t := &g.Topics[j]
			topic := e.topic(t.Topic, t.TopicID, 10)
			for k := range t.Partitions {
				p := &t.Partitions[k]
				fetched(group, topic, p.Partition, p.Offset, p.LeaderEpoch, p.ErrorCode)
			}
		}
	}
}

func (e *expectation) offsetDeleteResponse(m *kmsg.OffsetDeleteResponse) {
	for i := range m.Topics {
		t := &m.Topics[i]
		topic := e.text(t.Topic)
		for j := range t.Partitions {
			p := &t.Partitions[j]
			e.report(schema.SinkOffsetDeleted, number(schema.RegTopError, m.ErrorCode), named(schema.RegTopic, topic),
				number(schema.RegPartition, p.Partition), number(schema.RegError, p.ErrorCode))
		}
	}
}

func (e *expectation) writeTxnMarkersRequest(m *kmsg.WriteTxnMarkersRequest) {
	for i := range m.Markers {
		x := &m.Markers[i]
		committed := 0
		if x.Committed {
			committed = 1
		}
		e.report(schema.SinkTxnMarker, number(schema.RegProducer, x.ProducerID), number(schema.RegProducerEpoch, x.ProducerEpoch),
			number(schema.RegCommitted, committed))
	}
}
