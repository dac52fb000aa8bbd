// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"bytes"
	"encoding/binary"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
)

// provoked are the reasons to leave something out that have a test of their own elsewhere.
var provoked = map[string]string{
	"bad_header":          "TestImpossibleSizes",
	"frame_tail":          "TestResponseLongerThanItsMessage",
	"unseen_bytes":        "TestUnseenField",
	"ambiguous_request":   "TestDuplicateCorrelation",
	"unknown_version":     "TestUnknownVersion",
	"name_too_long":       "TestLongGroupName",
	"pending_missing":     "TestValuesOfAMalformedRequest",
	"connections_full":    "TestConnectionsFull",
	"links_full":          "TestLinksFull",
	"names_full":          "TestNamesFull",
	"requests_full":       "TestRequestsFull",
	"pending_full":        "TestPendingFull",
	"offsets_full":        "TestOffsetsFull",
	"watermarks_full":     "TestWatermarksFull",
	"times_full":          "TestWatermarksFull",
	"commits_full":        "TestOffsetsFull",
	"topic_ids_full":      "TestTopicIDsFull",
	"sessions_full":       "TestSessionsAndMembersFull",
	"members_full":        "TestSessionsAndMembersFull",
	"transaction_full":    "TestTransactionsFull",
	"transaction_unknown": "TestTransactionUnknown",
	"groups_full":         "TestGroupsFull",
	"assignments_full":    "TestAssignmentsFull",
	"gone_topics_full":    "TestGoneTopicsFull",
	"shares_full":         "TestSharesFull",
	// in this file
	"malformed":       "TestMalformed",
	"user_copy":       "TestUnreadableBuffer",
	"orphan_response": "TestOrphanResponses",
	"step_limit":      "TestStepLimit",
	"stream_busy":     "TestTwoThreadsInOneDirection",
	"name_collision":  "TestNameCollision",
	"parked_full":     "TestParkedFull",
	"parked_too_long": "TestParkedTooLong",
}

// unprovoked are those that no input of the decoder brings about, and why.
var unprovoked = map[string]string{
	"nesting":        "no message of Kafka nests arrays deeper than the loop stack",
	"link_collision": "needs two processes or addresses with one 64-bit hash",
	"peers_full":     "there are as many places as connections, and each connection takes one at most",
	"compat_syscall": "counted by the hooks: package test/hooks",
	// A kernel that is preempted within a program does not run it for whoever comes next on that CPU.
	"program_skipped": "counted by the kernel",
}

// TestEveryReasonIsProvoked fails for a new reason that has no test.
func TestEveryReasonIsProvoked(t *testing.T) {
	for r := range probe.Reasons {
		name := probe.Reason(r).String()
		_, is := provoked[name]
		_, not := unprovoked[name]
		require.True(t, is != not, "%s must be in one of the two lists", name)
	}
	require.Len(t, provoked, probe.Reasons-len(unprovoked))
}

func TestMalformed(t *testing.T) {
	s := situate(t, roomy)
	s.exchange("g", "orders", 3, 10)
	request, _ := s.commit("g", "orders", 3, 20)
	at := bytes.Index(request, []byte("orders")) - 1
	request[at] = 0x7f // the topic's length
	s.feed(true, request)
	require.Equal(t, count(1, "malformed"), s.left())
	s.requireUnderstands(t, "after")
}

// A buffer that the process has taken away before the decoder looks.
func TestUnreadableBuffer(t *testing.T) {
	s := situate(t, roomy)
	s.requireUnderstands(t, "before")
	gone, err := syscall.Mmap(-1, 0, 4096, syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	require.NoError(t, err)
	defer func() { require.NoError(t, syscall.Munmap(gone)) }()
	s.feed(true, gone)
	require.Equal(t, count(1, "user_copy"), s.left())
	s.requireUnderstands(t, "after")
}

// Responses to requests that were not seen: a few are kept, for the requests may be late. Then the place is doubted.
func TestOrphanResponses(t *testing.T) {
	s := situate(t, roomy)
	s.requireUnderstands(t, "before")
	const most = 64 // ORPHANS_MAX of bpf/frames.h
	for i := range most + 2 {
		s.feed(false, commitResponse(int32(1000+i), "orders", 2, 0))
	}
	require.EqualValues(t, 1, s.left()["orphan_response"])
	require.Equal(t, most, s.k.entries()["parked"])
	s.requireUnderstands(t, "after")
}

// One call that holds more than a run may do.
func TestStepLimit(t *testing.T) {
	s := situate(t, roomy)
	s.exchange("g", "orders", 3, 10)
	request, _ := s.commit("g", "orders", 70_000, 0)
	s.feed(true, request)
	require.Equal(t, count(1, "step_limit"), s.left())
	s.requireUnderstands(t, "after")
	require.Equal(t, counting(3, 10), s.committed("g", "orders"))
}

func TestTwoThreadsInOneDirection(t *testing.T) {
	s := situate(t, roomy)
	s.requireUnderstands(t, "before")
	request := commitRequest(1, "g", "orders", 2000, 0)
	for until := time.Now().Add(20 * time.Second); s.left()["stream_busy"] == 0; {
		require.True(t, time.Now().Before(until), "two threads never met")
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for range 50 {
					_ = s.k.Feed(&s.FeedConnection, probe.Sent, request)
				}
			})
		}
		wg.Wait()
	}
	s.requireUnderstands(t, "after")
}

// Two names with one 64-bit id can be made, for the hash is no secret: the second is left out, and the first
// keeps its values.
func TestNameCollision(t *testing.T) {
	const a0, mul = uint64(0x165667b19e3779f9) + 16, uint64(0x9e3779b97f4a7c15)
	mix := func(w uint64) uint64 {
		a := (a0 ^ w) * mul
		return a ^ a>>29
	}
	first, other := binary.LittleEndian.Uint64([]byte("topic-01")), binary.LittleEndian.Uint64([]byte("topic-02"))
	second := binary.LittleEndian.Uint64([]byte("-twin-00"))
	one := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, first), second)
	two := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, other), second^mix(first)^mix(other))

	s := situate(t, roomy)
	s.exchange("g", string(one), 3, 10)
	s.exchange("g", string(two), 3, 90)
	require.Equal(t, count(2, "name_collision"), s.left())
	require.Equal(t, counting(3, 10), s.committed("g", string(one)))
	require.Empty(t, s.committed("g", string(two)))
}

func TestParkedTooLong(t *testing.T) {
	s := situate(t, roomy)
	s.requireUnderstands(t, "before")
	request, response := s.commit("g", "orders", 1000, 0)
	s.feed(false, response)
	s.feed(true, request)
	require.Equal(t, count(1, "parked_too_long"), s.left())
	s.requireUnderstands(t, "after")
}

func TestParkedFull(t *testing.T) {
	s := situate(t, roomy)
	all := make([]*situation, 70)
	for i := range all {
		all[i] = s.another()
		all[i].requireUnderstands(t, "before")
	}
	for _, c := range all {
		for i := range 4 {
			c.feed(false, commitResponse(int32(1000+i), "orders", 2, 0))
		}
	}
	require.Equal(t, 256, s.k.entries()["parked"])
	require.Equal(t, count(uint64(4*len(all)-256), "parked_full"), s.left())
	all[69].requireUnderstands(t, "after")
}
