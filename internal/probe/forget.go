// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"fmt"

	"github.com/ebpfkafka/ebpfkafka/bpf"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// Forget removes offsets of the last Snapshot that are void: the broker has none any more. What deleted them may be
// forgotten after that, and they do not come back. An offset that was committed anew meanwhile stays.
func (p *Probe) Forget(void []state.Offset) error {
	m := p.objects.Offsets
	for i := range void {
		o := &void[i]
		key := bpf.KafkaOffsetKey{Link: uint64(o.Link), Group: uint64(o.Group), Topic: uint64(o.Topic), Partition: o.Partition}
		var v bpf.KafkaOffsetValue
		err := m.Lookup(&key, &v)
		if err == nil && v.Time == o.Since && v.Acked == o.Acked {
			err = m.Delete(&key)
		}
		if err := ignoreMissing(err); err != nil {
			return fmt.Errorf("deleting from map %s: %w", m, err)
		}
	}
	return nil
}
