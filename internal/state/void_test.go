// SPDX-License-Identifier: Apache-2.0

package state

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What deleted an offset is forgotten with the tool that did it. Until then the offset must have been forgotten, too.
func TestVoidOffsetsAreTold(t *testing.T) {
	for _, test := range []struct {
		name  string
		build func(w *world, a, tool LinkID)
	}{
		{"offset", func(w *world, a, tool LinkID) { w.offset(tool, OffsetDeleted, -1, 2*second) }},
		{"group", func(w *world, a, tool LinkID) {
			w.Groups = append(w.Groups, Group{Link: tool, Group: w.name("g"), Deleted: w.ago(2 * second)})
		}},
		{"topic", func(w *world, a, tool LinkID) {
			w.Gone = append(w.Gone, GoneTopic{tool, w.name("t"), w.ago(2 * second)})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, m := newWorld(), newModel()
			a, tool := w.client("a", brokerOne, "C"), w.client("tool", brokerTwo, "C")
			old := *w.commit(a, 7, 3*second)
			require.Empty(t, m.Void())
			test.build(w, a, tool)
			require.Empty(t, m.Update(w.Snapshot).Groups)
			require.Equal(t, []Offset{old}, m.Void())

			w.commit(tool, 9, second)
			v := m.Update(w.Snapshot)
			require.Len(t, v.Groups, 1)
			assert.EqualValues(t, 9, v.Groups[0].Committed)
		})
	}
}

// An OffsetFetch that was answered after a deletion may have been answered from before it.
func TestReadAcrossADeletion(t *testing.T) {
	w := newWorld()
	a, tool := w.client("a", brokerOne, "C"), w.client("tool", brokerTwo, "C")
	w.Groups = append(w.Groups, Group{Link: tool, Group: w.name("g"), Deleted: w.ago(2 * second)})
	w.fetch(a, 7, 3*second, second)
	assert.Nil(t, w.group(t))
}

// The end of a transaction goes to another broker than its offsets, and a coordinator may move.
func TestLostAtAnotherBroker(t *testing.T) {
	w := newWorld()
	a := w.client("a", brokerOne, "C")
	w.commit(a, 7, 3*second)
	other := w.client("a", brokerTwo, "C")
	require.False(t, w.group(t).Unknown)
	w.change(other, func(l *Link) { l.Lost = w.ago(2 * second) })
	assert.True(t, w.group(t).Unknown)

	w.fetch(w.client("b", brokerOne, "C"), 8, second, second/2)
	assert.False(t, w.group(t).Unknown, "somebody has looked since")
}

// Who owns a partition is shown also where the group has no offset, or none that is known.
func TestOwnerWithoutAnOffset(t *testing.T) {
	for _, source := range []OffsetSource{OffsetDeleted, OffsetUnknown} {
		w := newWorld()
		a := w.client("a", brokerOne, "C")
		w.told(a, "m1", 3*second, 0)
		w.offset(a, source, -1, 2*second)
		w.high(a, 10, second)
		assert.Equal(t, map[int32]string{0: "a"}, owners(t, w.view()))
		row := w.view().Clients[0]
		assert.False(t, row.HasLag || row.HasCommitted)
	}
}

// A rebalance that was told of by the old coordinator ends at the new one.
func TestRebalanceAcrossCoordinators(t *testing.T) {
	w := newWorld()
	a, moved := w.client("a", brokerOne, "C"), w.client("a", brokerTwo, "C")
	w.told(moved, "m1", second, 0)
	w.Groups = append(w.Groups,
		Group{Link: a, Group: w.name("g"), Joining: w.ago(10 * second)},
		Group{Link: moved, Group: w.name("g"), Joining: w.ago(9 * second), Joined: w.ago(8 * second)})
	assert.Equal(t, GroupStable, w.view().Members[0].State)
	w.Groups[0].Joining = w.ago(time.Second)
	assert.Equal(t, GroupRebalancing, w.view().Members[0].State)
}
