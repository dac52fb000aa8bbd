// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// random makes a snapshot of a few clients, brokers, clusters, groups and topics that have as much to do
// with one another as possible.
func random(r *rand.Rand) *world {
	w := newWorld()
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	ago := func() uint64 { return w.ago(time.Duration(r.Int64N(int64(2 * testMaxAge)))) }
	topic := func() NameID {
		if r.IntN(2) == 0 {
			return w.topicID(pick("1", "2", "3", "4"))
		}
		return w.name(pick("t1", "t2"))
	}
	for _, id := range []string{"1", "2", "3", "4"} {
		if r.IntN(4) > 0 {
			w.learn(w.topicID(id), pick("t1", "t2"))
		}
	}
	for range 1 + r.IntN(8) {
		var link LinkID
		broker, cluster := pick(brokerOne, brokerTwo, "127.0.0.1:9092"), pick("", "", "A", "B")
		if r.IntN(4) > 0 {
			link = w.client(pick("a", "b"), broker, cluster)
		} else {
			link = w.broker(7, pick("a", "b"), pick("10.1.0.1", "10.1.0.2"), broker, cluster)
		}
		w.change(link, func(l *Link) { l.Open, l.NetNS = r.IntN(4) > 0, uint32(r.IntN(2)) })
		for range r.IntN(8) {
			w.Offsets = append(w.Offsets, Offset{
				Link: link, Group: w.name(pick("", "g1", "g2")), Topic: topic(), Partition: r.Int32N(2),
				Source: OffsetSource(r.IntN(5)), Offset: r.Int64N(100) - 1, Since: ago(), Acked: ago(),
			})
		}
		for range r.IntN(8) {
			key := PartitionKey{Link: link, Topic: topic(), Partition: r.Int32N(2)}
			w.Watermarks = append(w.Watermarks, Watermark{
				PartitionKey: key, Session: r.Int32N(3), Follower: r.IntN(8) == 0,
				HighWatermark: r.Int64N(100) - 1, LastStable: r.Int64N(100) - 1, LogStart: r.Int64N(100) - 1,
				Produced: r.Int64N(100) - 1, Position: r.Int64N(100) - 1,
				Time: ago(), LogStartTime: ago(), ProducedTime: ago(), PositionTime: ago(),
			})
			first := r.Int64N(100)
			w.Batches[key] = append(w.Batches[key], Batch{
				First: first, Last: first + r.Int64N(10),
				FirstTime: r.Int64N(w.Time.UnixMilli()*2) - 1, MaxTime: r.Int64N(w.Time.UnixMilli()*2) - 1,
			})
		}
		for session := range int32(3) {
			w.Sessions[SessionKey{Link: link, Session: session}] = Session{Time: ago()}
		}
		for range r.IntN(4) {
			w.Commits = append(w.Commits, CommitCounter{
				Link: link, Group: w.name(pick("", "g1")), Topic: topic(), Error: int16(r.IntN(2)),
				Count: r.Uint64N(10), First: ago(),
			})
			w.Members = append(w.Members, Member{
				Open: true, Link: link, Group: w.name(pick("", "g1")), Member: w.name(pick("m1", "m2")), Time: ago(),
				Generation: r.Int32N(2), API: []int16{12, apiLeaveGroup, apiShareHeartbeat}[r.IntN(3)], Assigned: uint64(r.IntN(2)),
			})
			w.Assignments = append(w.Assignments, Assignment{
				Link: link, Group: w.name(pick("", "g1")), Topic: topic(), Member: w.name(pick("m1", "m2")),
				Partition: r.Int32N(2), Assigned: uint64(r.IntN(2)),
			})
			w.Groups = append(w.Groups, Group{
				Link: link, Group: w.name(pick("", "g1")), First: ago(), Joining: ago(), Joined: ago(), Rebalancing: second,
			})
			w.Shares = append(w.Shares, ShareCounter{
				Link: link, Group: w.name(pick("", "g1")), Topic: topic(), Partition: r.Int32N(2), First: ago(), Accepted: r.Uint64N(3),
			})
			if r.IntN(10) == 0 {
				w.Gone = append(w.Gone, GoneTopic{Link: link, Topic: topic(), Time: ago()})
			}
		}
	}
	return w
}

// requireWellFormed checks what View promises of every view.
func requireWellFormed(t *testing.T, v *View) {
	t.Helper()
	keys := make(map[any]bool)
	once := func(key any) {
		t.Helper()
		require.Falsef(t, keys[key], "twice: %#v", key)
		keys[key] = true
	}
	labels := make(map[any]any)
	shared := func(value, pointer any) {
		t.Helper()
		if labels[value] == nil {
			labels[value] = pointer
		}
		require.Same(t, labels[value], pointer)
	}
	for i := range v.Groups {
		g := v.Groups[i]
		shared(*g.GroupTopic, g.GroupTopic)
		require.GreaterOrEqual(t, g.Committed, int64(-1)) // as the snapshot says
		require.GreaterOrEqual(t, g.Lag, int64(0))
		require.GreaterOrEqual(t, g.LagTime, time.Duration(0))
		require.False(t, g.HasLagTime && !g.HasLag)
		once(GroupPartition{GroupTopic: g.GroupTopic, Partition: g.Partition})
	}
	for i := range v.Partitions {
		p := v.Partitions[i]
		shared(*p.ClusterTopic, p.ClusterTopic)
		require.False(t, p.HasCurrent && (p.Current < 0 || p.WatermarkTime.IsZero()))
		require.False(t, p.HasOldest && p.Oldest < 0)
		require.False(t, p.HasLastStable && p.LastStable < 0)
		once(Partition{ClusterTopic: p.ClusterTopic, Partition: p.Partition})
	}
	type reader struct {
		process       ProcessKey
		client, topic string
		cluster       string
		partition     int32
	}
	for i := range v.Clients {
		c := v.Clients[i]
		shared(*c.ClientTopic, c.ClientTopic)
		require.True(t, c.HasCommitted || c.HasPosition || c.Assigned)
		require.GreaterOrEqual(t, c.Lag, int64(0))
		if c.HasPosition {
			once(reader{c.Process, c.ClientID, c.Topic, c.Cluster, c.Partition})
		}
		once(ClientPartition{ClientTopic: c.ClientTopic, Partition: c.Partition})
	}
	for _, c := range v.Commits {
		once(CommitCount{Cluster: c.Cluster, Group: c.Group, Topic: c.Topic, Error: c.Error})
	}
	for _, m := range v.Members {
		require.GreaterOrEqual(t, m.Members, int64(0))
		require.Equal(t, m.Members == 0, m.State == GroupEmpty)
		once(GroupMembers{Cluster: m.Cluster, Group: m.Group, Type: m.Type})
	}
	for _, r := range v.Rebalances {
		once(RebalanceTime{Cluster: r.Cluster, Group: r.Group})
	}
	for _, c := range v.Shares {
		once(ShareCount{Cluster: c.Cluster, Group: c.Group, Topic: c.Topic, Partition: c.Partition, Type: c.Type})
	}
}

// set is a view without its order.
func set(v *View) []string {
	var rows []string
	for _, x := range v.Groups {
		labels := *x.GroupTopic
		x.GroupTopic = nil
		rows = append(rows, fmt.Sprintf("%+v %+v", labels, x))
	}
	for _, x := range v.Partitions {
		labels := *x.ClusterTopic
		x.ClusterTopic = nil
		rows = append(rows, fmt.Sprintf("%+v %+v", labels, x))
	}
	for _, x := range v.Clients {
		labels := *x.ClientTopic
		x.ClientTopic = nil
		rows = append(rows, fmt.Sprintf("%+v %+v", labels, x))
	}
	for _, x := range v.Commits {
		rows = append(rows, fmt.Sprintf("%+v", x))
	}
	for _, x := range v.Members {
		rows = append(rows, fmt.Sprintf("%+v", x))
	}
	slices.Sort(rows)
	return rows
}

func TestViewsAreWellFormed(t *testing.T) {
	for seed := range uint64(3000) {
		w := random(rand.New(rand.NewPCG(seed, 1)))
		v := w.view()
		requireWellFormed(t, v)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		if seed%10 == 0 { // neither Go's maps nor the kernel's have an order
			want := set(v)
			for range 4 {
				rand.Shuffle(len(w.Offsets), func(i, j int) { w.Offsets[i], w.Offsets[j] = w.Offsets[j], w.Offsets[i] })
				rand.Shuffle(len(w.Watermarks), func(i, j int) {
					w.Watermarks[i], w.Watermarks[j] = w.Watermarks[j], w.Watermarks[i]
				})
				rand.Shuffle(len(w.Commits), func(i, j int) { w.Commits[i], w.Commits[j] = w.Commits[j], w.Commits[i] })
				rand.Shuffle(len(w.Members), func(i, j int) { w.Members[i], w.Members[j] = w.Members[j], w.Members[i] })
				require.Equal(t, want, set(w.view()), "seed %d", seed)
			}
		}
	}
}

// Whatever becomes of links and clusters: a count never falls while it has the same beginning.
func TestCountsNeverFall(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		w, m := newWorld(), newModel()
		links := []LinkID{
			w.client("a", brokerOne, ""), w.client("b", brokerOne, ""), w.client("c", brokerTwo, ""), w.client("d", brokerTwo, ""),
		}
		last := make(map[CommitCount]uint64)
		for step := range 60 {
			w.later(15 * second)
			for _, link := range links {
				switch r.IntN(8) {
				case 0:
					w.change(link, func(l *Link) { l.Cluster = w.name([]string{"A", "B"}[r.IntN(2)]) })
				case 1:
					saved := w.Links[link]
					w.drop(link)
					w.Links[link] = saved
				case 2, 3, 4:
					i := slices.IndexFunc(w.Commits, func(c CommitCounter) bool { return c.Link == link })
					if i < 0 {
						w.answered(link, 0, 1, second)
					} else {
						w.Commits[i].Count += r.Uint64N(5)
					}
				}
			}
			v := m.Update(w.Snapshot)
			requireWellFormed(t, v)
			for _, c := range v.Commits {
				count := c.Count
				c.Count = 0
				require.GreaterOrEqual(t, count, last[c], "seed %d, step %d: %+v", seed, step, c)
				last[c] = count
			}
		}
	}
}

// A Model only reads its snapshots.
func TestUpdateKeepsTheSnapshot(t *testing.T) {
	w, same := random(rand.New(rand.NewPCG(7, 3))), random(rand.New(rand.NewPCG(7, 3)))
	w.view()
	assert.Equal(t, same.Snapshot, w.Snapshot)
}
