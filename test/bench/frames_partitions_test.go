// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/test/page"
)

const (
	kibi = 1 << 10
	mebi = 1 << 20
)

// What TestFrames measures of messages that have partitions in them, each of n topics; commit and fetch are beside
// fill, which needs them too.

// An extent is how many partitions are in a frame.
type extent struct{ topics, partitions int }

// extents are those that are measured.
var extents = []extent{{1, 1}, {1, 10}, {topics, partitionsPerTopic}}

func (e extent) count() float64 { return float64(e.topics * e.partitions) }

func (e extent) String() string {
	if e.count() == 1 {
		return "1 partition"
	}
	return page.Number(e.count()) + " partitions"
}

func partitionRows() (rows []frameRow) {
	for _, x := range []struct {
		make    func(n, partitions int) (kmsg.Request, kmsg.Response)
		extents []extent
		what    string
	}{
		{func(n, partitions int) (kmsg.Request, kmsg.Response) { return commit("checkout", n, partitions) }, extents, ""},
		{fetchOffsets, extents, ""},
		{func(n, partitions int) (kmsg.Request, kmsg.Response) { return fetch(n, partitions, 0) }, extents, "no records"},
		// One is among recordRows; a thousand are more than a broker puts into a response (fetch.max.bytes).
		{func(n, partitions int) (kmsg.Request, kmsg.Response) { return fetch(n, partitions, 64*kibi) }, extents[1:2],
			"each with 64 KiB of records"},
		{listOffsets, extents, ""},
		{metadata, extents, ""},
	} {
		for _, e := range x.extents {
			rows = append(rows, frameRow{extent: e, what: x.what, exchange: newest(x.make(e.topics, e.partitions))})
		}
	}
	one := extents[0]
	return append(rows,
		frameRow{extent: one, what: "its topic by name", exchange: newest(commit("checkout", 1, 1)).version(9)},
		frameRow{extent: one, what: "its topic by name, no records", exchange: newest(fetch(1, 1, 0)).version(12)},
		frameRow{extent: one, what: "a batch of 16 KiB", exchange: newest(produce(16 * kibi))},
		frameRow{extent: one, what: "a batch of 64 KiB in buffers of 512 bytes", exchange: newest(produce(64 * kibi)), buffer: 512},
		frameRow{extent: one, what: "a batch acknowledged", exchange: newest(acknowledge())},
		frameRow{extent: one, what: "a batch acknowledged, no records", exchange: newest(fetchShares())},
	)
}

// each makes n of something.
func each[T any](n int, one func(i int) T) []T {
	all := make([]T, n)
	for i := range all {
		all[i] = one(i)
	}
	return all
}

func partitionsUpTo(n int) []int32 { return each(n, func(i int) int32 { return int32(i) }) }

// fetchOffsets asks for the offsets of every partition that the group has committed.
func fetchOffsets(n, partitions int) (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrOffsetFetchRequest(), kmsg.NewPtrOffsetFetchResponse()
	asked, answered := kmsg.NewOffsetFetchRequestGroup(), kmsg.NewOffsetFetchResponseGroup()
	asked.Group, answered.Group = "checkout", "checkout"
	asked.Topics = each(n, func(t int) kmsg.OffsetFetchRequestGroupTopic {
		return kmsg.OffsetFetchRequestGroupTopic{TopicID: topicID(t), Partitions: partitionsUpTo(partitions)}
	})
	answered.Topics = each(n, func(t int) kmsg.OffsetFetchResponseGroupTopic {
		return kmsg.OffsetFetchResponseGroupTopic{TopicID: topicID(t),
			Partitions: each(partitions, func(i int) kmsg.OffsetFetchResponseGroupTopicPartition {
				return kmsg.OffsetFetchResponseGroupTopicPartition{Partition: int32(i), Offset: 1000, LeaderEpoch: 4}
			})}
	})
	request.Groups, response.Groups = append(request.Groups, asked), append(response.Groups, answered)
	return request, response
}

// produce writes one batch.
func produce(bytes int) (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrProduceRequest(), kmsg.NewPtrProduceResponse()
	request.Acks = -1
	request.Topics = []kmsg.ProduceRequestTopic{{TopicID: topicID(0),
		Partitions: []kmsg.ProduceRequestTopicPartition{{Records: batch(bytes)}}}}
	p := kmsg.NewProduceResponseTopicPartition()
	p.BaseOffset = 1000
	response.Topics = []kmsg.ProduceResponseTopic{{TopicID: topicID(0), Partitions: []kmsg.ProduceResponseTopicPartition{p}}}
	return request, response
}

// listOffsets asks for high watermarks.
func listOffsets(n, partitions int) (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrListOffsetsRequest(), kmsg.NewPtrListOffsetsResponse()
	request.ReplicaID = -1
	request.Topics = each(n, func(t int) kmsg.ListOffsetsRequestTopic {
		return kmsg.ListOffsetsRequestTopic{Topic: topicName(t),
			Partitions: each(partitions, func(i int) kmsg.ListOffsetsRequestTopicPartition {
				return kmsg.ListOffsetsRequestTopicPartition{Partition: int32(i), CurrentLeaderEpoch: 4, Timestamp: -1}
			})}
	})
	response.Topics = each(n, func(t int) kmsg.ListOffsetsResponseTopic {
		return kmsg.ListOffsetsResponseTopic{Topic: topicName(t),
			Partitions: each(partitions, func(i int) kmsg.ListOffsetsResponseTopicPartition {
				return kmsg.ListOffsetsResponseTopicPartition{Partition: int32(i), Timestamp: -1, Offset: 2000, LeaderEpoch: 4}
			})}
	})
	return request, response
}

// metadata tells of one broker, which leads every partition.
func metadata(n, partitions int) (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrMetadataRequest(), kmsg.NewPtrMetadataResponse()
	request.Topics = each(n, func(t int) kmsg.MetadataRequestTopic {
		return kmsg.MetadataRequestTopic{Topic: kmsg.StringPtr(topicName(t))}
	})
	response.ClusterID = kmsg.StringPtr(clusterID)
	response.Brokers = []kmsg.MetadataResponseBroker{{NodeID: 1, Host: "broker-1.example.com", Port: 9092}}
	response.Topics = each(n, func(t int) kmsg.MetadataResponseTopic {
		return kmsg.MetadataResponseTopic{Topic: kmsg.StringPtr(topicName(t)), TopicID: topicID(t),
			Partitions: each(partitions, func(i int) kmsg.MetadataResponseTopicPartition {
				return kmsg.MetadataResponseTopicPartition{Partition: int32(i), Leader: 1, Replicas: []int32{1}, ISR: []int32{1}}
			})}
	})
	return request, response
}

// acknowledge acknowledges 100 records of a share group.
func acknowledge() (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrShareAcknowledgeRequest(), kmsg.NewPtrShareAcknowledgeResponse()
	request.GroupID, request.MemberID = kmsg.StringPtr("sharing"), kmsg.StringPtr(memberID)
	request.Topics = []kmsg.ShareAcknowledgeRequestTopic{{TopicID: topicID(0),
		Partitions: []kmsg.ShareAcknowledgeRequestTopicPartition{{
			AcknowledgementBatches: []kmsg.ShareAcknowledgeRequestTopicPartitionAcknowledgementBatch{
				{FirstOffset: 1000, LastOffset: 1099, AcknowledgeTypes: []int8{1}}}}}}}
	response.Topics = []kmsg.ShareAcknowledgeResponseTopic{{TopicID: topicID(0),
		Partitions: []kmsg.ShareAcknowledgeResponseTopicPartition{kmsg.NewShareAcknowledgeResponseTopicPartition()}}}
	return request, response
}

// fetchShares acknowledges as many, and asks for more.
func fetchShares() (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrShareFetchRequest(), kmsg.NewPtrShareFetchResponse()
	request.GroupID, request.MemberID = kmsg.StringPtr("sharing"), kmsg.StringPtr(memberID)
	request.Topics = []kmsg.ShareFetchRequestTopic{{TopicID: topicID(0),
		Partitions: []kmsg.ShareFetchRequestTopicPartition{{
			AcknowledgementBatches: []kmsg.ShareFetchRequestTopicPartitionAcknowledgementBatch{
				{FirstOffset: 1000, LastOffset: 1099, AcknowledgeTypes: []int8{1}}}}}}}
	response.Topics = []kmsg.ShareFetchResponseTopic{{TopicID: topicID(0),
		Partitions: []kmsg.ShareFetchResponseTopicPartition{kmsg.NewShareFetchResponseTopicPartition()}}}
	return request, response
}

// recordRows are responses to a Fetch of one partition, by one read or by several.
func recordRows() []frameRow {
	response := func(what string, batches, bytes, read int) frameRow {
		request, answered := fetch(1, 1, 0)
		var records []byte
		for range batches {
			records = append(records, batch(bytes)...)
		}
		answered.(*kmsg.FetchResponse).Topics[0].Partitions[0].RecordBatches = records
		return frameRow{what: what, exchange: newest(request, answered), read: read}
	}
	return []frameRow{
		response("64 KiB in 1 batch", 1, 64*kibi, mebi),
		response("64 KiB in batches of 16 KiB", 4, 16*kibi, mebi),
		response("64 KiB in batches of 1 KiB", 64, kibi, mebi),
		response("1 MiB in 1 batch", 1, mebi, 2*mebi),
		response("1 MiB in 1 batch, by reads of 64 KiB", 1, mebi, 64*kibi),
		response("1 MiB in batches of 16 KiB, by reads of 64 KiB", 64, 16*kibi, 64*kibi),
	}
}
