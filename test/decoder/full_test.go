// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// Full maps refuse what is new, count it by reason, and keep what they have.

func TestConnectionsFull(t *testing.T) {
	s := situate(t, probe.Options{Connections: 4})
	s.exchange("g", "orders", 3, 10)
	for range 3 {
		s.another().feed(true, []byte("x"))
	}
	refused := s.another()
	require.ErrorIs(t, s.k.Feed(&refused.FeedConnection, probe.Sent, []byte("x")), probe.ErrRefused)
	require.Equal(t, count(1, "connections_full"), s.left())
	s.exchange("g", "orders", 3, 20)
	require.Equal(t, counting(3, 20), s.committed("g", "orders"))
}

func TestLinksFull(t *testing.T) {
	s := situate(t, probe.Options{Connections: 4})
	for i := range 6 { // each client id is a link
		testClient = fmt.Sprintf("client-%d", i)
		s.exchange("g", fmt.Sprint("topic-", i), 3, 10)
	}
	testClient = "test-client"
	require.Contains(t, s.left(), "links_full")
	for i := range 4 {
		require.Equal(t, counting(3, 10), s.committed("g", fmt.Sprint("topic-", i)))
	}
	require.Empty(t, s.committed("g", "topic-5"))
	require.Zero(t, s.k.entries()["pending"], "values for links that have no place wait for nothing")
	testClient = "client-2"
	s.exchange("g", "topic-2", 3, 20)
	testClient = "test-client"
	require.Equal(t, counting(3, 20), s.committed("g", "topic-2"))
}

func TestNamesFull(t *testing.T) {
	s := situate(t, probe.Options{Names: 8})
	s.exchange("g", "orders", 3, 10) // client, group, member, topic
	for i := range 8 {
		s.exchange("g", fmt.Sprint("topic-", i), 3, 10)
	}
	require.Contains(t, s.left(), "names_full")
	require.NotContains(t, s.left(), "pending_missing")
	s.exchange("g", "orders", 3, 20)
	require.Equal(t, counting(3, 20), s.committed("g", "orders"))
	require.Equal(t, counting(3, 10), s.committed("g", "topic-3"))
	require.Empty(t, s.committed("g", "topic-4"))
	require.Zero(t, s.k.entries()["pending"])
}

func TestOffsetsFull(t *testing.T) {
	s := situate(t, probe.Options{Offsets: 16})
	s.exchange("g", "orders", 16, 10)
	s.exchange("g", "orders", 20, 50)
	require.Equal(t, count(4, "offsets_full"), s.left())
	want := counting(16, 50)
	for p := range int32(4) { // what another link may have of these is no longer true
		want[16+p] = changedUnseen
	}
	require.Equal(t, want, s.committed("g", "orders"))
	// There are an eighth as many counters of commits, by topic.
	s.exchange("g", "two", 1, 1)
	s.exchange("g", "three", 1, 1)
	require.EqualValues(t, 1, s.left()["commits_full"])
	require.Len(t, s.k.snapshot().Commits, 2)
}

func TestPendingFull(t *testing.T) {
	s := situate(t, probe.Options{Pending: 8})
	s.exchange("g", "orders", 8, 10)
	s.exchange("g", "orders", 10, 50)
	require.Equal(t, uint64(2), s.left()["pending_full"])
	require.Equal(t, uint64(2), s.left()["pending_missing"])
	want := counting(8, 50)
	want[8], want[9] = changedUnseen, changedUnseen // acknowledged, but at what offset was not kept
	require.Equal(t, want, s.committed("g", "orders"))
	require.Zero(t, s.k.entries()["pending"])
}

func TestRequestsFull(t *testing.T) {
	s := situate(t, probe.Options{Pending: 8})
	s.exchange("g", "orders", 1, 10)
	var responses [][]byte
	for range 10 {
		s.correlation++
		req := kmsg.NewPtrHeartbeatRequest()
		s.feed(true, requestFrame(req, s.correlation, &testClient, noTags))
		responses = append(responses, responseFrame(req.ResponseKind(), s.correlation, noTags))
	}
	require.Equal(t, count(2, "requests_full"), s.left())
	for _, b := range responses {
		s.feed(false, b)
	}
	s.requireUnderstands(t, "after")
	require.Equal(t, count(2, "requests_full"), s.left())
}

func TestWatermarksFull(t *testing.T) {
	s := situate(t, probe.Options{Watermarks: 8})
	b := (&kmsg.RecordBatch{Length: 49, Magic: 2}).AppendTo(nil)
	for range 2 {
		request, response := s.fetch(b, b, nil, nil, nil, nil, nil, nil, b, nil)
		s.feed(true, request)
		s.feed(false, response)
	}
	require.Equal(t, map[string]uint64{"watermarks_full": 4, "times_full": 2}, s.left())
	require.Equal(t, counting(8, 1000), s.highWatermarks())
}

func TestTopicIDsFull(t *testing.T) {
	s := situate(t, probe.Options{Names: 16})
	metadata := func(id byte, topic string) {
		s.correlation++
		req := kmsg.NewPtrMetadataRequest()
		req.Version = 12
		resp := kmsg.NewPtrMetadataResponse()
		resp.Version = 12
		m := kmsg.NewMetadataResponseTopic()
		m.Topic, m.TopicID = &topic, [16]byte{id}
		resp.Topics = append(resp.Topics, m)
		s.feed(true, requestFrame(req, s.correlation, &testClient, noTags))
		s.feed(false, responseFrame(resp, s.correlation, noTags))
	}
	for i := range 10 {
		metadata(byte(1+i), "orders")
	}
	require.Equal(t, count(2, "topic_ids_full"), s.left())
	require.Len(t, s.k.snapshot().TopicIDs, 8)
}

func TestSessionsAndMembersFull(t *testing.T) {
	s := situate(t, probe.Options{Connections: 4})
	for i := range 6 {
		s.correlation++
		req := kmsg.NewPtrFetchRequest()
		req.Version = 12
		resp := kmsg.NewPtrFetchResponse()
		resp.Version, resp.SessionID = 12, int32(100+i)
		s.feed(true, requestFrame(req, s.correlation, &testClient, noTags))
		s.feed(false, responseFrame(resp, s.correlation, noTags))
		heartbeat(s, fmt.Sprint("member-", i))
	}
	require.Equal(t, count(2, "sessions_full", "members_full"), s.left())
	require.Len(t, s.k.snapshot().Sessions, 4)
	require.Len(t, s.k.snapshot().Members, 4)
}

func heartbeat(s *situation, member string) {
	s.correlation++
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group, req.MemberID = 3, "g", member
	resp := kmsg.NewPtrHeartbeatResponse()
	resp.Version = 3
	s.feed(true, requestFrame(req, s.correlation, &testClient, noTags))
	s.feed(false, responseFrame(resp, s.correlation, noTags))
}

// The end of a connection that is not wanted leaves nothing behind, whichever way its first bytes go.
func TestUnwantedEnd(t *testing.T) {
	for wanted, end := range map[probe.Role]state.Role{probe.Client: state.RoleBroker, probe.Broker: state.RoleClient} {
		o := roomy
		o.Role = wanted
		k := load(t, o)
		for range 3 { // each time it is a new connection: the one before was given up
			s := &situation{connection: k.connect(end), began: k.stats()}
			s.exchange("g", "orders", 2, 10)
		}
		for _, m := range []string{"pending", "requests", "offsets"} {
			require.Zero(t, k.entries()[m], "%s, wanted %v", m, wanted)
		}
	}
}
