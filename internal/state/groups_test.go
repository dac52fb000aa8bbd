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
			Link: link, Group: w.name("g"), Member: w.name(name), API: api, Error: code, Time: w.ago(ago), Generation: 1,
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
