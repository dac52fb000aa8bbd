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
	key, value, err := textName(name)
	if err != nil {
		return err
	}
	err = p.objects.Names.Update(key, value, ebpf.UpdateNoExist)
	if errors.Is(err, ebpf.ErrKeyExist) {
		var known bpf.KafkaName
		if err := p.objects.Names.Lookup(key, &known); err != nil {
			return fmt.Errorf("reading map %s: %w", p.objects.Names, err)
		}
		if known.Check != value.Check || known.Length != value.Length {
			return fmt.Errorf("topic %q: another name has the same id: it is left out", name)
		}
	} else if err != nil {
		return fmt.Errorf("entering topic %q into map %s: %w", name, p.objects.Names, err)
	}
	if err := p.objects.TopicIds.Put(uint64(id), &bpf.KafkaTopicIdValue{Name: key, Time: monotonic()}); err != nil {
		return fmt.Errorf("entering the id of topic %q into map %s: %w", name, p.objects.TopicIds, err)
	}
	return nil
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
