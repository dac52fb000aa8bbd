// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"time"

	"github.com/ebpfkafka/ebpfkafka/bpf"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// openTransaction is how long a transaction may be open: transaction.max.timeout.ms of brokers, 15 minutes by
// default. After that its coordinator has aborted it.
const openTransaction = 15 * time.Minute

// sweepTransactions removes the offsets of transactions that nobody will commit any more, and adds to unknown those
// that one of ends, commits of a transaction without an answer, may have brought into force.
func (p *Probe) sweepTransactions(now uint64, idle time.Duration, ends []bpf.KafkaRequest, unknown map[bpf.KafkaOffsetKey]uint64) error {
	m := &p.objects.KafkaMaps
	type producer struct {
		process state.ProcessKey
		client  state.NameID
		id      int64
	}
	ended := make(map[producer]uint64, len(ends))
	for i := range ends {
		link := p.snapshot.Links[state.LinkID(ends[i].Link)]
		at := producer{link.Process, link.Client, ends[i].Producer}
		ended[at] = max(ended[at], ends[i].Time)
	}
	var producers []uint64
	ids := make(map[uint64]int64)
	errProducers := p.reader.producers.each(m.TxnProducers, func(k *uint64, v *bpf.KafkaTxnProducer) {
		if older(now, v.Time, max(idle, openTransaction)) {
			producers = append(producers, *k)
		} else {
			ids[*k] = v.Producer
		}
	})
	var offsets []uint64
	errOffsets := p.reader.txnOffsets.each(m.TxnOffsets, func(k *uint64, v *bpf.KafkaTxnOffset) {
		id, known := ids[v.ProducerKey]
		if !known {
			offsets = appendIf(offsets, *k, older(now, v.Acked, openTransaction))
			return
		}
		link := p.snapshot.Links[state.LinkID(v.Key.Link)]
		if sent := ended[producer{link.Process, link.Client, id}]; sent > v.Acked {
			unknown[v.Key] = max(unknown[v.Key], sent)
		}
	})
	return errors.Join(errProducers, errOffsets, remove(m.TxnProducers, producers), remove(m.TxnOffsets, offsets))
}
