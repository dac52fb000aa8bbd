// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"time"

	"github.com/ebpfkafka/ebpfkafka/bpf"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// snapshotGroups reads what is known of groups and topics beyond offsets. Assignments come before members: one that
// is told anew in between is taken for of old, not for the member's.
func (p *Probe) snapshotGroups() error {
	s, m := &p.snapshot, &p.objects.KafkaMaps
	return errors.Join(
		p.reader.assignments.each(m.Assignments, func(k *bpf.KafkaAssignmentKey, v *bpf.KafkaAssignmentValue) {
			s.Assignments = append(s.Assignments, state.Assignment{
				Link:      state.LinkID(k.Link),
				Group:     state.NameID(k.Group),
				Topic:     state.NameID(k.Topic),
				Partition: k.Partition,
				Member:    state.NameID(v.Member),
				Assigned:  v.Assigned,
			})
		}),
		p.reader.members.each(m.Members, func(k *bpf.KafkaMemberKey, v *bpf.KafkaMemberValue) {
			s.Members = append(s.Members, state.Member{
				Link:       state.LinkID(k.Link),
				Group:      state.NameID(k.Group),
				Member:     state.NameID(k.Member),
				Generation: v.Generation,
				Error:      v.Error,
				API:        v.Api,
				Time:       v.Time,
				Assigned:   v.Assigned,
				Open:       p.alive[v.Connection],
			})
		}),
		p.reader.groups.each(m.Groups, func(k *bpf.KafkaGroupKey, v *bpf.KafkaGroupValue) {
			s.Groups = append(s.Groups, state.Group{
				Link:        state.LinkID(k.Link),
				Group:       state.NameID(k.Group),
				First:       v.First,
				Deleted:     v.Deleted,
				Joining:     v.Joining,
				Joined:      v.Joined,
				Rebalancing: time.Duration(v.RebalancingNs),
				Rebalances:  v.Rebalances,
			})
		}),
		p.reader.shares.each(m.Shares, func(k *bpf.KafkaShareKey, v *bpf.KafkaShareValue) {
			s.Shares = append(s.Shares, state.ShareCounter{
				Link:      state.LinkID(k.Link),
				Group:     state.NameID(k.Group),
				Topic:     state.NameID(k.Topic),
				Partition: k.Partition,
				First:     v.First,
				Accepted:  v.Accepted,
				Released:  v.Released,
				Rejected:  v.Rejected,
			})
		}),
		p.reader.gone.each(m.Gone, func(k *bpf.KafkaGoneKey, time *uint64) {
			s.Gone = append(s.Gone, state.GoneTopic{Link: state.LinkID(k.Link), Topic: state.NameID(k.Topic), Time: *time})
		}),
	)
}
