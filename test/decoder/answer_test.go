// SPDX-License-Identifier: Apache-2.0

package decoder

import "github.com/twmb/franz-go/pkg/kmsg"

// answer turns a random response into one that answers the request: the same topics and partitions, but for a
// few that are left out, as no broker would. One response of six stays as it is.
func (g *generator) answer(req kmsg.Request, resp kmsg.Response) {
	if g.IntN(6) == 0 {
		return
	}
	omit := func() bool { return g.IntN(25) == 0 }
	switch q := req.(type) {
	case *kmsg.OffsetCommitRequest:
		m := resp.(*kmsg.OffsetCommitResponse)
		m.Topics = nil
		for _, qt := range q.Topics {
			t := kmsg.OffsetCommitResponseTopic{Topic: qt.Topic, TopicID: qt.TopicID}
			for _, qp := range qt.Partitions {
				if !omit() {
					t.Partitions = append(t.Partitions, kmsg.OffsetCommitResponseTopicPartition{
						Partition: qp.Partition, ErrorCode: int16(g.integer("ErrorCode", 16)),
					})
				}
			}
			m.Topics = append(m.Topics, t)
		}
	case *kmsg.TxnOffsetCommitRequest:
		m := resp.(*kmsg.TxnOffsetCommitResponse)
		m.Topics = nil
		for _, qt := range q.Topics {
			t := kmsg.TxnOffsetCommitResponseTopic{Topic: qt.Topic, TopicID: qt.TopicID}
			for _, qp := range qt.Partitions {
				if !omit() {
					t.Partitions = append(t.Partitions, kmsg.TxnOffsetCommitResponseTopicPartition{
						Partition: qp.Partition, ErrorCode: int16(g.integer("ErrorCode", 16)),
					})
				}
			}
			m.Topics = append(m.Topics, t)
		}
	case *kmsg.ListOffsetsRequest:
		m := resp.(*kmsg.ListOffsetsResponse)
		m.Topics = nil
		for _, qt := range q.Topics {
			t := kmsg.ListOffsetsResponseTopic{Topic: qt.Topic}
			for _, qp := range qt.Partitions {
				if !omit() {
					t.Partitions = append(t.Partitions, kmsg.ListOffsetsResponseTopicPartition{
						Partition: qp.Partition, ErrorCode: int16(g.integer("ErrorCode", 16)),
						OldStyleOffsets: []int64{g.integer("Offset", 64)},
						Timestamp:       randomOffset(g.Rand), Offset: g.integer("Offset", 64),
					})
				}
			}
			m.Topics = append(m.Topics, t)
		}
	case *kmsg.ProduceRequest:
		m := resp.(*kmsg.ProduceResponse)
		m.Topics = nil
		for _, qt := range q.Topics {
			t := kmsg.ProduceResponseTopic{Topic: qt.Topic, TopicID: qt.TopicID}
			for _, qp := range qt.Partitions {
				if !omit() {
					p := kmsg.NewProduceResponseTopicPartition()
					p.Partition, p.ErrorCode = qp.Partition, int16(g.integer("ErrorCode", 16))
					p.BaseOffset = g.integer("BaseOffset", 64)
					t.Partitions = append(t.Partitions, p)
				}
			}
			m.Topics = append(m.Topics, t)
		}
	case *kmsg.ShareFetchRequest:
		m := resp.(*kmsg.ShareFetchResponse)
		m.Topics = nil
		for _, qt := range q.Topics {
			t := kmsg.ShareFetchResponseTopic{TopicID: qt.TopicID}
			for _, qp := range qt.Partitions {
				if !omit() {
					t.Partitions = append(t.Partitions, kmsg.ShareFetchResponseTopicPartition{
						Partition: qp.Partition, ErrorCode: int16(g.integer("ErrorCode", 16)),
						AcknowledgeErrorCode: int16(g.integer("ErrorCode", 16)), Records: g.records.records(g.Rand),
					})
				}
			}
			m.Topics = append(m.Topics, t)
		}
	case *kmsg.ShareAcknowledgeRequest:
		m := resp.(*kmsg.ShareAcknowledgeResponse)
		m.Topics = nil
		for _, qt := range q.Topics {
			t := kmsg.ShareAcknowledgeResponseTopic{TopicID: qt.TopicID}
			for _, qp := range qt.Partitions {
				if !omit() {
					t.Partitions = append(t.Partitions, kmsg.ShareAcknowledgeResponseTopicPartition{
						Partition: qp.Partition, ErrorCode: int16(g.integer("ErrorCode", 16)),
					})
				}
			}
			m.Topics = append(m.Topics, t)
		}
	}
}
