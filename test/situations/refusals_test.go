// SPDX-License-Identifier: Apache-2.0

package situations

import (
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

// rebalanceMillis is how long members may take to join again, and to be silent.
const rebalanceMillis = 30_000

// member is a talker in a group of the classic protocol.
type member struct {
	*talker
	group, id  string
	generation int32
	instance   *string
}

func (m *member) joinRequest() *kmsg.JoinGroupRequest {
	q := kmsg.NewPtrJoinGroupRequest()
	q.Version = 3 // the last that lets a member in without asking it to come back with an id
	if m.instance != nil {
		q.Version = 5
	}
	q.Group, q.MemberID, q.InstanceID, q.ProtocolType = m.group, m.id, m.instance, "consumer"
	q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = rebalanceMillis, rebalanceMillis
	protocol := kmsg.NewJoinGroupRequestProtocol()
	protocol.Name = "range"
	q.Protocols = append(q.Protocols, protocol)
	return q
}

// joined takes the answer to a joinRequest.
func (m *member) joined(r kmsg.Response) *member {
	m.t.Helper()
	j := r.(*kmsg.JoinGroupResponse)
	require.Zero(m.t, j.ErrorCode, kerr.ErrorForCode(j.ErrorCode))
	m.id, m.generation = j.MemberID, j.Generation
	return m
}

func (m *member) syncRequest() *kmsg.SyncGroupRequest {
	q := kmsg.NewPtrSyncGroupRequest()
	q.Version, q.Group, q.MemberID, q.Generation, q.InstanceID = 3, m.group, m.id, m.generation, m.instance
	return q
}

func (m *member) synced() *member {
	m.t.Helper()
	require.Zero(m.t, m.ask(m.syncRequest()).(*kmsg.SyncGroupResponse).ErrorCode)
	return m
}

func (m *member) leave() {
	m.t.Helper()
	q := kmsg.NewPtrLeaveGroupRequest()
	q.Version, q.Group, q.MemberID = 2, m.group, m.id
	m.ask(q)
}

// as makes a commit of a member, whatever it claims to be.
func (k *talker) as(version int16, group, id string, generation int32, instance *string,
	positions ...position) *kmsg.OffsetCommitRequest {
	q := k.commit(version, group, positions...)
	q.MemberID, q.Generation, q.InstanceID = id, generation, instance
	return q
}

// membersRefused: the broker knows better who is a member, and of what.
func (s *scene) membersRefused(t *testing.T) {
	const group, topic = "members", "members"
	s.topic(t, topic, 2, 5)
	clean := s.watch(t)
	m := &member{talker: s.dial(t, s.broker.Addr, "first").greet(topic), group: group}
	m.joined(m.ask(m.joinRequest())).synced()
	for _, version := range []int16{2, 7, 9, newestCommit} {
		say := func(code int16, id string, generation int32, offset int64) {
			t.Helper()
			m.answered(code, m.as(version, group, id, generation, nil, across(topic, 2, offset)...))
		}
		say(0, m.id, m.generation, int64(version))
		say(kerr.UnknownMemberID.Code, "nobody", m.generation, 1001)
		say(kerr.IllegalGeneration.Code, m.id, m.generation+1, 1002)
		say(kerr.UnknownMemberID.Code, "", -1, 1003) // a group with members takes nothing from outside
	}
	s.agree(t, expectation{groups: []string{group}})

	// While the group waits for its leader's assignment.
	second := &member{talker: s.dial(t, s.broker.Addr, "second").greet(topic), group: group}
	second.send(second.joinRequest())
	within(t, func() error {
		q := kmsg.NewPtrHeartbeatRequest()
		q.Version, q.Group, q.MemberID, q.Generation = 3, group, m.id, m.generation
		if r := m.ask(q).(*kmsg.HeartbeatResponse); r.ErrorCode != kerr.RebalanceInProgress.Code {
			return fmt.Errorf("the heartbeat is answered with %d", r.ErrorCode)
		}
		return nil
	})
	m.joined(m.ask(m.joinRequest()))
	second.joined(second.receive())
	m.answered(kerr.RebalanceInProgress.Code, m.as(9, group, m.id, m.generation, nil, across(topic, 2, 1004)...))
	second.answered(kerr.RebalanceInProgress.Code,
		second.as(9, group, second.id, m.generation, nil, across(topic, 2, 1005)...))
	m.synced()
	second.synced()
	second.answered(0, second.as(9, group, second.id, second.generation, nil, across(topic, 2, 40)...))
	s.agree(t, expectation{groups: []string{group}})
	second.leave()
	m.leave()

	// Two processes of one static member: the broker fences the first.
	instance := kmsg.StringPtr("instance")
	fenced := &member{talker: s.dial(t, s.broker.Addr, "fenced").greet(topic), group: "static", instance: instance}
	fenced.joined(fenced.ask(fenced.joinRequest())).synced()
	fenced.answered(0, fenced.as(9, "static", fenced.id, fenced.generation, instance, across(topic, 2, 50)...))
	heir := &member{talker: s.dial(t, s.broker.Addr, "heir").greet(topic), group: "static", instance: instance}
	heir.joined(heir.ask(heir.joinRequest())).synced()
	fenced.answered(kerr.FencedInstanceID.Code,
		fenced.as(9, "static", fenced.id, fenced.generation, instance, across(topic, 2, 1006)...))
	s.agree(t, expectation{groups: []string{group, "static"}})
	clean()
}

// epochsRefused is membersRefused for groups that the broker assigns (KIP-848).
func (s *scene) epochsRefused(t *testing.T) {
	const group, topic = "epochs", "epochs"
	s.topic(t, topic, 2, 5)
	clean := s.watch(t)
	k := s.dial(t, s.broker.Addr, "epochs").greet(topic)
	id := rand.Text()
	q := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	q.Version, q.Group, q.MemberID, q.MemberEpoch = 1, group, id, 0
	q.RebalanceTimeoutMillis = rebalanceMillis
	q.SubscribedTopicNames = []string{topic}
	q.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	r := k.ask(q).(*kmsg.ConsumerGroupHeartbeatResponse)
	require.Zero(t, r.ErrorCode, kerr.ErrorForCode(r.ErrorCode))
	epoch := r.MemberEpoch
	for _, version := range []int16{9, newestCommit} {
		say := func(code int16, id string, epoch int32, offset int64) {
			t.Helper()
			k.answered(code, k.as(version, group, id, epoch, nil, across(topic, 2, offset)...))
		}
		say(0, id, epoch, int64(version))
		say(kerr.StaleMemberEpoch.Code, id, epoch+1, 1001)
		say(kerr.UnknownMemberID.Code, "nobody", epoch, 1002)
		say(kerr.UnknownMemberID.Code, "", -1, 1003)
	}
	// Such a member has to speak a version that knows epochs.
	k.answered(kerr.UnsupportedVersion.Code, k.as(8, group, id, epoch, nil, across(topic, 2, 1004)...))
	s.agree(t, expectation{groups: []string{group}})

	q = kmsg.NewPtrConsumerGroupHeartbeatRequest()
	q.Version, q.Group, q.MemberID, q.MemberEpoch = 1, group, id, -1 // leave
	k.ask(q)
	k.answered(kerr.UnknownMemberID.Code, k.as(9, group, id, epoch, nil, across(topic, 2, 1005)...))
	s.agree(t, expectation{groups: []string{group}})
	clean()
}

// codesOf counts the errors of an answer.
func codesOf(r *kmsg.OffsetCommitResponse) map[int16]int {
	codes := map[int16]int{}
	for _, topic := range r.Topics {
		for _, p := range topic.Partitions {
			codes[p.ErrorCode]++
		}
	}
	return codes
}

// partlyRefused: of one request some partitions are refused and others are not.
func (s *scene) partlyRefused(t *testing.T) {
	const group, topic, other = "partly", "partly", "partly-other"
	s.topic(t, topic, 3, 5)
	s.topic(t, other, 1, 5)
	clean := s.watch(t)
	k := s.dial(t, s.broker.Addr, "partly").greet(topic, other)
	k.ids["missing"] = [16]byte{1, 2, 3}
	for version := int16(2); version <= newestCommit; version++ {
		r := k.ask(k.commit(version, group,
			position{topic, 0, int64(version)}, position{topic, 99, 1001}, position{topic, 2, int64(10 * version)},
			position{"missing", 0, 1002}, position{"missing", 1, 1003}, position{other, 0, int64(100 * version)},
		)).(*kmsg.OffsetCommitResponse)
		codes := codesOf(r)
		want := map[int16]int{0: 3, kerr.UnknownTopicOrPartition.Code: 3}
		if version == newestCommit {
			want = map[int16]int{0: 3, kerr.UnknownTopicOrPartition.Code: 1, kerr.UnknownTopicID.Code: 2}
		}
		require.Equal(t, want, codes, "version %d", version)
	}
	k.committed(9, "", across(topic, 3, 30)...) // a group of no name is one, if nobody joins it
	s.agree(t, expectation{groups: []string{group, ""}})
	clean()
}

// accessRefused: access control lists come into force while a client commits.
func (s *scene) accessRefused(t *testing.T) {
	const open, closed = "access", "access-denied" // topics and groups
	s.topic(t, open, 2, 5)
	s.topic(t, closed, 2, 5)
	clean := s.watch(t)
	k := s.dial(t, s.broker.SASLAddr, "access")
	k.handshake(1, kafka.Plain)
	k.authenticate(kafka.Plain, k.framed)
	k.metadata(open, closed)
	for _, group := range []string{open, closed} {
		k.committed(9, group, append(across(open, 2, 10), across(closed, 2, 20)...)...)
	}
	deny := func(b *kadm.ACLBuilder) {
		t.Helper()
		created, err := s.oracle.Admin().CreateACLs(t.Context(), b.Deny("User:"+kafka.SASLUser).DenyHosts().
			Operations(kadm.OpRead).ResourcePatternType(kadm.ACLPatternLiteral))
		require.NoError(t, err)
		for _, c := range created {
			require.NoError(t, c.Err)
		}
	}
	deny(kadm.NewACLs().Groups(closed))
	deny(kadm.NewACLs().Topics(closed))
	commit := func(version int16, group string, offset int64) map[int16]int {
		r := k.ask(k.commit(version, group, append(across(open, 2, offset), across(closed, 2, offset)...)...))
		return codesOf(r.(*kmsg.OffsetCommitResponse))
	}
	within(t, func() error { // until the authoriser has heard of them
		if codes := commit(9, open, 30); codes[kerr.TopicAuthorizationFailed.Code] != 2 {
			return fmt.Errorf("the topic is answered with %v", codes)
		}
		if codes := commit(9, closed, 40); codes[kerr.GroupAuthorizationFailed.Code] != 4 {
			return fmt.Errorf("the group is answered with %v", codes)
		}
		return nil
	})
	for version := int16(2); version <= newestCommit; version++ {
		require.Equal(t, map[int16]int{0: 2, kerr.TopicAuthorizationFailed.Code: 2}, commit(version, open, 50+int64(version)))
		require.Equal(t, map[int16]int{kerr.GroupAuthorizationFailed.Code: 4}, commit(version, closed, 60+int64(version)))
	}
	s.agree(t, expectation{groups: []string{open, closed}})
	clean()
}
