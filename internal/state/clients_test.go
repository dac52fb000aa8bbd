// SPDX-License-Identifier: Apache-2.0

package state

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// clients gives the rows as "client group committed position", "-" for none.
func clients(v *View) []string {
	var rows []string
	value := func(n int64, has bool) string {
		if !has {
			return "-"
		}
		return strconv.FormatInt(n, 10)
	}
	for _, c := range v.Clients {
		rows = append(rows, strings.Join([]string{
			c.ClientID, c.Group, value(c.Committed, c.HasCommitted), value(c.Position, c.HasPosition),
		}, " "))
	}
	slices.Sort(rows)
	return rows
}

func TestClientOwnsWhatItCommitted(t *testing.T) {
	for _, test := range []struct {
		name  string
		build func(w *world, a, b LinkID)
		want  []string
	}{
		{"its commit is the newest", func(w *world, a, _ LinkID) { w.commit(a, 7, 3*second) }, []string{"a g 7 -"}},
		{"until another commits", func(w *world, a, b LinkID) {
			w.commit(a, 7, 3*second)
			w.commit(b, 9, 2*second)
		}, []string{"b g 9 -"}},
		{"even the same offset", func(w *world, a, b LinkID) {
			w.commit(a, 7, 3*second)
			w.commit(b, 7, 2*second)
		}, []string{"b g 7 -"}},
		{"even if somebody then looks", func(w *world, a, b LinkID) {
			w.commit(a, 7, 3*second)
			w.commit(b, 7, 2*second)
			w.fetch(w.client("tool", brokerOne, "C"), 7, second, second/2)
		}, []string{"b g 7 -"}},
		{"somebody who only looks does not take over", func(w *world, a, b LinkID) {
			w.commit(a, 7, 3*second)
			w.fetch(b, 7, 2*second, second)
		}, []string{"a g 7 -"}},
		{"unless it saw what somebody else has committed", func(w *world, a, b LinkID) {
			w.commit(a, 7, 3*second)
			w.fetch(b, 8, 2*second, second)
		}, nil},
		{"who looked owns nothing", func(w *world, _, b LinkID) { w.fetch(b, 8, 2*second, second) }, nil},
		{"until an answer is not understood", func(w *world, a, b LinkID) {
			w.commit(a, 7, 3*second)
			w.offset(b, OffsetUnknown, -1, 2*second)
		}, nil},
		{"until a transaction commits, even the same offset", func(w *world, a, b LinkID) {
			w.commit(a, 7, 3*second)
			w.offset(b, OffsetTransaction, 7, 2*second)
		}, []string{"b g 7 -"}},
		{"until the group's offset is deleted", func(w *world, a, b LinkID) {
			w.commit(a, 7, 3*second)
			w.fetch(b, -1, 2*second, second)
		}, nil},
		{"until its connection ends", func(w *world, a, _ LinkID) {
			w.commit(a, 7, 3*second)
			w.close(a)
		}, nil},
		{"and nobody inherits it", func(w *world, a, b LinkID) {
			w.commit(b, 6, 4*second)
			w.commit(a, 7, 3*second)
			w.close(a)
		}, nil},
		{"at whichever coordinator", func(w *world, a, _ LinkID) {
			w.commit(a, 7, 3*second)
			w.commit(w.client("a", brokerTwo, "C"), 7, 2*second)
			w.fetch(w.client("tool", brokerOne, "C"), 7, second, second/2)
		}, []string{"a g 7 -"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			test.build(w, w.client("a", brokerOne, "C"), w.client("b", brokerTwo, "C"))
			assert.Equal(t, test.want, clients(w.view()))
		})
	}
}

func TestClientRow(t *testing.T) {
	w := newWorld()
	a := w.client("a", brokerOne, "C")
	w.commit(a, 7, 3*second)
	x := w.high(a, 10, second)
	x.Position, x.PositionTime = 9, w.ago(second)
	got := only(t, w.view().Clients)
	assert.Equal(t, ClientPartition{
		ClientTopic: &ClientTopic{Cluster: "C", Process: w.Links[a].Process, ClientID: "a", Group: "g", Topic: "t"},
		Committed:   7, HasCommitted: true, Position: 9, HasPosition: true, Lag: 3, HasLag: true,
	}, *got)
}

// On a broker's host the client is named by where it comes from.
func TestRemoteClients(t *testing.T) {
	w := newWorld()
	a := w.broker(7, "consumer-1", "10.1.0.1", brokerOne, "C")
	b := w.broker(7, "consumer-1", "10.1.0.2", brokerOne, "C")
	w.commit(a, 7, 3*second)
	w.commit(b, 8, 3*second).Partition = 1
	v := w.view()
	require.Len(t, v.Clients, 2)
	for _, c := range v.Clients {
		assert.Equal(t, []string{"10.1.0.1", "10.1.0.2"}[c.Partition], c.Process.Remote)
		assert.Equal(t, uint32(7), c.Process.PID)
	}
}

func TestPositions(t *testing.T) {
	asks := func(w *world, link LinkID, position int64, ago time.Duration) *Watermark {
		x := w.blank(link)
		x.Position, x.PositionTime = position, w.ago(ago)
		return x
	}
	for _, test := range []struct {
		name  string
		build func(w *world, a, b LinkID)
		want  []string
	}{
		{"not asked for", func(w *world, a, _ LinkID) { w.high(a, 10, second) }, nil},
		{"without a commit", func(w *world, a, _ LinkID) { asks(w, a, 9, second) }, []string{"a  - 9"}},
		{"from the beginning", func(w *world, a, _ LinkID) { asks(w, a, 0, second) }, []string{"a  - 0"}},
		{"beside its own commit", func(w *world, a, _ LinkID) {
			asks(w, a, 9, second)
			w.commit(a, 7, second)
		}, []string{"a g 7 9"}},
		{"fetched from one broker, committed at another", func(w *world, a, _ LinkID) {
			asks(w, w.client("a", brokerTwo, "C"), 9, second)
			w.commit(a, 7, second)
		}, []string{"a g 7 9"}},
		{"the newest, when the leader has moved", func(w *world, a, _ LinkID) {
			asks(w, w.client("a", brokerTwo, "C"), 12, second)
			asks(w, a, 9, 2*second)
		}, []string{"a  - 12"}},
		{"beside the commits of another client", func(w *world, a, b LinkID) {
			asks(w, a, 9, second)
			w.commit(b, 7, second)
		}, []string{"a  - 9", "b g 7 -"}},
		{"with one of two groups", func(w *world, a, b LinkID) {
			asks(w, a, 9, second)
			w.commit(a, 7, second).Group = w.name("g2")
			w.commit(a, 6, second).Group = w.name("g1")
		}, []string{"a g1 6 9", "a g2 7 -"}},
		{"by topic id", func(w *world, a, _ LinkID) {
			w.learn(w.topicID("one"), "t")
			asks(w, a, 9, second).Topic = w.topicID("one")
			w.commit(a, 7, second)
		}, []string{"a g 7 9"}},
		{"no longer asked for", func(w *world, a, _ LinkID) { asks(w, a, 9, testMaxAge+1) }, nil},
		{"not repeated in a session", func(w *world, a, _ LinkID) {
			asks(w, a, 9, 2*testMaxAge).Session = 7
			w.Sessions[SessionKey{Link: a, Session: 7}] = Session{Time: w.ago(second)}
		}, []string{"a  - 9"}},
		{"the connection has ended", func(w *world, a, _ LinkID) {
			asks(w, a, 9, second)
			w.close(a)
		}, nil},
		{"of a follower", func(w *world, a, _ LinkID) { asks(w, a, 9, second).Follower = true }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			test.build(w, w.client("a", brokerOne, "C"), w.client("b", brokerTwo, "C"))
			for range 4 {
				assert.Equal(t, test.want, clients(w.view()))
			}
		})
	}
}
