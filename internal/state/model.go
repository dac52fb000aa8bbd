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
	totals  counterTotals
	epochs  map[groupLabels]groupEpoch
	held    Held
	void    []Offset
	reused  reused
}

// Held counts what the last View left out because something is not known yet.
type Held struct {
	Topics   int // entries whose topic id has no name yet
	Clusters int // entries that two unnamed clusters both claim
	Offsets  int // committed offsets that nothing has confirmed for IdleTimeout
}

// New makes a Model.
func New(o Options) *Model {
	return &Model{options: o, totals: newCounterTotals(), epochs: make(map[groupLabels]groupEpoch)}
}

// Held tells what the last Update left out.
func (m *Model) Held() Held { return m.held }

// Void are the offsets of the last snapshot that are no group's any more, because the offset, group or topic was
// deleted. Whoever holds the snapshots may forget them, and should: what deleted them will be forgotten, too.
func (m *Model) Void() []Offset { return m.void }

// Update makes the View of a snapshot. Snapshots must come in order. The View holds until the next Update.
func (m *Model) Update(s *Snapshot) *View {
	r := &m.reused
	r.view = View{
		Time:       s.Time,
		Groups:     withRoom(r.view.Groups, len(s.Offsets)),
		Partitions: withRoom(r.view.Partitions, len(s.Watermarks)),
		Clients:    withRoom(r.view.Clients, len(s.Offsets)),
	}
	u := &update{
		Snapshot:    s,
		model:       m,
		view:        &r.view,
		clusters:    joinClusters(s),
		links:       make(map[LinkID]*linkState, len(s.Links)),
		scopeIndex:  make(map[clientScope]int32),
		topicStates: make(map[topicKey]topicState),
		groupStates: make(map[NameID]groupState),
		topicIndex:  make(map[topicKey]int32),

		places:         withRoom(r.places, len(s.Offsets)),
		partitions:     withRoom(r.partitions, len(s.Watermarks)),
		placeIndex:     r.placeIndex.emptied(len(s.Offsets)),
		partitionIndex: r.partitionIndex.emptied(len(s.Watermarks)),
		labels:         r.labels.emptied(),
	}
	m.held, m.void = Held{}, m.void[:0]
	u.joinLinks()
	u.findRecreated()
	u.findGone()
	u.joinWatermarks()
	u.joinOffsets()
	u.joinMembers()
	u.joinAssignments()
	u.publish()
	u.count()
	u.publishMembers()
	r.places, r.partitions = cleared(u.places), cleared(u.partitions)
	trim(r.view.Groups)
	trim(r.view.Partitions)
	trim(r.view.Clients)
	return u.view
}

// An update is one run of Model.Update.
type update struct {
	*Snapshot
	model    *Model
	view     *View
	clusters *clusters

	// Asked many times, worked out once.
	links       map[LinkID]*linkState
	topicStates map[topicKey]topicState // by name or topic id
	groupStates map[NameID]groupState
	recreated   map[topicKey]topicAge
	gone        map[topicKey]uint64     // when a broker did not have a topic (by name or id) any more
	deleted     map[clusterGroup]uint64 // when a group was deleted

	members []*Member             // the newest word of each that is wanted
	owners  map[uint64]*ownership // by placeIndex's key
	told    map[clientGroup]bool  // clients of which it is known what they own

	// What confirms old offsets; made when there are any.
	fetching    map[uint64]bool // by partition and client
	coordinated map[heartbeat]bool

	// What the indices stand for, and where to find them: clients by what they are, topics by cluster and name,
	// partitions by topic and number, groups' places by partition and group. Several groups have offsets in one
	// partition, and who commits also fetches: there are hardly more partitions than watermarks.
	scopes         []scope
	topics         []topic
	groups         []string
	partitions     []partition
	places         []place
	scopeIndex     map[clientScope]int32
	topicIndex     map[topicKey]int32
	partitionIndex map[uint64]int32
	placeIndex     map[uint64]int32
	labels         *sharedLabels
}

// pair is a key of two indices: the maps with many entries are small and fast by it.
func pair(a, b int32) uint64 { return uint64(uint32(a))<<32 | uint64(uint32(b)) }

// unpair gives the indices of a pair.
func unpair(key uint64) (a, b int32) { return int32(key >> 32), int32(uint32(key)) }

// clientScope is a client of a process, or of a remote address, in a cluster.
type clientScope struct {
	cluster clusterID
	process ProcessKey
	client  NameID
}

// scope is what is known of a client.
type scope struct {
	clientScope
	lost uint64 // when a request of it was last not understood, at whichever broker
}

// linkState is a link, its cluster, its client, and whether the configuration wants it.
type linkState struct {
	Link
	cluster clusterID
	scope   int32 // index of scopes
	wanted  bool
}

func (u *update) joinLinks() {
	keep := u.model.options.KeepLink
	states := make([]linkState, 0, len(u.Links))
	for id, l := range u.Links {
		states = append(states, linkState{Link: l, cluster: u.clusters.of[id]})
		state := &states[len(states)-1]
		state.wanted = keep == nil || keep(&state.Link)
		state.scope = u.scope(clientScope{state.cluster, l.Process, l.Client})
		client := &u.scopes[state.scope]
		client.lost = max(client.lost, l.Lost)
		u.links[id] = state
	}
}

// scope gives the index of a client, which it makes if need be.
func (u *update) scope(client clientScope) int32 {
	at, known := u.scopeIndex[client]
	if !known {
		at = int32(len(u.scopes))
		u.scopeIndex[client] = at
		u.scopes = append(u.scopes, scope{clientScope: client})
	}
	return at
}

// groupState is what a group's id means.
type groupState struct {
	index  int32 // of groups
	wanted bool
}

// group asks the filter once for each name. A group without a name is not wanted.
func (u *update) group(id NameID) groupState {
	g, asked := u.groupStates[id]
	if !asked {
		name, ok := u.Names[id]
		g.wanted = ok && (u.model.options.KeepGroup == nil || u.model.options.KeepGroup(name))
		g.index = int32(len(u.groups))
		u.groups = append(u.groups, name)
		u.groupStates[id] = g
	}
	return g
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
