// SPDX-License-Identifier: Apache-2.0

package state

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHighWatermark(t *testing.T) {
	for _, test := range []struct {
		name    string
		build   func(w *world, a, b LinkID) // two clients of one cluster
		current int64
		age     time.Duration
	}{
		{"one", func(w *world, a, _ LinkID) { w.high(a, 10, second) }, 10, second},
		{"an empty log", func(w *world, a, _ LinkID) { w.high(a, 0, second) }, 0, second},
		{"the larger, when the answers may have crossed", func(w *world, a, b LinkID) {
			w.high(a, 12, 4*second)
			w.high(b, 10, second)
		}, 12, second},
		{"the larger and newer", func(w *world, a, b LinkID) {
			w.high(a, 10, 4*second)
			w.high(b, 12, second)
		}, 12, second},
		{"truncated: the newer, when they cannot have crossed", func(w *world, a, b LinkID) {
			w.high(a, 12, overlap+second+1)
			w.high(b, 10, second)
		}, 10, second},
		{"what crossed the oldest need not have crossed the newest", func(w *world, a, b LinkID) {
			w.high(a, 12, 8*second)
			w.high(b, 11, 4*second)
			w.high(b, 10, 1*second)
		}, 11, second},
		{"acknowledged records push it", func(w *world, a, b LinkID) {
			w.high(a, 10, 30*second)
			x := w.blank(b)
			x.Produced, x.ProducedTime = 15, w.ago(second)
		}, 15, 30 * second},
		{"acknowledged records that it has passed", func(w *world, a, b LinkID) {
			w.high(a, 20, 2*second)
			x := w.blank(b)
			x.Produced, x.ProducedTime = 15, w.ago(second)
		}, 20, 2 * second},
		{"acknowledged before the log was truncated", func(w *world, a, b LinkID) {
			w.high(a, 10, second)
			x := w.blank(b)
			x.Produced, x.ProducedTime = 15, w.ago(overlap+second+1)
		}, 10, second},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			test.build(w, w.client("a", brokerOne, "C"), w.client("b", brokerTwo, "C"))
			shuffle := rand.New(rand.NewPCG(1, 1))
			for range 6 { // in any order
				got := w.partition(t)
				require.NotNil(t, got)
				assert.True(t, got.HasCurrent)
				assert.Equal(t, test.current, got.Current)
				assert.Equal(t, testTime.Add(-test.age), got.WatermarkTime)
				shuffle.Shuffle(len(w.Watermarks), func(i, j int) {
					w.Watermarks[i], w.Watermarks[j] = w.Watermarks[j], w.Watermarks[i]
				})
			}
		})
	}
}

func TestWatermarkGrowsStale(t *testing.T) {
	w := newWorld()
	a := w.client("a", brokerOne, "C")
	w.commit(a, 5, second)
	x := w.high(a, 10, testMaxAge)
	x.LastStable = 9
	x.LogStart, x.LogStartTime = 2, x.Time

	got := *w.partition(t)
	assert.Equal(t, Partition{
		ClusterTopic: &ClusterTopic{"C", "t"}, Current: 10, HasCurrent: true, Oldest: 2, HasOldest: true,
		LastStable: 9, HasLastStable: true, WatermarkTime: testTime.Add(-testMaxAge),
	}, got)
	assert.True(t, w.group(t).HasLag)

	w.later(1)
	got = *w.partition(t)
	assert.False(t, got.HasCurrent)
	assert.False(t, got.HasOldest)
	assert.False(t, got.HasLastStable)
	assert.Equal(t, testTime.Add(-testMaxAge), got.WatermarkTime, "the age is what tells why")
	assert.False(t, w.group(t).HasLag)
}

// Produced records alone say that lag is at least so large, which is no lag.
func TestProducedDoesNotKeepLagFresh(t *testing.T) {
	w := newWorld()
	a := w.client("a", brokerOne, "C")
	w.commit(a, 5, second)
	x := w.high(a, 10, testMaxAge+1)
	x.Produced, x.ProducedTime = 20, w.ago(second)
	assert.False(t, w.group(t).HasLag)
	assert.False(t, w.partition(t).HasCurrent)
}

func TestPartitionRows(t *testing.T) {
	w := newWorld()
	a := w.client("a", brokerOne, "C")
	x := w.blank(a)
	assert.Nil(t, w.partition(t), "nothing is known")

	x.Produced, x.ProducedTime = 20, w.ago(second)
	x.Position, x.PositionTime = 3, w.ago(second)
	assert.Nil(t, w.partition(t), "nothing of the partition itself")

	x.LogStart, x.LogStartTime = 2, w.ago(second)
	got := w.partition(t)
	require.NotNil(t, got)
	assert.Equal(t, Partition{ClusterTopic: &ClusterTopic{"C", "t"}, Current: 0, Oldest: 2, HasOldest: true, LastStable: -1}, *got)
}

func TestFetchSession(t *testing.T) {
	const old = 10 * time.Minute
	for _, test := range []struct {
		name    string
		in      int32         // the session of the partition
		session int32         // the session that was answered
		ago     time.Duration // when
		other   bool          // on another link
		fresh   bool
	}{
		{"answered without news", 7, 7, second, false, true},
		{"answered long ago", 7, 7, 2 * testMaxAge, false, false},
		{"another session of the link", 7, 8, second, false, false},
		{"the same number at another broker", 7, 7, second, true, false},
		{"the partition is in none", 0, 7, second, false, false},
		{"no session at all", 0, 0, second, false, false},
		// A throttled response does not get here: sink_fetch_session of bpf/sinks.h leaves it out.
		{"not answered", 7, 7, old, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			a, b := w.client("a", brokerOne, "C"), w.client("a", brokerTwo, "C")
			x := w.high(a, 10, old)
			x.LastStable, x.Session = 9, test.in
			x.LogStart, x.LogStartTime = 2, x.Time
			key := SessionKey{Link: a, Session: test.session}
			if test.other {
				key.Link = b
			}
			w.Sessions[key] = Session{Time: w.ago(test.ago)}

			got := w.partition(t)
			assert.Equal(t, test.fresh, got.HasCurrent)
			assert.Equal(t, test.fresh, got.HasOldest)
			assert.False(t, got.HasLastStable, "a session is not told of a last stable offset that moves alone")
			if test.fresh {
				assert.Equal(t, testTime.Add(-test.ago), got.WatermarkTime)
			}
		})
	}
}

func TestFetchSessionSaysNothingOfTheLastStableOffset(t *testing.T) {
	w := newWorld()
	a, b := w.client("a", brokerOne, "C"), w.client("b", brokerTwo, "C")
	w.high(a, 60, 30*second).LastStable = 9
	x := w.high(b, 60, 10*time.Minute)
	x.LastStable, x.Session = 50, 7
	w.Sessions[SessionKey{Link: b, Session: 7}] = Session{Time: w.ago(second)}
	got := w.partition(t)
	assert.True(t, got.HasLastStable)
	assert.Equal(t, int64(9), got.LastStable)
}

// An answer of the session that was not seen may have told of a change: those after it leave it out.
func TestFetchSessionWithAGap(t *testing.T) {
	w := newWorld()
	a := w.client("a", brokerOne, "C")
	w.high(a, 60, 10*time.Minute).Session = 7
	w.Sessions[SessionKey{Link: a, Session: 7}] = Session{Time: w.ago(second), Since: w.ago(time.Minute)}
	assert.False(t, w.partition(t).HasCurrent)
	w.Sessions[SessionKey{Link: a, Session: 7}] = Session{Time: w.ago(second), Since: w.ago(20 * time.Minute)}
	assert.True(t, w.partition(t).HasCurrent)
}

// A session refreshes what was known, it does not make an offset out of nothing.
func TestFetchSessionWithoutWatermark(t *testing.T) {
	w := newWorld()
	a := w.client("a", brokerOne, "C")
	w.blank(a).Session = 7
	w.Sessions[SessionKey{Link: a, Session: 7}] = Session{Time: w.ago(second)}
	assert.Nil(t, w.partition(t))
}

// A follower's fetches tell a broker the same as a consumer's do.
func TestFollowersFetch(t *testing.T) {
	w := newWorld()
	b := w.broker(7, "broker-2-fetcher-0", "10.0.0.2", brokerOne, "C")
	w.high(b, 10, second).Follower = true
	require.NotNil(t, w.partition(t))
	assert.Empty(t, w.view().Clients)
}
