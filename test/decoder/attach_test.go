// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// A collector that starts while a client has many commits in flight sees their responses first, each of which begins
// like a request: where a request has its api key and version, a response has its correlation id.
func TestAttachAmongResponsesInFlight(t *testing.T) {
	for _, first := range []int32{0, 1, 5, 13, 200, 990, 1 << 16, 1<<16 + 3, 4 << 16, 8<<16 + 9, 10<<16 + 2, 18<<16 + 1} {
		t.Run(fmt.Sprint(first), func(t *testing.T) {
			const inFlight = 200
			s := situate(t, roomy)
			s.feed(true, commitRequest(first+inFlight-1, "g", "t", 1, 1)) // the last of them is seen
			s.feed(false, commitResponse(first+inFlight-1, "t", 1, 0))
			for i := range int32(inFlight - 1) {
				s.feed(false, commitResponse(first+i, "before", 1, 0))
			}
			assert.EqualValues(t, state.RoleClient, s.fed().Role)
			assert.NotContains(t, s.left(), "unknown_version", "taken for requests")
			s.correlation = first + 2*inFlight
			s.requireUnderstands(t, "after the attach")
			assert.EqualValues(t, state.RoleClient, s.fed().Role)
			for _, l := range s.k.snapshot().Links {
				assert.Equal(t, state.RoleClient, l.Role)
			}
			assert.Empty(t, s.committed("g", "before"), "answers to what was not seen say nothing")
			assert.Equal(t, counting(1, 1), s.committed("g", "t"))
		})
	}
}

// A commit that is not understood may have changed any offset that the client committed before.
func TestLostRequestIsNoted(t *testing.T) {
	s := situate(t, roomy)
	lost := func() uint64 {
		t.Helper()
		links := s.k.snapshot().Links
		require.Len(t, links, 1)
		for _, l := range links {
			return l.Lost
		}
		return 0
	}
	s.exchange("g", "t", 2, 10)
	assert.Zero(t, lost())

	_, response := s.commit("g", "t", 2, 20)
	s.feed(false, response) // nobody was seen to ask
	s.exchange("g", "t", 2, 30)
	assert.Zero(t, lost(), "a response alone is no request that was lost")

	request, _ := s.commit("g", "t", 2, 40)
	s.unseen(true, len(request))
	noted := lost()
	assert.NotZero(t, noted, "sent by sendfile or io_uring")
	acked := uint64(0)
	for _, o := range s.k.snapshot().Offsets {
		acked = max(acked, o.Acked)
	}
	assert.Greater(t, noted, acked)
	s.requireUnderstands(t, "after it")
	assert.Equal(t, noted, lost(), "once")
}

// Frames of one read are told apart by their order.
func TestCommitsInOneReadKeepTheirOrder(t *testing.T) {
	s := situate(t, roomy)
	s.exchange("g", "t", 1, 1)
	var requests, responses []byte
	for i := range 5 {
		request, response := s.commit(fmt.Sprint("g", i), "t", 1, int64(i))
		requests, responses = append(requests, request...), append(responses, response...)
	}
	s.feed(true, requests)
	s.feed(false, responses)
	acked := map[string]uint64{}
	for _, o := range s.k.snapshot().Offsets {
		acked[s.k.name(uint64(o.Group)).bytes] = o.Acked
	}
	for i := 1; i < 5; i++ {
		assert.Greater(t, acked[fmt.Sprint("g", i)], acked[fmt.Sprint("g", i-1)])
	}
}

// Of the requests before the first answer only so many are remembered. What the others have committed is not known.
func TestManyInFlightBeforeTheFirstAnswer(t *testing.T) {
	const remembered, inFlight = 64, 100
	s := situate(t, roomy)
	for i := range int32(inFlight) {
		s.feed(true, commitRequest(i, "g", "t", 1, int64(i)))
	}
	for i := range int32(inFlight) {
		s.feed(false, commitResponse(i, "t", 1, 0))
	}
	v := s.k.snapshot()
	require.Len(t, v.Offsets, 1)
	o := v.Offsets[0]
	require.EqualValues(t, remembered-1, o.Offset)
	assert.Greater(t, v.Links[o.Link].Lost, o.Ordered, "a later request was not remembered")
	s.correlation = 2 * inFlight
	s.exchange("g", "t", 1, 200)
	o = s.k.snapshot().Offsets[0]
	assert.EqualValues(t, 200, o.Offset)
	assert.Less(t, v.Links[o.Link].Lost, o.Ordered)
}
