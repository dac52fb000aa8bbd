// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTopicIDWithoutName(t *testing.T) {
	w := newWorld()
	a := w.client("a", brokerOne, "C")
	id := w.topicID("one")
	w.commit(a, 7, second).Topic = id
	w.high(a, 10, second).Topic = id
	w.Commits = append(w.Commits, CommitCounter{Link: a, Group: w.name("g"), Topic: id, Count: 1, First: w.ago(second)})

	m := newModel()
	v := m.Update(w.Snapshot)
	assert.Empty(t, v.Groups)
	assert.Empty(t, v.Partitions)
	assert.Empty(t, v.Clients)
	assert.Empty(t, v.Commits)
	assert.Equal(t, Held{Topics: 3}, m.Held(), "each entry once")

	w.TopicIDs[id] = 99 // a name that did not find room in the map
	m.Update(w.Snapshot)
	assert.Equal(t, Held{Topics: 3}, m.Held())

	w.learn(id, "t")
	v = m.Update(w.Snapshot)
	require.Len(t, v.Groups, 1)
	assert.Equal(t, "t", v.Groups[0].Topic)
	assert.Equal(t, int64(3), v.Groups[0].Lag)
	assert.Len(t, v.Partitions, 1)
	assert.Len(t, v.Clients, 1)
	assert.Len(t, v.Commits, 1)
	assert.Zero(t, m.Held())
}

// Fetch speaks of the id while OffsetCommit speaks of the name.
func TestTopicByNameAndByID(t *testing.T) {
	w := newWorld()
	a := w.client("a", brokerOne, "C")
	w.learn(w.topicID("one"), "t")
	w.commit(a, 7, second)
	w.high(a, 10, second).Topic = w.topicID("one")
	w.high(a, 8, 3*second)
	w.batch(a, 7, 7, 30*second, 30*second)
	assert.Len(t, w.view().Partitions, 1)
	got := w.group(t)
	assert.Equal(t, int64(3), got.Lag)
	assert.Equal(t, 30*second, got.LagTime)
}

// A topic that was deleted and made anew has another id: nothing of the old one is true of the new one.
func TestTopicMadeAnew(t *testing.T) {
	w := newWorld()
	a, b := w.client("a", brokerOne, "C"), w.client("b", brokerTwo, "C")
	before, after := w.topicID("before"), w.topicID("after")
	w.learn(before, "t")
	w.learn(after, "t")

	// Within the overlap, and in a session that goes on to be answered.
	old := w.high(a, 1000, 2*second)
	old.Topic, old.Session = before, 7
	old.LogStart, old.LogStartTime = 900, old.Time
	old.Produced, old.ProducedTime = 1001, old.Time
	w.Sessions[SessionKey{Link: a, Session: 7}] = Session{Time: w.ago(second / 2)}
	w.Batches[PartitionKey{Link: a, Topic: before}] = []Batch{{First: 0, Last: 9, FirstTime: 1, MaxTime: 1}}
	x := w.high(b, 5, second)
	x.Topic = after
	x.LogStart, x.LogStartTime = 0, x.Time
	w.commit(a, 990, 4*second).Topic = before

	got := w.partition(t)
	require.NotNil(t, got)
	assert.Equal(t, int64(5), got.Current)
	assert.Equal(t, int64(0), got.Oldest)
	v := w.view()
	assert.Empty(t, v.Groups, "the broker forgot what was committed of the old one")
	assert.Empty(t, v.Clients)

	w.commit(b, 2, second).Topic = after
	assert.Equal(t, int64(2), w.group(t).Committed)
	assert.Equal(t, int64(3), w.group(t).Lag)
	assert.False(t, w.group(t).HasLagTime, "the old batches are not of these offsets")

	m := newModel()
	m.Update(w.Snapshot)
	assert.Zero(t, m.Held(), "its name is known, it is gone")
}

// Two clusters each have a topic of that name.
func TestTopicIDsOfTwoClusters(t *testing.T) {
	w := newWorld()
	a, b := w.client("a", brokerOne, "A"), w.client("b", brokerTwo, "B")
	one, two := w.topicID("one"), w.topicID("two")
	w.learn(one, "t")
	w.learn(two, "t")
	w.high(a, 1000, 30*second).Topic = one
	w.high(b, 5, second).Topic = two
	assert.Len(t, w.view().Partitions, 2)
}

func TestTopicMadeAnewKeepsCounting(t *testing.T) {
	w := newWorld()
	a := w.client("a", brokerOne, "C")
	before, after := w.topicID("before"), w.topicID("after")
	w.learn(before, "t")
	w.learn(after, "t")
	w.commit(a, 9, 2*second).Topic = before
	w.commit(a, 1, 1*second).Topic = after
	w.Commits = []CommitCounter{
		{Link: a, Group: w.name("g"), Topic: before, Count: 4, First: w.ago(time.Minute)},
		{Link: a, Group: w.name("g"), Topic: after, Count: 3, First: w.ago(time.Minute)},
	}
	v := w.view()
	require.Len(t, v.Commits, 1)
	assert.Equal(t, uint64(7), v.Commits[0].Count)
}

// Kafka's names are ASCII, but a client may say anything.
func TestNamesNotUTF8(t *testing.T) {
	w := newWorld()
	a := w.client("\xff\xfe", brokerOne, "C")
	o := w.commit(a, 7, second)
	o.Group, o.Topic = w.name("\xc3\x28"), w.name("\x80")
	v := w.view()
	require.Len(t, v.Groups, 1)
	assert.Equal(t, "\xc3\x28", v.Groups[0].Group)
	assert.Equal(t, "\x80", v.Groups[0].Topic)
	require.Len(t, v.Clients, 1)
	assert.Equal(t, "\xff\xfe", v.Clients[0].ClientID)
}

func TestFilters(t *testing.T) {
	w := newWorld()
	a, b := w.client("a", brokerOne, "C"), w.client("b", brokerTwo, "C")
	for _, link := range []LinkID{a, b} {
		who := w.Links[link].Process.Comm
		for _, topic := range []string{"orders", "__internal"} {
			o := w.commit(link, 7, second)
			o.Group, o.Topic = w.name("group-"+who), w.name(topic)
			x := w.high(link, 10, second)
			x.Topic, x.Partition = w.name(topic), int32(link)
			w.Commits = append(w.Commits, CommitCounter{Link: link, Group: o.Group, Topic: o.Topic, Count: 1})
		}
		w.Members = append(w.Members, Member{Open: true, Link: link, Group: w.name("group-" + who), Member: w.name(who), Time: w.ago(second)})
	}
	names := func(o Options) []string {
		o.WatermarkMaxAge, o.IdleTimeout = testMaxAge, testIdle
		v := New(o).Update(w.Snapshot)
		var all []string
		for _, x := range v.Groups {
			all = append(all, "group "+x.Group+" "+x.Topic)
		}
		for _, x := range v.Partitions {
			all = append(all, "partition "+x.Topic)
		}
		for _, x := range v.Clients {
			all = append(all, "client "+x.ClientID+" "+x.Topic)
		}
		for _, x := range v.Commits {
			all = append(all, "commits "+x.Group+" "+x.Topic)
		}
		for _, x := range v.Members {
			all = append(all, "members "+x.Group)
		}
		slices.Sort(all)
		return all
	}
	without := func(all []string, word string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return strings.Contains(s+" ", word) })
	}
	all := names(Options{})
	require.Len(t, all, 4+4+4+4+2)

	assert.Equal(t, without(all, "__internal"),
		names(Options{KeepTopic: func(s string) bool { return !strings.HasPrefix(s, "__") }}))
	assert.Equal(t, slices.DeleteFunc(without(all, "group-b"), func(s string) bool { return strings.HasPrefix(s, "client b") }),
		names(Options{KeepGroup: func(s string) bool { return s != "group-b" }}))
	assert.Equal(t, []string{
		"client a __internal", "client a orders", "commits group-a __internal", "commits group-a orders",
		"group group-a __internal", "group group-a orders", "members group-a", "partition __internal", "partition orders",
	}, names(Options{KeepLink: func(l *Link) bool { return l.Process.Comm == "a" }}))
}

// An administrator's tool that is not wanted looks at a group that is: the group stays.
func TestFilterOfLinksKeepsWhatOthersKnow(t *testing.T) {
	w := newWorld()
	app, tool := w.client("app", brokerOne, "C"), w.client("tool", brokerTwo, "C")
	w.commit(app, 7, 3*second)
	w.fetch(tool, 7, 2*second, second)
	w.high(tool, 10, second)
	w.high(app, 9, 30*second)
	v := New(Options{
		WatermarkMaxAge: testMaxAge,
		KeepLink:        func(l *Link) bool { return l.Process.Comm == "app" },
	}).Update(w.Snapshot)
	require.Len(t, v.Groups, 1)
	assert.Equal(t, int64(3), v.Groups[0].Lag, "the newest is true, whoever saw it")
	require.Len(t, v.Clients, 1)
	assert.Equal(t, "app", v.Clients[0].ClientID)
	require.Len(t, v.Partitions, 1)
}

// Filters are regular expressions and look at processes: asked once for each name, not for each entry.
func TestFiltersAreAskedOnce(t *testing.T) {
	w := newWorld()
	a := w.client("a", brokerOne, "C")
	for p := range int32(5) {
		w.commit(a, 7, second).Partition = p
		w.high(a, 7, second).Partition = p
	}
	asked := make(map[string]int)
	New(Options{
		KeepGroup: func(s string) bool { asked["group "+s]++; return true },
		KeepTopic: func(s string) bool { asked["topic "+s]++; return true },
		KeepLink:  func(*Link) bool { asked["link"]++; return true },
	}).Update(w.Snapshot)
	assert.Equal(t, map[string]int{"group g": 1, "topic t": 1, "link": 1}, asked)
}

func TestDeletedTopic(t *testing.T) {
	for _, test := range []struct {
		name  string
		build func(w *world, a, tool LinkID)
		want  string
	}{
		{"a broker does not know it any more", func(w *world, a, tool LinkID) {
			w.Gone = append(w.Gone, GoneTopic{tool, w.name("t"), w.ago(2 * second)})
		}, "- -"},
		{"and then it is there again", func(w *world, a, tool LinkID) {
			w.Gone = append(w.Gone, GoneTopic{tool, w.name("t"), w.ago(2 * second)})
			w.commit(tool, 1, second)
			w.high(tool, 2, second)
		}, "1 2"},
		{"in another cluster", func(w *world, a, tool LinkID) {
			w.Gone = append(w.Gone, GoneTopic{w.client("x", "10.9.9.9:9092", "D"), w.name("t"), w.ago(2 * second)})
		}, "7 10"},
		{"before it was used", func(w *world, a, tool LinkID) {
			w.Gone = append(w.Gone, GoneTopic{tool, w.name("t"), w.ago(time.Minute)})
		}, "7 10"},
		{"an old id of it", func(w *world, a, tool LinkID) {
			w.learn(w.topicID("old"), "t")
			w.Gone = append(w.Gone, GoneTopic{tool, w.topicID("old"), w.ago(2 * second)})
		}, "7 10"},
		{"another id is in use, learnt since", func(w *world, a, tool LinkID) {
			w.learn(w.topicID("old"), "t")
			w.learn(w.topicID("new"), "t")
			w.TopicIDTimes[w.topicID("new")] = w.ago(3 * second)
			w.high(a, 10, 5*second).Topic = w.topicID("old")
			w.high(tool, 0, 2*second).Topic = w.topicID("new")
		}, "- 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			a, tool := w.client("a", brokerOne, "C"), w.client("tool", brokerTwo, "C")
			w.commit(a, 7, 4*second)
			w.high(a, 10, 4*second)
			test.build(w, a, tool)
			v := w.view()
			got := []string{"-", "-"}
			for _, g := range v.Groups {
				got[0] = fmt.Sprint(g.Committed)
			}
			for _, p := range v.Partitions {
				got[1] = fmt.Sprint(p.Current)
			}
			assert.Equal(t, test.want, strings.Join(got, " "))
		})
	}
}
