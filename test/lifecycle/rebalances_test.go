// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

// endsWithin is how soon a client's series ends once the client has given the
// partition up: the next snapshot, on a busy machine the one after.
const endsWithin = 3 * time.Second

func (s *scene) rebalancesEager(t *testing.T) {
	s.rebalances(t, kafka.Classic, true, map[string]string{
		"partition.assignment.strategy": "org.apache.kafka.clients.consumer.RangeAssignor",
	})
}

func (s *scene) rebalancesCooperative(t *testing.T) {
	s.rebalances(t, kafka.Classic, false, map[string]string{
		"partition.assignment.strategy": "org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
	})
}

func (s *scene) rebalancesNext(t *testing.T) {
	s.rebalances(t, kafka.Next, false, map[string]string{})
}

// party is a group of Java consumers that come and go.
type party struct {
	*scene
	t        *testing.T
	topic    string
	group    string
	protocol kafka.Protocol
	members  map[string]*kafka.Told // also those that have ended
	killed   map[string]int64       // when, in milliseconds of Unix time
	living   int
	before   counted // at the last quiet moment
}

// counted is what is counted of a group's rebalances at a quiet moment.
type counted struct {
	at               time.Time
	generation       int32
	latency          time.Duration // of all members, by their own account
	rebalances, time float64       // as the receiver says
}

const partyPartitions, partyRecords = 6, 10

// rebalances: two members, a third joins, one leaves, one is killed.
func (s *scene) rebalances(t *testing.T, protocol kafka.Protocol, eager bool, properties map[string]string) {
	p := &party{scene: s, t: t, topic: named(t, "t"), group: named(t, "g"), protocol: protocol,
		members: map[string]*kafka.Told{}, killed: map[string]int64{}}
	s.main.topic(t, p.topic, partyPartitions, partyRecords)
	begin := time.Now()
	if protocol == kafka.Classic {
		properties["session.timeout.ms"] = strconv.FormatInt(sessionTimeout.Milliseconds(), 10)
		properties["heartbeat.interval.ms"] = strconv.FormatInt(heartbeat.Milliseconds(), 10)
	}
	p.join("one", properties)
	p.join("two", properties)
	p.quiet()
	p.join("three", properties)
	p.quiet()

	require.NoError(t, p.members["one"].Close()) // it leaves
	p.living--
	p.quiet()

	p.killed["two"] = time.Now().UnixMilli()
	require.NoError(t, p.members["two"].Stop(0))
	killed := time.Now()
	p.living--
	// The host knows at once; the coordinator, when the session times out.
	s.clients.await(t, killed, equals("kafka_consumer_group_members", p.group, 1))
	p.quiet()
	require.Greater(t, p.before.at.Sub(killed), sessionTimeout/2)

	changes := map[string][]change{}
	for id, m := range p.members {
		changes[p.client(id)] = ownership(m, eager)
		if at, ok := p.killed[id]; ok {
			changes[p.client(id)] = append(changes[p.client(id)], change{at: at})
		}
	}
	for _, v := range s.views() {
		snapshots, _ := v.since(t, begin)
		requireOwned(t, v, snapshots, p.group, changes)
	}

	require.NoError(t, p.members["three"].Close())
	for _, v := range s.views() {
		v.await(t, time.Now(), equals("kafka_consumer_group_members", p.group, 0))
		v.await(t, time.Now(), inState(p.group, "empty"))
		v.await(t, time.Now(), noClients(p.group))
	}
	s.agree(t, s.main, p.group, lagsMayLack)
}

func (p *party) join(id string, properties map[string]string) {
	p.t.Helper()
	m, err := p.main.StartMember(p.t.Context(), kafka.Consumer{
		Group: p.group, Topics: []string{p.topic}, Protocol: p.protocol, ClientID: p.client(id), Properties: properties,
	})
	require.NoError(p.t, err)
	p.t.Cleanup(func() { require.NoError(p.t, m.Stop(0)) })
	p.members[id] = m
	p.living++
}

// client is the client id of a member. On a broker's host, clients of one id
// and one host are one: see sameClientID.
func (p *party) client(id string) string { return p.group + "-" + id }

// quiet awaits that the group has settled, has all members commit, and holds
// what is said of it against what the coordinator says.
func (p *party) quiet() {
	p.t.Helper()
	var m membership
	within(p.t, func(ctx context.Context) error {
		var err error
		m, err = p.main.membershipOf(ctx, p.group, p.protocol)
		if err == nil && (m.members != p.living || len(m.owners) != partyPartitions) {
			err = fmt.Errorf("%d members own %d partitions", m.members, len(m.owners))
		}
		return err
	})
	p.main.produce(p.t, p.topic, partyPartitions, partyRecords)
	p.agree(p.t, p.main, p.group, lagsKnown)
	pids := map[string]int{}
	for id, member := range p.members {
		pids[p.client(id)] = member.PID()
	}
	p.broker.await(p.t, time.Now(), m.shows(p.group, nil))
	p.clients.await(p.t, time.Now(), m.shows(p.group, pids))
	p.count(m)
}

var rebalanced = regexp.MustCompile(`(?m)^rebalanced \d+ (\d+)$`)

// count holds what is counted since the last quiet moment against what the
// coordinator and the members say.
func (p *party) count(m membership) {
	p.t.Helper()
	now := counted{at: time.Now(), generation: m.generation}
	for _, member := range p.members {
		if said := rebalanced.FindAllStringSubmatch(member.Output(), -1); len(said) > 0 {
			millis, err := strconv.ParseInt(said[len(said)-1][1], 10, 64)
			require.NoError(p.t, err)
			now.latency += time.Duration(millis) * time.Millisecond
		}
	}
	first := p.before.at.IsZero()
	for _, v := range []*view{p.broker, p.clients} {
		s, _ := v.next(p.t, now.at)
		var err error
		now.rebalances, err = one(s, "kafka_consumer_group_rebalances_total", p.group)
		require.NoError(p.t, err)
		if p.protocol == kafka.Classic {
			now.time, err = one(s, "kafka_consumer_group_rebalance_time_seconds_total", p.group)
			require.NoError(p.t, err)
		}
		if v == p.broker || first {
			continue
		}
		require.Equal(p.t, float64(now.generation-p.before.generation), now.rebalances-p.before.rebalances,
			"rebalances while the generation went from %d to %d", p.before.generation, now.generation)
		if p.protocol != kafka.Classic {
			continue
		}
		grown, measured := now.time-p.before.time, (now.latency - p.before.latency).Seconds()
		passed := now.at.Sub(p.before.at).Seconds()
		p.t.Logf("rebalancing took %.3f s, by the members' own account %.3f s, of %.3f s", grown, measured, passed)
		require.GreaterOrEqual(p.t, grown, measured-clockRounding)
		require.LessOrEqual(p.t, grown, passed*float64(len(p.members)))
	}
	p.before = now
}

// clockRounding is what a client's account may be too long: whole milliseconds
// of several rebalances.
const clockRounding = 0.1
