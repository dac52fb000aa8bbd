// SPDX-License-Identifier: Apache-2.0

package state

// clientPartition is a partition as one client uses it, at any of its brokers.
type clientPartition struct {
	partitionID
	process ProcessKey
	client  NameID
}

// position is the offset that a client asked for last.
type position struct {
	seen
	row int // of View.Clients, -1 while there is none
}

// publishClients shows what each client committed, as long as it is the partition's owner, and where it
// reads.
func (u *update) publishClients() {
	positions := u.findPositions()
	u.view.Clients = make([]ClientPartition, 0, len(u.groups)+len(positions))
	for i := range u.groups {
		c := &u.groups[i]
		id := &c.id
		if c.commit == nil || c.twice || !c.owned() {
			continue
		}
		link := u.links[c.commit.Link]
		if !link.Open || !link.wanted {
			continue
		}
		row := u.clientRow(link, id.partitionID)
		row.Group = u.Names[id.group]
		row.Committed, row.HasCommitted = c.commit.Offset, true
		row.Lag, row.HasLag = u.lag(c.ends, row.Committed)
		u.view.Clients = append(u.view.Clients, row)
		if len(positions) == 0 {
			continue
		}
		// A fetch does not tell its group: of several, the first by name.
		at := clientPartition{id.partitionID, link.Process, link.Client}
		if p := positions[at]; p != nil && (p.row < 0 || row.Group < u.view.Clients[p.row].Group) {
			p.row = len(u.view.Clients) - 1
		}
	}
	severalUnnamed := u.clusters.unnamed() > 1
	for at, p := range positions {
		if p.row < 0 {
			if severalUnnamed && u.clusters.names[at.cluster] == NameNone {
				continue // might be told apart from another by the cluster only
			}
			p.row = len(u.view.Clients)
			u.view.Clients = append(u.view.Clients, u.clientRow(&linkState{
				Link: Link{Process: at.process, Client: at.client},
			}, at.partitionID))
		}
		row := &u.view.Clients[p.row]
		row.Position, row.HasPosition = p.offset, true
	}
}

// owned tells whether the newest commit still is what the group has: nobody has committed since.
// Somebody who only looked (OffsetFetch) and saw the same has not taken over.
func (c *committed) owned() bool {
	return c.Offset == c.commit || (c.Source == OffsetFetched && c.Offset.Offset == c.commit.Offset)
}

func (u *update) clientRow(link *linkState, id partitionID) ClientPartition {
	return ClientPartition{
		Cluster:   u.clusterName(id.cluster),
		Process:   link.Process,
		ClientID:  u.Names[link.Client],
		Topic:     u.Names[id.topic],
		Partition: id.partition,
	}
}

// findPositions collects what connected clients asked for, as long as they still ask: an incremental
// fetch repeats only what has changed (KIP-227).
func (u *update) findPositions() map[clientPartition]*position {
	positions := make(map[clientPartition]*position)
	for i := range u.Watermarks {
		w := &u.Watermarks[i]
		if w.PositionTime == 0 || w.Position < 0 || w.Follower {
			continue
		}
		link := u.links[w.Link]
		if link == nil || !link.Open || !link.wanted || !u.fresh(refreshed(w.PositionTime, u.sessionTime(w))) {
			continue
		}
		topic, ok := u.topicIn(link.cluster, w.Topic)
		if !ok {
			continue
		}
		at := clientPartition{partitionID{topic, link.cluster, w.Partition}, link.Process, link.Client}
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
