// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"time"

	"github.com/ebpfkafka/ebpfkafka/bpf"
)

// openTransaction is how long a transaction may be open: transaction.max.timeout.ms of brokers, 15 minutes by
// default. After that its coordinator has aborted it.
const openTransaction = 15 * time.Minute

// sweepTransactions removes the offsets of transactions that nobody will commit any more.
func (p *Probe) sweepTransactions(now uint64, idle time.Duration) error {
	m := &p.objects.KafkaMaps
	var producers []uint64
	known := make(map[uint64]bool) // false: removed
	errProducers := p.reader.producers.each(m.TxnProducers, func(k *uint64, v *bpf.KafkaTxnProducer) {
		known[*k] = !older(now, v.Time, max(idle, openTransaction))
		producers = appendIf(producers, *k, !known[*k])
	})
	var offsets []uint64
	errOffsets := p.reader.txnOffsets.each(m.TxnOffsets, func(k *uint64, v *bpf.KafkaTxnOffset) {
		kept, there := known[v.ProducerKey]
		offsets = appendIf(offsets, *k, !kept && (there || older(now, v.Acked, openTransaction)))
	})
	return errors.Join(errProducers, errOffsets, remove(m.TxnProducers, producers), remove(m.TxnOffsets, offsets))
}
