// SPDX-License-Identifier: Apache-2.0

package state

// topicState is what a topic's name or id means.
type topicState struct {
	name          NameID
	known, wanted bool
}

// clusterTopic is a topic by its name.
type clusterTopic struct {
	cluster clusterID
	name    NameID
}

// topicAge is when a topic id was last seen in use.
type topicAge struct {
	id   NameID
	time uint64
}

// topic resolves a topic or topic id to the id of its name; false while that is not known, or if the
// configuration does not want it.
func (u *update) topic(id NameID) (NameID, bool) {
	t, asked := u.topics[id]
	if !asked {
		t = u.resolve(id)
		u.topics[id] = t
	}
	return t.name, t.wanted
}

// hold counts an entry whose topic does not have a name yet.
func (u *update) hold(topic NameID) {
	if !u.topics[topic].known {
		u.model.held.Topics++
	}
}

func (u *update) resolve(id NameID) topicState {
	t := topicState{name: id}
	text, ok := u.Names[id]
	if !ok {
		t.name = u.TopicIDs[id]
		text, ok = u.Names[t.name]
	}
	t.known = ok
	t.wanted = ok && (u.model.options.KeepTopic == nil || u.model.options.KeepTopic(text))
	return t
}

// topicIn is topic for what is true of one incarnation of a topic only: false for the id of one that was
// deleted and made anew under the same name.
func (u *update) topicIn(cluster clusterID, id NameID) (NameID, bool) {
	name, ok := u.topic(id)
	if ok && name != id && u.recreated != nil {
		newest, several := u.recreated[clusterTopic{cluster, name}]
		if several && newest.id != id {
			return 0, false
		}
	}
	return name, ok
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
	u.recreated = make(map[clusterTopic]topicAge)
	used := func(link LinkID, id NameID, time uint64) {
		name, ok := u.TopicIDs[id]
		l := u.links[link]
		if !ok || ids[name] < 2 || l == nil || time == 0 {
			return
		}
		at := clusterTopic{l.cluster, name}
		if newest := u.recreated[at]; time > newest.time || (time == newest.time && id > newest.id) {
			u.recreated[at] = topicAge{id, time}
		}
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
