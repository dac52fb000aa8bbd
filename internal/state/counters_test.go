// SPDX-License-Identifier: Apache-2.0

package state

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// answered sets the count of answers to commits of group "g" to topic "t" on a link, counted since then.
func (w *world) answered(link LinkID, code int16, count uint64, since time.Duration) {
	for i := range w.Commits {
		if c := &w.Commits[i]; c.Link == link && c.Error == code {
			c.Count = count
			return
		}
	}
	w.Commits = append(w.Commits, CommitCounter{
		Link: link, Group: w.name("g"), Topic: w.name("t"), Error: code, Count: count, First: w.ago(since),
	})
}

// counts gives the counts by cluster and error.
func counts(t *testing.T, v *View) map[string]uint64 {
	t.Helper()
	all := make(map[string]uint64)
	for _, c := range v.Commits {
		key := c.Cluster + " " + c.Group + " " + c.Topic + " " + ErrorName(c.Error)
		require.NotContains(t, all, key)
		all[key] = c.Count
	}
	return all
}

func TestCommitsAddUp(t *testing.T) {
	w := newWorld()
	a, b := w.client("a", brokerOne, "C"), w.client("b", brokerTwo, "C")
	w.answered(a, 0, 5, time.Minute)
	w.answered(b, 0, 7, 2*time.Minute)
	w.answered(b, 25, 2, time.Minute)
	v := w.view()
	assert.Equal(t, map[string]uint64{"C g t NONE": 12, "C g t UNKNOWN_MEMBER_ID": 2}, counts(t, v))
	for _, c := range v.Commits {
		if c.Error == 0 {
			assert.Equal(t, testTime.Add(-2*time.Minute), c.Start)
		}
	}
}

func TestCommitsOutliveTheirLink(t *testing.T) {
	w, m := newWorld(), newModel()
	a, b := w.client("a", brokerOne, "C"), w.client("b", brokerTwo, "C")
	w.answered(a, 0, 5, time.Minute)
	w.answered(b, 0, 7, time.Minute)
	assert.Equal(t, map[string]uint64{"C g t NONE": 12}, counts(t, m.Update(w.Snapshot)))

	w.later(15 * second)
	w.drop(a)
	w.answered(b, 0, 8, 0)
	assert.Equal(t, map[string]uint64{"C g t NONE": 13}, counts(t, m.Update(w.Snapshot)))

	// As long as there is a link to count with, it is one count.
	w.later(2 * testIdle)
	assert.Equal(t, map[string]uint64{"C g t NONE": 13}, counts(t, m.Update(w.Snapshot)))

	w.later(15 * second)
	w.drop(b)
	assert.Equal(t, map[string]uint64{"C g t NONE": 13}, counts(t, m.Update(w.Snapshot)))
	w.later(testIdle - 15*second)
	assert.Equal(t, map[string]uint64{"C g t NONE": 13}, counts(t, m.Update(w.Snapshot)))
	w.later(1)
	assert.Empty(t, m.Update(w.Snapshot).Commits)

	// A group that comes back counts from zero, and says so.
	w.later(time.Minute)
	w.answered(w.client("a", brokerOne, "C"), 0, 1, second)
	v := m.Update(w.Snapshot)
	assert.Equal(t, map[string]uint64{"C g t NONE": 1}, counts(t, v))
	assert.Equal(t, w.Time.Add(-second), v.Commits[0].Start)
}

// The sweep removes a link right after a snapshot; before the next one the client is back, with the same
// id, since that is hashed from who it is.
func TestCommitsOfALinkThatCameBack(t *testing.T) {
	w, m := newWorld(), newModel()
	a := w.client("a", brokerOne, "C")
	w.answered(a, 0, 50, time.Minute)
	m.Update(w.Snapshot)

	w.later(15 * second)
	w.Commits = nil
	w.answered(a, 0, 3, second)
	assert.Equal(t, map[string]uint64{"C g t NONE": 53}, counts(t, m.Update(w.Snapshot)))

	w.later(15 * second)
	w.answered(a, 0, 4, 0)
	assert.Equal(t, map[string]uint64{"C g t NONE": 54}, counts(t, m.Update(w.Snapshot)))
}

func TestCommitsMoveToTheirCluster(t *testing.T) {
	w, m := newWorld(), newModel()
	a := w.client("a", brokerOne, "")
	w.answered(a, 0, 5, time.Minute)
	assert.Equal(t, map[string]uint64{" g t NONE": 5}, counts(t, m.Update(w.Snapshot)))

	w.later(15 * second)
	w.change(a, func(l *Link) { l.Cluster = w.name("C") })
	w.answered(a, 0, 6, 0)
	assert.Equal(t, map[string]uint64{"C g t NONE": 6}, counts(t, m.Update(w.Snapshot)))
}

// What is left behind must not look like a count that fell.
func TestCommitsLeftBehind(t *testing.T) {
	w, m := newWorld(), newModel()
	a, b := w.client("a", brokerOne, ""), w.client("b", brokerOne, "")
	w.answered(a, 0, 5, time.Minute)
	w.answered(b, 0, 7, time.Minute)
	m.Update(w.Snapshot)
	w.later(15 * second)
	w.drop(a)
	before := m.Update(w.Snapshot)
	assert.Equal(t, map[string]uint64{" g t NONE": 12}, counts(t, before))
	start := before.Commits[0].Start

	w.later(15 * second)
	w.change(b, func(l *Link) { l.Cluster = w.name("C") })
	after := m.Update(w.Snapshot)
	assert.Equal(t, map[string]uint64{" g t NONE": 0, "C g t NONE": 7}, counts(t, after))
	for _, c := range after.Commits {
		if c.Cluster == "" {
			assert.Equal(t, w.Time, c.Start, "counting began anew")
			assert.NotEqual(t, start, c.Start)
		}
	}
}

func TestCommitsOfTwoUnnamedClusters(t *testing.T) {
	w, m := newWorld(), newModel()
	a, b := w.client("a", brokerOne, ""), w.client("b", brokerTwo, "")
	w.answered(a, 0, 5, time.Minute)
	w.answered(b, 0, 7, time.Minute)
	assert.Empty(t, m.Update(w.Snapshot).Commits)
	assert.Equal(t, 1, m.Held().Clusters)

	w.change(b, func(l *Link) { l.Cluster = w.name("B") })
	assert.Equal(t, uint64(7), counts(t, m.Update(w.Snapshot))["B g t NONE"])
	assert.Zero(t, m.Held())
}

// The two clocks are read one after the other and drift apart; a beginning that moves would be another
// beginning.
func TestCommitsStartStays(t *testing.T) {
	w, m := newWorld(), newModel()
	w.answered(w.client("a", brokerOne, "C"), 0, 5, time.Minute)
	start := m.Update(w.Snapshot).Commits[0].Start
	for range 3 {
		w.later(15 * second)
		w.Time = w.Time.Add(123 * time.Microsecond)
		assert.Equal(t, start, m.Update(w.Snapshot).Commits[0].Start)
	}
}
