// SPDX-License-Identifier: Apache-2.0

package state

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMembers(t *testing.T) {
	const (
		join, heartbeat, sync = 11, 12, 14
		rebalancing, unknown  = 27, 25
	)
	member := func(w *world, link LinkID, name string, api, code int16, ago time.Duration) *Member {
		w.Members = append(w.Members, Member{
			Open: true, Link: link, Group: w.name("g"), Member: w.name(name), API: api, Error: code, Time: w.ago(ago), Generation: 1,
		})
		return &w.Members[len(w.Members)-1]
	}
	for _, test := range []struct {
		name  string
		build func(w *world, a, b LinkID)
		want  int64
	}{
		{"nobody", func(*world, LinkID, LinkID) {}, 0},
		{"two", func(w *world, a, b LinkID) {
			member(w, a, "m1", heartbeat, 0, second)
			member(w, b, "m2", sync, 0, second)
		}, 2},
		{"one at two coordinators", func(w *world, a, b LinkID) {
			member(w, a, "m1", heartbeat, 0, 2*second)
			member(w, b, "m1", heartbeat, 0, second)
		}, 1},
		{"one rebalances", func(w *world, a, b LinkID) { member(w, a, "m1", heartbeat, rebalancing, second) }, 1},
		{"one is not known any more", func(w *world, a, b LinkID) { member(w, a, "m1", heartbeat, unknown, second) }, 0},
		{"one has left", func(w *world, a, b LinkID) {
			member(w, a, "m1", heartbeat, 0, 2*second)
			member(w, b, "m1", apiLeaveGroup, 0, second)
		}, 0},
		{"one has come back", func(w *world, a, b LinkID) {
			member(w, b, "m1", apiLeaveGroup, 0, 2*second)
			member(w, a, "m1", join, 0, second)
		}, 1},
		{"one is to ask again with its id (KIP-394)", func(w *world, a, b LinkID) { member(w, a, "m1", join, 79, second) }, 0},
		{"one's connection ended", func(w *world, a, b LinkID) {
			member(w, a, "m1", heartbeat, 0, second)
			w.close(a)
		}, 0},
		{"one's connection ended, of two with one client id", func(w *world, a, b LinkID) {
			member(w, a, "m1", heartbeat, 0, second).Open = false
			member(w, a, "m2", heartbeat, 0, second)
		}, 1},
		{"one of the new protocol", func(w *world, a, b LinkID) { member(w, a, "m1", apiConsumerHeartbeat, 0, second) }, 1},
		{"one of the new protocol that left", func(w *world, a, b LinkID) {
			member(w, a, "m1", apiConsumerHeartbeat, 0, second).Generation = -1
		}, 0},
		{"a static one of the new protocol that will come back", func(w *world, a, b LinkID) {
			member(w, a, "m1", apiConsumerHeartbeat, 0, second).Generation = -2
		}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			test.build(w, w.client("a", brokerOne, "C"), w.client("b", brokerTwo, "C"))
			rows := w.view().Members
			if len(w.Members) == 0 {
				assert.Empty(t, rows)
				return
			}
			// A group that has lost its last member shows that it has none.
			require.Len(t, rows, 1)
			assert.Equal(t, "C g", rows[0].Cluster+" "+rows[0].Group)
			assert.Equal(t, test.want, rows[0].Members)
			assert.Equal(t, test.want == 0, rows[0].State == GroupEmpty)
		})
	}
}

// told enters a member of group "g" that was told to own partitions of "t".
func (w *world) told(link LinkID, name string, ago time.Duration, partitions ...int32) *Member {
	for _, p := range partitions {
		w.Assignments = append(w.Assignments, Assignment{
			Link: link, Group: w.name("g"), Topic: w.name("t"), Member: w.name(name), Partition: p, Assigned: w.ago(ago),
		})
	}
	for i := range w.Members {
		if x := &w.Members[i]; x.Link == link && x.Member == w.name(name) {
			x.Assigned, x.Time = w.ago(ago), w.ago(ago)
			return x
		}
	}
	w.Members = append(w.Members, Member{
		Open: true, Link: link, Group: w.name("g"), Member: w.name(name), API: 14, Time: w.ago(ago), Generation: 1, Assigned: w.ago(ago),
	})
	return &w.Members[len(w.Members)-1]
}

// owners are the client ids by partition of group "g".
func owners(t *testing.T, v *View) map[int32]string {
	t.Helper()
	of := make(map[int32]string)
	for _, c := range v.Clients {
		if c.Assigned {
			require.NotContains(t, of, c.Partition, "two owners")
			of[c.Partition] = c.ClientID
		}
	}
	return of
}

func TestOwners(t *testing.T) {
	type ofPartitions map[int32]string
	for _, test := range []struct {
		name  string
		build func(w *world, a, b LinkID)
		want  ofPartitions
	}{
		{"each its own", func(w *world, a, b LinkID) {
			w.told(a, "m1", 2*second, 0, 1)
			w.told(b, "m2", second, 2)
		}, ofPartitions{0: "a", 1: "a", 2: "b"}},
		{"told anew, with less", func(w *world, a, b LinkID) {
			w.told(a, "m1", 3*second, 0, 1)
			w.told(a, "m1", 2*second, 0)
		}, ofPartitions{0: "a"}},
		{"told anew, with nothing", func(w *world, a, b LinkID) {
			w.told(a, "m1", 3*second, 0, 1)
			w.told(a, "m1", 2*second)
		}, ofPartitions{}},
		{"taken over before the old owner has heard of it", func(w *world, a, b LinkID) {
			w.told(a, "m1", 3*second, 0, 1)
			w.told(b, "m2", second, 1)
		}, ofPartitions{0: "a", 1: "b"}},
		{"of a member that left", func(w *world, a, b LinkID) {
			w.told(a, "m1", 3*second, 0).API = apiLeaveGroup
		}, ofPartitions{}},
		{"of a member that was fenced", func(w *world, a, b LinkID) {
			w.told(a, "m1", 3*second, 0).Error = 25
		}, ofPartitions{}},
		{"of a process that ended", func(w *world, a, b LinkID) {
			w.told(a, "m1", 3*second, 0)
			w.close(a)
		}, ofPartitions{}},
		{"by topic id", func(w *world, a, b LinkID) {
			w.learn(w.topicID("one"), "t")
			w.told(a, "m1", 3*second, 0)
			w.Assignments[0].Topic = w.topicID("one")
		}, ofPartitions{0: "a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, committed := range []bool{true, false} {
				w := newWorld()
				a, b := w.client("a", brokerOne, "C"), w.client("b", brokerTwo, "C")
				test.build(w, a, b)
				if committed {
					for p := range int32(3) {
						w.commit(w.client("before", brokerOne, "C"), 5, time.Minute).Partition = p
					}
				}
				assert.EqualValues(t, test.want, owners(t, w.view()))
			}
		})
	}
}

// The committed offset's series is of the client that owns the partition: it ends when the partition is revoked, not
// only when somebody else commits.
func TestRevokedClientShowsNoOffset(t *testing.T) {
	w := newWorld()
	a, b := w.client("a", brokerOne, "C"), w.client("b", brokerTwo, "C")
	w.told(a, "m1", 4*second, 0)
	w.commit(a, 7, 3*second)
	w.high(a, 10, second)
	require.Equal(t, []string{"a g 7 -"}, clients(w.view()))
	require.NotNil(t, w.group(t))

	w.told(a, "m1", 2*second)
	require.Empty(t, clients(w.view()), "revoked, nobody has it yet")
	require.NotNil(t, w.group(t), "the group's stays")

	w.told(b, "m2", second, 0)
	rows := w.view().Clients
	require.Len(t, rows, 1)
	assert.Equal(t, "b", rows[0].ClientID)
	assert.False(t, rows[0].HasCommitted, "b has not committed yet")
	assert.Equal(t, int64(3), rows[0].Lag, "but is as far behind as the group")

	w.commit(b, 8, second/2)
	assert.Equal(t, []string{"b g 8 -"}, clients(w.view()))
}

func TestGroupState(t *testing.T) {
	state := func(w *world) GroupState {
		rows := w.view().Members
		require.Len(t, rows, 1)
		return rows[0].State
	}
	w := newWorld()
	a, b := w.client("a", brokerOne, "C"), w.client("b", brokerTwo, "C")
	m1 := w.told(a, "m1", 3*second, 0)
	assert.Equal(t, GroupStable, state(w))

	w.Groups = append(w.Groups, Group{Link: b, Group: w.name("g"), Joining: w.ago(2 * second), Joined: w.ago(5 * second)})
	assert.Equal(t, GroupRebalancing, state(w), "another waits for its assignment")
	w.Groups[0].Joined = w.ago(second)
	assert.Equal(t, GroupStable, state(w))
	m1.Error = errorRebalancing
	assert.Equal(t, GroupRebalancing, state(w), "a member was told to join again")
	m1.Error, m1.API = 0, apiLeaveGroup
	assert.Equal(t, GroupEmpty, state(w))
	m1.API = apiShareHeartbeat
	assert.Equal(t, ShareGroup, w.view().Members[0].Type)
}

func TestRebalances(t *testing.T) {
	w, m := newWorld(), newModel()
	a := w.client("a", brokerOne, "C")
	x := w.told(a, "m1", second)
	at := func(generation int32) uint64 {
		w.later(15 * second)
		x.Generation, x.Time = generation, w.ago(second)
		return m.Update(w.Snapshot).Members[0].Rebalances
	}
	start := m.Update(w.Snapshot).Members[0].Start
	assert.EqualValues(t, 0, at(1))
	assert.EqualValues(t, 1, at(2))
	assert.EqualValues(t, 5, at(6), "those between two snapshots are counted")
	assert.EqualValues(t, 5, at(-1), "a word without a generation says nothing")
	assert.EqualValues(t, 6, at(7))
	assert.EqualValues(t, 6, at(6), "who has not heard of the last one")
	assert.EqualValues(t, 6, at(7))
	assert.EqualValues(t, 6, at(-1), "all have left")
	assert.EqualValues(t, 6, at(1), "deleted and made anew: none that was seen")
	assert.EqualValues(t, 7, at(2))
	assert.Equal(t, start, m.Update(w.Snapshot).Members[0].Start)
}

func TestRebalanceTime(t *testing.T) {
	w, m := newWorld(), newModel()
	a, b := w.client("a", brokerOne, "C"), w.client("b", brokerTwo, "C")
	w.Groups = []Group{
		{Link: a, Group: w.name("g"), First: w.ago(time.Minute), Joining: w.ago(second), Rebalancing: 2 * second},
		{Link: b, Group: w.name("g"), First: w.ago(time.Hour / 2), Joining: w.ago(second), Rebalancing: second},
		{Link: b, Group: w.name("only deleted"), First: w.ago(second), Deleted: w.ago(second)},
	}
	want := []RebalanceTime{{Cluster: "C", Group: "g", Time: 3 * second, Start: testTime.Add(-time.Hour / 2)}}
	assert.Equal(t, want, m.Update(w.Snapshot).Rebalances)
	w.Groups = w.Groups[:1]
	w.later(second)
	assert.Equal(t, want, m.Update(w.Snapshot).Rebalances, "the time of a link that ended stays")
}

func TestShares(t *testing.T) {
	w := newWorld()
	a, b := w.client("a", brokerOne, "C"), w.client("b", brokerTwo, "C")
	for _, link := range []LinkID{a, b} {
		w.Shares = append(w.Shares, ShareCounter{
			Link: link, Group: w.name("s"), Topic: w.name("t"), Partition: 3, First: w.ago(time.Minute), Accepted: 5, Rejected: 1,
		})
	}
	row := ShareCount{Cluster: "C", Group: "s", Topic: "t", Partition: 3, Start: testTime.Add(-time.Minute)}
	accepted, rejected := row, row
	accepted.Type, accepted.Count = Accepted, 10
	rejected.Type, rejected.Count = Rejected, 2
	assert.ElementsMatch(t, []ShareCount{accepted, rejected}, w.view().Shares)
}

func TestDeletedGroup(t *testing.T) {
	w := newWorld()
	a, tool := w.client("a", brokerOne, "C"), w.client("tool", brokerTwo, "C")
	w.told(a, "m1", 5*second, 0)
	w.commit(a, 7, 4*second)
	w.Groups = append(w.Groups, Group{Link: tool, Group: w.name("g"), Deleted: w.ago(3 * second)})
	v := w.view()
	assert.Empty(t, v.Groups)
	assert.Empty(t, v.Members)
	assert.Empty(t, v.Clients)

	w.commit(a, 1, 2*second)
	assert.EqualValues(t, 1, w.group(t).Committed, "made anew")
	other := w.client("b", "10.0.0.9:9092", "D")
	w.commit(other, 5, 4*second)
	assert.Len(t, w.view().Groups, 2, "another cluster's is another group")
}
