// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"encoding/binary"

	"github.com/ebpfkafka/ebpfkafka/internal/schema"
)

// A second, plain reader of Kafka's messages, for frames that are damaged: unlike kmsg it says what stood before
// the damage. It reads from schema's facts, which TestDifferential holds against kmsg, and knows nothing of ops.

// walker reads one message and calls visit for every field before it is read, and for every element of an array
// after it was read, with the values so far.
type walker struct {
	b        []byte
	bad      bool
	version  int16
	flexible bool
	values   map[string]any // by path: int64, name
	visit    func(path string, end bool)
}

func (w *walker) take(n int) []byte {
	if w.bad || n < 0 || n > len(w.b) {
		w.bad = true
		return make([]byte, 16)
	}
	b := w.b[:n]
	w.b = w.b[n:]
	return b
}

func (w *walker) uvarint() int {
	v, n := binary.Uvarint(w.b[:min(5, len(w.b))])
	if w.bad || n <= 0 || v > 1<<32-1 {
		w.bad = true
		return 0
	}
	w.b = w.b[n:]
	return int(v)
}

// length reads a length or count; -1 is null.
func (w *walker) length(size int) int {
	switch {
	case w.flexible:
		return w.uvarint() - 1
	case size == 2:
		return int(int16(binary.BigEndian.Uint16(w.take(2))))
	default:
		return int(int32(binary.BigEndian.Uint32(w.take(4))))
	}
}

func (w *walker) tags() {
	for n := w.uvarint(); n > 0 && !w.bad; n-- {
		w.uvarint()
		w.take(w.uvarint())
	}
}

func (w *walker) structure(prefix string, fields []schema.Field) {
	for i := range fields {
		f := &fields[i]
		if !f.Versions.Has(w.version) || f.Tagged.Has(w.version) {
			continue
		}
		path := prefix + f.Name
		if w.visit(path, false); !f.Array {
			w.value(path, f)
		} else {
			for n := w.length(4); n > 0 && !w.bad; n-- {
				if w.value(path, f); !w.bad {
					w.visit(path, true)
				}
			}
		}
		if w.bad {
			return
		}
	}
	if w.flexible {
		w.tags()
	}
}

// value reads one value of a field, or one element.
func (w *walker) value(path string, f *schema.Field) {
	switch f.Type {
	case schema.Struct:
		if !f.Array && f.Nullable.Has(w.version) && int8(w.take(1)[0]) < 0 {
			return
		}
		w.structure(path+".", f.Fields)
	case schema.String:
		n := w.length(2)
		if n < 0 { // also where the version has no null: then it names nothing
			w.values[path] = name{}
		} else {
			w.values[path] = name{kind: nameText, bytes: string(w.take(n))}
		}
	case schema.Bytes, schema.Records:
		if n := w.length(4); n > 0 {
			w.take(n)
		}
	case schema.UUID:
		w.values[path] = topicID([16]byte(w.take(16)))
	case schema.Bool, schema.Int8:
		w.values[path] = int64(int8(w.take(1)[0]))
	case schema.Int16, schema.Uint16:
		w.values[path] = int64(int16(binary.BigEndian.Uint16(w.take(2))))
	case schema.Int32, schema.Uint32:
		w.values[path] = int64(int32(binary.BigEndian.Uint32(w.take(4))))
	default:
		w.values[path] = int64(binary.BigEndian.Uint64(w.take(8)))
	}
}

func (w *walker) number(path string) int64 { n, _ := w.values[path].(int64); return n }

func (w *walker) name(path string) name { n, _ := w.values[path].(name); return n }

// topic is the name or the id, whichever the version has.
func (w *walker) topic(prefix string) name {
	for _, path := range []string{prefix + "Name", prefix + "Topic", prefix + "TopicId"} {
		if n := w.name(path); n.kind != nameNone {
			return n
		}
	}
	return name{}
}

// claim is something that may be published: what, of what, and the value.
type claim struct {
	what         string
	group, topic name
	partition    int32
	value        int64
	other        name
}

// candidate is a stretch of bytes that is a whole request.
type candidate struct {
	message *schema.Message // its response
	group   name
	asked   map[claim]bool // commits, without group
}

// claims finds all that could be published rightly after these two directions passed: of every stretch of bytes
// that is a request to its end, with every stretch that is a response to it as far as that goes. Where frames
// begin is left open, for the decoder looks for them again wherever it lost its place.
func claims(requests, responses []byte) map[claim]bool {
	found := map[int32][]candidate{}
	versions := map[int32][]int16{}
	for p := range requests {
		if c, correlation, version, ok := readRequest(requests[p:]); ok {
			found[correlation] = append(found[correlation], c)
			versions[correlation] = append(versions[correlation], version)
		}
	}
	all := map[claim]bool{}
	for p := 0; p+8 <= len(responses); p++ {
		correlation := int32(binary.BigEndian.Uint32(responses[p+4:]))
		for i, c := range found[correlation] {
			size := int(int32(binary.BigEndian.Uint32(responses[p:])))
			if size >= 4 {
				readResponse(responses[p+8:p+4+min(size, len(responses)-p-4)], c, versions[correlation][i], all)
			}
		}
	}
	return all
}

func readRequest(b []byte) (c candidate, correlation int32, version int16, ok bool) {
	if len(b) < 14 {
		return c, 0, 0, false
	}
	size, key := int(binary.BigEndian.Uint32(b)), int16(binary.BigEndian.Uint16(b[4:]))
	version, correlation = int16(binary.BigEndian.Uint16(b[6:])), int32(binary.BigEndian.Uint32(b[8:]))
	m := schema.Lookup(key, true, version)
	if size < 10 || size > len(b)-4 || m == nil || key < 0 {
		return c, 0, 0, false
	}
	c = candidate{message: schema.Lookup(key, false, version), asked: map[claim]bool{}}
	w := &walker{b: b[12 : 4+size], version: version, values: map[string]any{}}
	if n := int(int16(binary.BigEndian.Uint16(w.take(2)))); n > 0 {
		w.take(n)
	}
	if w.flexible = m.Flexible.Has(version); w.flexible {
		w.tags()
	}
	w.visit = func(path string, end bool) {
		if end && path == "Topics.Partitions" && m.Name == "OffsetCommitRequest" {
			c.asked[claim{
				topic: w.topic("Topics."), partition: int32(w.number(path + ".PartitionIndex")), value: w.number(path + ".CommittedOffset"),
			}] = true
		}
	}
	w.structure("", m.Fields)
	c.group = w.name("GroupId")
	return c, correlation, version, !w.bad && len(w.b) == 0
}

func readResponse(b []byte, c candidate, version int16, all map[claim]bool) {
	w := &walker{b: b, version: version, values: map[string]any{}}
	w.flexible = c.message.Flexible.Has(version)
	if schema.ResponseHeaderVersion(c.message.APIKey, version) >= 1 {
		w.tags()
	}
	var group name
	w.visit = func(path string, end bool) {
		switch {
		case (c.message.Name == "OffsetCommitResponse" || c.message.Name == "TxnOffsetCommitResponse") && end && path == "Topics.Partitions":
			// (What a transaction's request asked is in no claim: it only makes the offset unknown.)
			topic, partition, code := w.topic("Topics."), int32(w.number(path+".PartitionIndex")), w.number(path+".ErrorCode")
			all[claim{what: "commit count", group: c.group, topic: topic, value: code}] = true
			for a := range c.asked {
				if a.topic == topic && a.partition == partition && code == 0 {
					all[claim{what: "commit", group: c.group, topic: topic, partition: partition, value: a.value}] = true
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
		case c.message.Name == "MetadataResponse" && path == "Topics.IsInternal":
			all[claim{what: "topic id", topic: w.name("Topics.TopicId"), other: w.name("Topics.Name")}] = true
		case (c.message.Name == "MetadataResponse" || c.message.Name == "DescribeClusterResponse") && path == "ControllerId":
			all[claim{what: "cluster", other: w.name("ClusterId")}] = true
		}
	}
	w.structure("", c.message.Fields)
}
