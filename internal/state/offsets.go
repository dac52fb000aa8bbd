// SPDX-License-Identifier: Apache-2.0

package state

import (
	"net/netip"
	"time"
)

// place is what is known of a group's offset in a partition.
type place struct {
	partition, group int32
	newest           *Offset
	fetched          *Offset // the newest that a client read; nil if none did
	doubt            *Offset // the newest that is not known, nil if there is none
	commit           *Offset // the newest that a client committed, nil if none did
	open             *Offset // the newest of which it would not be seen whether it has come into force, nil if there is none
	lost             uint64  // when one of those clients' requests was last not understood
	looked           bool    // newest is what another than the last committer read
	wanted           bool
	twice            bool // a second, unnamed cluster has an offset of the same names
}

// TransactionMarkers is how long an OffsetFetch may tell the offset from before a transaction that has been committed:
// TXN_MARKERS_NS of bpf/sinks_offsets.h.
const TransactionMarkers = 2 * time.Second

// transactionTime is how much later a broker may have heard of a commit within a transaction than its client was told
// that the one before had ended, or this one.
const transactionTime = 5 * time.Second

// newerThan compares two of one sort: told by acknowledgements, or read.
func (o *Offset) newerThan(other *Offset) bool {
	if a, b := o.order(), other.order(); a != b {
		return a > b
	}
	return o.Acked > other.Acked
}

// newest is the newer of two of one sort, the first if they are equally new; that may be nil.
func newest(a, b *Offset) *Offset {
	if a == nil || b.newerThan(a) {
		return b
	}
	return a
}

// order is what a group's coordinator goes by: when a commit was sent, not when it was answered or a transaction ended.
func (o *Offset) order() uint64 {
	if o.Source == OffsetCommitted || o.Source == OffsetTransaction {
		return o.Committed
	}
	return o.Since
}

// read tells whether a client has looked what the group's offset is: that there is none, that it still is what this
// client committed, or another. A look says what was true between its request and its response, and nothing of a
// transaction that was open then.
func (o *Offset) read() bool {
	switch o.Source {
	case OffsetFetched:
		return true
	case OffsetDeleted:
		return o.Since < o.Acked // deletion is known from the moment of its response
	case OffsetCommitted, OffsetTransaction:
		return o.Ordered > o.Committed
	}
	return false
}

// readAfter tells whether an offset that a client read is from after another, that was told.
func (o *Offset) readAfter(told *Offset) bool {
	since := told.Since
	if told.Source == OffsetTransaction || (told.Source == OffsetUnknown && told.Ordered > 0) {
		since = max(since, told.Acked+uint64(TransactionMarkers))
	}
	return o.after(since, told.Acked)
}

// after goes by when it was true, and then by when it was heard.
func (o *Offset) after(since, acked uint64) bool {
	return o.Since > since || (o.Since == since && o.Acked > acked)
}

// before tells whether an offset was committed, or seen, before something was deleted.
func (o *Offset) before(deleted uint64) bool {
	if o.Source == OffsetTransaction && !o.read() {
		return o.Committed <= deleted // also if its transaction ended later
	}
	return o.Since <= deleted
}

// asked is a moment after which nothing that the client sent can have been before this: what it sent later may have
// changed it again.
func (o *Offset) asked() uint64 {
	if o.Source == OffsetCommitted || o.Source == OffsetTransaction {
		return o.Ordered
	}
	return o.Since
}

// joinOffsets finds the newest acknowledgement of every group and partition. The same commit may be
// known from several links: from both ends of a connection, or from the members before and after a
// rebalance.
func (u *update) joinOffsets() {
	deleted := false
	for i := range u.Offsets {
		o := &u.Offsets[i]
		c, link := u.placeOf(o)
		if c == nil {
			continue
		}
		c.wanted = c.wanted || link.wanted
		c.lost = max(c.lost, u.scopes[link.scope].lost)
		deleted = deleted || o.Source == OffsetDeleted
		u.hear(c, o)
	}
	u.joinOpen()
	u.settlePlaces()
	if deleted {
		u.voidDeleted()
	}
}

// joinOpen takes up what transactions at brokers may have brought into force unseen.
func (u *update) joinOpen() {
	for i := range u.Open {
		x := &u.Open[i]
		o := &Offset{
			Link: x.Link, Group: x.Group, Topic: x.Topic, Partition: x.Partition, Source: OffsetUnknown,
			Since: x.Committed, Acked: x.Committed, Committed: x.Committed,
		}
		if c, link := u.placeOf(o); c != nil {
			c.wanted = c.wanted || link.wanted
			c.open = newest(c.open, o)
		}
	}
}

// placeOf finds or makes the place of an offset; nil if it is not wanted, not known where it belongs, or void.
func (u *update) placeOf(o *Offset) (*place, *linkState) {
	link := u.links[o.Link]
	if link == nil {
		u.model.held.Offsets++
		return nil, nil
	}
	topic, ok := u.topicOrHold(link.cluster, o.Topic)
	if !ok {
		return nil, nil
	}
	group := u.group(o.Group)
	if !group.wanted {
		return nil, nil
	}
	if o.before(max(u.topicSince(link.cluster, o.Topic), u.deleted[clusterGroup{link.cluster, o.Group}])) {
		u.model.void = append(u.model.void, *o)
		return nil, nil // the broker has none any more
	}
	partition := u.partition(topic, o.Partition)
	key := pair(partition, group.index)
	at, known := u.placeIndex[key]
	if !known {
		at = int32(len(u.places))
		u.placeIndex[key] = at
		u.places = append(u.places, place{partition: partition, group: group.index})
	}
	return &u.places[at], link
}

// hear takes one statement about the group's offset.
func (u *update) hear(c *place, o *Offset) {
	if o.read() && (c.fetched == nil || o.after(c.fetched.Since, c.fetched.Acked)) {
		c.fetched = o
	}
	switch {
	case o.Source == OffsetUnknown:
		c.doubt = newest(c.doubt, o)
	case o.Source == OffsetCommitted || o.Source == OffsetTransaction:
		c.commit = u.newestCommit(c.commit, o)
		c.newest = newest(c.newest, o)
	case !o.read():
		c.newest = newest(c.newest, o)
	}
}

// newestCommit is newest, but of one commit that both ends of its connection tell, it is the client's word: who that is
// the broker does not know as well.
func (u *update) newestCommit(a, b *Offset) *Offset {
	switch {
	case a != nil && u.bothEnds(a, b):
		return a
	case a != nil && u.bothEnds(b, a):
		return b
	}
	return newest(a, b)
}

// bothEnds tells whether a client and a broker tell of the same commit. The broker hears of it last, and first has it
// answered.
func (u *update) bothEnds(client, broker *Offset) bool {
	return client.Offset == broker.Offset && client.Source == broker.Source &&
		client.Committed <= broker.Committed && broker.Committed <= client.Acked &&
		u.links[client.Link].Role == RoleClient && u.links[broker.Link].Role == RoleBroker
}

// settlePlaces chooses what is newest in each place, and holds a place back if nothing confirms that: what is older is not
// true just because its client is still there.
func (u *update) settlePlaces() {
	kept := u.places[:0]
	for i := range u.places {
		c := u.places[i]
		if told := c.settle(); c.open != nil && !u.tells(told, c.open) {
			c.newest, c.looked = c.open, false
		}
		key := pair(c.partition, c.group)
		if !u.confirmed(c.newest, c.partition) {
			u.model.held.Offsets++
			delete(u.placeIndex, key)
			continue
		}
		if c.commit != nil && !u.confirmed(c.commit, c.partition) {
			c.commit = nil
		}
		if len(kept) < i {
			u.placeIndex[key] = int32(len(kept))
		}
		kept = append(kept, c)
	}
	u.places = kept
}

// settle chooses what is newest of what was told, which it returns, what is in doubt, and what was read.
func (c *place) settle() *Offset {
	told := c.newest
	if c.doubt != nil && (told == nil || c.doubt.Since >= told.order()) {
		c.newest = c.doubt
	}
	if c.fetched != nil && (c.newest == nil || c.fetched.readAfter(c.newest)) &&
		(told == nil || told == c.fetched || c.fetched.readAfter(told)) {
		c.newest = c.fetched
	}
	c.looked = c.newest == c.fetched && told != c.fetched
	return told
}

// tells whether what was told stands whether or not an open transaction has ended: after a later commit it does, and if
// the transaction's own client tells how it ends.
func (u *update) tells(told, open *Offset) bool {
	if told == nil {
		return false
	}
	if told.Source == OffsetTransaction && u.links[told.Link].Role == RoleClient && told.Acked+uint64(transactionTime) >= open.Committed {
		return true
	}
	return told.order() > open.Committed
}

// voidDeleted finds the offsets from before a deletion.
func (u *update) voidDeleted() {
	for i := range u.Offsets {
		o := &u.Offsets[i]
		link := u.links[o.Link]
		if o.Source == OffsetDeleted || link == nil {
			continue
		}
		topic, group := u.topic(link.cluster, o.Topic), u.group(o.Group)
		if !topic.wanted || !topic.current || !group.wanted {
			continue
		}
		at, ok := u.placeIndex[pair(u.partition(topic.index, o.Partition), group.index)]
		if ok && u.places[at].newest.Source == OffsetDeleted {
			u.model.void = append(u.model.void, *o)
		}
	}
}

// unknown tells that the group has an offset, but which is not known: it changed unseen, or may have, since the client
// sent something that was not understood.
func (u *update) unknown(c *place) bool {
	o := c.newest
	if o.Source == OffsetUnknown {
		return true
	}
	lost := u.scopes[u.links[o.Link].scope].lost
	if c.looked {
		lost = c.lost // who looks does not speak for those who commit
	}
	return lost > 0 && lost >= o.asked()
}

// heartbeat is a group as a broker coordinates it.
type heartbeat struct {
	broker netip.AddrPort
	netns  uint32
	group  NameID
}

// confirmed tells whether an offset still is the group's as far as can be seen from its link. An
// acknowledgement is believed for IdleTimeout. After that the partition may have moved to another host,
// or the group to another coordinator, and commits there are not seen here: unless the client still
// fetches the partition, or the broker still answers the group's heartbeats.
func (u *update) confirmed(o *Offset, partition int32) bool {
	idle := u.model.options.IdleTimeout
	if idle <= 0 || u.age(max(o.Since, o.Acked)) <= idle {
		return true
	}
	if u.fetching == nil {
		u.findConfirmations(idle)
	}
	link := u.links[o.Link]
	if link.Role == RoleBroker {
		return u.coordinated[heartbeat{link.Broker, link.NetNS, o.Group}]
	}
	return u.fetching[pair(partition, link.scope)]
}

func (u *update) findConfirmations(idle time.Duration) {
	u.fetching = make(map[uint64]bool)
	for i := range u.Watermarks {
		w := &u.Watermarks[i]
		link := u.links[w.Link]
		if link == nil || !link.Open || link.Role != RoleClient || !u.fresh(refreshed(w.Time, u.sessionTime(w))) {
			continue
		}
		if topic := u.topic(link.cluster, w.Topic); topic.wanted && topic.current {
			u.fetching[pair(u.partition(topic.index, w.Partition), link.scope)] = true
		}
	}
	u.coordinated = make(map[heartbeat]bool)
	for i := range u.Members {
		x := &u.Members[i]
		if link := u.links[x.Link]; link != nil && link.Role == RoleBroker && x.Error == 0 && u.age(x.Time) <= idle {
			u.coordinated[heartbeat{link.Broker, link.NetNS, x.Group}] = true
		}
	}
}

// publish fills the View's groups, partitions and clients.
func (u *update) publish() {
	u.holdBackUnnamed()
	for i := range u.partitions {
		p := &u.partitions[i]
		if !p.wanted || p.twice {
			continue
		}
		row := Partition{ClusterTopic: u.clusterTopic(p.topic), Partition: p.number}
		if c := p.current(); c.offset >= 0 {
			row.Current, row.HasCurrent = c.offset, u.fresh(c.time)
			row.WatermarkTime = u.wall(c.time)
		}
		row.Oldest, row.HasOldest = p.start.offset, p.start.offset >= 0 && u.fresh(p.start.time)
		row.LastStable, row.HasLastStable = p.stable.offset, p.stable.offset >= 0 && u.fresh(p.stable.time)
		if row.HasCurrent || row.HasOldest || !row.WatermarkTime.IsZero() {
			u.view.Partitions = append(u.view.Partitions, row)
		}
	}
	for i := range u.places {
		c := &u.places[i]
		if c.newest.Source == OffsetDeleted || c.twice || !c.wanted {
			continue
		}
		p := &u.partitions[c.partition]
		row := GroupPartition{
			GroupTopic: u.groupTopic(c.group, p.topic),
			Partition:  p.number,
			Since:      u.wall(c.newest.Since),
		}
		if u.unknown(c) {
			row.Unknown = true
			u.view.Groups = append(u.view.Groups, row)
			continue
		}
		row.Committed = c.newest.Offset
		if c.newest.Source != OffsetFetched {
			row.CommitTime = u.wall(c.newest.Acked)
		}
		row.Lag, row.HasLag = u.lag(p, c.newest)
		if row.HasLag {
			row.LagTime, row.HasLagTime = u.lagTime(p, &row)
		}
		u.view.Groups = append(u.view.Groups, row)
	}
	u.publishClients()
}

func (u *update) fresh(then uint64) bool {
	return then > 0 && u.age(then) <= u.model.options.WatermarkMaxAge
}

// lag is what a group has not read yet; false while no fresh high watermark is known. A commit beyond the
// watermark that is newer than it shows that the log has grown since: by how much is not known.
func (u *update) lag(p *partition, o *Offset) (int64, bool) {
	c := p.current()
	if c.offset < 0 || !u.fresh(c.time) || (o.Offset > c.offset && o.Acked > c.time) {
		return 0, false
	}
	return max(0, c.offset-o.Offset), true
}

// lagTime is the age of the oldest record that is not committed yet.
func (u *update) lagTime(p *partition, row *GroupPartition) (time.Duration, bool) {
	if row.Lag == 0 {
		return 0, true
	}
	then, ok := p.timeOf(row.Committed)
	if !ok {
		return 0, false
	}
	return max(0, u.Time.Sub(then)), true
}

func (u *update) clusterName(id clusterID) string {
	return u.Names[u.clusters.names[id]]
}

// holdBackUnnamed keeps clusters apart whose id is not known yet: without it their series would have
// the same labels wherever group, topic and partition have the same names.
func (u *update) holdBackUnnamed() {
	if u.clusters.unnamed() < 2 {
		return
	}
	type names struct {
		topic         NameID
		number, group int32
	}
	unnamed := func(p *partition) (names, bool) {
		topic := &u.topics[p.topic]
		return names{topic.id, p.number, -1}, u.clusters.names[topic.cluster] == NameNone
	}
	first := make(map[names]*place)
	for i := range u.places {
		c := &u.places[i]
		at, ok := unnamed(&u.partitions[c.partition])
		if !ok {
			continue
		}
		at.group = c.group
		if other := first[at]; other != nil {
			other.twice, c.twice = true, true
			u.model.held.Clusters++
		} else {
			first[at] = c
		}
	}
	ends := make(map[names]*partition)
	for i := range u.partitions {
		p := &u.partitions[i]
		at, ok := unnamed(p)
		if !ok || !p.sighted {
			continue
		}
		if other := ends[at]; other != nil {
			other.twice, p.twice = true, true
			u.model.held.Clusters++
		} else {
			ends[at] = p
		}
	}
}
