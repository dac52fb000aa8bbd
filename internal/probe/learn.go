// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/ebpfkafka/ebpfkafka/bpf"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// Unnamed are the topic ids that the last Snapshot found without a name. The caller must not change it.
func (p *Probe) Unnamed() map[[16]byte]state.NameID { return p.unnamed }

// LearnTopic enters the name of a topic id that Unnamed has told, as if Metadata had said it. It is part of the next
// Snapshot.
func (p *Probe) LearnTopic(id state.NameID, name string) error {
	key, err := p.enterName(name)
	if err != nil {
		return err
	}
	if err := p.objects.TopicIds.Put(uint64(id), &bpf.KafkaTopicIdValue{Name: key, Time: monotonic()}); err != nil {
		return fmt.Errorf("entering the id of topic %q into map %s: %w", name, p.objects.TopicIds, err)
	}
	return nil
}

// LearnCluster enters the id of a link's cluster, for as long as Metadata has not said it there. It is part of the next
// Snapshot. (It is not written into the map: the kernel side writes to the same entries.)
func (p *Probe) LearnCluster(link state.LinkID, cluster string) error {
	key, err := p.enterName(cluster)
	if err != nil {
		return err
	}
	if p.clusters == nil {
		p.clusters = make(map[state.LinkID]state.NameID)
	}
	p.clusters[link] = state.NameID(key)
	return nil
}

// enterName makes sure that a name is known, and returns its id.
func (p *Probe) enterName(name string) (uint64, error) {
	key, value, err := textName(name)
	if err != nil {
		return 0, err
	}
	err = p.objects.Names.Update(key, value, ebpf.UpdateNoExist)
	if err == nil {
		return key, nil
	}
	if !errors.Is(err, ebpf.ErrKeyExist) {
		return 0, fmt.Errorf("entering %q into map %s: %w", name, p.objects.Names, err)
	}
	var known bpf.KafkaName
	if err := p.objects.Names.Lookup(key, &known); err != nil {
		return 0, fmt.Errorf("reading map %s: %w", p.objects.Names, err)
	}
	if known.Check != value.Check || known.Length != value.Length {
		return 0, fmt.Errorf("%q: another name has the same id: it is left out", name)
	}
	return key, nil
}

// textName is name_intern of bpf/names.h: the id of a name and its entry.
func textName(name string) (uint64, *bpf.KafkaName, error) {
	const (
		hash1 = 0x9e3779b97f4a7c15
		hash2 = 0xc2b2ae3d27d4eb4f
		hash3 = 0x165667b19e3779f9
	)
	n := &bpf.KafkaName{Length: uint16(len(name)), Kind: uint8(bpf.KafkaNameKindNAME_TEXT)}
	if len(name) >= len(n.Bytes) {
		return 0, nil, fmt.Errorf("a name of %d bytes: at most %d are kept", len(name), len(n.Bytes)-1)
	}
	copy(n.Bytes[:], name)
	a := hash3 + uint64(n.Length)
	b := hash1 ^ uint64(n.Kind)
	word := func(w uint64) {
		a = (a ^ w) * hash1
		a ^= a >> 29
		b = (b + w) * hash2
		b ^= b >> 31
	}
	for i := 0; i < len(name); i += 8 {
		word(binary.LittleEndian.Uint64(n.Bytes[i:]))
	}
	word(uint64(n.Kind))
	n.Check = b
	return max(a, uint64(state.NameInvalid)+1), n, nil
}
