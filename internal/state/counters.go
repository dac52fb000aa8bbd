// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// counterTotals adds up the links' counters, so that a total never falls when a link ends.
type counterTotals struct {
	last      map[counterKey]counted    // as of the last snapshot
	retired   map[counterLabels]counted // of links that are gone
	published map[counterLabels]counterTotal
	updated   uint64 // when, last
}

// counterKind is what is counted.
type counterKind uint8

const (
	countCommits     counterKind = iota // detail: the error
	countRebalancing                    // nanoseconds
	countShares                         // detail: the Acknowledgement
)

type counterKey struct {
	link         LinkID
	group, topic NameID
	partition    int32
	kind         counterKind
	detail       int16
}

type counterLabels struct {
	cluster, group, topic string
	partition             int32
	kind                  counterKind
	detail                int16
}

type counted struct {
	labels counterLabels
	count  uint64
	first  uint64 // when counting began
	seen   uint64 // when it was last there
}

// counterTotal is a total as the View shows it.
type counterTotal struct {
	count uint64
	base  uint64    // what is no longer counted: the count once fell to it
	first uint64    // when counting began
	start time.Time // the same on the wall clock as of then: the two drift apart
	seen  uint64
	again bool // counting began anew: the beginning does not go back any more
}

func newCounterTotals() counterTotals {
	return counterTotals{
		last:      make(map[counterKey]counted),
		retired:   make(map[counterLabels]counted),
		published: make(map[counterLabels]counterTotal),
	}
}

// counting is the adding up of one snapshot.
type counting struct {
	*update
	now    map[counterKey]counted
	sums   map[counterLabels]counted
	claims map[counterLabels]clusterID
}

// add takes one link's counter.
func (c *counting) add(key counterKey, topic string, count, first uint64) {
	link := c.links[key.link]
	labels := counterLabels{
		c.clusterName(link.cluster), c.groups[c.group(key.group).index], topic, key.partition, key.kind, key.detail,
	}
	entry := counted{labels: labels, count: count, first: first, seen: c.Now}
	c.now[key] = entry
	c.sums[labels] = c.sums[labels].plus(entry)
	if claim, ok := c.claims[labels]; !ok {
		c.claims[labels] = link.cluster
	} else if claim != link.cluster && claim != severalClusters {
		c.claims[labels] = severalClusters
		c.model.held.Clusters++
	}
}

// wants tells whether a group's counter of a link is to be published.
func (u *update) wants(link LinkID, group NameID) bool {
	l := u.links[link]
	return l != nil && l.wanted && u.group(group).wanted
}

// count adds up all counters.
func (u *update) count() {
	c := &counting{
		update: u,
		now:    make(map[counterKey]counted, len(u.Commits)),
		sums:   make(map[counterLabels]counted),
		claims: make(map[counterLabels]clusterID),
	}
	for i := range u.Commits {
		x := &u.Commits[i]
		if topic, ok := c.topicOf(x.Link, x.Group, x.Topic); ok {
			c.add(counterKey{link: x.Link, group: x.Group, topic: x.Topic, kind: countCommits, detail: x.Error},
				topic, x.Count, x.First)
		}
	}
	for i := range u.Shares {
		x := &u.Shares[i]
		topic, ok := c.topicOf(x.Link, x.Group, x.Topic)
		if !ok {
			continue
		}
		key := counterKey{link: x.Link, group: x.Group, topic: x.Topic, partition: x.Partition, kind: countShares}
		for i, n := range [...]uint64{x.Accepted, x.Released, x.Rejected} {
			if n > 0 || i == 0 {
				key.detail = int16(Accepted) + int16(i)
				c.add(key, topic, n, x.First)
			}
		}
	}
	for i := range u.Groups {
		x := &u.Groups[i]
		if x.Joining > 0 && u.wants(x.Link, x.Group) {
			c.add(counterKey{link: x.Link, group: x.Group, kind: countRebalancing}, "", uint64(x.Rebalancing), x.First)
		}
	}
	c.settle()
}

// topicOf is a counter's topic; false if the counter is not to be published, or not yet.
func (c *counting) topicOf(link LinkID, group, id NameID) (string, bool) {
	l := c.links[link]
	if l == nil {
		return "", false
	}
	topic := c.topic(l.cluster, id)
	if !topic.known {
		c.model.held.Topics++
	}
	if !topic.wanted || !c.wants(link, group) {
		return "", false
	}
	return c.topics[topic.index].text, true
}

// settle publishes the sums of what is there and of what has been.
func (c *counting) settle() {
	u, now, sums := c.update, c.now, c.sums
	totals := &u.model.totals
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
		total := u.total(labels, sum)
		if c.claims[labels] != severalClusters {
			u.publishTotal(labels, total.count-total.base, total.start)
		}
	}
	for labels, total := range totals.published {
		if u.age(total.seen) > u.model.options.IdleTimeout {
			delete(totals.published, labels)
		}
	}
	totals.updated = u.Now
}

func (u *update) publishTotal(labels counterLabels, count uint64, start time.Time) {
	switch labels.kind {
	case countCommits:
		u.view.Commits = append(u.view.Commits, CommitCount{
			Cluster: labels.cluster, Group: labels.group, Topic: labels.topic,
			Error: labels.detail, Count: count, Start: start,
		})
	case countRebalancing:
		u.view.Rebalances = append(u.view.Rebalances, RebalanceTime{
			Cluster: labels.cluster, Group: labels.group, Time: time.Duration(count), Start: start,
		})
	case countShares:
		u.view.Shares = append(u.view.Shares, ShareCount{
			Cluster: labels.cluster, Group: labels.group, Topic: labels.topic, Partition: labels.partition,
			Type: Acknowledgement(labels.detail), Count: count, Start: start,
		})
	}
}

// severalClusters, all of them unnamed, have counts of the same labels.
const severalClusters clusterID = -1

// total takes a new sum for some labels. It falls when a part of it turns out to be of another cluster,
// whose id has just become known: then counting begins anew.
func (u *update) total(labels counterLabels, sum counted) counterTotal {
	totals := &u.model.totals
	t, known := totals.published[labels]
	cameBack := known && t.seen != totals.updated && sum.first > t.first
	switch {
	case !known || cameBack:
		t = counterTotal{first: sum.first, start: u.wall(sum.first), again: known}
	case sum.count < t.count:
		t = counterTotal{base: sum.count, first: u.Now, start: u.Time, again: true}
	case sum.first < t.first && !t.again:
		t = counterTotal{first: sum.first, start: u.wall(sum.first)}
	}
	t.count, t.seen = sum.count, u.Now
	totals.published[labels] = t
	return t
}

func (c counted) plus(other counted) counted {
	if c.seen == 0 { // nothing yet
		return other
	}
	c.count += other.count
	c.first = min(c.first, other.first)
	c.seen = max(c.seen, other.seen)
	return c
}
