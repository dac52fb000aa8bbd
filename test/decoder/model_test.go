// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"fmt"
	"maps"

	"github.com/ebpfkafka/ebpfkafka/internal/schema"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// model is what must be known after a sequence of exchanges: what design and semantics demand of the maps.
//
// Times are logical: requests that are sent together were asked at one time, before all their answers.
type model struct {
	offsets    map[offsetKey]offsetValue
	watermarks map[partitionKey]*watermark
	batches    map[partitionKey][]state.Batch
	topicIDs   map[name]name
	clusters   map[name]name // by client
	commits    map[commitKey]uint64
	members    map[memberKey]memberValue
	sessions   map[sessionKey]bool
	pending    map[pendingKey]pendingValue
	drops      map[string]uint64

	groups       map[groupKey]*groupValue
	joining      map[uint64]int    // when it began, by connection; 0: it does not
	unsure       map[groupKey]bool // a rebalance began and ended at one time: the kernel counts it if that was two calls
	assignments  map[assignmentKey]assignmentValue
	assigned     []assignmentKey // by the response that is being read
	transactions map[transactionKey]map[offsetKey]openOffset
	shares       map[offsetKey]acknowledgements
	reading      acknowledgementBatch
	gone         map[goneKey]bool
}

type offsetKey struct {
	client, group, topic name
	partition            int32
}

type offsetValue struct {
	offset int64
	source state.OffsetSource
	// Times are not compared: the kernel's are not logical.
	since     int
	committed int  // when the newest commit was asked for
	ended     bool // not known, by the end of a transaction
}

type partitionKey struct {
	client, topic name
	partition     int32
}

type watermark struct {
	high, stable, start, produced int64
	time, startTime, producedTime int
	session                       int32
	follower                      bool
}

type commitKey struct {
	client, group, topic name
	code                 int16
}

type memberKey struct{ client, group, member name }

type memberValue struct {
	generation int32
	code, api  int16
	assigned   told
}

type sessionKey struct {
	client  name
	session int32
}

type pendingKey struct {
	connection  uint64
	correlation int32
	topic       name
	partition   int32
}

type pendingValue struct {
	value int64
	acks  acknowledgements
}

func newModel() *model {
	return &model{
		offsets: map[offsetKey]offsetValue{}, watermarks: map[partitionKey]*watermark{}, batches: map[partitionKey][]state.Batch{},
		topicIDs: map[name]name{}, clusters: map[name]name{}, commits: map[commitKey]uint64{},
		members: map[memberKey]memberValue{}, sessions: map[sessionKey]bool{}, pending: map[pendingKey]pendingValue{},
		drops: map[string]uint64{}, groups: map[groupKey]*groupValue{}, joining: map[uint64]int{}, unsure: map[groupKey]bool{},
		assignments: map[assignmentKey]assignmentValue{}, transactions: map[transactionKey]map[offsetKey]openOffset{},
		shares: map[offsetKey]acknowledgements{}, gone: map[goneKey]bool{},
	}
}

// place is where and when a report is made.
type place struct {
	connection  uint64
	role        state.Role
	correlation int32
	client      name
	asked       asked // the request, also in the response
	askedAt     int
	now         int
	recognised  bool // the connection, when the request was sent
}

const (
	apiFetch           = 1
	apiTxnOffsetCommit = 28
)

// apply follows one report.
func (m *model) apply(w *want, at place) {
	topic := w.name(schema.RegTopic)
	partition := int32(0)
	for _, v := range w.values {
		if v.reg == schema.RegPartition {
			partition = int32(v.n)
		}
	}
	pending := pendingKey{at.connection, at.correlation, topic, partition}
	known, wasAsked := m.pending[pending]
	key := partitionKey{at.client, topic, partition}
	switch w.sink {
	case schema.SinkCommitAsked:
		if topic.usable() && at.asked.group.usable() {
			m.pending[pending] = pendingValue{value: w.number(schema.RegOffset)}
		}
	case schema.SinkListAsked:
		// Version 0 is not taken from, and a follower asks for the end of the log, not for the high watermark.
		if topic.usable() && at.asked.version > 0 && w.number(schema.RegReplica) < 0 {
			m.pending[pending] = pendingValue{value: w.number(schema.RegTimestamp)}
		}
	case schema.SinkProduceAsked:
		// Only acks=all says that the records are below the high watermark.
		if topic.usable() && w.number(schema.RegAcks) == -1 {
			m.pending[pending] = pendingValue{value: w.number(schema.RegRecords)}
		}
	case schema.SinkCommitAnswered:
		if !topic.usable() || !at.asked.group.usable() {
			return
		}
		delete(m.pending, pending)
		code := w.number(schema.RegError)
		m.commits[commitKey{at.client, at.asked.group, topic, int16(code)}]++
		if code != 0 {
			return
		}
		key := offsetKey{at.client, at.asked.group, topic, partition}
		v := offsetValue{offset: known.value, source: state.OffsetCommitted, since: at.now, committed: at.askedAt}
		if !wasAsked {
			m.drops["pending_missing"]++
		}
		if !wasAsked || v.offset < 0 {
			v.offset, v.source = -1, state.OffsetUnknown
		}
		if at.asked.key == apiTxnOffsetCommit {
			m.transactionCommit(at, key, v.offset)
			return
		}
		m.putOffset(key, v)
	case schema.SinkOffsetFetched:
		m.offsetFetched(w, at, topic, partition)
	case schema.SinkListAnswered:
		if !topic.usable() || !wasAsked {
			return
		}
		delete(m.pending, pending)
		m.listAnswered(w, at, key, known.value)
	case schema.SinkProduceAnswered:
		if !topic.usable() || !wasAsked {
			return
		}
		delete(m.pending, pending)
		base := w.number(schema.RegOffset)
		if w.number(schema.RegError) != 0 || base < 0 {
			return
		}
		k := m.watermark(key)
		if end := base + known.value; supersedes(end, at.askedAt, k.produced, k.producedTime) {
			k.produced, k.producedTime = end, at.now
		}
	case schema.SinkWatermark:
		m.fetched(w, at, key)
	case schema.SinkFetchForgotten:
		// On a connection that is not recognised yet it is not known which partition this is.
		if k := m.watermarks[key]; k != nil && at.recognised {
			k.session = 0
		}
	case schema.SinkFetchSession:
		session := int32(w.number(schema.RegSession))
		if session != 0 && w.number(schema.RegTopError) == 0 && w.number(schema.RegThrottle) <= 0 {
			m.sessions[sessionKey{at.client, session}] = true
		}
	case schema.SinkBatch:
		if topic.usable() {
			base := w.number(schema.RegBatchBase)
			m.batches[key] = append(m.batches[key], state.Batch{
				First: base, Last: base + w.number(schema.RegBatchLast),
				FirstTime: w.number(schema.RegBatchTime), MaxTime: w.number(schema.RegBatchMaxTime),
			})
		}
	case schema.SinkTopicID:
		n := w.name(schema.RegTopicName)
		if code := w.number(schema.RegError); code == errorUnknownTopic || code == errorUnknownTopicID {
			m.topicGone(at, topic, n)
		}
		if w.number(schema.RegError) == 0 && topic.usable() && n.usable() {
			m.topicIDs[topic] = n
		}
	case schema.SinkCluster:
		if n := w.name(schema.RegCluster); n.usable() {
			m.clusters[at.client] = n
		}
	case schema.SinkTopicDeleted:
		if w.number(schema.RegError) == 0 {
			m.topicGone(at, topic, w.name(schema.RegTopicName))
		}
	case schema.SinkTxnEnd, schema.SinkTxnMarker:
		m.transactionEnd(w, at)
	case schema.SinkShareType, schema.SinkShareBatch, schema.SinkShareAsked, schema.SinkShareAnswered:
		m.share(w, at, pending)
	default:
		m.groupReport(w, at, topic, partition)
	}
}

// putOffset puts an offset in place of the one before, whose commit it comes after.
func (m *model) putOffset(key offsetKey, v offsetValue) {
	v.committed = max(v.committed, m.offsets[key].committed)
	m.offsets[key] = v
}

func (m *model) offsetFetched(w *want, at place, topic name, partition int32) {
	group := w.name(schema.RegGroup)
	if group.kind == nameNone {
		group = at.asked.group
	}
	if w.number(schema.RegError) != 0 || !topic.usable() || !group.usable() {
		return
	}
	key := offsetKey{at.client, group, topic, partition}
	known, ok := m.offsets[key]
	if ok && (known.since > at.askedAt || known.source == state.OffsetTransaction || known.ended) {
		return // acknowledged after this was asked, or the markers of a transaction may not be written yet
	}
	if ok && known.source == state.OffsetCommitted && known.offset == w.number(schema.RegOffset) {
		known.since = at.askedAt // the client's own commit is still what the broker has
		m.offsets[key] = known
		return
	}
	v := offsetValue{offset: w.number(schema.RegOffset), source: state.OffsetFetched, since: at.askedAt}
	if v.offset < 0 {
		v.source = state.OffsetDeleted
	}
	m.putOffset(key, v)
}

// supersedes: ends of a log grow, so a lower one counts only if it was asked for after the higher one came.
func supersedes(n int64, asked int, known int64, knownAt int) bool {
	return n >= known || asked > knownAt
}

func (m *model) watermark(key partitionKey) *watermark {
	k := m.watermarks[key]
	if k == nil {
		k = &watermark{high: -1, stable: -1, start: -1, produced: -1}
		m.watermarks[key] = k
	}
	return k
}

func (m *model) fetched(w *want, at place, key partitionKey) {
	high, start := w.number(schema.RegHighWatermark), w.number(schema.RegLogStart)
	if !key.topic.usable() {
		return
	}
	if w.number(schema.RegError) != 0 || high < 0 {
		if k := m.watermarks[key]; k != nil {
			k.session = 0 // what the session leaves out from now on is the error
		}
		return
	}
	k := m.watermark(key)
	if supersedes(high, at.askedAt, k.high, k.time) {
		k.high, k.stable, k.time = high, w.number(schema.RegLastStable), at.now
	}
	if start >= 0 && supersedes(start, at.askedAt, k.start, k.startTime) {
		k.start, k.startTime = start, at.now
	}
	k.session, k.follower = int32(w.number(schema.RegSession)), at.asked.follower
}

func (m *model) listAnswered(w *want, at place, key partitionKey, timestamp int64) {
	const latest, earliest = -1, -2
	offset := w.number(schema.RegOffset)
	if w.number(schema.RegError) != 0 || offset < 0 || (timestamp != latest && timestamp != earliest) {
		return
	}
	k := m.watermark(key)
	switch {
	case timestamp == earliest:
		if supersedes(offset, at.askedAt, k.start, k.startTime) {
			k.start, k.startTime = offset, at.now
		}
	case at.asked.isolation == 1: // read committed: the end that such a reader sees
		k.stable = offset
	case supersedes(offset, at.askedAt, k.high, k.time):
		k.high, k.stable, k.time, k.session = offset, -1, at.now, 0
	}
}

// check compares the model with what the kernel knows of the links of one role.
func (m *model) check(k *kernel, role state.Role) error {
	s := k.snapshot()
	client := func(id state.LinkID) (name, bool) {
		l, ok := s.Links[id]
		return k.name(uint64(l.Client)), ok && l.Role == role
	}
	offsets := map[offsetKey]offsetValue{}
	for _, o := range s.Offsets {
		if c, ok := client(o.Link); ok {
			key := offsetKey{c, k.name(uint64(o.Group)), k.name(uint64(o.Topic)), o.Partition}
			offsets[key] = offsetValue{o.Offset, o.Source, m.offsets[key].since, m.offsets[key].committed, m.offsets[key].ended}
		}
	}
	watermarks := map[partitionKey]watermark{}
	for _, w := range s.Watermarks {
		if c, ok := client(w.Link); ok {
			key := partitionKey{c, k.name(uint64(w.Topic)), w.Partition}
			v := watermark{
				high: w.HighWatermark, stable: w.LastStable, start: w.LogStart, produced: w.Produced,
				session: w.Session, follower: w.Follower,
			}
			if known := m.watermarks[key]; known != nil {
				v.time, v.startTime, v.producedTime = known.time, known.startTime, known.producedTime
			}
			watermarks[key] = v
		}
	}
	wantWatermarks := map[partitionKey]watermark{}
	for key, w := range m.watermarks {
		wantWatermarks[key] = *w
	}
	commits := map[commitKey]uint64{}
	for _, n := range s.Commits {
		if c, ok := client(n.Link); ok {
			commits[commitKey{c, k.name(uint64(n.Group)), k.name(uint64(n.Topic)), n.Error}] = n.Count
		}
	}
	members := map[memberKey]memberValue{}
	for _, n := range s.Members {
		if c, ok := client(n.Link); ok {
			key := memberKey{c, k.name(uint64(n.Group)), k.name(uint64(n.Member))}
			v := memberValue{generation: n.Generation, code: n.Error, api: n.API}
			if n.Assigned != 0 {
				v.assigned = m.members[key].assigned // times are compared by checkGroups
			}
			members[key] = v
		}
	}
	sessions := map[sessionKey]bool{}
	for n := range s.Sessions {
		if c, ok := client(n.Link); ok {
			sessions[sessionKey{c, n.Session}] = true
		}
	}
	batches := map[partitionKey]string{}
	for n, b := range s.Batches {
		if c, ok := client(n.Link); ok {
			batches[partitionKey{c, k.name(uint64(n.Topic)), n.Partition}] = fmt.Sprint(b)
		}
	}
	topicIDs := map[name]name{}
	for id, n := range s.TopicIDs {
		if _, ok := m.topicIDs[k.name(uint64(id))]; ok { // ids belong to no link, others may be known from before
			topicIDs[k.name(uint64(id))] = k.name(uint64(n))
		}
	}
	clusters := map[name]name{}
	for id, l := range s.Links {
		if c, ok := client(id); ok && l.Cluster != state.NameNone {
			clusters[c] = k.name(uint64(l.Cluster))
		}
	}
	for id, n := range s.Names {
		if got := k.name(uint64(id)); got.kind != nameText || got.bytes != n {
			return fmt.Errorf("name %d is %q in the snapshot, %v in a report", id, n, got)
		}
	}
	for _, err := range []error{
		same("offset", m.offsets, offsets), same("watermark", wantWatermarks, watermarks),
		same("commit counter", m.commits, commits), same("member", m.members, members),
		same("session", m.sessions, sessions), same("batches", ring(m.batches), batches),
		same("topic id", m.topicIDs, topicIDs), same("cluster", m.clusters, clusters), m.checkGroups(k, s, client),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// ring keeps of each partition the latest batches, in the kernel's order.
func ring(all map[partitionKey][]state.Batch) map[partitionKey]string {
	kept := map[partitionKey]string{}
	for key, batches := range all {
		ring := make([]state.Batch, min(len(batches), batchesKept))
		for i, b := range batches {
			ring[i%batchesKept] = b
		}
		kept[key] = fmt.Sprint(ring)
	}
	return kept
}

func same[K, V comparable](what string, want, got map[K]V) error {
	if maps.Equal(want, got) {
		return nil
	}
	for key, w := range want {
		if g, ok := got[key]; !ok || g != w {
			return fmt.Errorf("%s %v: %v (there: %v), want %v", what, key, g, ok, w)
		}
	}
	for key, g := range got {
		if _, ok := want[key]; !ok {
			return fmt.Errorf("%s %v: %v, want none", what, key, g)
		}
	}
	return nil
}
