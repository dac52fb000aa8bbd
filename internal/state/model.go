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
		Snapshot:   s,
		model:      m,
		view:       &View{Time: s.Time},
		clusters:   joinClusters(s),
		links:      make(map[LinkID]*linkState, len(s.Links)),
		topics:     make(map[NameID]topicState),
		keepGroups: make(map[NameID]bool),
	}
	m.held = Held{}
	u.joinLinks()
	u.findRecreated()
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

	// Asked many times, worked out once.
	links      map[LinkID]*linkState
	topics     map[NameID]topicState
	keepGroups map[NameID]bool

	recreated map[clusterTopic]topicAge
	// In the order of the snapshot's entries, and where to find them.
	partitions     []partition
	groups         []committed
	partitionIndex map[partitionID]int32
	groupIndex     map[groupID]int32
}

// linkState is a link, its cluster, and whether the configuration wants it.
type linkState struct {
	Link
	cluster clusterID
	wanted  bool
}

// partitionID is a partition of a cluster; the cluster may not have a name yet.
type partitionID struct {
	topic     NameID // of the name, never of a topic id
	cluster   clusterID
	partition int32
}

// groupID is a group's place in a partition.
type groupID struct {
	partitionID
	group NameID
}

func (u *update) joinLinks() {
	keep := u.model.options.KeepLink
	states := make([]linkState, 0, len(u.Links))
	for id, l := range u.Links {
		states = append(states, linkState{Link: l, cluster: u.clusters.of[id]})
		state := &states[len(states)-1]
		state.wanted = keep == nil || keep(&state.Link)
		u.links[id] = state
	}
}

// wantGroup asks the filter once for each name. A group without a name is not wanted.
func (u *update) wantGroup(id NameID) bool {
	want, asked := u.keepGroups[id]
	if !asked {
		name, ok := u.Names[id]
		want = ok && (u.model.options.KeepGroup == nil || u.model.options.KeepGroup(name))
		u.keepGroups[id] = want
	}
	return want
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
