// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ebpfkafka/ebpfkafka/bpf"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

const (
	// parkedAge is how long a response waits for its request to be seen. The two are sent and received
	// within one round trip; a hook that is a second late belongs to a process that no longer exists.
	parkedAge = time.Second
	// deadAge is how long values in flight outlive their connection: its last hooks may still be running.
	deadAge = 10 * time.Second
	// answerAge is how long an answer is waited for. Clients give up after request.timeout.ms, 30 s by
	// default, but may be configured to wait longer; a JoinGroup takes as long as max.poll.interval.ms,
	// 5 minutes by default.
	answerAge = 15 * time.Minute
	// idleConnection is when a connection is taken for one whose end was not seen. Brokers close those that
	// are idle for connections.max.idle.ms, 10 minutes by default; one that speaks again is known again
	// with its next request. Those that the decoder has dismissed come to it, too, and get another look.
	idleConnection = time.Hour
)

// Losses counts what the sweep threw away.
type Losses struct {
	OrphanResponses uint64 // responses whose request never came to be seen
	Unanswered      uint64 // requests without an answer: their connection ended
}

// Sweep removes what can no longer change anything: values in flight on connections that are gone, and
// everything of a link that was not used for idle. It also gives connections that were not recognised
// another chance. Call it once after each Snapshot, whose view of the connections it goes by.
func (p *Probe) Sweep(idle time.Duration) error {
	now := monotonic()
	m := &p.objects.KafkaMaps
	var errs []error
	if p.missed == nil {
		p.missed = make(map[uint64]uint64)
	}

	requests, err := p.reader.requests.keysIf(m.Requests, func(k *bpf.KafkaRequestKey, v *bpf.KafkaRequest) bool {
		return stale(now, v.Time, p.alive[k.Connection])
	})
	errs = append(errs, err)
	p.lost.Unanswered += uint64(len(requests))
	pending, err := p.reader.pending.keysIf(m.Pending, func(k *bpf.KafkaPendingKey, v *bpf.KafkaPendingValue) bool {
		return stale(now, v.Time, p.alive[k.Connection])
	})
	errs = append(errs, err)
	parked, err := p.reader.parked.keysIf(m.Parked, func(k *bpf.KafkaRequestKey, v *bpf.KafkaParkedValue) bool {
		orphan := older(now, v.Time, parkedAge)
		if orphan && v.Link != 0 {
			p.missed[v.Link] = max(p.missed[v.Link], v.Time)
		}
		return orphan
	})
	errs = append(errs, err)
	p.lost.OrphanResponses += uint64(len(parked))

	errs = append(errs, p.sweepTransactions(now, idle))

	gone := make(map[uint64]bool)
	var links []uint64
	errs = append(errs, p.reader.links.each(m.Links, func(k *uint64, v *bpf.KafkaLinkValue) {
		// A link lives on for idle after its last connection.
		if p.linkSeen[*k] == 0 && older(now, max(v.LastSeen, p.lastUsed[*k]), idle) {
			gone[*k] = true
			links = append(links, *k)
			delete(p.lastUsed, *k)
			delete(p.missed, *k)
			delete(p.clusters, state.LinkID(*k))
		}
	}))
	if len(gone) > 0 {
		errs = append(errs, p.forgetLinks(gone))
	}
	errs = append(errs, p.forgetIdle(now, idle), p.sweepNames())
	connections, errConnections := still(m.Connections, p.idle, func(_ *uint64, c *bpf.KafkaConnection) bool { return unused(now, c) })
	errs = append(errs,
		p.reader.peers.removeIf(m.Peers, func(_ *bpf.KafkaTuple, id *uint64) bool {
			return !p.alive[*id] && connectionAge(now, *id) > deadAge
		}),
		// What it contradicts has ended by itself, or has been confirmed.
		p.reader.refused.removeIf(m.Refused, func(_ *bpf.KafkaOffsetKey, acked *uint64) bool { return older(now, *acked, idle) }),
		errConnections, remove(m.Connections, connections),
		remove(m.Requests, requests), remove(m.Pending, pending), remove(m.Parked, parked), remove(m.Links, links),
		p.nextEpoch())
	return errors.Join(errs...)
}

// forgetLinks removes everything that was learnt on links that are gone.
func (p *Probe) forgetLinks(gone map[uint64]bool) error {
	m, r := &p.objects.KafkaMaps, &p.reader
	return errors.Join(
		r.offsets.removeIf(m.Offsets, func(k *bpf.KafkaOffsetKey, _ *bpf.KafkaOffsetValue) bool { return gone[k.Link] }),
		r.refused.removeIf(m.Refused, func(k *bpf.KafkaOffsetKey, _ *uint64) bool { return gone[k.Link] }),
		r.watermarks.removeIf(m.Watermarks, func(k *bpf.KafkaPartitionKey, _ *bpf.KafkaWatermarkValue) bool { return gone[k.Link] }),
		r.times.removeIf(m.Times, func(k *bpf.KafkaPartitionKey, _ *bpf.KafkaTimesValue) bool { return gone[k.Link] }),
		r.sessions.removeIf(m.Sessions, func(k *bpf.KafkaSessionKey, _ *bpf.KafkaSessionValue) bool { return gone[k.Link] }),
		r.commits.removeIf(m.Commits, func(k *bpf.KafkaCommitsKey, _ *bpf.KafkaCommitsValue) bool { return gone[k.Link] }),
		r.members.removeIf(m.Members, func(k *bpf.KafkaMemberKey, _ *bpf.KafkaMemberValue) bool { return gone[k.Link] }),
		r.groups.removeIf(m.Groups, func(k *bpf.KafkaGroupKey, _ *bpf.KafkaGroupValue) bool { return gone[k.Link] }),
		r.assignments.removeIf(m.Assignments, func(k *bpf.KafkaAssignmentKey, _ *bpf.KafkaAssignmentValue) bool { return gone[k.Link] }),
		r.shares.removeIf(m.Shares, func(k *bpf.KafkaShareKey, _ *bpf.KafkaShareValue) bool { return gone[k.Link] }),
		r.gone.removeIf(m.Gone, func(k *bpf.KafkaGoneKey, _ *uint64) bool { return gone[k.Link] }),
	)
}

// forgetIdle removes what has not been said again for idle on links that live on: partitions that are no
// longer fetched, sessions that were replaced, members that have left and what
// they owned, groups without members, topics that were not there.
func (p *Probe) forgetIdle(now uint64, idle time.Duration) error {
	m := &p.objects.KafkaMaps
	unsaid := func(k *bpf.KafkaPartitionKey, session int32, said uint64) bool {
		if session != 0 {
			said = max(said, p.snapshot.Sessions[state.SessionKey{Link: state.LinkID(k.Link), Session: session}].Time)
		}
		return older(now, said, idle)
	}
	var watermarks []bpf.KafkaPartitionKey
	for i := range p.snapshot.Watermarks {
		w := &p.snapshot.Watermarks[i]
		key := bpf.KafkaPartitionKey{Link: uint64(w.Link), Topic: uint64(w.Topic), Partition: w.Partition}
		watermarks = appendIf(watermarks, key, unsaid(&key, w.Session, max(w.Time, w.LogStartTime, w.ProducedTime, w.PositionTime)))
	}
	// An entry has no times until its first hook has filled it in.
	watermarks, errWatermarks := still(m.Watermarks, watermarks, func(k *bpf.KafkaPartitionKey, v *bpf.KafkaWatermarkValue) bool {
		return unsaid(k, v.Session, max(v.Time, v.LogStartTime, v.ProducedTime, v.PositionTime))
	})
	var sessions []bpf.KafkaSessionKey
	for k, session := range p.snapshot.Sessions {
		sessions = appendIf(sessions, bpf.KafkaSessionKey{Link: uint64(k.Link), Session: k.Session}, older(now, session.Time, idle))
	}
	var members []bpf.KafkaMemberKey
	current := make(map[bpf.KafkaMemberKey]uint64, len(p.snapshot.Members)) // when it was last told what it owns
	for i := range p.snapshot.Members {
		x := &p.snapshot.Members[i]
		key := bpf.KafkaMemberKey{Link: uint64(x.Link), Group: uint64(x.Group), Member: uint64(x.Member)}
		if older(now, x.Time, idle) {
			members = append(members, key)
		} else {
			current[key] = x.Assigned
		}
	}
	var assigned []bpf.KafkaAssignmentKey
	for i := range p.snapshot.Assignments {
		a := &p.snapshot.Assignments[i]
		told := current[bpf.KafkaMemberKey{Link: uint64(a.Link), Group: uint64(a.Group), Member: uint64(a.Member)}]
		// Those of an answer that is just being read are newer than their member.
		assigned = appendIf(assigned, bpf.KafkaAssignmentKey{
			Link: uint64(a.Link), Group: uint64(a.Group), Topic: uint64(a.Topic), Partition: a.Partition,
		}, a.Assigned < told || (told == 0 && older(now, a.Assigned, idle)))
	}
	type clientGroup struct {
		link  state.LinkID
		group state.NameID
	}
	joined := make(map[clientGroup]bool, len(current))
	for i := range p.snapshot.Members {
		joined[clientGroup{p.snapshot.Members[i].Link, p.snapshot.Members[i].Group}] = true
	}
	var groups []bpf.KafkaGroupKey
	for i := range p.snapshot.Groups {
		g := &p.snapshot.Groups[i]
		groups = appendIf(groups, bpf.KafkaGroupKey{Link: uint64(g.Link), Group: uint64(g.Group)},
			!joined[clientGroup{g.Link, g.Group}] && older(now, max(g.First, g.Deleted, g.Joining, g.Joined), idle))
	}
	var topics []bpf.KafkaGoneKey
	for i := range p.snapshot.Gone {
		g := &p.snapshot.Gone[i]
		topics = appendIf(topics, bpf.KafkaGoneKey{Link: uint64(g.Link), Topic: uint64(g.Topic)}, older(now, g.Time, idle))
	}
	return errors.Join(
		errWatermarks, remove(m.Watermarks, watermarks), remove(m.Times, watermarks),
		remove(m.Groups, groups), remove(m.Gone, topics),
		remove(m.Sessions, sessions), remove(m.Members, members), remove(m.Assignments, assigned))
}

func appendIf[K any](keys []K, k K, condition bool) []K {
	if condition {
		keys = append(keys, k)
	}
	return keys
}

// older compares two times of CLOCK_MONOTONIC; then may be later than now.
func older(now, then uint64, age time.Duration) bool {
	return now > then && now-then > uint64(age)
}

// connectionAge is how long ago a connection was made, negative if after now. Its id is that time, shifted by 10 bits;
// the upper ones are lost after 208 days.
func connectionAge(now, id uint64) time.Duration {
	return time.Duration(int64(now<<10-id) >> 10)
}

// unused tells whether nothing has passed on a connection for so long that its end must have been missed. While a hook is
// making it, it has no time yet.
func unused(now uint64, c *bpf.KafkaConnection) bool {
	return c.LastSeen != 0 && older(now, c.LastSeen, idleConnection)
}

func stale(now, then uint64, alive bool) bool {
	return older(now, then, answerAge) || (!alive && older(now, then, deadAge))
}

func ignoreMissing(err error) error {
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return err
}

func remove[K any](m *ebpf.Map, keys []K) error {
	for i := range keys {
		if err := ignoreMissing(m.Delete(&keys[i])); err != nil {
			return fmt.Errorf("deleting from map %s: %w", m, err)
		}
	}
	return nil
}

// still are those of the keys whose entries f picks now: since they were read, more may have been said of them.
func still[K, V any](m *ebpf.Map, keys []K, f func(*K, *V) bool) ([]K, error) {
	kept := keys[:0]
	for i := range keys {
		var v V
		switch err := m.Lookup(&keys[i], &v); {
		case err == nil:
			kept = appendIf(kept, keys[i], f(&keys[i], &v))
		case !errors.Is(err, ebpf.ErrKeyNotExist):
			return kept, fmt.Errorf("reading map %s: %w", m, err)
		}
	}
	return kept, nil
}

// nextEpoch gives connections that were given up another chance.
func (p *Probe) nextEpoch() error {
	var epoch uint32
	if err := p.objects.Epoch.Get(&epoch); err != nil {
		return fmt.Errorf("reading the epoch: %w", err)
	}
	return p.objects.Epoch.Set(epoch + 1)
}
