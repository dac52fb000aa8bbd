// SPDX-License-Identifier: Apache-2.0

package state

// commitTotals adds up the links' counters, so that a total never falls when a link ends.
type commitTotals struct {
	last    map[commitKey]commitSeen    // as of the last snapshot
	retired map[commitLabels]commitSeen // of links that are gone
}

type commitKey struct {
	link         LinkID
	group, topic NameID
	error        int16
}

type commitLabels struct {
	cluster, group, topic string
	error                 int16
}

type commitSeen struct {
	labels commitLabels
	count  uint64
	first  uint64 // when counting began
	seen   uint64 // when it was last there
}

func newCommitTotals() commitTotals {
	return commitTotals{last: make(map[commitKey]commitSeen), retired: make(map[commitLabels]commitSeen)}
}

func (u *update) countCommits() {
	totals := &u.model.commits
	now := make(map[commitKey]commitSeen, len(u.Commits))
	sums := make(map[commitLabels]commitSeen)
	for i := range u.Commits {
		c := &u.Commits[i]
		cluster, ok := u.clusters.of[c.Link]
		if !ok {
			continue
		}
		topic, ok := u.topic(c.Topic)
		link := u.Links[c.Link]
		if !ok || !u.wantTopic(topic) || !u.wantGroup(c.Group) || !u.wantLink(&link) {
			continue
		}
		labels := commitLabels{u.clusterName(cluster), u.Names[c.Group], u.Names[topic], c.Error}
		entry := commitSeen{labels: labels, count: c.Count, first: c.First, seen: u.Now}
		now[commitKey{c.Link, c.Group, c.Topic, c.Error}] = entry
		sums[labels] = sums[labels].plus(entry)
	}
	for key, was := range totals.last {
		if _, ok := now[key]; !ok {
			totals.retired[was.labels] = totals.retired[was.labels].plus(was)
		}
	}
	totals.last = now
	for labels, was := range totals.retired {
		if u.age(was.seen) > u.model.options.IdleTimeout {
			if _, active := sums[labels]; !active {
				delete(totals.retired, labels)
				continue
			}
		}
		sums[labels] = sums[labels].plus(was)
	}
	u.view.Commits = make([]CommitCount, 0, len(sums))
	for labels, sum := range sums {
		u.view.Commits = append(u.view.Commits, CommitCount{
			Cluster: labels.cluster,
			Group:   labels.group,
			Topic:   labels.topic,
			Error:   labels.error,
			Count:   sum.count,
			Start:   u.wall(sum.first),
		})
	}
}

func (c commitSeen) plus(other commitSeen) commitSeen {
	if c.count == 0 {
		return other
	}
	c.count += other.count
	c.first = min(c.first, other.first)
	c.seen = max(c.seen, other.seen)
	return c
}

const (
	apiLeaveGroup       = 13
	errorRebalancing    = 27 // REBALANCE_IN_PROGRESS: still a member
	consumerHeartbeat   = 68
	epochOfMemberJoined = 0
)

// countMembers counts the members that are connected and whose last answer says that they are in.
func (u *update) countMembers() {
	type member struct {
		cluster       clusterID
		group, member NameID
	}
	type group struct {
		cluster clusterID
		group   NameID
	}
	newest := make(map[member]*Member)
	for i := range u.Members {
		x := &u.Members[i]
		cluster, ok := u.clusters.of[x.Link]
		if !ok {
			continue
		}
		key := member{cluster, x.Group, x.Member}
		if known := newest[key]; known == nil || x.Time > known.Time {
			newest[key] = x
		}
	}
	counts := make(map[group]int64)
	for key, x := range newest {
		link := u.Links[x.Link]
		if !link.Open || !u.wantGroup(x.Group) || !u.wantLink(&link) {
			continue
		}
		in := (x.Error == 0 || x.Error == errorRebalancing) && x.API != apiLeaveGroup
		if x.API == consumerHeartbeat && x.Generation < epochOfMemberJoined {
			in = false
		}
		if in {
			counts[group{key.cluster, x.Group}]++
		}
	}
	for key, n := range counts {
		u.view.Members = append(u.view.Members, GroupMembers{
			Cluster: u.clusterName(key.cluster), Group: u.Names[key.group], Members: n,
		})
	}
}
