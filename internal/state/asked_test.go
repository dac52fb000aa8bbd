// SPDX-License-Identifier: Apache-2.0

package state

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ask enters an answer about the high watermark of partition 0 of "t" in cluster "C".
func (w *world) ask(offset int64, asked, answered time.Duration) *Asked {
	w.Asked = append(w.Asked, Asked{
		Cluster: "C", Topic: "t", Offset: offset, Asked: w.ago(asked), Answered: w.ago(answered),
	})
	return &w.Asked[len(w.Asked)-1]
}

func TestAskedBesideSeen(t *testing.T) {
	const long = overlap + 2*second
	for _, test := range []struct {
		name                   string
		seen                   int64 // -1: never
		ago                    time.Duration
		told                   int64
		asked, answered        time.Duration
		current                int64
		age                    time.Duration
		otherCluster, otherEnd bool
	}{
		{name: "only told", seen: -1, told: 10, asked: 3 * second, answered: 2 * second, current: 10, age: 2 * second},
		{name: "told later, more", seen: 10, ago: 50 * second, told: 12, asked: 3 * second, answered: 2 * second,
			current: 12, age: 2 * second},
		{name: "told later, the same", seen: 10, ago: 50 * second, told: 10, asked: 3 * second, answered: 2 * second,
			current: 10, age: 2 * second},
		{name: "truncated", seen: 10, ago: 50 * second, told: 9, asked: 3 * second, answered: 2 * second,
			current: 9, age: 2 * second},
		{name: "truncated a moment ago: asked after the larger had come", seen: 10, ago: 3*second + 1, told: 9,
			asked: 3 * second, answered: 2 * second, current: 9, age: 2 * second},
		{name: "less, and asked before the larger had come", seen: 10, ago: 3 * second, told: 9, asked: 3 * second,
			answered: 2 * second, current: 10, age: 3 * second},
		{name: "less, and long under way", seen: 10, ago: 20 * second, told: 9, asked: 30 * second, answered: second,
			current: 10, age: 20 * second},
		{name: "more, and may have crossed", seen: 10, ago: second, told: 12, asked: overlap + second,
			answered: overlap + second, current: 12, age: second},
		{name: "more, but before a truncation", seen: 10, ago: second, told: 12, asked: long,
			answered: overlap + second + 1, current: 10, age: second},
		{name: "no offset", seen: 10, ago: second, told: -1, asked: 3 * second, answered: 2 * second, current: 10, age: second},
		{name: "another cluster", seen: 10, ago: 50 * second, told: 12, asked: 3 * second, answered: 2 * second,
			otherCluster: true, current: 10, age: 50 * second},
		{name: "another end", seen: 10, ago: 50 * second, told: 12, asked: 3 * second, answered: 2 * second,
			otherEnd: true, current: 10, age: 50 * second},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			a := w.client("a", brokerOne, "C")
			w.commit(a, 4, time.Minute)
			if test.seen >= 0 {
				w.high(a, test.seen, test.ago)
			}
			told := w.ask(test.told, test.asked, test.answered)
			if test.otherCluster {
				told.Cluster = "D"
			}
			if test.otherEnd {
				told.End = LastStableEnd
			}
			got := w.partition(t)
			require.NotNil(t, got)
			assert.True(t, got.HasCurrent)
			assert.Equal(t, test.current, got.Current)
			assert.Equal(t, testTime.Add(-test.age), got.WatermarkTime)
			assert.Equal(t, test.current-4, w.group(t).Lag)
		})
	}
}

func TestAskedGrowsStale(t *testing.T) {
	w := newWorld()
	w.commit(w.client("a", brokerOne, "C"), 4, 2*testMaxAge)
	w.ask(10, testMaxAge+second, testMaxAge)
	assert.True(t, w.group(t).HasLag)
	w.later(1)
	assert.False(t, w.group(t).HasLag)
}

func TestAskedEnds(t *testing.T) {
	w := newWorld()
	w.commit(w.client("a", brokerOne, "C"), 4, second)
	w.ask(10, second, second)
	w.ask(9, second, second).End = LastStableEnd
	w.ask(2, second, second).End = LogStartEnd
	assert.Equal(t, Partition{
		ClusterTopic: &ClusterTopic{"C", "t"}, Current: 10, HasCurrent: true, Oldest: 2, HasOldest: true,
		LastStable: 9, HasLastStable: true,
		WatermarkTime: testTime.Add(-second),
	}, *w.partition(t))
}

// The group of one process is published, what another process has seen is not: the answer is for the group.
func TestAskedIsPublishedWithTheGroup(t *testing.T) {
	w := newWorld()
	w.commit(w.client("wanted", brokerOne, "C"), 4, second)
	w.high(w.client("excluded", brokerOne, "C"), 10, second)
	w.ask(12, 3*second, 2*second)
	m := New(Options{WatermarkMaxAge: testMaxAge, IdleTimeout: testIdle, KeepLink: func(l *Link) bool {
		return w.Names[l.Client] == "wanted"
	}})
	got := only(t, m.Update(w.Snapshot).Partitions)
	require.NotNil(t, got)
	assert.Equal(t, int64(12), got.Current)
}

func TestAskedOfUnwantedTopic(t *testing.T) {
	w := newWorld()
	w.commit(w.client("a", brokerOne, "C"), 4, second)
	w.ask(12, 3*second, 2*second)
	m := New(Options{WatermarkMaxAge: testMaxAge, KeepTopic: func(string) bool { return false }})
	assert.Empty(t, m.Update(w.Snapshot).Partitions)
}

// Clusters without a known id have nothing in common with one that was asked, whatever its topics are called.
func TestAskedSaysNothingOfUnnamedClusters(t *testing.T) {
	w := newWorld()
	w.commit(w.client("a", brokerOne, ""), 4, second)
	w.name("C")
	w.ask(12, 3*second, 2*second)
	assert.False(t, w.group(t).HasLag)
}

// An answer does not tell which topic of that name it was about.
func TestAskedOfTopicMadeAnew(t *testing.T) {
	w := newWorld()
	a := w.client("a", brokerOne, "C")
	before, after := w.topicID("before"), w.topicID("after")
	w.learn(before, "t")
	w.learn(after, "t")
	w.high(a, 1000, 20*second).Topic = before
	x := w.high(a, 5, 2*second)
	x.Topic = after
	w.commit(a, 3, 2*second).Topic = after

	told := w.ask(1000, 4*second, 4*second)
	assert.Equal(t, int64(2), w.group(t).Lag, "before the topic was made anew")
	told.Asked, told.Answered, told.Offset = w.ago(second), w.ago(second), 7
	assert.Equal(t, int64(4), w.group(t).Lag)
}
