// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/ebpfkafka/ebpfkafka/bpf"
	"github.com/ebpfkafka/ebpfkafka/internal/schema"
)

// Stats are the kernel side's counters about itself, since Open.
type Stats struct {
	Calls              [2]uint64 // socket calls looked at: sent, received
	Bytes              [2]uint64 // of connections that speak Kafka
	Resynchronisations uint64
	LateRequests       uint64 // responses that overtook their request and were understood after it
	Recognised         uint64 // connections
	GivenUp            uint64 // connections, until the next tick
	Closed             uint64 // connections
	Drops              [Reasons]uint64
	Frames             map[string]uint64 // requests and responses by API
	Losses
}

// Stats sums the counters of all CPUs.
func (p *Probe) Stats() (*Stats, error) {
	var cpus []bpf.KafkaCounters
	if err := p.objects.Stats.Lookup(uint32(0), &cpus); err != nil {
		return nil, fmt.Errorf("reading map %s: %w", p.objects.Stats, err)
	}
	s := &Stats{Frames: make(map[string]uint64), Losses: p.lost}
	apis := schema.APIs()
	for i := range cpus {
		c := &cpus[i]
		for d := range 2 {
			s.Calls[d] += c.Calls[d]
			s.Bytes[d] += c.Bytes[d]
		}
		s.Resynchronisations += c.Resynchronised
		s.LateRequests += c.LateRequests
		s.Recognised += c.Confirmed
		s.GivenUp += c.Ignored
		s.Closed += c.ConnectionsClosed
		for r := range s.Drops {
			s.Drops[r] += c.Drops[r]
		}
		for _, api := range apis {
			if n := c.Frames[2*api.Key] + c.Frames[2*api.Key+1]; n > 0 {
				s.Frames[api.Name] += n
			}
		}
	}
	return s, nil
}

// ConnectionKind is how far a connection is understood.
type ConnectionKind struct {
	Role       Role
	Recognised bool
}

// Connections counts the tracked connections by kind, as of the last Snapshot. The caller must not change
// it.
func (p *Probe) Connections() map[ConnectionKind]int { return p.kinds }

// MapUse is how full a map is.
type MapUse struct {
	Name              string
	Entries, Capacity int
}

// Uses tells how full every map is that can fill up, as the last Snapshot and Sweep found them.
func (p *Probe) Uses() []MapUse {
	m, r := &p.objects.KafkaMaps, &p.reader
	use := func(name string, m *ebpf.Map, entries int) MapUse {
		return MapUse{Name: name, Entries: entries, Capacity: int(m.MaxEntries())}
	}
	return []MapUse{
		use(bpf.KafkaMapConnections, m.Connections, r.connections.entries),
		use(bpf.KafkaMapPeers, m.Peers, r.peers.entries),
		use(bpf.KafkaMapLinks, m.Links, r.links.entries),
		use(bpf.KafkaMapNames, m.Names, r.names.entries),
		use(bpf.KafkaMapTopicIds, m.TopicIds, r.topicIDs.entries),
		use(bpf.KafkaMapOffsets, m.Offsets, r.offsets.entries),
		use(bpf.KafkaMapWatermarks, m.Watermarks, r.watermarks.entries),
		use(bpf.KafkaMapTimes, m.Times, r.times.entries),
		use(bpf.KafkaMapSessions, m.Sessions, r.sessions.entries),
		use(bpf.KafkaMapCommits, m.Commits, r.commits.entries),
		use(bpf.KafkaMapMembers, m.Members, r.members.entries),
		use(bpf.KafkaMapRequests, m.Requests, r.requests.entries),
		use(bpf.KafkaMapPending, m.Pending, r.pending.entries),
		use(bpf.KafkaMapParked, m.Parked, r.parked.entries),
	}
}

// Maps counts the entries of every map that can fill up.
func (p *Probe) Maps() ([]MapUse, error) {
	m := &p.objects.KafkaMaps
	var uses []MapUse
	for _, x := range []struct {
		name string
		m    *ebpf.Map
		n    func(*ebpf.Map) (int, error)
	}{
		{bpf.KafkaMapConnections, m.Connections, count(&p.reader.connections)},
		{bpf.KafkaMapLinks, m.Links, count(&p.reader.links)},
		{bpf.KafkaMapNames, m.Names, count(&p.reader.names)},
		{bpf.KafkaMapTopicIds, m.TopicIds, count(&p.reader.topicIDs)},
		{bpf.KafkaMapOffsets, m.Offsets, count(&p.reader.offsets)},
		{bpf.KafkaMapWatermarks, m.Watermarks, count(&p.reader.watermarks)},
		{bpf.KafkaMapTimes, m.Times, count(&p.reader.times)},
		{bpf.KafkaMapSessions, m.Sessions, count(&p.reader.sessions)},
		{bpf.KafkaMapCommits, m.Commits, count(&p.reader.commits)},
		{bpf.KafkaMapMembers, m.Members, count(&p.reader.members)},
		{bpf.KafkaMapRequests, m.Requests, count(&p.reader.requests)},
		{bpf.KafkaMapPending, m.Pending, count(&p.reader.pending)},
		{bpf.KafkaMapParked, m.Parked, count(&p.reader.parked)},
	} {
		n, err := x.n(x.m)
		if err != nil {
			return nil, err
		}
		uses = append(uses, MapUse{Name: x.name, Entries: n, Capacity: int(x.m.MaxEntries())})
	}
	return uses, nil
}

func count[K, V any](t *table[K, V]) func(*ebpf.Map) (int, error) {
	return func(m *ebpf.Map) (n int, err error) {
		err = t.each(m, func(*K, *V) { n++ })
		return n, err
	}
}
