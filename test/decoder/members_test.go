// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// Members of groups: what they own, and how long they rebalance.

func (s *situation) answered(req kmsg.Request, resp kmsg.Response) {
	s.correlation++
	resp.SetVersion(req.GetVersion())
	s.feed(true, requestFrame(req, s.correlation, &testClient, noTags))
	s.feed(false, responseFrame(resp, s.correlation, noTags))
}

func (s *situation) join(group, member string, code int16) {
	req, resp := kmsg.NewPtrJoinGroupRequest(), kmsg.NewPtrJoinGroupResponse()
	req.Version, req.Group, req.MemberID = 5, group, member
	resp.ErrorCode, resp.MemberID, resp.Generation = code, member, 3
	s.answered(req, resp)
}

func (s *situation) heartbeat(group, member string, code int16) {
	req, resp := kmsg.NewPtrHeartbeatRequest(), kmsg.NewPtrHeartbeatResponse()
	req.Version, req.Group, req.MemberID = 3, group, member
	resp.ErrorCode = code
	s.answered(req, resp)
}

func (s *situation) leave(group, member string) {
	req, resp := kmsg.NewPtrLeaveGroupRequest(), kmsg.NewPtrLeaveGroupResponse()
	req.Version, req.Group, req.MemberID = 2, group, member
	s.answered(req, resp)
}

func syncGroup(version int16, group, member string, assignment []byte, code int16) (kmsg.Request, kmsg.Response) {
	req, resp := kmsg.NewPtrSyncGroupRequest(), kmsg.NewPtrSyncGroupResponse()
	req.Version, req.Group, req.MemberID, req.Generation = version, group, member, 3
	resp.Version, resp.ErrorCode, resp.MemberAssignment = version, code, assignment
	return req, resp
}

func (s *situation) sync(group, member string, assignment []byte, code int16) {
	s.answered(syncGroup(3, group, member, assignment, code))
}

// assignmentOf is what the leader of a group writes.
func assignmentOf(topics map[string][]int32) []byte {
	a := kmsg.NewConsumerMemberAssignment()
	a.Version, a.UserData = 1, []byte("of the assignor")
	for _, topic := range []string{"orders", "payments"} {
		if partitions, ok := topics[topic]; ok {
			a.Topics = append(a.Topics, kmsg.ConsumerMemberAssignmentTopic{Topic: topic, Partitions: partitions})
		}
	}
	return a.AppendTo(nil)
}

// owners tells who owns what of a group, as of each member's newest assignment: by topic and partition.
func (s *situation) owners(group string) map[string]string {
	snapshot := s.k.snapshot()
	times := map[state.NameID]uint64{}
	for _, m := range snapshot.Members {
		if s.k.name(uint64(m.Group)).bytes == group {
			times[m.Member] = m.Assigned
		}
	}
	all := map[string]string{}
	for _, a := range snapshot.Assignments {
		if s.k.name(uint64(a.Group)).bytes == group && times[a.Member] == a.Assigned {
			all[fmt.Sprintf("%s-%d", s.k.name(uint64(a.Topic)).bytes, a.Partition)] = s.k.name(uint64(a.Member)).bytes
		}
	}
	return all
}

func (s *situation) group(t *testing.T, group string) state.Group {
	t.Helper()
	for _, g := range s.k.snapshot().Groups {
		if s.k.name(uint64(g.Group)).bytes == group {
			return g
		}
	}
	t.Fatalf("group %s is not known", group)
	return state.Group{}
}

func TestAssignments(t *testing.T) {
	s := situate(t, roomy)
	other := s.another()
	s.sync("g", "m1", assignmentOf(map[string][]int32{"orders": {0, 1, 2}, "payments": {5}}), 0)
	require.Equal(t, map[string]string{"orders-0": "m1", "orders-1": "m1", "orders-2": "m1", "payments-5": "m1"}, s.owners("g"))
	// A second member joins: each is told anew.
	s.sync("g", "m1", assignmentOf(map[string][]int32{"orders": {0, 1}}), 0)
	require.Equal(t, map[string]string{"orders-0": "m1", "orders-1": "m1"}, s.owners("g"))
	other.sync("g", "m2", assignmentOf(map[string][]int32{"orders": {2}, "payments": {5}}), 0)
	owners := map[string]string{"orders-0": "m1", "orders-1": "m1", "orders-2": "m2", "payments-5": "m2"}
	require.Equal(t, owners, s.owners("g"))
	s.sync("g", "m1", nil, 27)
	s.heartbeat("g", "m1", 27)
	require.Equal(t, owners, s.owners("g"), "a refusal assigns nothing")
	s.sync("g", "m1", assignmentOf(nil), 0)
	require.Equal(t, map[string]string{"orders-2": "m2", "payments-5": "m2"}, s.owners("g"))
	require.Equal(t, none, s.left())
}

// KIP-848: the assignment comes with a heartbeat, by topic id, and only when it has changed.
func TestAssignmentsOfHeartbeats(t *testing.T) {
	s := situate(t, roomy)
	beat := func(code int16, partitions ...int32) {
		req, resp := kmsg.NewPtrConsumerGroupHeartbeatRequest(), kmsg.NewPtrConsumerGroupHeartbeatResponse()
		req.Version, req.Group, req.MemberID = 1, "g", "m"
		resp.ErrorCode, resp.MemberID, resp.MemberEpoch = code, kmsg.StringPtr("m"), 2
		if partitions != nil {
			resp.Assignment = &kmsg.ConsumerGroupHeartbeatResponseAssignment{}
			if len(partitions) > 0 {
				resp.Assignment.Topics = []kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic{{TopicID: jobs, Partitions: partitions}}
			}
		}
		s.answered(req, resp)
	}
	id := string(jobs[:])
	beat(0, 0, 1)
	require.Equal(t, map[string]string{id + "-0": "m", id + "-1": "m"}, s.owners("g"))
	beat(0)
	beat(25) // UNKNOWN_MEMBER_ID
	require.Equal(t, map[string]string{id + "-0": "m", id + "-1": "m"}, s.owners("g"))
	beat(0, 1)
	require.Equal(t, map[string]string{id + "-1": "m"}, s.owners("g"))
	beat(0, []int32{}...)
	require.Empty(t, s.owners("g"))
}

// Bytes that are not what consumers write, or only begin like it: the frame behind them is understood, and what they
// say truly stands.
func TestAssignmentsOfOthers(t *testing.T) {
	whole := assignmentOf(map[string][]int32{"orders": {0, 1, 2}, "payments": {5}})
	connect := kmsg.ConnectMemberAssignment{
		Version: 1, Leader: "connect-1-5a0c", LeaderURL: "http://connect-1:8083/", ConfigOffset: 17,
		Assignment: []kmsg.ConnectMemberAssignmentAssignment{{Connector: "sink", Tasks: []int16{-1, 0, 1}}},
	}
	beyond := func(at int, b ...byte) []byte {
		changed := bytes.Clone(whole)
		copy(changed[at:], b)
		return changed
	}
	all := map[string]string{"orders-0": "m", "orders-1": "m", "orders-2": "m", "payments-5": "m"}
	second := 2 + 4 + 2 + len("orders") + 4 + 3*4
	k := load(t, roomy)
	for _, c := range []struct {
		what  string
		bytes []byte
		want  map[string]string
	}{
		{"connect", connect.AppendTo(nil), map[string]string{}},
		{"one byte", []byte{0}, map[string]string{}},
		{"text", []byte("an assignment of my own"), map[string]string{}},
		{"topics beyond the end", beyond(2, 0x7f, 0xff, 0xff, 0xff), map[string]string{}},
		{"fewer than no topics", beyond(2, 0x80, 0, 0, 0), map[string]string{}},
		{"null topics", beyond(2, 0xff, 0xff, 0xff, 0xff), map[string]string{}},
		{"a name beyond the end", beyond(6, 0x7f, 0xff), map[string]string{}},
		{"partitions beyond the end", beyond(second+2+len("payments"), 0, 0, 1, 0), map[string]string{}},
		{"a second name beyond the end", beyond(second, 0x40, 0), map[string]string{}},
		{"one topic more than there are", beyond(2, 0, 0, 0, 9), map[string]string{}},
		{"more behind", append(bytes.Clone(whole), "of a later version"...), all},
		{"nothing behind", whole[:second+2+len("payments")+4+4], all},
		{"cut", whole[:second+2+len("payments")+4+3], map[string]string{}},
	} {
		s := &situation{connection: k.connect(state.RoleClient), began: k.stats()}
		s.requireUnderstands(t, "before")
		for version := int16(0); version <= 5; version++ {
			s.answered(syncGroup(version, fmt.Sprint("g", version), "m", c.bytes, 0))
			require.Equal(t, c.want, s.owners(fmt.Sprint("g", version)), "%s, version %d", c.what, version)
		}
		s.requireUnderstands(t, c.what)
		require.Equal(t, none, s.left(), c.what)
		require.EqualValues(t, 12, k.stats().Frames["SyncGroup"]-s.began.Frames["SyncGroup"], c.what)
		s.close()
		k.forget()
	}
}

// An assignment of any length that ends too early, as the last bytes of a frame and of a read: the member's answer counts
// at once, not when the next one comes.
func TestAssignmentThatEndsEarly(t *testing.T) {
	whole := assignmentOf(map[string][]int32{"orders": {0, 1, 2}, "payments": {5}})
	s := situate(t, roomy)
	for n := range len(whole) + 1 {
		for _, version := range []int16{0, 3, 4} {
			group := fmt.Sprintf("g-%d-%d", n, version)
			s.answered(syncGroup(version, group, "m", whole[:n], 0))
			known := 0
			for _, m := range s.k.snapshot().Members {
				if s.k.name(uint64(m.Group)).bytes == group {
					known++
				}
			}
			require.Equal(t, 1, known, "%d bytes, version %d", n, version)
		}
	}
	require.Equal(t, none, s.left())
}

// Cut at every byte, whole and damaged, followed by another frame in the same read.
func TestAssignmentCutAtEveryByte(t *testing.T) {
	whole := assignmentOf(map[string][]int32{"orders": {0, 1, 2}, "payments": {5}})
	damaged := bytes.Clone(whole)
	damaged[2+4+2+len("orders")+4+3*4] = 0x40
	k := load(t, roomy)
	for i, assignment := range [][]byte{whole, damaged, whole[:20], {0, 1, 2}} {
		for version := range int16(6) {
			s := &situation{connection: k.connect(state.RoleClient), began: k.stats()}
			s.requireUnderstands(t, "before")
			want := map[string]string(nil)
			for cut := 4; ; cut++ {
				group := fmt.Sprint("g", cut%3)
				req, resp := syncGroup(version, group, "m", assignment, 0)
				s.correlation++
				s.feed(true, requestFrame(req, s.correlation, &testClient, noTags))
				b := responseFrame(resp, s.correlation, noTags)
				request, response := s.commit("g", "orders", 2, int64(cut))
				s.feed(true, request)
				if cut >= len(b) {
					break
				}
				s.feed(false, b[:cut])
				s.feed(false, append(bytes.Clone(b[cut:]), response...))
				require.Equal(t, counting(2, int64(cut)), s.committed("g", "orders"), "assignment %d version %d cut at %d", i, version, cut)
				got := s.owners(group)
				if want == nil {
					want = got
				}
				require.Equal(t, want, got, "assignment %d version %d cut at %d", i, version, cut)
			}
			require.Equal(t, none, s.left())
			s.close()
			k.forget()
		}
	}
}

func TestRebalance(t *testing.T) {
	s := situate(t, roomy)
	s.requireUnderstands(t, "before")
	own := assignmentOf(map[string][]int32{"orders": {0}})
	began := time.Now()
	s.join("g", "", 79) // MEMBER_ID_REQUIRED
	joining := s.group(t, "g").Joining
	require.NotZero(t, joining)
	s.join("g", "m", 0)
	s.sync("g", "m", nil, 27) // another has joined meanwhile
	s.join("g", "m", 0)
	require.Equal(t, joining, s.group(t, "g").Joining, "it is one rebalance")
	require.Zero(t, s.group(t, "g").Joined)
	s.sync("g", "m", own, 0)
	first := s.group(t, "g")
	require.EqualValues(t, 1, first.Rebalances)
	require.Greater(t, first.Joined, joining)
	require.EqualValues(t, first.Joined-joining, first.Rebalancing)
	require.Less(t, first.Rebalancing, time.Since(began))

	s.heartbeat("g", "m", 0)
	s.sync("g", "m", own, 0) // without a rebalance
	require.Equal(t, first, s.group(t, "g"))
	s.heartbeat("g", "m", 27) // it begins here, not when the member joins
	joining = s.group(t, "g").Joining
	require.Greater(t, joining, first.Joined)
	s.heartbeat("g", "m", 27)
	s.join("g", "m", 0)
	s.sync("g", "m", own, 0)
	second := s.group(t, "g")
	require.EqualValues(t, 2, second.Rebalances)
	require.EqualValues(t, second.Joined-joining, second.Rebalancing-first.Rebalancing)

	s.heartbeat("g", "m", 27)
	s.leave("g", "m") // instead of joining
	s.sync("g", "m", own, 0)
	require.EqualValues(t, 2, s.group(t, "g").Rebalances)

	other := s.another() // a second member counts as well
	other.requireUnderstands(t, "before")
	other.join("g", "m2", 0)
	other.sync("g", "m2", own, 0)
	require.EqualValues(t, 3, s.group(t, "g").Rebalances)
	require.Equal(t, none, s.left())
}

func TestGroupsFull(t *testing.T) {
	s := situate(t, probe.Options{Connections: 4})
	s.requireUnderstands(t, "before")
	for i := range 6 {
		s.join(fmt.Sprint("g", i), "m", 0)
		s.leave(fmt.Sprint("g", i), "m")
	}
	require.EqualValues(t, 2, s.left()["groups_full"])
	require.NotZero(t, s.group(t, "g3").Joining)
}

func TestAssignmentsFull(t *testing.T) {
	s := situate(t, probe.Options{Offsets: 64})
	partitions := make([]int32, 40)
	for i := range partitions {
		partitions[i] = int32(i)
	}
	s.sync("g", "m", assignmentOf(map[string][]int32{"orders": partitions}), 0)
	require.Equal(t, count(8, "assignments_full"), s.left())
	require.Len(t, s.owners("g"), 32)
}
