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
	kept := make(map[uint64]bool) // of the producers that there were
	producers, errProducers := p.reader.producers.keysIf(m.TxnProducers, func(k *uint64, v *bpf.KafkaTxnProducer) bool {
		kept[*k] = !older(now, v.Time, max(idle, openTransaction))
		return !kept[*k]
	})
	var errs []error
	errOffsets := p.reader.txnOffsets.removeIf(m.TxnOffsets, func(id *uint64, v *bpf.KafkaTxnOffset) bool {
		kept, there := kept[v.ProducerKey]
		if kept || (!there && !older(now, v.Asked, openTransaction)) {
			return false
		}
		if p.open[*id] { // it has ended by now, one way or the other
			ended := v.Asked + uint64(openTransaction)
			errs = append(errs, p.offsetUnknown(v.Key, doubtful{sent: ended, committed: v.Asked, ended: ended}))
		}
		return true
	})
	return errors.Join(errProducers, remove(m.TxnProducers, producers), errOffsets, errors.Join(errs...))
}
