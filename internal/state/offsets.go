// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// committed is what is known of a group's offset in a partition.
type committed struct {
	id      groupID
	ends    *partition // nil if not known
	*Offset            // the newest
	commit  *Offset    // the newest that a client committed, nil if none did
	wanted  bool
	twice   bool // a second, unnamed cluster has an offset of the same names
}

func (o *Offset) newerThan(other *Offset) bool {
	if o.Since != other.Since {
		return o.Since > other.Since
	}
	return o.Acked > other.Acked
}

// joinOffsets finds the newest acknowledgement of every group and partition. The same commit may be
// known from several links: from both ends of a connection, or from the members before and after a
// rebalance.
func (u *update) joinOffsets() {
	u.groupIndex = make(map[groupID]int32, len(u.Offsets))
	u.groups = make([]committed, 0, len(u.Offsets))
	for i := range u.Offsets {
		o := &u.Offsets[i]
		link := u.links[o.Link]
		if link == nil {
			continue
		}
		topic, ok := u.topicIn(link.cluster, o.Topic)
		if !ok {
			u.hold(o.Topic)
			continue
		}
		if !u.wantGroup(o.Group) {
			continue
		}
		id := groupID{partitionID{topic, link.cluster, o.Partition}, o.Group}
		at, known := u.groupIndex[id]
		if !known {
			at = int32(len(u.groups))
			u.groupIndex[id] = at
			u.groups = append(u.groups, committed{id: id, ends: u.partition(id.partitionID), Offset: o})
		}
		c := &u.groups[at]
		if o.newerThan(c.Offset) {
			c.Offset = o
		}
		c.wanted = c.wanted || link.wanted
		if o.Source == OffsetCommitted && (c.commit == nil || o.newerThan(c.commit)) {
			c.commit = o
		}
	}
}

// publish fills the View's groups, partitions and clients.
func (u *update) publish() {
	u.holdBackUnnamed()
	u.view.Partitions = make([]Partition, 0, len(u.partitions))
	for i := range u.partitions {
		p := &u.partitions[i]
		if !p.wanted || p.twice {
			continue
		}
		id := &p.id
		row := Partition{Cluster: u.clusterName(id.cluster), Topic: u.Names[id.topic], Partition: id.partition}
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
	u.view.Groups = make([]GroupPartition, 0, len(u.groups))
	for i := range u.groups {
		c := &u.groups[i]
		id := &c.id
		if c.Source == OffsetUnknown || c.Source == OffsetDeleted || c.twice || !c.wanted {
			continue
		}
		row := GroupPartition{
			Cluster:   u.clusterName(id.cluster),
			Group:     u.Names[id.group],
			Topic:     u.Names[id.topic],
			Partition: id.partition,
			Committed: c.Offset.Offset,
		}
		if c.Source != OffsetFetched {
			row.CommitTime = u.wall(c.Acked)
		}
		row.Lag, row.HasLag = u.lag(c.ends, row.Committed)
		if row.HasLag {
			row.LagTime, row.HasLagTime = u.lagTime(c.ends, &row)
		}
		u.view.Groups = append(u.view.Groups, row)
	}
	u.publishClients()
}

func (u *update) fresh(then uint64) bool {
	return then > 0 && u.age(then) <= u.model.options.WatermarkMaxAge
}

// lag is what a group has not read yet; false while no fresh high watermark is known.
func (u *update) lag(p *partition, offset int64) (int64, bool) {
	if p == nil {
		return 0, false
	}
	c := p.current()
	if c.offset < 0 || !u.fresh(c.time) {
		return 0, false
	}
	return max(0, c.offset-offset), true
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
	type place struct {
		group, topic NameID
		partition    int32
	}
	if u.clusters.unnamed() < 2 {
		return
	}
	first := make(map[place]*committed)
	for i := range u.groups {
		c := &u.groups[i]
		id := &c.id
		if u.clusters.names[id.cluster] != NameNone {
			continue
		}
		at := place{id.group, id.topic, id.partition}
		if other := first[at]; other != nil {
			other.twice, c.twice = true, true
			u.model.held.Clusters++
		} else {
			first[at] = c
		}
	}
	ends := make(map[place]*partition)
	for i := range u.partitions {
		p := &u.partitions[i]
		id := &p.id
		if u.clusters.names[id.cluster] != NameNone {
			continue
		}
		at := place{0, id.topic, id.partition}
		if other := ends[at]; other != nil {
			other.twice, p.twice = true, true
			u.model.held.Clusters++
		} else {
			ends[at] = p
		}
	}
}
