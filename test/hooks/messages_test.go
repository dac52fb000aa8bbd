// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// An exchange is a request and its response, as whole frames.
type exchange struct{ request, response []byte }

// A talker makes the exchanges of one client.
type talker struct {
	id   string
	next int32 // correlation id
}

func (t *talker) exchange(request kmsg.Request, response kmsg.Response) exchange {
	response.SetVersion(request.GetVersion())
	f := kmsg.NewRequestFormatter(kmsg.FormatterClientID(t.id))
	x := exchange{request: f.AppendRequest(nil, request, t.next)}
	body := binary.BigEndian.AppendUint32(make([]byte, 4), uint32(t.next))
	if response.IsFlexible() && response.Key() != int16(kmsg.ApiVersions) {
		body = append(body, 0) // no tags
	}
	body = response.AppendTo(body)
	binary.BigEndian.PutUint32(body, uint32(len(body)-4))
	x.response = body
	t.next++
	return x
}

func (t *talker) apiVersions() exchange {
	q, a := kmsg.NewPtrApiVersionsRequest(), kmsg.NewPtrApiVersionsResponse()
	q.Version = 3
	q.ClientSoftwareName, q.ClientSoftwareVersion = "test", "1"
	for _, key := range []int16{0, 1, 2, 3, 8, 9, 18} {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MaxVersion = key, 9
		a.ApiKeys = append(a.ApiKeys, k)
	}
	return t.exchange(q, a)
}

// topicID is a made-up id for a topic.
func topicID(topic string) (id [16]byte) {
	binary.BigEndian.PutUint32(id[:], 0x70709999)
	binary.BigEndian.PutUint32(id[12:], crc32.ChecksumIEEE([]byte(topic)))
	return id
}

func (t *talker) metadata(cluster string, topics ...string) exchange {
	q, a := kmsg.NewPtrMetadataRequest(), kmsg.NewPtrMetadataResponse()
	q.Version = 12
	a.ClusterID = &cluster
	b := kmsg.NewMetadataResponseBroker()
	b.Host, b.Port = "localhost", 9092
	a.Brokers = append(a.Brokers, b)
	for _, topic := range topics {
		m := kmsg.NewMetadataResponseTopic()
		m.Topic, m.TopicID = &topic, topicID(topic)
		m.Partitions = append(m.Partitions, kmsg.NewMetadataResponseTopicPartition())
		a.Topics = append(a.Topics, m)
	}
	return t.exchange(q, a)
}

// commit commits first to partition 0, first+1 to partition 1 and so on.
func (t *talker) commit(group, topic string, partitions int, first int64) exchange {
	return t.commitAs(9, group, topic, partitions, first)
}

// commitByID is a commit that names the topic's id only (KIP-848).
func (t *talker) commitByID(group, topic string, partitions int, first int64) exchange {
	return t.commitAs(10, group, topic, partitions, first)
}

func (t *talker) commitAs(version int16, group, topic string, partitions int, first int64) exchange {
	q, a := kmsg.NewPtrOffsetCommitRequest(), kmsg.NewPtrOffsetCommitResponse()
	q.Version, q.Group = version, group
	qt, at := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitResponseTopic()
	qt.Topic, qt.TopicID = topic, topicID(topic)
	at.Topic, at.TopicID = topic, topicID(topic)
	for i := range partitions {
		qp, ap := kmsg.NewOffsetCommitRequestTopicPartition(), kmsg.NewOffsetCommitResponseTopicPartition()
		qp.Partition, qp.Offset = int32(i), first+int64(i)
		ap.Partition = int32(i)
		qt.Partitions, at.Partitions = append(qt.Partitions, qp), append(at.Partitions, ap)
	}
	q.Topics, a.Topics = append(q.Topics, qt), append(a.Topics, at)
	return t.exchange(q, a)
}

// fetch says that partition i has the high watermark first+i, and brings the records of each partition.
func (t *talker) fetch(topic string, first int64, records ...[]byte) exchange {
	q, a := kmsg.NewPtrFetchRequest(), kmsg.NewPtrFetchResponse()
	q.Version = 12
	qt, at := kmsg.NewFetchRequestTopic(), kmsg.NewFetchResponseTopic()
	qt.Topic, at.Topic = topic, topic
	for i, data := range records {
		qp, ap := kmsg.NewFetchRequestTopicPartition(), kmsg.NewFetchResponseTopicPartition()
		qp.Partition, ap.Partition = int32(i), int32(i)
		ap.HighWatermark, ap.LastStableOffset, ap.LogStartOffset = first+int64(i), first+int64(i), 1
		ap.RecordBatches = data
		qt.Partitions, at.Partitions = append(qt.Partitions, qp), append(at.Partitions, ap)
	}
	q.Topics, a.Topics = append(q.Topics, qt), append(a.Topics, at)
	return t.exchange(q, a)
}

// produce sends records to partition 0; the response says that their offset is base.
func (t *talker) produce(topic string, records []byte, base int64) exchange {
	q, a := kmsg.NewPtrProduceRequest(), kmsg.NewPtrProduceResponse()
	q.Version, q.Acks = 9, -1
	qt, at := kmsg.NewProduceRequestTopic(), kmsg.NewProduceResponseTopic()
	qp, ap := kmsg.NewProduceRequestTopicPartition(), kmsg.NewProduceResponseTopicPartition()
	qt.Topic, at.Topic = topic, topic
	qp.Records, ap.BaseOffset = records, base
	qt.Partitions, at.Partitions = append(qt.Partitions, qp), append(at.Partitions, ap)
	q.Topics, a.Topics = append(q.Topics, qt), append(a.Topics, at)
	return t.exchange(q, a)
}

// batch is one record batch of the given size that holds count records. The records themselves are
// not looked at by anyone here.
func batch(base int64, count, size int) []byte {
	b := kmsg.RecordBatch{
		FirstOffset: base, Length: int32(size - 12), Magic: 2, LastOffsetDelta: int32(count - 1),
		FirstTimestamp: 1_700_000_000_000, MaxTimestamp: 1_700_000_000_500,
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: int32(count),
	}
	head := b.AppendTo(nil)
	out := make([]byte, max(size, len(head)))
	copy(out, head)
	for i := len(head); i < len(out); i++ {
		out[i] = byte(i * 7)
	}
	return out
}

// topicOf is the topic that a commit of talker.commit names.
func topicOf(request []byte) string {
	clientID := int(binary.BigEndian.Uint16(request[12:]))
	q := kmsg.NewPtrOffsetCommitRequest()
	q.Version = int16(binary.BigEndian.Uint16(request[6:]))
	if err := q.ReadFrom(request[14+clientID+1:]); err != nil { // behind the header's tags
		panic(err)
	}
	return q.Topics[0].Topic
}
