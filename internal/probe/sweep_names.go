// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"

	"github.com/ebpfkafka/ebpfkafka/bpf"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// namesFull is the part of the map of names, in quarters, from which on names that nothing refers to are
// removed. Below it they do no harm, and a topic id learnt early is useful later.
const namesFull = 3

// sweepNames removes names and topic ids that nothing refers to, once the map is nearly full: ids of
// members that are gone, topics that only a listing has mentioned. A name that comes into use at this
// very moment is missed until it is on the wire again; until then what it names is held back.
func (p *Probe) sweepNames() error {
	m := &p.objects.KafkaMaps
	if uint64(p.reader.names.entries)*4 < uint64(m.Names.MaxEntries())*namesFull {
		return nil
	}
	used := make(map[state.NameID]bool)
	for i := range p.snapshot.Offsets {
		used[p.snapshot.Offsets[i].Group] = true
		used[p.snapshot.Offsets[i].Topic] = true
	}
	for i := range p.snapshot.Watermarks {
		used[p.snapshot.Watermarks[i].Topic] = true
	}
	for i := range p.snapshot.Commits {
		used[p.snapshot.Commits[i].Group] = true
		used[p.snapshot.Commits[i].Topic] = true
	}
	for i := range p.snapshot.Members {
		used[p.snapshot.Members[i].Group] = true
		used[p.snapshot.Members[i].Member] = true
	}
	for i := range p.snapshot.Groups {
		used[p.snapshot.Groups[i].Group] = true
	}
	for i := range p.snapshot.Assignments {
		used[p.snapshot.Assignments[i].Group] = true
		used[p.snapshot.Assignments[i].Topic] = true
		used[p.snapshot.Assignments[i].Member] = true
	}
	for i := range p.snapshot.Shares {
		used[p.snapshot.Shares[i].Group] = true
		used[p.snapshot.Shares[i].Topic] = true
	}
	for i := range p.snapshot.Gone {
		used[p.snapshot.Gone[i].Topic] = true
	}
	for _, l := range p.snapshot.Links {
		used[l.Client] = true
		used[l.Cluster] = true
	}
	for id := range p.clients {
		used[id] = true
	}
	errPending := p.reader.pending.each(m.Pending, func(k *bpf.KafkaPendingKey, v *bpf.KafkaPendingValue) {
		used[state.NameID(k.Topic)] = true
		used[state.NameID(v.Group)] = true
	})
	errRequests := p.reader.requests.each(m.Requests, func(_ *bpf.KafkaRequestKey, v *bpf.KafkaRequest) {
		used[state.NameID(v.Group)] = true
		used[state.NameID(v.Member)] = true
	})
	errTxn := p.reader.txnOffsets.each(m.TxnOffsets, func(_ *uint64, v *bpf.KafkaTxnOffset) {
		used[state.NameID(v.Key.Group)] = true
		used[state.NameID(v.Key.Topic)] = true
	})
	if err := errors.Join(errPending, errRequests, errTxn); err != nil {
		return err
	}
	var ids []uint64
	for id, name := range p.snapshot.TopicIDs {
		if used[id] {
			used[name] = true
		} else {
			ids = append(ids, uint64(id))
		}
	}
	return errors.Join(remove(m.TopicIds, ids),
		p.reader.names.removeIf(m.Names, func(k *uint64, _ *bpf.KafkaName) bool { return !used[state.NameID(*k)] }))
}
