// SPDX-License-Identifier: Apache-2.0

// Package state turns what the kernel side saw into what is true of groups, partitions and clients:
// it joins links to clusters, topic ids to names, committed offsets to watermarks, and lets go of what
// is no longer known. It is pure: no kernel, no collector.
package state

import (
	"time"
)

// Options of a Model.
type Options struct {
	// WatermarkMaxAge is how old a high watermark may be for a lag to be published from it.
	WatermarkMaxAge time.Duration
	// IdleTimeout is how long counters outlive their last link.
	IdleTimeout time.Duration
	// KeepGroup, KeepTopic and KeepLink choose what is published; nil keeps all.
	KeepGroup, KeepTopic func(name string) bool
	KeepLink             func(*Link) bool
}

// A Model remembers what one snapshot alone cannot tell: counters of links that are gone. It is not
// safe for concurrent use.
type Model struct {
	options Options
	commits commitTotals
	held    Held
}

// Held counts what the last View left out because something is not known yet.
type Held struct {
	Topics   int // entries whose topic id has no name yet
	Clusters int // entries that two unnamed clusters both claim
}

// New makes a Model.
func New(o Options) *Model {
	return &Model{options: o, commits: newCommitTotals()}
}

// Held tells what the last Update left out.
func (m *Model) Held() Held { return m.held }

// Update makes the View of a snapshot. Snapshots must come in order.
func (m *Model) Update(s *Snapshot) *View {
	u := &update{
		Snapshot: s,
		model:    m,
		view:     &View{Time: s.Time},
		clusters: joinClusters(s),
		keep:     make(map[NameID]bool),
	}
	m.held = Held{}
	u.joinWatermarks()
	u.joinOffsets()
	u.publish()
	u.countCommits()
	u.countMembers()
	return u.view
}

// An update is one run of Model.Update.
type update struct {
	*Snapshot
	model    *Model
	view     *View
	clusters *clusters
	keep     map[NameID]bool // groups: id, topics: ^id

	partitions map[partitionID]*partition
	groups     map[groupID]*committed
}

// partitionID is a partition of a cluster; the cluster may not have a name yet.
type partitionID struct {
	cluster   clusterID
	topic     NameID // of the name, never of a topic id
	partition int32
}

// groupID is a group's place in a partition.
type groupID struct {
	partitionID
	group NameID
}

// topic resolves a topic or topic id to the id of its name; false while that is not known.
func (u *update) topic(id NameID) (NameID, bool) {
	if _, ok := u.Names[id]; ok {
		return id, true
	}
	name, ok := u.TopicIDs[id]
	if ok {
		_, ok = u.Names[name]
	}
	if !ok {
		u.model.held.Topics++
	}
	return name, ok
}

func (u *update) wantTopic(id NameID) bool {
	return u.want(^id, id, u.model.options.KeepTopic)
}

func (u *update) wantGroup(id NameID) bool {
	return u.want(id, id, u.model.options.KeepGroup)
}

// want asks a filter once for each name.
func (u *update) want(key, id NameID, filter func(string) bool) bool {
	if filter == nil {
		return true
	}
	keep, known := u.keep[key]
	if !known {
		keep = filter(u.Names[id])
		u.keep[key] = keep
	}
	return keep
}

func (u *update) wantLink(l *Link) bool {
	return u.model.options.KeepLink == nil || u.model.options.KeepLink(l)
}

// age of a moment of CLOCK_MONOTONIC, never negative.
func (u *update) age(then uint64) time.Duration {
	if then >= u.Now {
		return 0
	}
	return time.Duration(u.Now - then)
}

// wall is the wall clock's time of a moment of CLOCK_MONOTONIC.
func (u *update) wall(then uint64) time.Time {
	return u.Time.Add(time.Duration(int64(then) - int64(u.Now)))
}
