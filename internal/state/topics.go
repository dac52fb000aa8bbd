// SPDX-License-Identifier: Apache-2.0

package state

// topic is a topic of a cluster; id is that of its name, never a topic id.
type topic struct {
	cluster clusterID
	id      NameID
	text    string
}

// topicState is what a topic's name or id means in a cluster.
type topicState struct {
	index   int32 // of update.topics
	known   bool
	wanted  bool
	current bool // not the id of a topic that was deleted and made anew under the same name
}

// topicKey is a topic by its name, or by its id.
type topicKey struct {
	cluster clusterID
	id      NameID
}

// topicAge is when a topic id was last seen in use, of several that a name has had.
type topicAge struct {
	id      NameID
	time    uint64
	several bool // were in use in this cluster
}

// topic resolves a topic or topic id.
func (u *update) topic(cluster clusterID, id NameID) topicState {
	key := topicKey{cluster, id}
	t, asked := u.topicStates[key]
	if !asked {
		t = u.resolve(cluster, id)
		u.topicStates[key] = t
	}
	return t
}

// topicOrHold is topic for what is true of one incarnation of a topic only, and counts what is held back.
func (u *update) topicOrHold(cluster clusterID, id NameID) (int32, bool) {
	t := u.topic(cluster, id)
	if !t.known {
		u.model.held.Topics++
	}
	return t.index, t.wanted && t.current
}

func (u *update) resolve(cluster clusterID, id NameID) topicState {
	name := id
	text, known := u.Names[id]
	if !known {
		name = u.TopicIDs[id]
		text, known = u.Names[name]
	}
	if !known {
		return topicState{}
	}
	key := topicKey{cluster, name}
	index, ok := u.topicIndex[key]
	if !ok {
		index = int32(len(u.topics))
		u.topics = append(u.topics, topic{cluster, name, text})
		u.topicIndex[key] = index
	}
	newest, several := u.recreated[key]
	return topicState{
		index:   index,
		known:   true,
		wanted:  u.model.options.KeepTopic == nil || u.model.options.KeepTopic(text),
		current: !several || name == id || newest.id == id,
	}
}

// findRecreated finds, for names with several topic ids, the id that each cluster used last: brokers
// answer for no id but the current one.
func (u *update) findRecreated() {
	ids := make(map[NameID]int, len(u.TopicIDs))
	several := false
	for _, name := range u.TopicIDs {
		ids[name]++
		several = several || ids[name] > 1
	}
	if !several {
		return
	}
	u.recreated = make(map[topicKey]topicAge)
	used := func(link LinkID, id NameID, time uint64) {
		name, ok := u.TopicIDs[id]
		l := u.links[link]
		if !ok || ids[name] < 2 || l == nil || time == 0 {
			return
		}
		at := topicKey{l.cluster, name}
		newest, before := u.recreated[at]
		several := newest.several || (before && newest.id != id)
		if time > newest.time || (time == newest.time && id > newest.id) {
			newest.id, newest.time = id, time
		}
		newest.several = several
		u.recreated[at] = newest
	}
	for i := range u.Watermarks {
		w := &u.Watermarks[i]
		used(w.Link, w.Topic, max(w.Time, w.LogStartTime, w.ProducedTime))
	}
	for i := range u.Offsets {
		o := &u.Offsets[i]
		used(o.Link, o.Topic, o.Acked)
	}
}

// findGone notes which topics are not there any more, and which groups were deleted: what was true of
// them before is not true of those that may have been made anew.
func (u *update) findGone() {
	if len(u.Gone) > 0 {
		u.gone = make(map[topicKey]uint64, len(u.Gone))
	}
	for i := range u.Gone {
		g := &u.Gone[i]
		if link := u.links[g.Link]; link != nil {
			at := topicKey{link.cluster, g.Topic}
			u.gone[at] = max(u.gone[at], g.Time)
		}
	}
	for i := range u.Groups {
		g := &u.Groups[i]
		link := u.links[g.Link]
		if link == nil || g.Deleted == 0 {
			continue
		}
		if u.deleted == nil {
			u.deleted = make(map[clusterGroup]uint64)
		}
		at := clusterGroup{link.cluster, g.Group}
		u.deleted[at] = max(u.deleted[at], g.Deleted)
	}
}

// topicSince is the moment before which nothing that was said of a topic, by name or id, is still true: it
// was deleted since, or made anew.
func (u *update) topicSince(cluster clusterID, id NameID) uint64 {
	if u.gone == nil && u.recreated == nil {
		return 0
	}
	name := id
	if known, ok := u.TopicIDs[id]; ok {
		name = known
	}
	since := max(u.gone[topicKey{cluster, id}], u.gone[topicKey{cluster, name}])
	if newest := u.recreated[topicKey{cluster, name}]; newest.several && name == id {
		since = max(since, u.TopicIDTimes[newest.id])
	}
	return since
}
