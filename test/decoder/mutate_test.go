// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/schema"
)

// foreign are the first words of other protocols, which share ports and hosts with Kafka.
var foreign = [][]byte{
	[]byte("GET /metrics HTTP/1.1\r\nHost: localhost:9092\r\nAccept: */*\r\n\r\n"),
	[]byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"),
	[]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"),
	[]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x5f\x5c\x11\x00\x00\x00\x20\x00\x00\x00\x0c\x00\x00\x0bexample.org"),
	[]byte("\x17\x03\x03\x00\x20\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04"),
	[]byte("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n"),
	[]byte("+OK\r\n$-1\r\n"),
	[]byte("\x00\x00\x00\x29\x00\x03\x00\x00user\x00postgres\x00database\x00postgres\x00\x00"),
	[]byte("R\x00\x00\x00\x08\x00\x00\x00\x00S\x00\x00\x00\x16application_name\x00\x00Z\x00\x00\x00\x05I"),
	[]byte("Q\x00\x00\x00\x0dSELECT 1\x00"),
	[]byte("\x4a\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00\x01\x02\x03\x04"),
	[]byte("SSH-2.0-OpenSSH_9.2p1\r\n"),
	[]byte("\x10\x1e\x00\x04MQTT\x04\x02\x00\x3c\x00\x12client-identifier"),
	make([]byte, 300),
}

var badSizes = []uint32{0, 1, 3, 4, 7, 8, 11, 12, 255, 4096, 1 << 20, 100 << 20, 100<<20 + 1, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff0}

// mutate damages a frame, or leaves it as it is.
func mutate(r *rand.Rand, b []byte) []byte {
	b = slices.Clone(b)
	for n := r.IntN(3); n > 0 && len(b) > 4; n-- {
		at := r.IntN(len(b))
		if r.IntN(2) == 0 { // most of what can go wrong stands at the beginning
			at = r.IntN(min(len(b), 48))
		}
		switch r.IntN(12) {
		case 0, 1:
			b[at] ^= 1 << r.IntN(8)
		case 2:
			b[at] = byte(r.Uint32())
		case 3:
			b[at] = []byte{0, 1, 0x7f, 0x80, 0xff}[r.IntN(5)]
		case 4: // the connection went on elsewhere
			b = b[:at]
		case 5:
			b = slices.Insert(b, at, randomBytes(r, 1+r.IntN(40))...)
		case 6:
			b = slices.Delete(b, at, min(len(b), at+1+r.IntN(40)))
		case 7: // a piece twice
			b = slices.Insert(b, at, slices.Clone(b[at:min(len(b), at+1+r.IntN(200))])...)
		case 8:
			binary.BigEndian.PutUint32(b, badSizes[r.IntN(len(badSizes))])
		case 9: // off by a little
			binary.BigEndian.PutUint32(b, binary.BigEndian.Uint32(b)+uint32(r.IntN(9)-4))
		case 10:
			if at+4 <= len(b) {
				binary.BigEndian.PutUint32(b[at:], badSizes[r.IntN(len(badSizes))])
			}
		case 11:
			b = slices.Concat(b[:at], foreign[r.IntN(len(foreign))], b[at:])
		}
	}
	return b
}

// mutableAPIs are those of which something is published that has a reference.
var mutableAPIs = []kmsg.Key{
	kmsg.OffsetCommit, kmsg.OffsetCommit, kmsg.OffsetCommit, kmsg.OffsetFetch, kmsg.Fetch, kmsg.ListOffsets, kmsg.Metadata,
	kmsg.Heartbeat, kmsg.ApiVersions, kmsg.ConsumerGroupHeartbeat, kmsg.TxnOffsetCommit, kmsg.TxnOffsetCommit, kmsg.EndTxn,
	kmsg.EndTxn, kmsg.WriteTxnMarkers, kmsg.OffsetDelete, kmsg.DeleteGroups, kmsg.DeleteTopics, kmsg.JoinGroup, kmsg.SyncGroup,
	kmsg.SyncGroup, kmsg.ShareFetch, kmsg.ShareAcknowledge, kmsg.ShareGroupHeartbeat, kmsg.StreamsGroupHeartbeat,
}

// anyVersion is one that both kmsg and the decoder know.
func (g *generator) anyVersion(key int16) int16 {
	newest := kmsg.RequestForKey(key).MaxVersion()
	for _, a := range schema.APIs() {
		if a.Key == key {
			newest = min(newest, a.Versions.Max)
		}
	}
	return int16(g.IntN(int(newest) + 1))
}

// dialogue makes some exchanges of one connection.
func (g *generator) dialogue(n int) (requests, responses [][]byte) {
	correlation := int32(g.IntN(100))
	open := transaction{committed: true}
	for range n {
		key := mutableAPIs[g.IntN(len(mutableAPIs))]
		req := kmsg.RequestForKey(key.Int16())
		version := g.anyVersion(key.Int16())
		g.message(req, version)
		resp := req.ResponseKind()
		g.message(resp, version)
		g.answer(req, resp)
		open = g.follow(open, req, resp)
		if g.IntN(15) > 0 { // else one id twice
			correlation++
		}
		requests = append(requests, requestFrame(req, correlation, &testClient, randomTags(g.Rand)))
		responses = append(responses, responseFrame(resp, correlation, randomTags(g.Rand)))
	}
	return requests, responses
}

// follow mostly has a transaction end that was begun before.
func (g *generator) follow(open transaction, req kmsg.Request, resp kmsg.Response) transaction {
	if g.IntN(4) == 0 {
		return open
	}
	switch m := req.(type) {
	case *kmsg.TxnOffsetCommitRequest:
		return transaction{m.ProducerID, m.ProducerEpoch, true}
	case *kmsg.EndTxnRequest:
		m.ProducerID, m.ProducerEpoch, m.Commit = open.producer, open.epoch, open.committed
		resp.(*kmsg.EndTxnResponse).ErrorCode = 0
	case *kmsg.WriteTxnMarkersRequest:
		if len(m.Markers) > 0 {
			last := &m.Markers[len(m.Markers)-1]
			last.ProducerID, last.ProducerEpoch, last.Committed = open.producer, open.epoch+int16(g.IntN(2)), open.committed
		}
	}
	return open
}
