// SPDX-License-Identifier: Apache-2.0

package state

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	brokerOne = "10.0.0.1:9092"
	brokerTwo = "10.0.0.2:9092"
	second    = time.Second
)

func TestCommittedOffset(t *testing.T) {
	const none = -1
	for _, test := range []struct {
		name  string
		build func(w *world, a, b LinkID) // two clients of one cluster
		want  int64
	}{
		{"nothing", func(*world, LinkID, LinkID) {}, none},
		{"one commit", func(w *world, a, _ LinkID) { w.commit(a, 7, 3*second) }, 7},
		{"zero is an offset", func(w *world, a, _ LinkID) { w.commit(a, 0, 3*second) }, 0},
		{"the newest of two members", func(w *world, a, b LinkID) {
			w.commit(a, 7, 3*second)
			w.commit(b, 9, 2*second)
		}, 9},
		{"the newest, whatever the order", func(w *world, a, b LinkID) {
			w.commit(b, 9, 2*second)
			w.commit(a, 7, 3*second)
		}, 9},
		{"it may go back", func(w *world, a, b LinkID) {
			w.commit(a, 1000, 3*second)
			w.commit(b, 4, 2*second)
		}, 4},
		{"fetched before anybody committed", func(w *world, a, _ LinkID) { w.fetch(a, 5, 3*second, 2*second) }, 5},
		{"fetched after a commit", func(w *world, a, b LinkID) {
			w.commit(a, 7, 9*second)
			w.fetch(b, 8, 3*second, 2*second)
		}, 8},
		{"asked for before a commit, answered after it", func(w *world, a, b LinkID) {
			w.commit(a, 7, 2*second)
			w.fetch(b, 5, 3*second, 1*second)
		}, 7},
		{"the later answer of two asked for at once", func(w *world, a, b LinkID) {
			w.fetch(a, 5, 3*second, 1*second)
			w.fetch(b, 6, 3*second, 2*second)
		}, 5},
		{"the broker has none", func(w *world, a, _ LinkID) { w.fetch(a, -1, 3*second, 2*second) }, none},
		{"the broker has none any more", func(w *world, a, b LinkID) {
			w.commit(a, 7, 9*second)
			w.fetch(b, -1, 3*second, 2*second)
		}, none},
		{"there was none before the first commit", func(w *world, a, b LinkID) {
			w.fetch(b, -1, 3*second, 2*second)
			w.commit(a, 7, 1*second)
		}, 7},
		{"acknowledged, but not known what", func(w *world, a, b LinkID) {
			w.commit(a, 7, 3*second)
			w.offset(b, OffsetUnknown, -1, 2*second)
		}, none},
		{"its client has sent something since that was not understood", func(w *world, a, b LinkID) {
			w.commit(a, 7, 3*second)
			w.change(a, func(l *Link) { l.Lost = w.ago(2 * second) })
		}, none},
		{"it had done so before", func(w *world, a, b LinkID) {
			w.change(a, func(l *Link) { l.Lost = w.ago(4 * second) })
			w.commit(a, 7, 3*second)
		}, 7},
		{"another client has, who did not commit it", func(w *world, a, b LinkID) {
			w.commit(a, 7, 3*second)
			w.change(b, func(l *Link) { l.Lost = w.ago(2 * second) })
		}, 7},
		{"another commit was in flight meanwhile, answered later", func(w *world, a, b LinkID) {
			w.offset(b, OffsetUnknown, -1, 3*second)
			w.sent(w.commit(a, 9, 1*second), 4*second)
		}, none},
		{"... and somebody has looked before that answer", func(w *world, a, b LinkID) {
			w.offset(b, OffsetUnknown, -1, 4*second)
			w.fetch(b, 8, 3*second, 2*second)
			w.sent(w.commit(a, 9, 1*second), 5*second)
		}, none},
		{"known again after the next commit", func(w *world, a, b LinkID) {
			w.offset(b, OffsetUnknown, -1, 2*second)
			w.commit(a, 9, 1*second)
		}, 9},
		{"known again after the next look", func(w *world, a, b LinkID) {
			w.offset(b, OffsetUnknown, -1, 3*second)
			w.fetch(a, 8, 2*second, 1*second)
		}, 8},
		{"committed by a transaction", func(w *world, a, b LinkID) {
			w.commit(a, 7, 3*second)
			w.offset(b, OffsetTransaction, 9, 2*second)
		}, 9},
		{"committed without a transaction since", func(w *world, a, b LinkID) {
			w.offset(b, OffsetTransaction, 8, 3*second)
			w.commit(a, 9, 2*second)
		}, 9},
		{"committed without a transaction while one was open", func(w *world, a, b LinkID) {
			w.commit(a, 9, 3*second)
			w.sent(w.offset(b, OffsetTransaction, 8, second), 4*second)
		}, 9},
		{"sent before a transaction's commit, answered before that", func(w *world, a, b LinkID) {
			w.sent(w.commit(a, 7, 8*second), 10*second)
			w.sent(w.offset(b, OffsetTransaction, 9, 6*second), 9*second)
		}, 9},
		{"looked at by its committer while a transaction was open", func(w *world, a, b LinkID) {
			w.confirmed(w.commit(a, 7, 60*second), 8*second)
			w.sent(w.offset(b, OffsetTransaction, 9, 6*second), 9*second)
		}, 9},
		{"... in a transaction", func(w *world, a, b LinkID) {
			w.confirmed(w.offset(a, OffsetTransaction, 7, 60*second), 8*second)
			w.sent(w.offset(b, OffsetTransaction, 9, 6*second), 9*second)
		}, 9},
		{"looked at by its committer after another's commit: set back", func(w *world, a, b LinkID) {
			w.confirmed(w.commit(a, 7, 60*second), 2*second)
			w.commit(b, 9, 8*second)
		}, 7},
		{"not found while the first transaction was open", func(w *world, a, b LinkID) {
			w.sent(w.offset(b, OffsetTransaction, 9, 6*second), 9*second)
			w.fetch(a, -1, 8*second, 7*second)
		}, 9},
		{"not found after it", func(w *world, a, b LinkID) {
			w.sent(w.offset(b, OffsetTransaction, 9, 6*second), 9*second)
			w.fetch(a, -1, 3*second, 2*second)
		}, none},
		{"looked at before its committer sent what was not understood", func(w *world, a, b LinkID) {
			w.commit(a, 7, 5*second)
			w.change(a, func(l *Link) { l.Lost = w.ago(2 * second) })
			w.fetch(b, 7, 4*second, 4*second)
		}, none},
		{"... of whom only a look is known", func(w *world, a, b LinkID) {
			w.fetch(a, 7, 5*second, 5*second)
			w.change(a, func(l *Link) { l.Lost = w.ago(2 * second) })
			w.fetch(b, 7, 4*second, 4*second)
		}, none},
		{"looked at after that", func(w *world, a, b LinkID) {
			w.commit(a, 7, 5*second)
			w.change(a, func(l *Link) { l.Lost = w.ago(4 * second) })
			w.fetch(b, 8, 3*second, 2*second)
		}, 8},
		{"the end of a transaction may have changed it, looked at while markers were written", func(w *world, a, b LinkID) {
			w.commit(a, 7, 9*second)
			w.offset(b, OffsetUnknown, -1, 3*second).Ordered = w.ago(3 * second)
			w.fetch(a, 7, 2*second, second)
		}, none},
		{"... looked at after that", func(w *world, a, b LinkID) {
			w.commit(a, 7, 9*second)
			w.offset(b, OffsetUnknown, -1, 5*second).Ordered = w.ago(5 * second)
			w.fetch(a, 7, 2*second, second)
		}, 7},
		{"... by its committer, who finds it unchanged", func(w *world, a, b LinkID) {
			w.confirmed(w.commit(a, 7, 9*second), 2*second)
			w.offset(b, OffsetUnknown, -1, 5*second).Ordered = w.ago(5 * second)
		}, 7},
		{"the topic was deleted while the transaction was open", func(w *world, a, b LinkID) {
			w.sent(w.offset(b, OffsetTransaction, 9, 6*second), 9*second)
			w.Gone = append(w.Gone, GoneTopic{a, w.name("t"), w.ago(8 * second)})
		}, none},
		{"looked at while a transaction's markers were written", func(w *world, a, b LinkID) {
			w.offset(b, OffsetTransaction, 9, 3*second)
			w.fetch(a, 7, 2*second, second)
		}, 9},
		{"looked at long after a transaction's end", func(w *world, a, b LinkID) {
			w.offset(b, OffsetTransaction, 9, 4*second)
			w.fetch(a, 7, second, second/2)
		}, 7},
		{"by name and by topic id", func(w *world, a, _ LinkID) {
			w.learn(w.topicID("one"), "t")
			w.fetch(a, 5, 4*second, 3*second)
			w.commit(a, 7, 2*second).Topic = w.topicID("one")
		}, 7},
		{"a link that is gone says nothing", func(w *world, a, b LinkID) {
			w.commit(a, 7, 2*second)
			delete(w.Links, a)
		}, none},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			a, b := w.client("a", brokerOne, "C"), w.client("b", brokerTwo, "C")
			test.build(w, a, b)
			got := w.group(t)
			if test.want == none {
				if got != nil {
					assert.False(t, got.Since.IsZero(), "also of what is not known it is known since when")
					got.Since = time.Time{}
					require.Equal(t, GroupPartition{GroupTopic: &GroupTopic{"C", "g", "t"}, Unknown: true}, *got)
				}
				return
			}
			require.NotNil(t, got)
			assert.Equal(t, test.want, got.Committed)
			assert.Equal(t, "C g t 0", got.Cluster+" "+got.Group+" "+got.Topic+" 0")
		})
	}
}

// The end of the group is not the end of its offset: lag of a dead group is what an operator must see.
func TestOffsetOutlivesItsConnection(t *testing.T) {
	w := newWorld()
	a := w.client("a", brokerOne, "C")
	w.commit(a, 7, 5*time.Minute)
	w.close(a)
	require.NotNil(t, w.group(t))
	assert.Empty(t, w.view().Clients)
}

func TestBothEndsOfAConnectionCountOnce(t *testing.T) {
	for _, clientFirst := range []bool{true, false} {
		w := newWorld()
		client := w.client("a", brokerOne, "C")
		broker := w.broker(7, "a", "10.0.0.9", brokerOne, "C")
		tell := []func(){
			func() { w.sent(w.commit(client, 7, 2*second-time.Millisecond), 2*second+time.Millisecond) },
			func() { w.commit(broker, 7, 2*second) },
		}
		if !clientFirst {
			slices.Reverse(tell)
		}
		for _, end := range tell {
			end()
		}
		w.high(client, 10, second)
		w.high(broker, 10, second)

		v := w.view()
		assert.Len(t, v.Groups, 1)
		assert.Len(t, v.Partitions, 1)
		require.Len(t, v.Clients, 1)
		assert.Equal(t, w.Links[client].Process, v.Clients[0].Process, "the broker does not know it as well")
	}
}

func TestCommitTime(t *testing.T) {
	w := newWorld()
	a := w.client("a", brokerOne, "C")
	w.commit(a, 7, 3*second)
	assert.Equal(t, testTime.Add(-3*second), w.group(t).CommitTime)

	w.fetch(a, 8, 2*second, second)
	assert.Zero(t, w.group(t).CommitTime, "an OffsetFetch does not tell when it was committed")

}

// An offset that nobody has confirmed for the idle timeout may no longer be the group's: the partition, or
// the whole group, may be somewhere that is not seen from here.
func TestOldOffsetsWantConfirmation(t *testing.T) {
	old := testIdle + second
	for _, test := range []struct {
		name  string
		build func(w *world)
		shown bool
	}{
		{"nothing else is known", func(w *world) {
			w.commit(w.client("a", brokerOne, "C"), 7, old)
		}, false},
		{"its client still fetches the partition, from another broker", func(w *world) {
			w.commit(w.client("a", brokerOne, "C"), 7, old)
			w.high(w.client("a", brokerTwo, "C"), 10, second)
		}, true},
		{"its client fetched the partition long ago", func(w *world) {
			w.commit(w.client("a", brokerOne, "C"), 7, old)
			w.high(w.client("a", brokerTwo, "C"), 10, old)
		}, false},
		{"another client fetches the partition", func(w *world) {
			w.commit(w.client("a", brokerOne, "C"), 7, old)
			w.high(w.client("b", brokerTwo, "C"), 10, second)
		}, false},
		{"another client, which fetches, had committed before", func(w *world) {
			b := w.client("b", brokerTwo, "C")
			w.commit(b, 6, old+10*second)
			w.commit(w.client("a", brokerOne, "C"), 7, old)
			w.high(b, 10, second)
		}, false},
		{"... and what the first did is not known", func(w *world) {
			b := w.client("b", brokerTwo, "C")
			w.commit(b, 6, old+10*second)
			w.offset(w.client("a", brokerOne, "C"), OffsetUnknown, -1, old)
			w.high(b, 10, second)
		}, false},
		{"its broker still answers the group", func(w *world) {
			a := w.broker(7, "a", "10.0.0.9", brokerOne, "C")
			w.commit(a, 7, old)
			w.Members = append(w.Members, Member{Open: true, Link: w.broker(7, "b", "10.0.0.8", brokerOne, "C"),
				Group: w.name("g"), Member: w.name("m"), Time: w.ago(second)})
		}, true},
		{"its broker is no longer the group's coordinator", func(w *world) {
			a := w.broker(7, "a", "10.0.0.9", brokerOne, "C")
			w.commit(a, 7, old)
			w.Members = append(w.Members, Member{Open: true, Link: a, Group: w.name("g"), Member: w.name("m"), Time: w.ago(second), Error: 16})
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			test.build(w)
			m := New(Options{WatermarkMaxAge: testMaxAge, IdleTimeout: testIdle})
			v := m.Update(w.Snapshot)
			if test.shown {
				require.Len(t, v.Groups, 1)
				assert.Equal(t, int64(7), v.Groups[0].Committed)
				assert.Zero(t, m.Held().Offsets)
				return
			}
			assert.Empty(t, v.Groups)
			assert.Empty(t, v.Clients)
			assert.Equal(t, 1, m.Held().Offsets)
		})
	}
}

func TestPartitionsAreApart(t *testing.T) {
	w := newWorld()
	a := w.client("a", brokerOne, "C")
	w.commit(a, 1, second)
	w.commit(a, 2, second).Partition = 1
	w.commit(a, 3, second).Topic = w.name("other topic")
	w.commit(a, 4, second).Group = w.name("other group")
	type key struct {
		GroupTopic
		partition int32
	}
	got := make(map[key]int64)
	for _, g := range w.view().Groups {
		got[key{*g.GroupTopic, g.Partition}] = g.Committed
	}
	assert.Equal(t, map[key]int64{
		{GroupTopic{"C", "g", "t"}, 0}:           1,
		{GroupTopic{"C", "g", "t"}, 1}:           2,
		{GroupTopic{"C", "g", "other topic"}, 0}: 3,
		{GroupTopic{"C", "other group", "t"}, 0}: 4,
	}, got)
}

func TestLag(t *testing.T) {
	for _, test := range []struct {
		name      string
		committed int64
		high      int64
		age       time.Duration
		lag       int64
		known     bool
	}{
		{"behind", 7, 10, second, 3, true},
		{"at the end", 10, 10, second, 0, true},
		{"the watermark is older than the commit", 12, 10, second, 0, true},
		{"as old as may be", 7, 10, testMaxAge, 3, true},
		{"too old", 7, 10, testMaxAge + 1, 0, false},
		{"read after the snapshot began", 7, 10, -time.Millisecond, 3, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			a := w.client("a", brokerOne, "C")
			w.commit(a, test.committed, second)
			w.high(a, test.high, test.age)
			v := w.view()
			require.Len(t, v.Groups, 1)
			require.Len(t, v.Clients, 1)
			assert.Equal(t, test.committed, v.Groups[0].Committed)
			assert.Equal(t, test.lag, v.Groups[0].Lag)
			assert.Equal(t, test.known, v.Groups[0].HasLag)
			assert.Equal(t, test.lag, v.Clients[0].Lag)
			assert.Equal(t, test.known, v.Clients[0].HasLag)
		})
	}
}

func TestNoLagWithoutWatermark(t *testing.T) {
	w := newWorld()
	a := w.client("a", brokerOne, "C")
	w.commit(a, 7, second)
	assert.False(t, w.group(t).HasLag)

	w.blank(a).Produced = 100
	w.Watermarks[0].ProducedTime = w.ago(second)
	assert.False(t, w.group(t).HasLag, "a produced record is a lower bound only")

	w.high(a, 10, second).Partition = 1
	assert.False(t, w.group(t).HasLag, "the watermark of another partition")
}

func TestLagTime(t *testing.T) {
	const none = -1
	for _, test := range []struct {
		name      string
		committed int64
		build     func(w *world, a LinkID)
		want      time.Duration
	}{
		{"no batch", 100, func(*world, LinkID) {}, none},
		{"at the end", 200, func(*world, LinkID) {}, 0},
		{"first record", 100, func(w *world, a LinkID) { w.batch(a, 100, 110, 30*second, 10*second) }, 30 * second},
		{"last record", 110, func(w *world, a LinkID) { w.batch(a, 100, 110, 30*second, 10*second) }, 10 * second},
		{"between them", 105, func(w *world, a LinkID) { w.batch(a, 100, 110, 30*second, 10*second) }, 20 * second},
		{"the only record", 100, func(w *world, a LinkID) { w.batch(a, 100, 100, 30*second, 30*second) }, 30 * second},
		{"before the batch", 99, func(w *world, a LinkID) { w.batch(a, 100, 110, 30*second, 10*second) }, none},
		{"behind the batch", 111, func(w *world, a LinkID) { w.batch(a, 100, 110, 30*second, 10*second) }, none},
		{"between two batches", 105, func(w *world, a LinkID) {
			w.batch(a, 100, 104, 30*second, 20*second)
			w.batch(a, 110, 120, 10*second, 5*second)
		}, none},
		{"the second batch", 120, func(w *world, a LinkID) {
			w.batch(a, 100, 110, 30*second, 20*second)
			w.batch(a, 111, 120, 10*second, 5*second)
		}, 5 * second},
		{"the log was truncated and written again", 105, func(w *world, a LinkID) {
			w.batch(a, 100, 105, 3*second, 2*second)
			w.batch(a, 100, 110, 90*second, 80*second)
		}, 2 * second},
		{"the producer's clock is ahead", 100, func(w *world, a LinkID) { w.batch(a, 100, 100, -30*second, -30*second) }, 0},
		{"no timestamps", 100, func(w *world, a LinkID) {
			w.Batches[PartitionKey{Link: a, Topic: w.name("t")}] = []Batch{{First: 100, Last: 110, FirstTime: -1, MaxTime: -1}}
		}, none},
		{"no timestamp at the end", 105, func(w *world, a LinkID) {
			w.Batches[PartitionKey{Link: a, Topic: w.name("t")}] = []Batch{{First: 100, Last: 110, FirstTime: 1000, MaxTime: -1}}
		}, none},
		// Nothing stops a producer from writing nanoseconds.
		{"timestamps in nanoseconds", 105, func(w *world, a LinkID) {
			ns := w.Time.UnixNano()
			w.Batches[PartitionKey{Link: a, Topic: w.name("t")}] = []Batch{{First: 100, Last: 110, FirstTime: ns, MaxTime: ns + 1e9}}
		}, 0},
		{"the largest timestamp", 110, func(w *world, a LinkID) {
			w.Batches[PartitionKey{Link: a, Topic: w.name("t")}] = []Batch{{First: 100, Last: 110, FirstTime: 0, MaxTime: 1<<63 - 1}}
		}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			a := w.client("a", brokerOne, "C")
			w.commit(a, test.committed, second)
			w.high(a, 200, second)
			test.build(w, a)
			got := w.group(t)
			require.True(t, got.HasLag)
			assert.Equal(t, test.want != none, got.HasLagTime)
			if test.want != none {
				assert.Equal(t, test.want, got.LagTime)
			}
		})
	}
}

// Without a lag there is no lag time either.
func TestLagTimeNeedsAFreshWatermark(t *testing.T) {
	w := newWorld()
	a := w.client("a", brokerOne, "C")
	w.commit(a, 100, second)
	w.high(a, 200, testMaxAge+1)
	w.batch(a, 100, 100, 30*second, 30*second)
	assert.False(t, w.group(t).HasLagTime)
}

// Whoever fetched the batch: it may be another group.
func TestLagTimeOfAnotherLink(t *testing.T) {
	w := newWorld()
	a, b := w.client("a", brokerOne, "C"), w.client("b", brokerOne, "C")
	w.commit(a, 100, second)
	w.high(b, 200, second)
	w.batch(b, 100, 100, 30*second, 30*second)
	assert.Equal(t, 30*second, w.group(t).LagTime)
}
