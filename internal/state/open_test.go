// SPDX-License-Identifier: Apache-2.0

package state

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// open enters a commit within a transaction at a broker whose markers are not seen.
func (w *world) open(link LinkID, ago time.Duration) {
	w.Open = append(w.Open, OpenOffset{Link: link, Group: w.name("g"), Topic: w.name("t"), Committed: w.ago(ago)})
}

func TestTransactionsWithoutMarkers(t *testing.T) {
	const none = -1
	for _, test := range []struct {
		name  string
		build func(w *world, client, broker LinkID)
		want  int64
	}{
		{"nothing else is known", func(w *world, _, broker LinkID) { w.open(broker, 9*second) }, none},
		{"a look before it", func(w *world, _, broker LinkID) {
			w.fetch(broker, 7, 20*second, 19*second)
			w.open(broker, 9*second)
		}, none},
		{"a look after it: the end may have come after that", func(w *world, _, broker LinkID) {
			w.fetch(broker, 7, 5*second, 4*second)
			w.open(broker, 9*second)
		}, none},
		{"a plain commit before it", func(w *world, _, broker LinkID) {
			w.commit(broker, 7, 20*second)
			w.open(broker, 9*second)
		}, none},
		{"a plain commit after it", func(w *world, _, broker LinkID) {
			w.open(broker, 9*second)
			w.commit(broker, 7, 5*second)
		}, 7},
		{"... and a look after that", func(w *world, _, broker LinkID) {
			w.open(broker, 9*second)
			w.commit(broker, 7, 5*second)
			w.fetch(broker, 6, 2*second, second)
		}, 6},
		{"its client tells how it ended", func(w *world, client, broker LinkID) {
			w.sent(w.offset(client, OffsetTransaction, 7, 9*second), 9*second+time.Millisecond)
			w.open(broker, 9*second)
		}, 7},
		{"its client told how the one before ended", func(w *world, client, broker LinkID) {
			w.offset(client, OffsetTransaction, 7, 10*second)
			w.open(broker, 9*second)
		}, 7},
		{"... long ago", func(w *world, client, broker LinkID) {
			w.offset(client, OffsetTransaction, 7, 30*second)
			w.open(broker, 9*second)
		}, none},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			client, broker := w.client("a", brokerOne, "C"), w.broker(7, "a", "10.0.0.9", brokerTwo, "C")
			test.build(w, client, broker)
			got := w.group(t)
			require.NotNil(t, got)
			assert.Equal(t, test.want == none, got.Unknown)
			if test.want != none {
				assert.Equal(t, test.want, got.Committed)
			}
		})
	}
}

func TestTransactionsWithoutMarkersOfADeletedTopic(t *testing.T) {
	w := newWorld()
	broker := w.broker(7, "a", "10.0.0.9", brokerTwo, "C")
	w.open(broker, 9*second)
	w.Gone = append(w.Gone, GoneTopic{broker, w.name("t"), w.ago(8 * second)})
	assert.Nil(t, w.group(t))
}

// A broker that was starting said that there is no such topic; a look has found the offset since.
func TestFoundAfterTheTopicWasGone(t *testing.T) {
	for _, source := range []OffsetSource{OffsetCommitted, OffsetTransaction} {
		w := newWorld()
		a := w.client("a", brokerOne, "C")
		w.confirmed(w.offset(a, source, 9, 60*second), 5*second)
		w.Gone = append(w.Gone, GoneTopic{a, w.name("t"), w.ago(8 * second)})
		require.NotNil(t, w.group(t))
	}
}

// A partition goes to another client, which commits the same, and comes back.
func TestCommittedByAReturningOwner(t *testing.T) {
	w := newWorld()
	a, b := w.client("a", brokerOne, "C"), w.client("b", brokerOne, "C")
	w.confirmed(w.commit(a, 7, 60*second), 5*second)
	w.commit(b, 7, 30*second)
	w.Members = append(w.Members, Member{
		Open: true, Link: a, Group: w.name("g"), Member: w.name("m"), Time: w.ago(second), Assigned: w.ago(6 * second),
		API: 14, Generation: 3,
	})
	w.Assignments = append(w.Assignments, Assignment{
		Link: a, Group: w.name("g"), Topic: w.name("t"), Member: w.name("m"), Assigned: w.ago(6 * second),
	})
	v := w.view()
	require.Len(t, v.Clients, 1)
	assert.Equal(t, w.Links[a].Process, v.Clients[0].Process)
	assert.True(t, v.Clients[0].HasCommitted)
	assert.EqualValues(t, 7, v.Clients[0].Committed)
}
