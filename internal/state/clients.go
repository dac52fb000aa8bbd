// SPDX-License-Identifier: Apache-2.0

package state

// position is the offset that a client asked for last.
type position struct {
	seen
	row int // of View.Clients, -1 while there is none
}

// publishClients shows what each client committed as long as it is the partition's owner, what it was told to
// own, and where it reads.
func (u *update) publishClients() {
	positions := u.findPositions()
	for i := range u.places {
		c := &u.places[i]
		if c.twice {
			continue
		}
		owner := u.owners[pair(c.partition, c.group)]
		if u.unknown(c) || c.newest.Source == OffsetDeleted {
			if owner != nil && owner.link.wanted {
				u.addOwner(c.partition, c.group, owner, positions)
			}
			continue
		}
		link := u.committer(c, c.commit, owner)
		if link == nil && c.looked {
			// The owner has found what it committed before to be the group's again.
			link = u.committer(c, c.newest, owner)
		}
		committed := link != nil
		if owner != nil {
			link = owner.link
		}
		if link == nil || !link.Open || !link.wanted {
			continue
		}
		p := &u.partitions[c.partition]
		row := u.clientRow(p, link.scope, c.group)
		row.Assigned = owner != nil
		row.HasCommitted = committed
		if committed {
			row.Committed = c.newest.Offset
		}
		row.Lag, row.HasLag = u.lag(p, c.newest)
		u.addClient(row, positions[pair(c.partition, link.scope)])
	}
	u.publishUncommitted(positions)
	severalUnnamed := u.clusters.unnamed() > 1
	for at, asked := range positions {
		if asked.row < 0 {
			partition, scope := unpair(at)
			p := &u.partitions[partition]
			if severalUnnamed && u.clusters.names[u.topics[p.topic].cluster] == NameNone {
				continue // might be told apart from another by the cluster only
			}
			asked.row = len(u.view.Clients)
			u.view.Clients = append(u.view.Clients, u.clientRow(p, scope, noGroup))
		}
		row := &u.view.Clients[asked.row]
		row.Position, row.HasPosition = asked.offset, true
	}
}

// committer is the link of the newest commit, nil if its client does not own the partition any more: somebody
// else has committed since, or was told to own it, or the client itself was told otherwise.
func (u *update) committer(c *place, commit *Offset, owner *ownership) *linkState {
	if commit == nil || (commit.Source != OffsetCommitted && commit.Source != OffsetTransaction) || !u.owned(c, commit) {
		return nil
	}
	link := u.links[commit.Link]
	client := link.Client
	if commit.Source == OffsetTransaction {
		client = anyClient // the producer's, who commits for the consumers of its process
	}
	if owner != nil {
		if owner.link.Process != link.Process || (client != anyClient && owner.link.Client != client) {
			return nil
		}
	} else if u.told[clientGroup{link.Process, client, c.group}] {
		return nil
	}
	return link
}

// publishUncommitted shows the owners of partitions of which the group has no offset yet.
func (u *update) publishUncommitted(positions map[uint64]*position) {
	for key, owner := range u.owners {
		if _, known := u.placeIndex[key]; known || !owner.link.wanted {
			continue
		}
		partition, group := unpair(key)
		u.addOwner(partition, group, owner, positions)
	}
}

// addOwner adds the row of an owner of which no more is known.
func (u *update) addOwner(partition, group int32, owner *ownership, positions map[uint64]*position) {
	p := &u.partitions[partition]
	if u.clusters.names[u.topics[p.topic].cluster] == NameNone && u.clusters.unnamed() > 1 {
		return // might be told apart from another by the cluster only
	}
	row := u.clientRow(p, owner.link.scope, group)
	row.Assigned = true
	u.addClient(row, positions[pair(partition, owner.link.scope)])
}

// addClient adds a row, and notes it with where its client reads. A fetch does not tell its group: of several, the first
// by name.
func (u *update) addClient(row ClientPartition, asked *position) {
	u.view.Clients = append(u.view.Clients, row)
	if asked != nil && (asked.row < 0 || row.Group < u.view.Clients[asked.row].Group) {
		asked.row = len(u.view.Clients) - 1
	}
}

// owned tells whether the newest commit still is what the group has: nobody has committed since.
// Somebody who only looked (OffsetFetch) and saw the same has not taken over.
func (u *update) owned(c *place, commit *Offset) bool {
	return c.newest == commit || (c.newest.read() && c.newest.Offset == commit.Offset) || u.bothEnds(commit, c.newest)
}

func (u *update) clientRow(p *partition, scope, group int32) ClientPartition {
	return ClientPartition{ClientTopic: u.clientTopic(scope, group, p.topic), Partition: p.number}
}

// findPositions collects what connected clients asked for, by partition and client, as long as they still ask: an
// incremental fetch repeats only what has changed (KIP-227).
func (u *update) findPositions() map[uint64]*position {
	positions := make(map[uint64]*position)
	for i := range u.Watermarks {
		w := &u.Watermarks[i]
		if w.PositionTime == 0 || w.Position < 0 || w.Follower {
			continue
		}
		link := u.links[w.Link]
		if link == nil || !link.Open || !link.wanted || !u.fresh(refreshed(w.PositionTime, u.sessionTime(w))) {
			continue
		}
		topic := u.topic(link.cluster, w.Topic)
		if !topic.wanted || !topic.current {
			continue
		}
		at := pair(u.partition(topic.index, w.Partition), link.scope)
		known := positions[at]
		if known == nil {
			known = &position{row: -1}
			positions[at] = known
		}
		if w.PositionTime > known.time {
			known.seen = seen{w.Position, w.PositionTime}
		}
	}
	return positions
}
