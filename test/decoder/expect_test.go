// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/internal/schema"
)

// value is what a register must hold.
type value struct {
	reg  schema.Register
	n    int64
	name name
}

func number[T int8 | int16 | int32 | int64 | int](reg schema.Register, n T) value {
	return value{reg: reg, n: int64(n)}
}

func named(reg schema.Register, n name) value { return value{reg: reg, name: n} }

// want is a report that must come: a sink, and the registers that it uses. Others may hold anything.
type want struct {
	sink   schema.Sink
	values []value
}

func (w *want) number(reg schema.Register) int64 {
	for _, v := range w.values {
		if v.reg == reg {
			return v.n
		}
	}
	panic(fmt.Sprintf("sink %d without register %d", w.sink, reg))
}

func (w *want) name(reg schema.Register) name {
	for _, v := range w.values {
		if v.reg == reg {
			return v.name
		}
	}
	return name{}
}

// asked is what the decoder must remember of a request.
type asked struct {
	group, member name
	generation    int32
	isolation     int8
	follower      bool
	version       int16
	key           int16
	noAnswer      bool
	transaction   transaction
}

// transaction is what a request says of one.
type transaction struct {
	producer  int64
	epoch     int16
	committed bool // how it ends
}

// expectation collects what must be reported of one message. It is written by hand from Kafka's protocol and
// kmsg's structs, on purpose without a look at internal/schema's captures.
type expectation struct {
	version int16
	records recordReader
	wants   []want
	asked   asked
	tooLong int // names that are left out
	// assigning is 1 if what was read says what a member owns.
	assigning int
}

func (e *expectation) report(sink schema.Sink, values ...value) {
	e.wants = append(e.wants, want{sink: sink, values: values})
}

// text is a string that is kept; it must be called once for each time that it stands on the wire.
func (e *expectation) text(s string) name {
	if len(s) > 255 {
		e.tooLong++
		return name{kind: nameInvalid}
	}
	return name{kind: nameText, bytes: s}
}

func (e *expectation) nullable(s *string) name {
	if s == nil {
		return name{}
	}
	return e.text(*s)
}

// topic is a topic's name, or its id from the version on that has ids instead.
func (e *expectation) topic(s string, id [16]byte, idsFrom int16) name {
	if e.version < idsFrom {
		return e.text(s)
	}
	return topicID(id)
}

func topicID(id [16]byte) name {
	if id == [16]byte{} {
		return name{}
	}
	return name{kind: nameID, bytes: string(id[:])}
}

// since is a field's value, or what a register holds in versions before the field.
func since[T int8 | int16 | int32 | int64](e *expectation, version int16, n, before T) T {
	if e.version < version {
		return before
	}
	return n
}

// expectRequest computes what must be reported of a request.
func expectRequest(req kmsg.Request, records recordReader) *expectation {
	e := &expectation{version: req.GetVersion(), records: records}
	e.asked = asked{generation: -1, version: req.GetVersion(), key: req.Key()}
	switch m := req.(type) {
	case *kmsg.ProduceRequest:
		e.produceRequest(m)
	case *kmsg.FetchRequest:
		e.fetchRequest(m)
	case *kmsg.ListOffsetsRequest:
		e.listOffsetsRequest(m)
	case *kmsg.OffsetCommitRequest:
		e.offsetCommitRequest(m)
	case *kmsg.TxnOffsetCommitRequest:
		e.txnOffsetCommitRequest(m)
	case *kmsg.OffsetFetchRequest:
		if m.Version < 8 { // later versions ask for several groups, and the response names them
			e.asked.group = e.text(m.Group)
		}
	case *kmsg.JoinGroupRequest:
		e.asked.group, e.asked.member = e.text(m.Group), e.text(m.MemberID)
		e.report(schema.SinkJoinAsked, named(schema.RegGroup, e.asked.group), named(schema.RegMember, e.asked.member))
	case *kmsg.SyncGroupRequest:
		e.asked.group, e.asked.member, e.asked.generation = e.text(m.Group), e.text(m.MemberID), m.Generation
	case *kmsg.HeartbeatRequest:
		e.asked.group, e.asked.member, e.asked.generation = e.text(m.Group), e.text(m.MemberID), m.Generation
	case *kmsg.LeaveGroupRequest:
		e.asked.group = e.text(m.Group)
		if m.Version < 3 {
			e.asked.member = e.text(m.MemberID)
		} else {
			for i := range m.Members { // the last one stands for all
				e.asked.member = e.text(m.Members[i].MemberID)
			}
		}
	case *kmsg.ConsumerGroupHeartbeatRequest:
		e.asked.group, e.asked.member, e.asked.generation = e.text(m.Group), e.text(m.MemberID), m.MemberEpoch
	case *kmsg.ShareGroupHeartbeatRequest:
		e.asked.group, e.asked.member, e.asked.generation = e.text(m.GroupID), e.text(m.MemberID), m.MemberEpoch
	case *kmsg.StreamsGroupHeartbeatRequest:
		e.asked.group, e.asked.member, e.asked.generation = e.text(m.Group), e.text(m.MemberID), m.MemberEpoch
	case *kmsg.ShareFetchRequest:
		e.shareFetchRequest(m)
	case *kmsg.ShareAcknowledgeRequest:
		e.shareAcknowledgeRequest(m)
	case *kmsg.OffsetDeleteRequest:
		e.asked.group = e.text(m.Group)
	case *kmsg.AddOffsetsToTxnRequest:
		e.asked.group = e.text(m.Group)
	case *kmsg.EndTxnRequest:
		e.asked.transaction = transaction{m.ProducerID, m.ProducerEpoch, m.Commit}
	case *kmsg.WriteTxnMarkersRequest:
		e.writeTxnMarkersRequest(m)
	}
	return e
}

// expectResponse computes what must be reported of a response to what was asked.
func expectResponse(resp kmsg.Response, asked asked, records recordReader) *expectation {
	e := &expectation{version: resp.GetVersion(), asked: asked, records: records}
	switch m := resp.(type) {
	case *kmsg.ProduceResponse:
		e.produceResponse(m)
	case *kmsg.FetchResponse:
		e.fetchResponse(m)
	case *kmsg.ListOffsetsResponse:
		e.listOffsetsResponse(m)
	case *kmsg.MetadataResponse:
		e.metadataResponse(m)
	case *kmsg.DescribeClusterResponse:
		e.report(schema.SinkCluster, named(schema.RegCluster, e.text(m.ClusterID)))
	case *kmsg.OffsetCommitResponse:
		e.offsetCommitResponse(m)
	case *kmsg.TxnOffsetCommitResponse:
		e.txnOffsetCommitResponse(m)
	case *kmsg.OffsetFetchResponse:
		e.offsetFetchResponse(m)
	case *kmsg.JoinGroupResponse:
		e.member(m.ErrorCode, e.text(m.MemberID), m.Generation)
	case *kmsg.SyncGroupResponse:
		e.assignment(m.MemberAssignment, m.ErrorCode)
		e.member(m.ErrorCode, name{}, -1)
	case *kmsg.HeartbeatResponse:
		e.member(m.ErrorCode, name{}, -1)
	case *kmsg.LeaveGroupResponse:
		e.member(m.ErrorCode, name{}, -1)
	case *kmsg.ConsumerGroupHeartbeatResponse:
		e.consumerHeartbeatResponse(m)
	case *kmsg.ShareGroupHeartbeatResponse:
		e.shareHeartbeatResponse(m)
	case *kmsg.StreamsGroupHeartbeatResponse:
		e.member(m.ErrorCode, e.text(m.MemberID), m.MemberEpoch)
	case *kmsg.ShareFetchResponse:
		e.shareFetchResponse(m)
	case *kmsg.ShareAcknowledgeResponse:
		e.shareAcknowledgeResponse(m)
	case *kmsg.OffsetDeleteResponse:
		e.offsetDeleteResponse(m)
	case *kmsg.DeleteGroupsResponse:
		for i := range m.Groups {
			g := &m.Groups[i]
			e.report(schema.SinkGroupDeleted, named(schema.RegGroup, e.text(g.Group)), number(schema.RegError, g.ErrorCode))
		}
	case *kmsg.DeleteTopicsResponse:
		e.deleteTopicsResponse(m)
	case *kmsg.EndTxnResponse:
		e.report(schema.SinkTxnEnd, number(schema.RegTopError, m.ErrorCode))
	}
	return e
}

// compare checks reports against what was expected, in order.
func (k *kernel) compare(got []probe.Report, key, version int16, wants []want) error {
	for i := range min(len(got), len(wants)) {
		g, w := &got[i], &wants[i]
		if g.Sink != uint32(w.sink) || g.Api != key || g.Version != version {
			return fmt.Errorf("report %d of %d: sink %d of API %d version %d, want sink %d of API %d version %d",
				i, len(wants), g.Sink, g.Api, g.Version, w.sink, key, version)
		}
		for _, v := range w.values {
			if isName(v.reg) {
				if n := k.name(g.Regs[v.reg]); n != v.name {
					return fmt.Errorf("report %d of %d, sink %d: register %d is %v, want %v", i, len(wants), w.sink, v.reg, n, v.name)
				}
			} else if n := int64(g.Regs[v.reg]); n != v.n {
				return fmt.Errorf("report %d of %d, sink %d: register %d is %d, want %d", i, len(wants), w.sink, v.reg, n, v.n)
			}
		}
	}
	if len(got) != len(wants) {
		return fmt.Errorf("%d reports, want %d", len(got), len(wants))
	}
	return nil
}
