// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"encoding/binary"

	"github.com/ebpfkafka/ebpfkafka/internal/schema"
)

// claim is something that may be published: what, of what, and the value.
type claim struct {
	what         string
	group, topic name
	partition    int32
	value        int64
	other        name
}

// endAsked stands for the request to end a transaction, answered or not: what it changes may have been put into the
// transaction long before, and an abort whose answer is not seen leaves it open how that ended.
var endAsked = claim{what: "end of a transaction asked for"}

// candidate is a stretch of bytes that is a whole request.
type candidate struct {
	message *schema.Message // its response
	group   name
	asked   map[claim]bool // commits, without group
	transaction
}

// openClaim may be published once the transaction ends.
type openClaim struct {
	claim
	transaction
}

// claimed is what was found so far.
type claimed struct {
	all  map[claim]bool
	open map[openClaim]bool
	ends map[transaction]bool
}

// claims finds all that could be published rightly after these two directions passed: of every stretch of bytes
// that is a request to its end, with every stretch that is a response to it as far as that goes. Where frames
// begin is left open, for the decoder looks for them again wherever it lost its place.
func claims(requests, responses []byte) map[claim]bool {
	found := map[int32][]candidate{}
	versions := map[int32][]int16{}
	k := &claimed{all: map[claim]bool{}, open: map[openClaim]bool{}, ends: map[transaction]bool{}}
	for p := range requests {
		if c, correlation, version, ok := readRequest(requests[p:], k); ok {
			found[correlation] = append(found[correlation], c)
			versions[correlation] = append(versions[correlation], version)
			if c.message.Name == "EndTxnResponse" {
				k.all[endAsked] = true
			}
		}
	}
	for p := 0; p+8 <= len(responses); p++ {
		correlation := int32(binary.BigEndian.Uint32(responses[p+4:]))
		for i, c := range found[correlation] {
			size := int(int32(binary.BigEndian.Uint32(responses[p:])))
			if size >= 4 {
				readResponse(responses[p+8:p+4+min(size, len(responses)-p-4)], c, versions[correlation][i], k)
			}
		}
	}
	for o := range k.open {
		if k.ends[o.transaction] {
			k.all[o.claim] = true
		}
	}
	return k.all
}

func readRequest(b []byte, k *claimed) (c candidate, correlation int32, version int16, ok bool) {
	if len(b) < 14 {
		return c, 0, 0, false
	}
	size, key := int(binary.BigEndian.Uint32(b)), int16(binary.BigEndian.Uint16(b[4:]))
	version, correlation = int16(binary.BigEndian.Uint16(b[6:])), int32(binary.BigEndian.Uint32(b[8:]))
	m := schema.Lookup(key, true, version)
	if size < 10 || m == nil || key < 0 || (size > len(b)-4 && m.Name != "WriteTxnMarkersRequest") {
		return c, 0, 0, false
	}
	c = candidate{message: schema.Lookup(key, false, version), asked: map[claim]bool{}}
	w := &walker{b: b[12:min(4+size, len(b))], version: version, values: map[string]any{}}
	if n := int(int16(binary.BigEndian.Uint16(w.take(2)))); n > 0 {
		w.take(n)
	}
	if w.flexible = m.Flexible.Has(version); w.flexible {
		w.tags()
	}
	w.visit = func(path string, end bool) {
		if end && path == "Markers" { // what one marker says is true whatever comes behind it
			epoch := int16(w.number("Markers.ProducerEpoch"))
			for _, e := range []int16{epoch, epoch - 1} { // KIP-890
				k.ends[transaction{w.number("Markers.ProducerId"), e, w.number("Markers.TransactionResult") != 0}] = true
			}
		}
		if end && path == "Topics.Partitions" && (m.Name == "OffsetCommitRequest" || m.Name == "TxnOffsetCommitRequest") {
			c.asked[claim{
				topic: w.topic("Topics."), partition: int32(w.number(path + ".PartitionIndex")), value: w.number(path + ".CommittedOffset"),
			}] = true
		}
	}
	w.structure("", m.Fields)
	c.group = w.name("GroupId")
	c.transaction = transaction{w.number("ProducerId"), int16(w.number("ProducerEpoch")), w.number("Committed") != 0}
	return c, correlation, version, !w.bad && len(w.b) == 0 && size <= len(b)-4
}

func readResponse(b []byte, c candidate, version int16, k *claimed) {
	all := k.all
	w := &walker{b: b, version: version, values: map[string]any{}}
	w.flexible = c.message.Flexible.Has(version)
	if schema.ResponseHeaderVersion(c.message.APIKey, version) >= 1 {
		w.tags()
	}
	var group name
	w.visit = func(path string, end bool) {
		switch {
		case (c.message.Name == "OffsetCommitResponse" || c.message.Name == "TxnOffsetCommitResponse") && end && path == "Topics.Partitions":
			topic, partition, code := w.topic("Topics."), int32(w.number(path+".PartitionIndex")), w.number(path+".ErrorCode")
			all[claim{what: "commit count", group: c.group, topic: topic, value: code}] = true
			for a := range c.asked {
				switch o := (claim{what: "commit", group: c.group, topic: topic, partition: partition, value: a.value}); {
				case a.topic != topic || a.partition != partition || code != 0:
				case c.message.Name == "OffsetCommitResponse":
					all[o] = true
				default:
					o.what = "transaction"
					k.open[openClaim{o, transaction{c.producer, c.epoch, true}}] = true
				}
			}
			if code == 0 {
				all[claim{what: "unknown", group: c.group, topic: topic, partition: partition, value: -1}] = true
			}
		case c.message.Name == "OffsetFetchResponse" && end && (path == "Topics.Partitions" || path == "Groups.Topics.Partitions"):
			group = c.group
			if path != "Topics.Partitions" {
				group = w.name("Groups.GroupId")
			}
			if w.number(path+".ErrorCode") == 0 {
				all[claim{
					what: "fetched", group: group, topic: w.topic(path[:len(path)-len("Partitions")]),
					partition: int32(w.number(path + ".PartitionIndex")), value: w.number(path + ".CommittedOffset"),
				}] = true
			}
		case c.message.Name == "FetchResponse" && !end && path == "Responses.Partitions.Records":
			const p = "Responses.Partitions."
			for what, n := range map[string]int64{
				"high": w.number(p + "HighWatermark"), "stable": w.number(p + "LastStableOffset"), "start": w.number(p + "LogStartOffset"),
			} {
				all[claim{what: what, topic: w.topic("Responses."), partition: int32(w.number(p + "PartitionIndex")), value: n}] = true
			}
		case c.message.Name == "ListOffsetsResponse" && (end && path == "Topics.Partitions" || path == "Topics.Partitions.LeaderEpoch"):
			const path = "Topics.Partitions"
			for _, what := range []string{"high", "stable", "start"} {
				all[claim{what: what, topic: w.topic("Topics."), partition: int32(w.number(path + ".PartitionIndex")), value: w.number(path + ".Offset")}] = true
			}
		case c.message.Name == "OffsetDeleteResponse" && end && path == "Topics.Partitions":
			all[claim{
				what: "fetched", group: c.group, topic: w.topic("Topics."), partition: int32(w.number(path + ".PartitionIndex")), value: -1,
			}] = true
		case c.message.Name == "DeleteGroupsResponse" && end && path == "Results" && w.number("Results.ErrorCode") == 0:
			all[claim{what: "group deleted", group: w.name("Results.GroupId")}] = true
		case c.message.Name == "DeleteTopicsResponse" && end && path == "Responses" && w.number("Responses.ErrorCode") == 0:
			all[claim{what: "gone", topic: w.name("Responses.Name")}] = true
			all[claim{what: "gone", topic: w.name("Responses.TopicId")}] = true
		case c.message.APIKey == apiSyncGroup && path == "Assignment":
			w.assignment(c.group, all)
		case end && path == "Assignment.TopicPartitions.Partitions":
			all[claim{
				what: "assigned", group: c.group, topic: w.name("Assignment.TopicPartitions.TopicId"), partition: int32(w.number(path)),
			}] = true
		case (c.message.Name == "ShareFetchResponse" || c.message.Name == "ShareAcknowledgeResponse") && end && path == "Responses.Partitions":
			all[claim{
				what: "shared", group: c.group, topic: w.name("Responses.TopicId"), partition: int32(w.number(path + ".PartitionIndex")),
			}] = true
		case c.message.Name == "MetadataResponse" && path == "Topics.IsInternal":
			if code := w.number("Topics.ErrorCode"); code == errorUnknownTopic || code == errorUnknownTopicID {
				all[claim{what: "gone", topic: w.name("Topics.Name")}] = true
				all[claim{what: "gone", topic: w.name("Topics.TopicId")}] = true
			}
			all[claim{what: "topic id", topic: w.name("Topics.TopicId"), other: w.name("Topics.Name")}] = true
		case (c.message.Name == "MetadataResponse" || c.message.Name == "DescribeClusterResponse") && path == "ControllerId":
			all[claim{what: "cluster", other: w.name("ClusterId")}] = true
		}
	}
	w.structure("", c.message.Fields)
	if c.message.Name == "EndTxnResponse" && w.number("ErrorCode") == 0 {
		k.ends[c.transaction] = true
	}
}

// assignment claims what the assignment says that comes next, as far as it has passed: what is missing is taken for
// zeros, which claims a little more.
func (w *walker) assignment(group name, all map[claim]bool) {
	const most = 1 << 16
	next := *w
	n := min(next.length(4), most)
	if next.bad || n <= 0 {
		return
	}
	b := make([]byte, n)
	copy(b, next.b)
	e := &expectation{}
	e.assignment(b, 0)
	for i := range e.wants {
		if r := &e.wants[i]; r.sink == schema.SinkAssigned {
			all[claim{what: "assigned", group: group, topic: r.name(schema.RegTopic), partition: int32(r.number(schema.RegPartition))}] = true
		}
	}
}
