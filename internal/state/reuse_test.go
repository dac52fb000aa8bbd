// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a Model keeps room for it does not keep alive.
func TestNothingIsKeptAlive(t *testing.T) {
	const n = 900
	w, m := newWorld(), newModel()
	a := w.client("a", brokerOne, "C")
	for i := range n {
		w.commit(a, 7, second).Topic = w.name(fmt.Sprint("t", i))
		w.high(a, 10, second).Topic = w.name(fmt.Sprint("t", i))
	}
	v := m.Update(w.Snapshot)
	require.Len(t, v.Groups, n)
	require.Len(t, v.Partitions, n)
	require.Len(t, v.Clients, n)

	w = newWorld()
	w.later(second)
	w.commit(w.client("a", brokerOne, "C"), 7, second)
	v = m.Update(w.Snapshot)
	require.GreaterOrEqual(t, cap(v.Groups), n, "for another test: the room is given back")
	require.Len(t, v.Groups, 1)
	for _, row := range v.Groups[1:cap(v.Groups)] {
		require.Nil(t, row.GroupTopic)
	}
	for _, row := range v.Partitions[len(v.Partitions):cap(v.Partitions)] {
		require.Nil(t, row.ClusterTopic)
	}
	for _, row := range v.Clients[1:cap(v.Clients)] {
		require.Nil(t, row.ClientTopic)
	}
	for _, place := range m.reused.places[:cap(m.reused.places)] {
		require.Nil(t, place.newest)
	}
}

// The room of a map that has grown is kept, too.
func TestLookupKeepsItsRoom(t *testing.T) {
	var l lookup[int, int]
	of := l.emptied(0)
	for i := range 10 {
		of[i] = i
	}
	kept := l.emptied(len(l.of))
	kept[1] = 1
	assert.Len(t, of, 1, "it is the same map")
}
