// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// bothEnds is a connection of which client and broker are on this host.
type bothEnds struct{ client, broker *situation }

func situateBothEnds(t testing.TB) bothEnds {
	client := situate(t, roomy)
	broker := &situation{connection: client.k.connect(state.RoleBroker), began: client.began}
	broker.Local, broker.Remote = client.Remote, client.Local
	return bothEnds{client, broker}
}

// exchange passes a request and its response, at each end in the order in which hooks run; false if the broker's end is
// not looked at any more.
func (b bothEnds) exchange(t testing.TB, request, response []byte) bool {
	t.Helper()
	b.client.feed(true, request)
	first := b.broker.k.Feed(&b.broker.FeedConnection, probe.Received, request)
	second := b.broker.k.Feed(&b.broker.FeedConnection, probe.Sent, response)
	b.client.feed(false, response)
	if first == nil && second == nil {
		return true
	}
	require.ErrorIs(t, second, probe.ErrRefused)
	if first != nil {
		require.ErrorIs(t, first, probe.ErrRefused)
	}
	return false
}

// What the broker's end of such a connection says counts nowhere, so that it is dismissed, as soon as it is known whose it
// is. All that counts is there once, and the broker is known as one.
func TestBrokersEndIsDismissed(t *testing.T) {
	b := situateBothEnds(t)
	const exchanges = 5
	for i := range int64(exchanges) {
		request, response := b.client.commit("g", "t", 3, 10*i)
		looked := b.exchange(t, request, response)
		assert.Equal(t, i == 0, looked, "exchange %d", i)
		require.NoError(t, b.client.k.Sweep(time.Hour)) // a tick: nothing is given up for longer
		assert.Zero(t, b.client.k.entries()["pending"], "nothing waits for an answer")
	}
	assert.Equal(t, counting(3, 10*(exchanges-1)), b.client.committed("g", "t"))
	assert.Len(t, b.client.k.snapshot().Offsets, 3, "of the client's link alone")
	assert.Equal(t, none, b.client.left())

	fed := b.broker.fed()
	require.NotNil(t, fed)
	assert.EqualValues(t, 1, fed.Confirmed, "it is counted as recognised")
	var roles []state.Role
	snapshot := b.client.k.snapshot()
	for id, l := range snapshot.Links {
		roles = append(roles, l.Role)
		assert.True(t, l.Open, "link %d", id)
		if l.Role == state.RoleBroker {
			assert.Equal(t, snapshot.Now, l.LastSeen, "it is in use, though nobody looks")
		}
	}
	assert.ElementsMatch(t, []state.Role{state.RoleClient, state.RoleBroker}, roles)

	b.broker.close()
	assert.Nil(t, b.broker.fed())
	request, response := b.client.commit("g", "t", 3, 0)
	assert.True(t, b.exchange(t, request, response), "the next connection at its address is another")
}

// A broker's end whose other end is not seen here goes on, whatever else the broker has dismissed.
func TestBrokersEndOfAnotherHostIsNotDismissed(t *testing.T) {
	b := situateBothEnds(t)
	for range 3 {
		request, response := b.client.commit("g", "t", 1, 1)
		b.exchange(t, request, response)
	}
	remote := &situation{connection: b.client.k.connect(state.RoleBroker), began: b.client.began}
	for i := range int64(3) {
		remote.exchange("remote", "t", 1, i)
	}
	assert.Equal(t, counting(1, 2), remote.committed("remote", "t"))
}

// Markers are of interest at the broker that they are sent to, also if another one on this host sends them.
func TestMarkersAreFollowedOfBothEnds(t *testing.T) {
	b := situateBothEnds(t)
	b.client.correlation++
	versions := kmsg.NewPtrApiVersionsRequest()
	versions.Version = 3
	answer := kmsg.NewPtrApiVersionsResponse()
	answer.Version = 3
	assert.True(t, b.exchange(t, requestFrame(versions, b.client.correlation, &testClient, noTags),
		responseFrame(answer, b.client.correlation, noTags)))
	for range 5 {
		request := b.client.markers(txnCommit)
		resp := kmsg.NewPtrWriteTxnMarkersResponse()
		resp.Version = 1
		assert.True(t, b.exchange(t, request, responseFrame(resp, b.client.correlation, noTags)))
	}
	require.EqualValues(t, 1, b.broker.fed().LocalPeer)
	assert.Equal(t, none, b.client.left())
}

// What looks like a request before the role is known tells of no broker: the client's end still enters, and the broker's
// end still finds it.
func TestGuessedRolesFindNoPeer(t *testing.T) {
	b := situateBothEnds(t)
	heads := []byte{0, 0, 0, 32, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0x7f, 0xff, 0, 0, 0, 0, 0, 0, 0, 0}
	const guesses = 20 // fewer than give a connection up
	for range guesses {
		require.NoError(t, b.client.k.Feed(&b.client.FeedConnection, probe.Received, heads))
		require.NoError(t, b.broker.k.Feed(&b.broker.FeedConnection, probe.Received, heads))
	}
	const exchanges = 6
	for i := range int64(exchanges) {
		request, response := b.client.commit("g", "t", 1, i)
		b.exchange(t, request, response)
	}
	assert.Equal(t, 1, b.client.k.entries()["peers"])
	counted := uint64(0)
	for _, c := range b.client.k.snapshot().Commits {
		counted += c.Count
	}
	assert.EqualValues(t, exchanges, counted, "each commit once")
}
