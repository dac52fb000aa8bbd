// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// commitTotals adds up the links' counters, so that a total never falls when a link ends.
type commitTotals struct {
	last      map[commitKey]commitSeen    // as of the last snapshot
	retired   map[commitLabels]commitSeen // of links that are gone
	published map[commitLabels]commitTotal
	updated   uint64 // when, last
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

// commitTotal is a total as the View shows it.
type commitTotal struct {
	count uint64
	base  uint64    // what is no longer counted: the count once fell to it
	first uint64    // when counting began
	start time.Time // the same on the wall clock as of then: the two drift apart
	seen  uint64
	again bool // counting began anew: the beginning does not go back any more
}

func newCommitTotals() commitTotals {
	return commitTotals{
		last:      make(map[commitKey]commitSeen),
		retired:   make(map[commitLabels]commitSeen),
		published: make(map[commitLabels]commitTotal),
	}
}

func (u *update) countCommits() {
	totals := &u.model.commits
	now := make(map[commitKey]commitSeen, len(u.Commits))
	sums := make(map[commitLabels]commitSeen)
	claims := make(map[commitLabels]clusterID)
	for i := range u.Commits {
		c := &u.Commits[i]
		link := u.links[c.Link]
		if link == nil {
			continue
		}
		topic := u.topic(link.cluster, c.Topic)
		if !topic.known {
			u.model.held.Topics++
		}
		group := u.group(c.Group)
		if !topic.wanted || !group.wanted || !link.wanted {
			continue
		}
		labels := commitLabels{u.clusterName(link.cluster), u.groups[group.index], u.topics[topic.index].text, c.Error}
		entry := commitSeen{labels: labels, count: c.Count, first: c.First, seen: u.Now}
		now[commitKey{c.Link, c.Group, c.Topic, c.Error}] = entry
		sums[labels] = sums[labels].plus(entry)
		if claim, ok := claims[labels]; !ok {
			claims[labels] = link.cluster
		} else if claim != link.cluster && claim != severalClusters {
			claims[labels] = severalClusters
			u.model.held.Clusters++
		}
	}
	for key, was := range totals.last {
		// A link that ended and came back between two snapshots counts from zero again.
		if is, ok := now[key]; !ok || is.first != was.first {
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
		total := u.commitTotal(labels, sum)
		if claims[labels] == severalClusters {
			continue
		}
		u.view.Commits = append(u.view.Commits, CommitCount{
			Cluster: labels.cluster,
			Group:   labels.group,
			Topic:   labels.topic,
			Error:   labels.error,
			Count:   total.count - total.base,
			Start:   total.start,
		})
	}
	for labels, total := range totals.published {
		if u.age(total.seen) > u.model.options.IdleTimeout {
			delete(totals.published, labels)
		}
	}
	totals.updated = u.Now
}

// severalClusters, all of them unnamed, have counts of the same group and topic.
const severalClusters clusterID = -1

// commitTotal takes a new total for some labels. It falls when a part of it turns out to be of another
// cluster, whose id has just become known: then counting begins anew.
func (u *update) commitTotal(labels commitLabels, sum commitSeen) commitTotal {
	totals := &u.model.commits
	total, known := totals.published[labels]
	cameBack := known && total.seen != totals.updated && sum.first > total.first
	switch {
	case !known || cameBack:
		total = commitTotal{first: sum.first, start: u.wall(sum.first), again: known}
	case sum.count < total.count:
		total = commitTotal{base: sum.count, first: u.Now, start: u.Time, again: true}
	case sum.first < total.first && !total.again:
		total = commitTotal{first: sum.first, start: u.wall(sum.first)}
	}
	total.count, total.seen = sum.count, u.Now
	totals.published[labels] = total
	return total
}

func (c commitSeen) plus(other commitSeen) commitSeen {
	if c.seen == 0 { // nothing yet
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
		link := u.links[x.Link]
		if link == nil || !u.group(x.Group).wanted {
			continue
		}
		key := member{link.cluster, x.Group, x.Member}
		if known := newest[key]; known == nil || x.Time > known.Time {
			newest[key] = x
		}
	}
	counts := make(map[group]int64)
	for key, x := range newest {
		if link := u.links[x.Link]; !link.Open || !link.wanted {
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
	claims := make(map[NameID]int) // by unnamed clusters
	for key := range counts {
		if u.clusters.names[key.cluster] == NameNone {
			claims[key.group]++
			if claims[key.group] > 1 {
				u.model.held.Clusters++
			}
		}
	}
	for key, n := range counts {
		if u.clusters.names[key.cluster] == NameNone && claims[key.group] > 1 {
			continue
		}
		u.view.Members = append(u.view.Members, GroupMembers{
			Cluster: u.clusterName(key.cluster), Group: u.Names[key.group], Members: n,
		})
	}
}
