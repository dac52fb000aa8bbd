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
	for _, program := range p.attached {
		// Before Linux 5.12 the kernel does not count: 0. That it cannot be asked takes nothing from the rest.
		if stats, err := program.Stats(); err == nil {
			s.Drops[bpf.KafkaDropReasonDROP_PROGRAM_SKIPPED] += stats.RecursionMisses
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

// A counted is a map that can fill up.
type counted struct {
	name    string
	m       *ebpf.Map
	entries *int                  // as last read
	count   func(*ebpf.Map) error // reads it
}

func countedMap[K, V any](name string, m *ebpf.Map, t *table[K, V]) counted {
	return counted{name, m, &t.entries, func(m *ebpf.Map) error { return t.each(m, func(*K, *V) {}) }}
}

func (p *Probe) counted() []counted {
	m, r := &p.objects.KafkaMaps, &p.reader
	return []counted{
		countedMap(bpf.KafkaMapConnections, m.Connections, &r.connections),
		countedMap(bpf.KafkaMapPeers, m.Peers, &r.peers),
		countedMap(bpf.KafkaMapLinks, m.Links, &r.links),
		countedMap(bpf.KafkaMapNames, m.Names, &r.names),
		countedMap(bpf.KafkaMapTopicIds, m.TopicIds, &r.topicIDs),
		countedMap(bpf.KafkaMapOffsets, m.Offsets, &r.offsets),
		countedMap(bpf.KafkaMapRefused, m.Refused, &r.refused),
		countedMap(bpf.KafkaMapWatermarks, m.Watermarks, &r.watermarks),
		countedMap(bpf.KafkaMapTimes, m.Times, &r.times),
		countedMap(bpf.KafkaMapSessions, m.Sessions, &r.sessions),
		countedMap(bpf.KafkaMapCommits, m.Commits, &r.commits),
		countedMap(bpf.KafkaMapMembers, m.Members, &r.members),
		countedMap(bpf.KafkaMapGroups, m.Groups, &r.groups),
		countedMap(bpf.KafkaMapAssignments, m.Assignments, &r.assignments),
		countedMap(bpf.KafkaMapGone, m.Gone, &r.gone),
		countedMap(bpf.KafkaMapShares, m.Shares, &r.shares),
		countedMap(bpf.KafkaMapTxnOffsets, m.TxnOffsets, &r.txnOffsets),
		countedMap(bpf.KafkaMapTxnProducers, m.TxnProducers, &r.producers),
		countedMap(bpf.KafkaMapRequests, m.Requests, &r.requests),
		countedMap(bpf.KafkaMapPending, m.Pending, &r.pending),
		countedMap(bpf.KafkaMapParked, m.Parked, &r.parked),
	}
}

// Uses tells how full every map is that can fill up, as the last Snapshot and Sweep found them.
func (p *Probe) Uses() []MapUse {
	var uses []MapUse
	for _, c := range p.counted() {
		uses = append(uses, MapUse{Name: c.name, Entries: *c.entries, Capacity: int(c.m.MaxEntries())})
	}
	return uses
}

// Maps is Uses of now: it reads every map to count its entries.
func (p *Probe) Maps() ([]MapUse, error) {
	for _, c := range p.counted() {
		if err := c.count(c.m); err != nil {
			return nil, err
		}
	}
	return p.Uses(), nil
}
