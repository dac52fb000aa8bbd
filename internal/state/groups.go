// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// Api keys and errors that say what a member's newest word means.
const (
	apiLeaveGroup        = 13
	apiConsumerHeartbeat = 68 // KIP-848
	apiShareHeartbeat    = 76 // KIP-932
	apiStreamsHeartbeat  = 88 // KIP-1071
	errorRebalancing     = 27 // REBALANCE_IN_PROGRESS: still a member
	epochOfMemberJoined  = 0  // below it a heartbeat says that the member leaves
	rebalanceMax         = 15 * time.Minute
	generationOfNoMember = 0
)

// clusterGroup is a group of a cluster.
type clusterGroup struct {
	cluster clusterID
	group   NameID
}

// clientGroup is a client as a member of a group.
type clientGroup struct {
	process ProcessKey
	client  NameID
	group   int32
}

// anyClient stands for all clients of a process.
const anyClient = NameInvalid

// ownership is who reads a partition for a group.
type ownership struct {
	assignment *Assignment
	link       *linkState
}

// in tells whether a member's newest word says that it is one.
func (x *Member) in() bool {
	if x.API == apiLeaveGroup || (x.Error != 0 && x.Error != errorRebalancing) {
		return false
	}
	switch x.API {
	case apiConsumerHeartbeat, apiShareHeartbeat, apiStreamsHeartbeat:
		return x.Generation >= epochOfMemberJoined
	}
	return true
}

// joinMembers finds the newest word of every member: it may be known from both ends of its connection.
func (u *update) joinMembers() {
	type member struct {
		clusterGroup
		member NameID
	}
	newest := make(map[member]int, len(u.Members))
	for i := range u.Members {
		x := &u.Members[i]
		link := u.links[x.Link]
		if link == nil || !u.group(x.Group).wanted {
			continue
		}
		at := clusterGroup{link.cluster, x.Group}
		if x.Time <= u.deleted[at] {
			continue
		}
		key := member{at, x.Member}
		if known, ok := newest[key]; !ok {
			newest[key] = len(u.members)
			u.members = append(u.members, x)
		} else if x.Time > u.members[known].Time {
			u.members[known] = x
		}
	}
}

// joinAssignments finds the owner of each partition, as far as its member was seen to be told.
func (u *update) joinAssignments() {
	if len(u.Assignments) == 0 {
		return
	}
	type told struct {
		link          LinkID
		group, member NameID
	}
	current := make(map[told]uint64, len(u.members))
	u.told = make(map[clientGroup]bool, len(u.members))
	for _, x := range u.members {
		link := u.links[x.Link]
		if x.Assigned == 0 || !link.Open || !x.Open {
			continue
		}
		group := u.group(x.Group).index
		u.told[clientGroup{link.Process, link.Client, group}] = true
		u.told[clientGroup{link.Process, anyClient, group}] = true
		if x.in() {
			current[told{x.Link, x.Group, x.Member}] = x.Assigned
		}
	}
	u.owners = make(map[uint64]*ownership, len(u.Assignments))
	for i := range u.Assignments {
		a := &u.Assignments[i]
		if current[told{a.Link, a.Group, a.Member}] != a.Assigned {
			continue
		}
		link := u.links[a.Link]
		if link == nil {
			continue
		}
		topic, ok := u.topicOrHold(link.cluster, a.Topic)
		if !ok {
			continue
		}
		key := pair(u.partition(topic, a.Partition), u.group(a.Group).index)
		// Two members may have been told to own a partition: one has not heard yet that it does no more.
		if known := u.owners[key]; known == nil || a.Assigned > known.assignment.Assigned {
			u.owners[key] = &ownership{a, link}
		}
	}
}

// groupLabels are a consumer group as it is published.
type groupLabels struct{ cluster, group string }

// groupEpoch is how far a group's generation has come.
type groupEpoch struct {
	generation int32
	rebalances uint64
	start      time.Time
	seen       uint64
	empty      bool // it had no members: it may have been deleted and made anew
}

// publishMembers shows what the members of each group do.
func (u *update) publishMembers() {
	type row struct {
		GroupMembers
		generation int32
		wanted     bool
	}
	type key struct {
		clusterGroup
		kind GroupType
	}
	rows := make(map[key]*row)
	claims := make(map[key]int) // by unnamed clusters, without the cluster
	for _, x := range u.members {
		link := u.links[x.Link]
		at := key{clusterGroup: clusterGroup{link.cluster, x.Group}}
		if x.API == apiShareHeartbeat {
			at.kind = ShareGroup
		}
		r := rows[at]
		if r == nil {
			r = &row{GroupMembers: GroupMembers{
				Cluster: u.clusterName(link.cluster), Group: u.Names[x.Group], Type: at.kind,
			}}
			rows[at] = r
			if r.Cluster == "" {
				unnamed := key{clusterGroup{group: x.Group}, at.kind}
				if claims[unnamed]++; claims[unnamed] > 1 {
					u.model.held.Clusters++
				}
			}
		}
		r.wanted = r.wanted || link.wanted
		if !x.Open || !link.Open || !link.wanted || !x.in() {
			continue
		}
		r.Members++
		r.generation = max(r.generation, x.Generation)
		switch {
		case x.Error == errorRebalancing:
			r.State = GroupRebalancing
		case r.State == GroupEmpty:
			r.State = GroupStable
		}
	}
	for at := range u.rebalancing() {
		if r := rows[key{clusterGroup: at}]; r != nil && r.Members > 0 {
			r.State = GroupRebalancing
		}
	}
	for at, r := range rows {
		if !r.wanted {
			continue
		}
		if r.Cluster == "" {
			at.cluster = 0
			if claims[at] > 1 {
				continue
			}
		}
		if r.Type == ConsumerGroup {
			r.Rebalances, r.Start = u.rebalances(groupLabels{r.Cluster, r.Group}, r.generation)
		}
		u.view.Members = append(u.view.Members, r.GroupMembers)
	}
	for labels, e := range u.model.epochs {
		if u.age(e.seen) > u.model.options.IdleTimeout {
			delete(u.model.epochs, labels)
		}
	}
}

// rebalancing are the groups of which a client awaits its assignment. What begins at one coordinator may end at another.
func (u *update) rebalancing() map[clusterGroup]bool {
	type member struct {
		scope int32
		group NameID
	}
	joined := make(map[member]uint64)
	for i := range u.Groups {
		g := &u.Groups[i]
		if link := u.links[g.Link]; link != nil {
			at := member{link.scope, g.Group}
			joined[at] = max(joined[at], g.Joined)
		}
	}
	groups := make(map[clusterGroup]bool)
	for i := range u.Groups {
		g := &u.Groups[i]
		link := u.links[g.Link]
		if link != nil && link.Open && g.Joining > joined[member{link.scope, g.Group}] && u.age(g.Joining) <= rebalanceMax {
			groups[clusterGroup{link.cluster, g.Group}] = true
		}
	}
	return groups
}

// rebalances counts how often a group's generation has been raised since it was first seen: by one with each
// rebalance. Members hear of it one after the other, so that what they say may fall when one of them leaves. A group that
// was deleted and made anew begins again with a low one, but has been empty before.
func (u *update) rebalances(labels groupLabels, generation int32) (uint64, time.Time) {
	e, known := u.model.epochs[labels]
	if !known {
		e = groupEpoch{generation: generation, start: u.Time}
	}
	switch {
	case generation <= generationOfNoMember:
		e.empty = true
	case generation > e.generation:
		if e.generation > generationOfNoMember {
			e.rebalances += uint64(generation - e.generation)
		}
		e.generation, e.empty = generation, false
	case e.empty:
		e.generation, e.empty = generation, false
	}
	e.seen = u.Now
	u.model.epochs[labels] = e
	return e.rebalances, e.start
}
