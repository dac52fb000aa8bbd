// SPDX-License-Identifier: Apache-2.0

package state

// sharedLabels are what rows of a View share. Rows that hold a pointer instead of strings are small, and little work for
// the garbage collector: there are hundreds of thousands of them.
type sharedLabels struct {
	clusterTopics labelSet[int32, ClusterTopic] // by topic
	groupTopics   labelSet[uint64, GroupTopic]  // by topic and group
	clientTopics  labelSet[clientTopicKey, ClientTopic]
}

func (l *sharedLabels) emptied() *sharedLabels {
	l.clusterTopics.emptied()
	l.groupTopics.emptied()
	l.clientTopics.emptied()
	return l
}

// labelSet has each label once, and finds it by indices of the update. Two unnamed clusters have different indices, but
// may have equal labels.
type labelSet[K, T comparable] struct {
	byIndex lookup[K, *T]
	byValue lookup[T, *T]
}

// emptied leaves room for as many as there were.
func (s *labelSet[K, T]) emptied() {
	s.byIndex.emptied(len(s.byIndex.of))
	s.byValue.emptied(len(s.byValue.of))
}

// find is the label of a key, nil if it has to be added.
func (s *labelSet[K, T]) find(key K) *T { return s.byIndex.of[key] }

func (s *labelSet[K, T]) add(key K, value T) *T {
	label := s.byValue.of[value]
	if label == nil {
		label = &value
		s.byValue.of[value] = label
	}
	s.byIndex.of[key] = label
	return label
}

func (u *update) clusterTopic(topic int32) *ClusterTopic {
	known := &u.labels.clusterTopics
	if label := known.find(topic); label != nil {
		return label
	}
	t := &u.topics[topic]
	return known.add(topic, ClusterTopic{u.clusterName(t.cluster), t.text})
}

func (u *update) groupTopic(group, topic int32) *GroupTopic {
	known, key := &u.labels.groupTopics, pair(topic, group)
	if label := known.find(key); label != nil {
		return label
	}
	t := &u.topics[topic]
	return known.add(key, GroupTopic{u.clusterName(t.cluster), u.groups[group], t.text})
}

// clientTopicKey is the key of what a client has of a topic: three indices, the group's is noGroup where there is none.
type clientTopicKey struct {
	scope, group, topic int32
}

const noGroup = -1

func (u *update) clientTopic(scope, group, topic int32) *ClientTopic {
	known, key := &u.labels.clientTopics, clientTopicKey{scope, group, topic}
	if label := known.find(key); label != nil {
		return label
	}
	c, t := &u.scopes[scope], &u.topics[topic]
	label := ClientTopic{
		Cluster: u.clusterName(t.cluster), Process: c.process, ClientID: u.Names[c.client], Topic: t.text,
	}
	if group != noGroup {
		label.Group = u.groups[group]
	}
	return known.add(key, label)
}
