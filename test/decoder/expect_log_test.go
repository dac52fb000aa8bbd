// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/schema"
)

// What must be reported of the messages about logs: Produce, Fetch, ListOffsets, Metadata.

func (e *expectation) produceRequest(m *kmsg.ProduceRequest) {
	e.asked.noAnswer = m.Acks == 0
	for i := range m.Topics {
		t := &m.Topics[i]
		topic := e.topic(t.Topic, t.TopicID, 13)
		for j := range t.Partitions {
			p := &t.Partitions[j]
			e.report(schema.SinkProduceAsked,
				number(schema.RegAcks, m.Acks), named(schema.RegTopic, topic),
				number(schema.RegPartition, p.Partition), number(schema.RegRecords, e.records(p.Records).count()))
		}
	}
}

func (e *expectation) produceResponse(m *kmsg.ProduceResponse) {
	for i := range m.Topics {
		t := &m.Topics[i]
		topic := e.topic(t.Topic, t.TopicID, 13)
		for j := range t.Partitions {
			p := &t.Partitions[j]
			e.report(schema.SinkProduceAnswered,
				named(schema.RegTopic, topic), number(schema.RegPartition, p.Partition),
				number(schema.RegError, p.ErrorCode), number(schema.RegOffset, p.BaseOffset),
				number(schema.RegLogStart, since(e, 5, p.LogStartOffset, -1)))
		}
	}
}

func (e *expectation) fetchRequest(m *kmsg.FetchRequest) {
	// From version 15 on the replica's id is a tagged field behind everything else (KIP-903).
	replica := m.ReplicaID
	if m.Version >= 15 {
		replica = m.ReplicaState.ID
	}
	e.asked.follower = replica >= 0
	e.asked.isolation = since(e, 4, m.IsolationLevel, 0)
	for i := range m.Topics {
		t := &m.Topics[i]
		topic := e.topic(t.Topic, t.TopicID, 13)
		for j := range t.Partitions {
			p := &t.Partitions[j]
			e.report(schema.SinkFetchAsked,
				named(schema.RegTopic, topic), number(schema.RegPartition, p.Partition), number(schema.RegOffset, p.FetchOffset),
				number(schema.RegSession, since(e, 7, m.SessionID, 0)), number(schema.RegIsolation, e.asked.isolation))
		}
	}
	if m.Version < 7 {
		return
	}
	for i := range m.ForgottenTopics {
		t := &m.ForgottenTopics[i]
		topic := e.topic(t.Topic, t.TopicID, 13)
		for _, p := range t.Partitions {
			e.report(schema.SinkFetchForgotten, named(schema.RegTopic, topic), number(schema.RegPartition, p))
		}
	}
}

func (e *expectation) fetchResponse(m *kmsg.FetchResponse) {
	session := since(e, 7, m.SessionID, 0)
	for i := range m.Topics {
		t := &m.Topics[i]
		topic := e.topic(t.Topic, t.TopicID, 13)
		for j := range t.Partitions {
			p := &t.Partitions[j]
			e.report(schema.SinkWatermark,
				named(schema.RegTopic, topic), number(schema.RegPartition, p.Partition),
				number(schema.RegError, p.ErrorCode), number(schema.RegHighWatermark, p.HighWatermark),
				number(schema.RegLastStable, since(e, 4, p.LastStableOffset, -1)),
				number(schema.RegLogStart, since(e, 5, p.LogStartOffset, -1)), number(schema.RegSession, session))
			if e.asked.follower { // which commits nothing
				continue
			}
			batches := e.records(p.RecordBatches)
			for _, b := range batches[:min(len(batches), batchesKept)] {
				e.report(schema.SinkBatch,
					named(schema.RegTopic, topic), number(schema.RegPartition, p.Partition),
					number(schema.RegBatchBase, b.base), number(schema.RegBatchLast, b.lastDelta),
					number(schema.RegBatchTime, b.first), number(schema.RegBatchMaxTime, b.maxTime))
			}
		}
	}
	e.report(schema.SinkFetchSession, number(schema.RegSession, session),
		number(schema.RegThrottle, since(e, 1, m.ThrottleMillis, 0)), number(schema.RegTopError, since(e, 7, m.ErrorCode, 0)))
}

func (e *expectation) listOffsetsRequest(m *kmsg.ListOffsetsRequest) {
	e.asked.isolation = since(e, 2, m.IsolationLevel, 0)
	for i := range m.Topics {
		t := &m.Topics[i]
		topic := e.text(t.Topic)
		for j := range t.Partitions {
			p := &t.Partitions[j]
			e.report(schema.SinkListAsked, named(schema.RegTopic, topic), number(schema.RegPartition, p.Partition), number(schema.RegReplica, m.ReplicaID),
				number(schema.RegTimestamp, p.Timestamp), number(schema.RegIsolation, e.asked.isolation))
		}
	}
}

func (e *expectation) listOffsetsResponse(m *kmsg.ListOffsetsResponse) {
	for i := range m.Topics {
		t := &m.Topics[i]
		topic := e.text(t.Topic)
		if m.Version == 0 {
			continue // a list of offsets instead of one: nothing is taken from it
		}
		for j := range t.Partitions {
			p := &t.Partitions[j]
			e.report(schema.SinkListAnswered, named(schema.RegTopic, topic), number(schema.RegPartition, p.Partition),
				number(schema.RegError, p.ErrorCode), number(schema.RegOffset, p.Offset))
		}
	}
}

func (e *expectation) metadataResponse(m *kmsg.MetadataResponse) {
	if m.Version >= 2 {
		e.report(schema.SinkCluster, named(schema.RegCluster, e.nullable(m.ClusterID)))
	}
	for i := range m.Topics {
		t := &m.Topics[i]
		topic := e.nullable(t.Topic)
		if t.Topic == nil && m.Version < 12 {
			topic = e.text("") // kmsg writes an empty name where the version cannot say null
		}
		if m.Version < 1 {
			continue // before brokers said whether a topic is internal: nothing is taken from it
		}
		id := name{}
		if m.Version >= 10 {
			id = topicID(t.TopicID)
		}
		e.report(schema.SinkTopicID, number(schema.RegError, t.ErrorCode), named(schema.RegTopicName, topic), named(schema.RegTopic, id))
	}
}

func (e *expectation) deleteTopicsResponse(m *kmsg.DeleteTopicsResponse) {
	for i := range m.Topics {
		t := &m.Topics[i]
		topic := e.nullable(t.Topic)
		if t.Topic == nil && m.Version < 6 {
			topic = e.text("") // kmsg writes an empty name where the version cannot say null
		}
		id := name{}
		if m.Version >= 6 {
			id = topicID(t.TopicID)
		}
		e.report(schema.SinkTopicDeleted, named(schema.RegTopicName, topic), named(schema.RegTopic, id), number(schema.RegError, t.ErrorCode))
	}
}
