// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// Names that are longer than what is kept are left out and counted, up to the longest that the protocol allows;
// everything else of the same frame and connection is unharmed.
func TestLongGroupName(t *testing.T) {
	s := situate(t, roomy)
	s.requireUnderstands(t, "before")
	for i, length := range []int{256, 4096, 32767} {
		s.exchange(strings.Repeat("x", length), "orders", 3, 10)
		require.Equal(t, count(uint64(i+1), "name_too_long"), s.left())
	}
	require.Empty(t, s.committed(strings.Repeat("x", 256), "orders"))
	require.Zero(t, s.k.entries()["pending"], "values of a commit that is left out wait for nothing")
	s.exchange(strings.Repeat("y", 255), "orders", 3, 20)
	require.Equal(t, counting(3, 20), s.committed(strings.Repeat("y", 255), "orders"))
	s.requireUnderstands(t, "after")
}

// A client reads a response before the hook of its request has run: nothing tells yet which of the two it sends. What
// looks like a request with a long name in it has left out nothing.
func TestLongNameInNoRequest(t *testing.T) {
	s := situate(t, roomy)
	var asif []byte
	asif = binary.BigEndian.AppendUint32(asif, 4+4+2+2+2+4+4+2+1000) // as a response: its size,
	asif = binary.BigEndian.AppendUint32(asif, 3)                    // and the id of the request; as a request: Produce 3
	asif = binary.BigEndian.AppendUint32(asif, 7)                    // correlation id
	asif = binary.BigEndian.AppendUint16(asif, 0)                    // client id
	asif = binary.BigEndian.AppendUint16(asif, 0)                    // transactional id
	asif = binary.BigEndian.AppendUint16(asif, 1)                    // acks
	asif = binary.BigEndian.AppendUint32(asif, 0)                    // timeout
	asif = binary.BigEndian.AppendUint32(asif, 1)                    // topics
	asif = binary.BigEndian.AppendUint16(asif, 300)                  // name
	asif = append(asif, bytes.Repeat([]byte{0xff}, 1000)...)
	s.feed(false, asif)
	require.Equal(t, none, s.left())
	s.requireUnderstands(t, "after")
}

// Names are bytes to Kafka's wire format: they are kept as they are.
func TestNamesThatAreNotUTF8(t *testing.T) {
	s := situate(t, roomy)
	for _, n := range []string{"\xff\xfe", "\xc3\x28", "a\x00b", "\x00", "", "naïve", "\xed\xa0\x80"} {
		s.exchange(n, n+"t", 2, 5)
		require.Equal(t, counting(2, 5), s.committed(n, n+"t"), "%q", n)
	}
	require.Equal(t, none, s.left())
}

// A frame that says it has 2 GiB, or less than nothing, is none.
func TestImpossibleSizes(t *testing.T) {
	for _, size := range []uint32{0x7fffffff, 0x80000000, 0xffffffff, 0, 1, 7, 100<<20 + 1} {
		s := situate(t, roomy)
		s.exchange("g", "orders", 3, 10)
		request, response := s.commit("g", "orders", 3, 20)
		bad := bytes.Clone(request)
		binary.BigEndian.PutUint32(bad, size)
		s.feed(true, bad)
		require.Equal(t, count(1, "bad_header"), s.left(), "%#x", size)
		s.feed(true, request)
		if size == 0x7fffffff || size == 100<<20+1 { // responses may be as large as that
			size = 0xfffffffe
		}
		bad = bytes.Clone(response)
		binary.BigEndian.PutUint32(bad, size)
		if int32(size) < 4 {
			s.feed(false, bad)
			require.Equal(t, counting(3, 10), s.committed("g", "orders"), "%#x", size)
		}
		s.feed(false, response)
		require.Equal(t, counting(3, 20), s.committed("g", "orders"), "%#x", size)
	}
}

// A response of 2 GiB in which the message ends long before is found out at the message's end.
func TestResponseLongerThanItsMessage(t *testing.T) {
	s := situate(t, roomy)
	s.exchange("g", "orders", 3, 10)
	request, response := s.commit("g", "orders", 3, 20)
	s.feed(true, request)
	binary.BigEndian.PutUint32(response, 0x7fffffff)
	s.feed(false, response)
	require.Equal(t, count(1, "frame_tail"), s.left())
	s.requireUnderstands(t, "after")
}

// Each way to cut an exchange in two, in both directions and both roles.
func TestCutsAtEveryByte(t *testing.T) {
	k := load(t, roomy)
	began := k.stats()
	for _, role := range []state.Role{state.RoleClient, state.RoleBroker} {
		s := &situation{connection: k.connect(role), began: began}
		probe, answer := s.commit("g", "orders", 3, 0)
		first := int64(0)
		for cut := 1; cut < max(len(probe), len(answer)); cut++ {
			first += 10
			request, response := s.commit("g", "orders", 3, first)
			at := min(cut, len(request)-1)
			s.feed(true, request[:at])
			s.feed(true, request[at:])
			at = min(cut, len(response)-1)
			s.feed(false, response[:at])
			s.feed(false, response[at:])
			require.Equal(t, counting(3, first), s.committed("g", "orders"), "cut at %d", cut)
		}
		s.close()
		k.forget()
	}
	require.Equal(t, none, drops(began, k.stats()))
}

// A frame in well over a thousand reads.
func TestThousandsOfReads(t *testing.T) {
	s := situate(t, roomy)
	request, response := s.commit("g", "orders", 500, 10)
	require.Greater(t, len(request), 4000)
	for i := range request {
		s.feed(true, request[i:i+1])
	}
	for i := range response {
		s.feed(false, response[i:i+1])
	}
	require.Equal(t, counting(500, 10), s.committed("g", "orders"))
	require.Equal(t, none, s.left())
}

func TestLargeCommit(t *testing.T) {
	s := situate(t, roomy)
	s.exchange("g", "orders", 5000, 1000)
	require.Equal(t, counting(5000, 1000), s.committed("g", "orders"))
	require.Equal(t, none, s.left())
	require.Zero(t, s.k.entries()["pending"])
}

// Producers that want no answer get none: the next response is not theirs.
func TestProduceWithoutAnswer(t *testing.T) {
	s := situate(t, roomy)
	for range 100 {
		req := kmsg.NewPtrProduceRequest()
		req.Version, req.Acks = 9, 0
		s.correlation++
		s.feed(true, requestFrame(req, s.correlation, &testClient, noTags))
	}
	require.Zero(t, s.k.entries()["requests"])
	s.requireUnderstands(t, "after")
	require.Equal(t, none, s.left())
}

// A connection that ends within a frame leaves nothing behind for the next one with its number.
func TestCloseWithinAFrame(t *testing.T) {
	s := situate(t, roomy)
	s.exchange("g", "orders", 3, 10)
	request, response := s.commit("g", "orders", 3, 20)
	for cut := 1; cut < len(request); cut++ {
		s.feed(true, request[:cut])
		s.close()
		s.requireUnderstands(t, "request cut")
	}
	for cut := 1; cut < len(response); cut += 3 {
		s.feed(true, request)
		s.feed(false, response[:cut])
		s.close()
		s.requireUnderstands(t, "response cut")
	}
	// The first connection's end is no loss.
	require.Equal(t, none, s.left())
}
