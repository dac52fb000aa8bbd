// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"fmt"

	"github.com/ebpfkafka/ebpfkafka/internal/schema"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// The part of the model that is about groups: members, assignments, transactions, share groups, what was deleted.

type groupKey struct{ client, group name }

type groupValue struct {
	deleted, joining, joined bool
	rebalances               uint64
}

// told is when a member was told what it owns: the request's time, and which request.
type told struct {
	at          int
	connection  uint64
	correlation int32
}

type assignmentKey struct {
	client, group, topic name
	partition            int32
}

type assignmentValue struct {
	member   name
	assigned told
}

// transactionKey is a producer within a process: on a client by its client id, on a broker by nothing else.
type transactionKey struct {
	role     state.Role
	client   name
	producer int64
}

type openOffset struct {
	offset int64
	epoch  int16
	asked  int
}

type acknowledgements struct{ accepted, released, rejected uint64 }

// acknowledgementBatch is what was read so far of a partition in a request.
type acknowledgementBatch struct {
	types []int64
	sum   acknowledgements
}

type goneKey struct{ client, topic name }

const (
	apiLeaveGroup = 13
	apiSyncGroup  = 14

	errorUnknownTopic        = 3
	errorCoordinatorLoading  = 14
	errorNotCoordinator      = 16
	errorRebalanceInProgress = 27
	errorUnknownTopicID      = 100
)

// groupReport follows a report that is about a group as a whole, or its members.
func (m *model) groupReport(w *want, at place, topic name, partition int32) {
	switch w.sink {
	case schema.SinkOffsetDeleted:
		if w.number(schema.RegTopError) == 0 && w.number(schema.RegError) == 0 && topic.usable() && at.asked.group.usable() {
			m.putOffset(offsetKey{at.client, at.asked.group, topic, partition}, offsetValue{offset: -1, source: state.OffsetDeleted, since: at.now})
		}
	case schema.SinkGroupDeleted:
		if group := w.name(schema.RegGroup); w.number(schema.RegError) == 0 && group.usable() {
			m.group(at.client, group).deleted = true
		}
	case schema.SinkJoinAsked:
		if at.recognised {
			m.rebalanceBegins(at)
		}
	case schema.SinkAssigned:
		// The member is named before in ConsumerGroupHeartbeat's response, and with SinkMember in the model.
		m.assigned = append(m.assigned, assignmentKey{at.client, at.asked.group, topic, partition})
	case schema.SinkMember:
		m.member(w, at)
	}
}

func (m *model) group(client, name name) *groupValue {
	key := groupKey{client, name}
	if m.groups[key] == nil {
		m.groups[key] = &groupValue{}
	}
	return m.groups[key]
}

// rebalanceBegins: a connection to a coordinator is one member's.
func (m *model) rebalanceBegins(at place) {
	if m.joining[at.connection] == 0 && at.asked.group.usable() {
		m.joining[at.connection] = at.now
		m.group(at.client, at.asked.group).joining = true
	}
}

func (m *model) member(w *want, at place) {
	code := int16(w.number(schema.RegTopError))
	assigned, assigning := m.assigned, w.number(schema.RegAssignment)
	m.assigned = nil
	if code >= errorCoordinatorLoading && code <= errorNotCoordinator {
		return // of the coordinator, not of the member
	}
	switch {
	case code == errorRebalanceInProgress:
		m.rebalanceBegins(at)
	case at.asked.key == apiLeaveGroup:
		if m.joining[at.connection] != 0 && at.asked.group.usable() {
			m.group(at.client, at.asked.group).joined = true
		}
		m.joining[at.connection] = 0
	case at.asked.key == apiSyncGroup && code == 0 && m.joining[at.connection] != 0:
		began := m.joining[at.connection]
		m.joining[at.connection] = 0
		if began == at.now {
			m.unsure[groupKey{at.client, at.asked.group}] = true
		}
		if at.asked.group.usable() {
			g := m.group(at.client, at.asked.group)
			g.joined = true
			g.rebalances++
		}
	}
	member := w.name(schema.RegMember)
	if !member.usable() {
		member = at.asked.member
	}
	if !at.asked.group.usable() || !member.usable() {
		return
	}
	generation := int32(w.number(schema.RegGeneration))
	if generation < 0 {
		generation = at.asked.generation
	}
	key := memberKey{at.client, at.asked.group, member}
	v := memberValue{generation: generation, code: code, api: at.asked.key, assigned: m.members[key].assigned}
	this := told{at.askedAt, at.connection, at.correlation}
	switch {
	case code == 0 && (assigning == 1 || (assigning == 0 && at.asked.key == apiSyncGroup)):
		v.assigned = this
	case assigning == 2:
		v.assigned = told{}
	}
	for _, a := range assigned { // of bytes that turned out to be no assignment they count for nothing
		if a.topic.usable() && code == 0 {
			m.assignments[a] = assignmentValue{member, this}
		}
	}
	m.members[key] = v
}

// transactionCommit: an offset within a transaction changes nothing until the transaction ends.
func (m *model) transactionCommit(at place, key offsetKey, offset int64) {
	t := m.transaction(at, at.asked.transaction.producer)
	if m.transactions[t] == nil {
		m.transactions[t] = map[offsetKey]openOffset{}
	}
	m.transactions[t][key] = openOffset{offset, at.asked.transaction.epoch, at.askedAt}
}

func (m *model) transaction(at place, producer int64) transactionKey {
	t := transactionKey{role: at.role, producer: producer}
	if at.role == state.RoleClient {
		t.client = at.client
	}
	return t
}

// transactionEnd is EndTxn's answer on a client, and a marker on a broker, whose epoch may be one more than the
// producer's (KIP-890).
func (m *model) transactionEnd(w *want, at place) {
	end, marker := at.asked.transaction, w.sink == schema.SinkTxnMarker
	switch {
	case marker && at.role != state.RoleBroker, !marker && (at.role != state.RoleClient || w.number(schema.RegTopError) != 0):
		return
	case marker:
		end = transaction{w.number(schema.RegProducer), int16(w.number(schema.RegProducerEpoch)), w.number(schema.RegCommitted) != 0}
	}
	t := m.transaction(at, end.producer)
	for key, o := range m.transactions[t] {
		known := m.offsets[key]
		if !end.committed || o.epoch != end.epoch && (!marker || o.epoch+1 != end.epoch) ||
			known.committed > o.asked {
			continue
		}
		v := offsetValue{offset: o.offset, source: state.OffsetTransaction, since: at.now, committed: o.asked}
		if o.offset < 0 {
			v.offset, v.source, v.ended = -1, state.OffsetUnknown, true
		}
		m.putOffset(key, v)
	}
	delete(m.transactions, t)
}

// share follows the acknowledgements of a share group: either a type for each record of a batch, or one for all.
func (m *model) share(w *want, at place, pending pendingKey) {
	const mostOfABatch = 1<<21 - 1 // SHARE_MASK of bpf/sinks_share.h
	b := &m.reading
	switch w.sink {
	case schema.SinkShareType:
		b.types = append(b.types, w.number(schema.RegAckType))
	case schema.SinkShareBatch:
		records, each := w.number(schema.RegBatchLast)-w.number(schema.RegBatchBase)+1, uint64(1)
		if len(b.types) == 1 && records > 0 && records <= mostOfABatch {
			each = uint64(records)
		} else if int64(len(b.types)) != records {
			b.types = nil
		}
		for _, t := range b.types {
			switch t {
			case 1:
				b.sum.accepted += each
			case 2:
				b.sum.released += each
			case 3:
				b.sum.rejected += each
			}
		}
		b.types = nil
	case schema.SinkShareAsked:
		if b.sum != (acknowledgements{}) && pending.topic.usable() && at.asked.group.usable() {
			m.pending[pending] = pendingValue{acks: b.sum}
		}
		b.sum = acknowledgements{}
	case schema.SinkShareAnswered:
		asked, ok := m.pending[pending]
		if !ok {
			return
		}
		delete(m.pending, pending)
		if w.number(schema.RegError) == 0 && w.number(schema.RegTopError) == 0 {
			key := offsetKey{at.client, at.asked.group, pending.topic, pending.partition}
			sum := m.shares[key]
			sum.accepted += asked.acks.accepted
			sum.released += asked.acks.released
			sum.rejected += asked.acks.rejected
			m.shares[key] = sum
		}
	}
}

func (m *model) topicGone(at place, names ...name) {
	for _, n := range names {
		if n.usable() {
			m.gone[goneKey{at.client, n}] = true
		}
	}
}

// checkGroups compares this part with the kernel's.
func (m *model) checkGroups(k *kernel, s *state.Snapshot, client func(state.LinkID) (name, bool)) error {
	groups, want := map[groupKey]groupValue{}, map[groupKey]groupValue{}
	for _, g := range s.Groups {
		if c, ok := client(g.Link); ok {
			groups[groupKey{c, k.name(uint64(g.Group))}] = groupValue{g.Deleted != 0, g.Joining != 0, g.Joined != 0, g.Rebalances}
			if (g.Rebalances > 0) != (g.Rebalancing > 0) {
				return fmt.Errorf("%d rebalances took %s", g.Rebalances, g.Rebalancing)
			}
		}
	}
	for key, g := range m.groups {
		want[key] = *g
	}
	for key := range m.unsure {
		delete(want, key)
		delete(groups, key)
	}
	shares := map[offsetKey]acknowledgements{}
	for _, x := range s.Shares {
		if c, ok := client(x.Link); ok {
			key := offsetKey{c, k.name(uint64(x.Group)), k.name(uint64(x.Topic)), x.Partition}
			shares[key] = acknowledgements{x.Accepted, x.Released, x.Rejected}
		}
	}
	gone := map[goneKey]bool{}
	for _, x := range s.Gone {
		if c, ok := client(x.Link); ok {
			gone[goneKey{c, k.name(uint64(x.Topic))}] = true
		}
	}
	for _, err := range []error{
		same("group", want, groups), same("acknowledgements of", m.shares, shares), same("topic that is gone", m.gone, gone),
		m.checkAssignments(k, s, client),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkAssignments compares who owns what, and whether that is as of the member's newest assignment. Of two that were
// asked for at one logical time it is not known which request was sent first.
func (m *model) checkAssignments(k *kernel, s *state.Snapshot, client func(state.LinkID) (name, bool)) error {
	times := map[memberKey]uint64{}
	for _, x := range s.Members {
		if c, ok := client(x.Link); ok {
			times[memberKey{c, k.name(uint64(x.Group)), k.name(uint64(x.Member))}] = x.Assigned
		}
	}
	assignments, want := map[assignmentKey]name{}, map[assignmentKey]name{}
	for _, a := range s.Assignments {
		c, ok := client(a.Link)
		if !ok {
			continue
		}
		key := assignmentKey{c, k.name(uint64(a.Group)), k.name(uint64(a.Topic)), a.Partition}
		assignments[key] = k.name(uint64(a.Member))
		owner := memberKey{c, key.group, k.name(uint64(a.Member))}
		current, known, member := times[owner] == a.Assigned, m.assignments[key].assigned, m.members[owner].assigned
		if known == member && !current || known.at != member.at && current {
			return fmt.Errorf("assignment %v of %v: current %t, want %t", key, owner, current, !current)
		}
	}
	for key, a := range m.assignments {
		want[key] = a.member
	}
	return same("assignment", want, assignments)
}
