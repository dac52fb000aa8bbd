// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// How requests and responses of one connection meet.

func TestPipelined(t *testing.T) {
	s := situate(t, roomy)
	s.requireUnderstands(t, "before")
	var requests, responses []byte
	for i := range 100 {
		request, response := s.commit("g", "orders", 1+i%7, int64(1000*i))
		requests = append(requests, request...)
		responses = append(responses, response...)
	}
	s.feed(true, requests)
	require.Equal(t, 100, s.k.entries()["requests"])
	s.feed(false, responses)
	want := map[int32]int64{}
	for i := range 100 {
		for p := range 1 + i%7 {
			want[int32(p)] = int64(1000*i + p)
		}
	}
	require.Equal(t, want, s.committed("g", "orders"))
	require.Equal(t, none, s.left())
	require.Zero(t, s.k.entries()["requests"])
}

// A response may be read by another thread before the hook of its request has run.
func TestResponseBeforeRequest(t *testing.T) {
	s := situate(t, roomy)
	s.requireUnderstands(t, "before")
	request, response := s.commit("g", "orders", 3, 10)
	s.feed(false, response)
	require.Empty(t, s.committed("g", "orders"))
	s.feed(true, request)
	require.Equal(t, counting(3, 10), s.committed("g", "orders"))
	require.EqualValues(t, 1, s.k.stats().LateRequests)
	require.Equal(t, none, s.left())
	s.requireUnderstands(t, "after")
	require.Zero(t, s.k.entries()["parked"])
}

// Also byte by byte, and with the request arriving while the response does.
func TestResponseBeforeRequestInPieces(t *testing.T) {
	s := situate(t, roomy)
	s.requireUnderstands(t, "before")
	_, probe := s.commit("g", "orders", 3, 0)
	for cut := 8; cut < len(probe); cut++ {
		request, response := s.commit("g", "orders", 3, int64(cut))
		for i := range cut {
			s.feed(false, response[i:i+1])
		}
		s.feed(true, request[:cut])
		s.feed(true, request[cut:])
		for i := cut; i < len(response); i++ {
			s.feed(false, response[i:i+1])
		}
		require.Equal(t, counting(3, int64(cut)), s.committed("g", "orders"), "cut at %d", cut)
	}
	require.Equal(t, none, s.left())
	require.Zero(t, s.k.entries()["parked"])
}

// Several responses at once overtake their requests, as many as are believed in a row; and in turns with others.
func TestManyResponsesBeforeRequests(t *testing.T) {
	s := situate(t, roomy)
	s.requireUnderstands(t, "before")
	late := uint64(0)
	for round := range 10 {
		var requests, responses []byte
		for i := range 4 {
			request, response := s.commit("g", "orders", 2, int64(100*round+10*i))
			requests = append(requests, request...)
			responses = append(responses, response...)
			late++
		}
		s.feed(false, responses)
		s.feed(true, requests)
		require.Equal(t, counting(2, int64(100*round+30)), s.committed("g", "orders"))
		request, response := s.commit("g", "payments", 2, int64(round))
		s.feed(true, request)
		requestLate, responseLate := s.commit("g", "orders", 2, int64(100*round+50))
		s.feed(false, append(response, responseLate...))
		s.feed(true, requestLate)
		late++
		require.Equal(t, counting(2, int64(round)), s.committed("g", "payments"))
		require.Equal(t, counting(2, int64(100*round+50)), s.committed("g", "orders"))
	}
	require.Equal(t, late, s.k.stats().LateRequests)
	require.Equal(t, none, s.left())
}

// Two requests in flight with one correlation id: which is answered is not known, so nothing is published.
func TestDuplicateCorrelation(t *testing.T) {
	s := situate(t, roomy)
	s.exchange("g", "orders", 3, 10)
	request, response := s.commit("g", "orders", 3, 20)
	s.feed(true, request)
	s.feed(true, commitRequest(s.correlation, "g", "orders", 3, 30))
	s.feed(false, response)
	require.Equal(t, counting(3, 10), s.committed("g", "orders"))
	require.Equal(t, count(1, "ambiguous_request"), s.left())
	s.feed(false, response)
	require.Equal(t, counting(3, 10), s.committed("g", "orders"))
	s.requireUnderstands(t, "after")
}

// One id after the other, as the Rust client does, is no duplicate.
func TestRepeatedCorrelation(t *testing.T) {
	s := situate(t, roomy)
	for i := range 5 {
		s.feed(true, commitRequest(1, "g", "orders", 3, int64(i)))
		s.feed(false, commitResponse(1, "orders", 3, 0))
		require.Equal(t, counting(3, int64(i)), s.committed("g", "orders"))
	}
	require.Equal(t, none, s.left())
}

// A request that is not understood to its end leaves no value behind for the next one with its id.
func TestValuesOfAMalformedRequest(t *testing.T) {
	s := situate(t, roomy)
	s.exchange("g", "orders", 1, 5)
	s.correlation++
	bad := commitRequest(s.correlation, "g", "orders", 3, 666)
	bad[3] += 9 // the frame is longer than its message
	s.feed(true, append(bad, make([]byte, 9)...))
	require.Equal(t, count(1, "frame_tail"), s.left())
	s.feed(true, commitRequest(s.correlation, "g", "orders", 1, 6))
	s.feed(false, commitResponse(s.correlation, "orders", 3, 0)) // answers more than was asked
	require.Equal(t, map[int32]int64{0: 6, 1: changedUnseen, 2: changedUnseen}, s.committed("g", "orders"))
}

// A commit that is refused changes nothing but its counter.
func TestRefusedCommit(t *testing.T) {
	s := situate(t, roomy)
	s.exchange("g", "orders", 3, 10)
	request, _ := s.commit("g", "orders", 3, 20)
	s.feed(true, request)
	s.feed(false, commitResponse(s.correlation, "orders", 3, 22)) // ILLEGAL_GENERATION
	require.Equal(t, counting(3, 10), s.committed("g", "orders"))
	counts := map[int16]uint64{}
	for _, c := range s.k.snapshot().Commits {
		counts[c.Error] = c.Count
	}
	require.Equal(t, map[int16]uint64{0: 3, 22: 3}, counts)
}

// What is in the middle when the collector starts: the tail of a response, the middle of a request.
func TestAttachWithinFrames(t *testing.T) {
	k := load(t, roomy)
	for cut := 1; cut < 60; cut++ {
		for _, requestFirst := range []bool{true, false} {
			s := (&situation{connection: k.connect(1), began: k.stats()})
			request, response := s.commit("old", "orders", 3, 10)
			if requestFirst {
				s.feed(true, request[cut%len(request):])
			}
			s.feed(false, response[cut%len(response):])
			s.requireUnderstands(t, "the first exchange after it")
			s.close()
			k.forget()
			require.Empty(t, s.committed("old", "orders"))
		}
	}
	// The tail of a large fetch, many reads long.
	s := (&situation{connection: k.connect(1), began: k.stats()})
	for i := range 30 {
		s.feed(false, make([]byte, 1000+i))
	}
	s.requireUnderstands(t, "the first exchange after it")
}

// Versions that are newer than the tables are passed over on a connection that is known to be Kafka's.
func TestUnknownVersion(t *testing.T) {
	s := situate(t, roomy)
	s.requireUnderstands(t, "before")
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version = 9
	s.correlation++
	b := requestFrame(req, s.correlation, &testClient, noTags)
	b[7] = 99
	s.feed(true, b)
	s.feed(false, framed([]byte{0, 0, 0, byte(s.correlation), 1, 2, 3}))
	require.Equal(t, count(2, "unknown_version"), s.left())
	s.requireUnderstands(t, "after")
}

// A broker that does not know the version of an ApiVersions request answers with a body of version 0 (KIP-511): a
// new client's first exchange with an old broker is no loss.
func TestApiVersionsRefused(t *testing.T) {
	s := situate(t, roomy)
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = 4, "java", "4"
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.ErrorCode = 35 // UNSUPPORTED_VERSION
	resp.ApiKeys = append(resp.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: 18, MaxVersion: 3})
	s.correlation++
	s.feed(true, requestFrame(req, s.correlation, &testClient, noTags))
	s.feed(false, responseFrame(resp, s.correlation, noTags))
	s.requireUnderstands(t, "after")
	require.Equal(t, none, s.left())
	require.EqualValues(t, 1, s.k.stats().Recognised)
}
