// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

// rebalanceHeldUp: a member does not poll while another joins. Nobody reads
// until it does.
func (s *scene) rebalanceHeldUp(t *testing.T) {
	const held = 5 * time.Second
	p := &party{scene: s, t: t, topic: named(t, "t"), group: named(t, "g"), protocol: kafka.Classic,
		members: map[string]*kafka.Told{}, killed: map[string]int64{}}
	s.main.topic(t, p.topic, partyPartitions, partyRecords)
	properties := map[string]string{
		"session.timeout.ms":    fmt.Sprint(sessionTimeout.Milliseconds()),
		"heartbeat.interval.ms": fmt.Sprint(heartbeat.Milliseconds()),
	}
	p.join("slow", properties)
	p.quiet()
	tell(t, p.members["slow"], "sleep", "slept")
	p.join("new", properties)
	begin := time.Now()
	for _, v := range s.views() {
		v.await(t, begin, inState(p.group, "rebalancing"))
	}
	described, err := s.main.admin.DescribeGroups(t.Context(), p.group)
	require.NoError(t, err)
	require.Equal(t, "PreparingRebalance", described[p.group].State)
	joined := time.Now()
	for _, v := range s.views() { // as long as it lasts
		v.await(t, joined.Add(held), inState(p.group, "rebalancing"))
	}
	tell(t, p.members["slow"], "wake", "woke")
	before := p.before.time
	p.quiet()
	require.Greater(t, p.before.time-before, held.Seconds(), "the new member has waited so long")
}

// member starts a consumer that commits all that it is given, until its process
// is killed.
func (s *scene) member(t *testing.T, client, group, topic string, options ...kgo.Opt) *app {
	t.Helper()
	a := startApp(t, "member of "+group)
	member := a.client(s.main.Addr, client, append(consumerOf(group, topic), options...)...)
	go func() {
		for t.Context().Err() == nil {
			if fetches := member.PollFetches(t.Context()); fetches.NumRecords() > 0 {
				member.CommitUncommittedOffsets(t.Context()) // refused while others join: what is read later covers it
			}
		}
	}()
	return a
}

// settled awaits that a group of the classic protocol has so many members, and
// that they have committed all.
func (s *scene) settled(t *testing.T, group, topic string, members, partitions int) membership {
	t.Helper()
	var m membership
	within(t, func(ctx context.Context) error {
		var err error
		m, err = s.main.membershipOf(ctx, group, kafka.Classic)
		if err == nil && (m.members != members || len(m.owners) != partitions) {
			err = fmt.Errorf("%d members own %d partitions", m.members, len(m.owners))
		}
		return err
	})
	s.main.produce(t, topic, partitions, 10)
	s.agree(t, s.main, group, lagsKnown)
	return m
}

// staticMember: a process with group.instance.id is killed and another takes
// its place: no rebalance, other series.
func (s *scene) staticMember(t *testing.T) {
	const partitions = 4
	topic, name := named(t, "t"), named(t, "g")
	s.main.topic(t, topic, partitions, 10)
	pids := map[string]int{}
	other := s.member(t, name+"-two", name, topic, kgo.InstanceID("two"))
	pids[name+"-two"] = other.PID()
	s.settled(t, name, topic, 1, partitions) // it leads: when a leader joins anew, there is a rebalance
	first := s.member(t, name+"-one", name, topic, kgo.InstanceID("one"))
	pids[name+"-one"] = first.PID()
	m := s.settled(t, name, topic, 2, partitions)
	s.clients.await(t, time.Now(), m.shows(name, pids))
	s.broker.await(t, time.Now(), m.shows(name, nil))
	said, _ := s.clients.next(t, time.Now())
	rebalances, err := one(said, "kafka_consumer_group_rebalances_total", name)
	require.NoError(t, err)

	first.kill()
	again := s.member(t, name+"-one", name, topic, kgo.InstanceID("one"))
	pids[name+"-one"] = again.PID()
	after := s.settled(t, name, topic, 2, partitions)
	require.Equal(t, m.generation, after.generation, "the coordinator has rebalanced")
	for _, v := range s.views() {
		v.await(t, time.Now(), equals("kafka_consumer_group_rebalances_total", name, rebalances))
	}
	s.clients.await(t, time.Now(), after.shows(name, pids))
	s.broker.await(t, time.Now(), after.shows(name, nil))
}

// sameClientID: clients of one name on one host, as libraries have by default
// (rdkafka, kgo, sarama); one of them is killed.
func (s *scene) sameClientID(t *testing.T) {
	const partitions = 4
	topic, name := named(t, "t"), named(t, "g")
	s.main.topic(t, topic, partitions, 10)
	s.member(t, "same", name, topic)
	victim := s.member(t, "same", name, topic)
	members := func(n int) {
		s.settled(t, name, topic, n, partitions)
		for _, v := range s.views() {
			v.await(t, time.Now(), equals("kafka_consumer_group_members", name, float64(n)))
		}
	}
	members(2)
	victim.kill()
	members(1)
}
