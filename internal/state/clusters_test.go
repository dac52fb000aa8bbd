// SPDX-License-Identifier: Apache-2.0

package state

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

// clusterNames gives the cluster of each link, in the order of their making.
func clusterNames(w *world) []string {
	c := joinClusters(w.Snapshot)
	var names []string
	for id := LinkID(1000); id < LinkID(1000+len(w.Links)); id++ {
		names = append(names, w.Names[c.names[c.of[id]]])
	}
	return names
}

func TestClusterNames(t *testing.T) {
	const brokerThree = "10.0.0.3:9092"
	for _, test := range []struct {
		name  string
		build func(w *world)
		want  []string
	}{
		{"not known", func(w *world) { w.client("a", brokerOne, "") }, []string{""}},
		{"told on the link", func(w *world) { w.client("a", brokerOne, "A") }, []string{"A"}},
		{"told to the same client at another broker", func(w *world) {
			w.client("a", brokerOne, "A")
			w.client("a", brokerTwo, "")
		}, []string{"A", "A"}},
		{"told to another client at the same broker", func(w *world) {
			w.client("a", brokerOne, "A")
			w.client("b", brokerOne, "")
		}, []string{"A", "A"}},
		{"told to another client at another broker of the same client", func(w *world) {
			w.client("a", brokerOne, "A")
			w.client("b", brokerOne, "")
			w.client("b", brokerTwo, "")
			w.client("c", brokerTwo, "")
			w.client("c", brokerThree, "")
		}, []string{"A", "A", "A", "A", "A"}},
		{"strangers", func(w *world) {
			w.client("a", brokerOne, "A")
			w.client("b", brokerTwo, "")
		}, []string{"A", ""}},
		{"the same client id in another process", func(w *world) {
			w.client("a", brokerOne, "A")
			w.change(w.client("a", brokerTwo, ""), func(l *Link) { l.Process.PID++ })
		}, []string{"A", ""}},
		{"the same process id, started anew", func(w *world) {
			w.client("a", brokerOne, "A")
			w.change(w.client("a", brokerTwo, ""), func(l *Link) { l.Process.StartTime++ })
		}, []string{"A", ""}},
		{"another client of the same process", func(w *world) {
			w.client("a", brokerOne, "A")
			pid := w.Links[1000].Process.PID
			w.change(w.client("b", brokerTwo, ""), func(l *Link) { l.Process.PID = pid })
		}, []string{"A", ""}},
		{"one client at two clusters: nothing is said of a third broker", func(w *world) {
			w.client("a", brokerOne, "A")
			w.client("a", brokerTwo, "B")
			w.client("a", brokerThree, "")
		}, []string{"A", "B", ""}},
		{"nor of others there", func(w *world) {
			w.client("a", brokerOne, "A")
			w.client("a", brokerTwo, "B")
			w.client("b", brokerOne, "")
			w.client("c", brokerTwo, "")
		}, []string{"A", "B", "A", "B"}},
		{"chains of unnamed brokers that would join two clusters", func(w *world) {
			w.client("a", brokerOne, "A")
			w.client("a", brokerTwo, "")
			w.client("b", brokerTwo, "")
			w.client("b", brokerThree, "B")
			w.client("c", brokerOne, "")
		}, []string{"A", "", "", "B", "A"}},
		{"one client at two clusters, another at brokers of one", func(w *world) {
			w.client("a", brokerOne, "A")
			w.client("a", brokerTwo, "B")
			w.client("b", brokerOne, "")
			w.client("b", brokerThree, "")
		}, []string{"A", "B", "A", "A"}},
		{"one address, two clusters: a port forwarded here and there", func(w *world) {
			w.client("a", brokerOne, "A")
			w.client("b", brokerOne, "B")
			w.client("c", brokerOne, "")
		}, []string{"A", "B", ""}},
		{"the broker's side is told as well", func(w *world) {
			w.broker(7, "a", "10.1.0.1", brokerOne, "A")
			w.broker(7, "b", "10.1.0.2", brokerOne, "")
		}, []string{"A", "A"}},
		{"one broker with two listeners", func(w *world) {
			w.broker(7, "a", "10.1.0.1", brokerOne, "A")
			w.broker(7, "b", "10.1.0.2", "10.0.0.1:9093", "")
		}, []string{"A", "A"}},
		{"both ends", func(w *world) {
			w.client("a", brokerOne, "A")
			w.broker(7, "a", "10.1.0.1", brokerOne, "")
		}, []string{"A", "A"}},
		{"what a broker asks others as a client says nothing of it as a broker", func(w *world) {
			w.broker(7, "a", "10.1.0.1", brokerOne, "A")
			w.change(w.client("mirror", brokerTwo, ""), func(l *Link) { l.Process.PID = 7 })
		}, []string{"A", ""}},
		{"loopback, in one network namespace", func(w *world) {
			w.client("a", "127.0.0.1:9092", "A")
			w.client("b", "127.0.0.1:9092", "")
		}, []string{"A", "A"}},
		{"loopback, in two network namespaces", func(w *world) {
			for _, a := range []string{"127.0.0.1:9092", "[::1]:9092", "169.254.1.1:9092"} {
				w.client("a"+a, a, "A")
				w.change(w.client("b"+a, a, ""), func(l *Link) { l.NetNS = 1 })
			}
		}, []string{"A", "", "A", "", "A", ""}},
		{"other addresses mean the same in any network namespace", func(w *world) {
			w.client("a", brokerOne, "A")
			w.change(w.client("b", brokerOne, ""), func(l *Link) { l.NetNS = 1 })
		}, []string{"A", "A"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			test.build(w)
			for range 8 { // maps are gone through in any order
				assert.Equal(t, test.want, clusterNames(w))
			}
		})
	}
}

// Group, topic and partition have the same names in both.
func TestTwoClustersAreNeverMerged(t *testing.T) {
	for _, test := range []struct {
		name, a, b string
		want       []GroupPartition
		held       int
	}{
		{"both named", "A", "B", []GroupPartition{
			{GroupTopic: &GroupTopic{Cluster: "A"}, Committed: 7, Lag: 3, HasLag: true},
			{GroupTopic: &GroupTopic{Cluster: "B"}, Committed: 70, Lag: 30, HasLag: true},
		}, 0},
		{"one named", "", "B", []GroupPartition{
			{GroupTopic: &GroupTopic{}, Committed: 7, Lag: 3, HasLag: true},
			{GroupTopic: &GroupTopic{Cluster: "B"}, Committed: 70, Lag: 30, HasLag: true},
		}, 0},
		{"neither named", "", "", nil, 4},
		{"named alike: one cluster", "A", "A", []GroupPartition{{GroupTopic: &GroupTopic{Cluster: "A"}, Committed: 70, Lag: 30, HasLag: true}}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			for i, cluster := range []string{test.a, test.b} {
				link := w.client([]string{"a", "b"}[i], []string{brokerOne, brokerTwo}[i], cluster)
				o := w.commit(link, []int64{7, 70}[i], second)
				o.Committed += uint64(i)
				x := w.high(link, []int64{10, 100}[i], second)
				x.Position, x.PositionTime = 1, w.ago(second)
				w.Commits = append(w.Commits, CommitCounter{Link: link, Group: o.Group, Topic: o.Topic, Count: 1})
				w.Members = append(w.Members, Member{Open: true, Link: link, Group: o.Group, Member: w.name("m"), Time: w.ago(second)})
			}
			m := newModel()
			v := m.Update(w.Snapshot)
			slices.SortFunc(v.Groups, func(a, b GroupPartition) int { return int(a.Committed - b.Committed) })
			for i := range test.want {
				test.want[i].Group, test.want[i].Topic = "g", "t"
				test.want[i].CommitTime, test.want[i].Since = v.Groups[i].CommitTime, v.Groups[i].Since
			}
			assert.Equal(t, test.want, append([]GroupPartition(nil), v.Groups...))
			assert.Len(t, v.Partitions, len(test.want))
			assert.Len(t, v.Commits, len(test.want))
			assert.Len(t, v.Members, len(test.want))
			assert.Equal(t, Held{Clusters: test.held}, m.Held())
			if test.name != "named alike: one cluster" { // there, a still is a client of its own
				assert.Len(t, v.Clients, len(test.want))
			}
		})
	}
}

func TestHeldClustersAreCountedByValue(t *testing.T) {
	w := newWorld()
	w.commit(w.client("a", brokerOne, ""), 7, second)
	w.commit(w.client("b", brokerTwo, ""), 8, second)
	m := newModel()
	assert.Empty(t, m.Update(w.Snapshot).Groups)
	assert.Equal(t, Held{Clusters: 1}, m.Held(), "nothing is known of the partitions themselves")
}

// What only one of the unnamed clusters has is not in doubt.
func TestUnnamedClustersOtherwise(t *testing.T) {
	w := newWorld()
	a, b := w.client("a", brokerOne, ""), w.client("b", brokerTwo, "")
	w.commit(a, 7, second)
	w.commit(b, 8, second).Partition = 1
	w.high(a, 10, second)
	w.high(b, 100, second)
	m := newModel()
	v := m.Update(w.Snapshot)
	assert.Len(t, v.Groups, 2)
	assert.Empty(t, v.Partitions)
	assert.Equal(t, 1, m.Held().Clusters)
	for _, g := range v.Groups {
		assert.Equal(t, g.Partition == 0, g.HasLag, "by its own cluster's watermark")
	}

	w.change(b, func(l *Link) { l.Cluster = w.name("B") })
	v = m.Update(w.Snapshot)
	assert.Len(t, v.Partitions, 2)
	assert.Zero(t, m.Held())
}
