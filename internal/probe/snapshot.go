// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ebpfkafka/ebpfkafka/bpf"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// Snapshot reads the maps. The order keeps it consistent: offsets before watermarks, so that a lag is at
// worst a moment too large and never hidden; names last, so that every id has its name. What it returns
// holds until the next Snapshot.
func (p *Probe) Snapshot() (*state.Snapshot, error) {
	s := &p.snapshot
	*s = state.Snapshot{
		Time:         time.Now(),
		Now:          monotonic(),
		Names:        cleared(s.Names),
		TopicIDs:     cleared(s.TopicIDs),
		TopicIDTimes: cleared(s.TopicIDTimes),
		Links:        cleared(s.Links),
		Offsets:      s.Offsets[:0],
		Open:         s.Open[:0],
		Watermarks:   s.Watermarks[:0],
		Sessions:     cleared(s.Sessions),
		Batches:      cleared(s.Batches),
		Commits:      s.Commits[:0],
		Members:      s.Members[:0],
		Groups:       s.Groups[:0],
		Assignments:  s.Assignments[:0],
		Shares:       s.Shares[:0],
		Gone:         s.Gone[:0],
	}
	p.unnamed = cleared(p.unnamed)
	m := &p.objects.KafkaMaps
	err := errors.Join(
		// Connections before all that is read of them: what has ended says nothing more.
		p.readConnections(s.Now),
		p.doubt(s.Now),
		p.reader.offsets.each(m.Offsets, func(k *bpf.KafkaOffsetKey, v *bpf.KafkaOffsetValue) {
			s.Offsets = append(s.Offsets, state.Offset{
				Link:      state.LinkID(k.Link),
				Group:     state.NameID(k.Group),
				Topic:     state.NameID(k.Topic),
				Partition: k.Partition,
				Source:    state.OffsetSource(v.Source),
				Offset:    v.Offset,
				Since:     v.Time,
				Acked:     v.Acked,
				Ordered:   v.Ordered,
				Committed: v.Committed,
			})
		}),
		// There was no room for these, so that what another link has of the same partition is no longer true.
		p.reader.refused.each(m.Refused, func(k *bpf.KafkaOffsetKey, acked *uint64) {
			s.Offsets = append(s.Offsets, state.Offset{
				Link:      state.LinkID(k.Link),
				Group:     state.NameID(k.Group),
				Topic:     state.NameID(k.Topic),
				Partition: k.Partition,
				Source:    state.OffsetUnknown,
				Since:     *acked,
				Acked:     *acked,
			})
		}),
		p.reader.commits.each(m.Commits, func(k *bpf.KafkaCommitsKey, v *bpf.KafkaCommitsValue) {
			s.Commits = append(s.Commits, state.CommitCounter{
				Link:  state.LinkID(k.Link),
				Group: state.NameID(k.Group),
				Topic: state.NameID(k.Topic),
				Error: k.Error,
				Count: v.Count,
				First: v.First,
			})
		}),
		p.snapshotGroups(),
		// A session's time covers its partitions: read first, it is never newer than they are.
		p.reader.sessions.each(m.Sessions, func(k *bpf.KafkaSessionKey, v *bpf.KafkaSessionValue) {
			s.Sessions[state.SessionKey{Link: state.LinkID(k.Link), Session: k.Session}] = state.Session{Time: v.Time, Since: v.Since}
		}),
		p.reader.watermarks.each(m.Watermarks, func(k *bpf.KafkaPartitionKey, v *bpf.KafkaWatermarkValue) {
			s.Watermarks = append(s.Watermarks, state.Watermark{
				PartitionKey:  partitionKey(k),
				HighWatermark: v.HighWatermark,
				LastStable:    v.LastStable,
				LogStart:      v.LogStart,
				Time:          v.Time,
				LogStartTime:  v.LogStartTime,
				Produced:      v.Produced,
				ProducedTime:  v.ProducedTime,
				Position:      v.Position,
				PositionTime:  v.PositionTime,
				Session:       v.Session,
				Follower:      v.Follower != 0,
			})
		}),
		p.reader.times.each(m.Times, func(k *bpf.KafkaPartitionKey, v *bpf.KafkaTimesValue) {
			n := min(int(v.Next), len(v.Points))
			batches := make([]state.Batch, n)
			for i := range batches {
				b := &v.Points[i]
				batches[i] = state.Batch{First: b.FirstOffset, Last: b.LastOffset, FirstTime: b.FirstTime, MaxTime: b.MaxTime}
			}
			s.Batches[partitionKey(k)] = batches
		}),
		p.readLinks(),
		p.reader.topicIDs.each(m.TopicIds, func(k *uint64, v *bpf.KafkaTopicIdValue) {
			s.TopicIDs[state.NameID(*k)] = state.NameID(v.Name)
			s.TopicIDTimes[state.NameID(*k)] = v.Time
		}),
		p.reader.names.each(m.Names, func(k *uint64, v *bpf.KafkaName) {
			id := state.NameID(*k)
			if v.Kind == uint8(bpf.KafkaNameKindNAME_TEXT) {
				s.Names[id] = string(v.Bytes[:v.Length])
			} else if _, named := s.TopicIDs[id]; !named {
				p.unnamed[[16]byte(v.Bytes[:])] = id
			}
		}),
	)
	return s, err
}

// cleared makes a map to fill anew, with the room of the last one.
func cleared[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return make(map[K]V)
	}
	clear(m)
	return m
}

// readConnections notes which connections there are, and when each link was last used.
func (p *Probe) readConnections(now uint64) error {
	p.alive = make(map[uint64]bool)
	p.linkSeen = make(map[uint64]uint64)
	if p.lastUsed == nil {
		p.lastUsed = make(map[uint64]uint64)
	}
	p.kinds = make(map[ConnectionKind]int)
	p.clients = make(map[state.NameID]bool)
	p.idle = p.idle[:0]
	return p.reader.connections.each(p.objects.Connections, func(key *uint64, c *bpf.KafkaConnection) {
		p.alive[c.Id] = true
		seen := c.LastSeen
		if c.Dismissed != 0 { // it is open, and nobody notes when it is used
			seen = now
		}
		if unused(now, c) { // its end was not seen: those dismissed get another look
			p.idle = append(p.idle, *key)
		}
		p.clients[state.NameID(c.Client)] = true
		if c.Link != 0 {
			p.linkSeen[c.Link] = max(p.linkSeen[c.Link], seen)
		}
		p.kinds[ConnectionKind{Role: Role(c.Role), Recognised: c.Confirmed != 0}]++
	})
}

// readLinks reads the links; those that have a connection were used when it was.
func (p *Probe) readLinks() error {
	// There was no room for a connection or a link since: whoever it was may have committed anything.
	var refused uint64
	if err := p.objects.RefusedAt.Get(&refused); err != nil {
		return fmt.Errorf("reading when there was no room: %w", err)
	}
	return p.reader.links.each(p.objects.Links, func(k *uint64, v *bpf.KafkaLinkValue) {
		l := linkOf(v)
		if seen, open := p.linkSeen[*k]; open {
			l.Open = true
			p.lastUsed[*k] = max(p.lastUsed[*k], seen)
		}
		l.LastSeen = max(l.LastSeen, p.lastUsed[*k])
		l.Lost = max(l.Lost, p.missed[*k], refused)
		if l.Cluster == state.NameNone {
			l.Cluster = p.clusters[state.LinkID(*k)]
		}
		p.snapshot.Links[state.LinkID(*k)] = l
	})
}

func partitionKey(k *bpf.KafkaPartitionKey) state.PartitionKey {
	return state.PartitionKey{Link: state.LinkID(k.Link), Topic: state.NameID(k.Topic), Partition: k.Partition}
}

func linkOf(v *bpf.KafkaLinkValue) state.Link {
	l := state.Link{
		Process: state.ProcessKey{
			PID:       v.Key.Tgid,
			StartTime: v.Key.StartTime,
			Comm:      cString(v.Comm[:]),
		},
		Role:     state.Role(v.Key.Role),
		Client:   state.NameID(v.Key.Client),
		Broker:   netip.AddrPortFrom(netip.AddrFrom16(v.Key.BrokerAddr).Unmap(), v.Key.BrokerPort),
		NetNS:    v.Key.Netns,
		Cluster:  state.NameID(v.Cluster),
		LastSeen: v.LastSeen,
		Lost:     v.Lost,
	}
	if l.Role == state.RoleBroker {
		l.Process.Remote = netip.AddrFrom16(v.Key.ClientAddr).Unmap().String()
	}
	return l
}

func cString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
