// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// committed is the newest that is known of a group's offset in a partition.
type committed struct {
	*Offset
	twice bool // a second, unnamed cluster has an offset of the same names
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
	u.groups = make(map[groupID]*committed, len(u.Offsets))
	arena := make([]committed, len(u.Offsets))
	for i := range u.Offsets {
		o := &u.Offsets[i]
		id, ok := u.groupID(o)
		if !ok {
			continue
		}
		known := u.groups[id]
		if known == nil {
			arena[i].Offset = o
			u.groups[id] = &arena[i]
		} else if o.newerThan(known.Offset) {
			known.Offset = o
		}
	}
}

func (u *update) groupID(o *Offset) (groupID, bool) {
	cluster, ok := u.clusters.of[o.Link]
	if !ok {
		return groupID{}, false
	}
	topic, ok := u.topic(o.Topic)
	if !ok || !u.wantTopic(topic) {
		return groupID{}, false
	}
	if _, ok := u.Names[o.Group]; !ok || !u.wantGroup(o.Group) {
		return groupID{}, false
	}
	return groupID{partitionID{cluster, topic, o.Partition}, o.Group}, true
}

// publish fills the View's groups, partitions and clients.
func (u *update) publish() {
	u.holdBackUnnamed()
	u.view.Partitions = make([]Partition, 0, len(u.partitions))
	for id, p := range u.partitions {
		if !p.wanted {
			continue
		}
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
	for id, c := range u.groups {
		link := u.Links[c.Link]
		if c.Source == OffsetUnknown || c.Source == OffsetDeleted || c.twice || !u.wantLink(&link) {
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
		row.Lag, row.HasLag = u.lag(id.partitionID, row.Committed)
		if row.HasLag {
			row.LagTime, row.HasLagTime = u.lagTime(id.partitionID, &row)
		}
		u.view.Groups = append(u.view.Groups, row)
	}
	u.publishClients()
}

// publishClients shows what each client committed, as long as it is the partition's owner: it made the
// newest commit, and is connected.
func (u *update) publishClients() {
	for i := range u.Offsets {
		o := &u.Offsets[i]
		link, ok := u.Links[o.Link]
		if !ok || o.Source != OffsetCommitted || !link.Open || !u.wantLink(&link) {
			continue
		}
		id, ok := u.groupID(o)
		if !ok {
			continue
		}
		if newest := u.groups[id]; newest.twice || !u.owner(newest.Offset, o) {
			continue
		}
		row := ClientPartition{
			Cluster:      u.clusterName(id.cluster),
			Process:      link.Process,
			ClientID:     u.Names[link.Client],
			Group:        u.Names[id.group],
			Topic:        u.Names[id.topic],
			Partition:    id.partition,
			Committed:    o.Offset,
			HasCommitted: true,
		}
		row.Lag, row.HasLag = u.lag(id.partitionID, row.Committed)
		u.view.Clients = append(u.view.Clients, row)
	}
}

// owner tells whether a client's commit still is the group's: nobody has committed since. Somebody who
// only looked (OffsetFetch) and saw the same has not taken over.
func (u *update) owner(newest, own *Offset) bool {
	return newest == own || (newest.Source == OffsetFetched && newest.Offset == own.Offset)
}

func (u *update) fresh(then uint64) bool {
	return then > 0 && u.age(then) <= u.model.options.WatermarkMaxAge
}

// lag is what a group has not read yet; false while no fresh high watermark is known.
func (u *update) lag(id partitionID, offset int64) (int64, bool) {
	p := u.partitions[id]
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
func (u *update) lagTime(id partitionID, row *GroupPartition) (time.Duration, bool) {
	if row.Lag == 0 {
		return 0, true
	}
	then, ok := u.partitions[id].timeOf(row.Committed)
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
	first := make(map[place]*committed)
	for id, c := range u.groups {
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
	for id, p := range u.partitions {
		if u.clusters.names[id.cluster] != NameNone {
			continue
		}
		at := place{0, id.topic, id.partition}
		if other := ends[at]; other != nil {
			other.wanted, p.wanted = false, false
			u.model.held.Clusters++
		} else {
			ends[at] = p
		}
	}
}
