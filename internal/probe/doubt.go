// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ebpfkafka/ebpfkafka/bpf"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// commitAge is how long the answer to a commit is waited for before the offset is doubted. By then the broker has
// stored the commit or refused it (offsets.commit.timeout.ms, 5 s by default), but the client has not read which.
const commitAge = 5 * time.Second

// Api keys of the requests that change committed offsets.
const (
	apiOffsetCommit    = 8
	apiEndTxn          = 26
	apiTxnOffsetCommit = 28
)

// producerMarkers is PRODUCER_MARKERS of bpf/types.h.
const producerMarkers = -2

// processID is a process as long as it lives, and after.
type processID struct {
	pid       uint32
	startTime uint64
}

// A producer as the kernel side knows it.
type producer struct {
	process state.ProcessKey
	client  state.NameID
	id      int64
}

// producer is one of the zero process if the link is gone.
func (p *Probe) producer(link uint64, id int64) producer {
	var v bpf.KafkaLinkValue
	if err := p.objects.Links.Lookup(link, &v); err != nil {
		return producer{}
	}
	l := linkOf(&v)
	return producer{l.Process, l.Client, id}
}

// doubt finds commits, also of transactions, whose answer will not be read: their connection has ended, or the client
// does not read. The broker may have stored them or not, so the offsets that they would change are not known from
// then on; whatever is heard later makes them known again. Call it after readConnections, which began at now.
func (p *Probe) doubt(now uint64) error {
	m := &p.objects.KafkaMaps
	commits := make(map[bpf.KafkaRequestKey]*bpf.KafkaRequest)
	ends := make(map[producer]uint64) // when the last end of its transaction was asked for
	errRequests := p.reader.requests.each(m.Requests, func(k *bpf.KafkaRequestKey, v *bpf.KafkaRequest) {
		if v.Time >= now || (p.alive[k.Connection] && !older(now, v.Time, commitAge)) {
			return
		}
		switch {
		case v.Api == apiOffsetCommit || v.Api == apiTxnOffsetCommit:
			request := *v
			commits[*k] = &request
		case v.Api == apiEndTxn && v.Committed != 0:
			at := p.producer(v.Link, v.Producer)
			ends[at] = max(ends[at], v.Time)
		}
	})
	unknown := make(map[bpf.KafkaOffsetKey]doubtful)
	errs := []error{errRequests}
	if len(commits) > 0 {
		errs = append(errs, p.reader.pending.each(m.Pending, func(k *bpf.KafkaPendingKey, v *bpf.KafkaPendingValue) {
			request := commits[bpf.KafkaRequestKey{Connection: k.Connection, Correlation: k.Correlation}]
			if request == nil || request.Link == 0 || v.Group == 0 {
				return
			}
			d := doubtful{sent: v.Time, committed: v.Time}
			if request.Api == apiTxnOffsetCommit {
				d.ended = v.Time
			}
			key := bpf.KafkaOffsetKey{Link: request.Link, Group: v.Group, Topic: k.Topic, Partition: k.Partition}
			unknown[key] = unknown[key].or(d)
		}))
	}
	errs = append(errs, p.doubtTransactions(now, ends, unknown))
	for key, d := range unknown {
		errs = append(errs, p.offsetUnknown(key, d))
	}
	return errors.Join(errs...)
}

// doubtTransactions adds to unknown the offsets that may have come into force with one of ends, commits of transactions.
// And it finds those at a broker that was not seen to be sent markers, as where brokers encrypt what they say to each
// other: clients commit offsets when they are about to end a transaction, so that the marker would follow soon.
func (p *Probe) doubtTransactions(now uint64, ends map[producer]uint64, unknown map[bpf.KafkaOffsetKey]doubtful) error {
	m := &p.objects.KafkaMaps
	p.open = cleared(p.open)
	ids := make(map[uint64]int64)
	marked := make(map[processID]bool)
	errProducers := p.reader.producers.each(m.TxnProducers, func(k *uint64, v *bpf.KafkaTxnProducer) {
		ids[*k] = v.Producer
		if v.Producer == producerMarkers {
			marked[processID{v.Tgid, v.StartTime}] = true
		}
	})
	errOffsets := p.reader.txnOffsets.each(m.TxnOffsets, func(id *uint64, v *bpf.KafkaTxnOffset) {
		var link bpf.KafkaLinkValue
		if err := m.Links.Lookup(v.Key.Link, &link); err != nil {
			return
		}
		l := linkOf(&link)
		if sent := ends[producer{l.Process, l.Client, ids[v.ProducerKey]}]; sent > v.Asked {
			unknown[v.Key] = unknown[v.Key].or(doubtful{sent: sent, ended: sent})
		}
		process := processID{l.Process.PID, l.Process.StartTime}
		if l.Role == state.RoleBroker && older(now, v.First, commitAge) && !marked[process] {
			p.open[*id] = true
			p.snapshot.Open = append(p.snapshot.Open, state.OpenOffset{
				Link: state.LinkID(v.Key.Link), Group: state.NameID(v.Key.Group), Topic: state.NameID(v.Key.Topic),
				Partition: v.Key.Partition, Committed: v.Asked,
			})
		}
	})
	return errors.Join(errProducers, errOffsets)
}

// asked is when the client asked for what is known. The answer may have been read long after: of several commits in
// flight, that to the first can come when the last has been sent.
func asked(v *bpf.KafkaOffsetValue) uint64 {
	switch bpf.KafkaOffsetSource(v.Source) {
	case bpf.KafkaOffsetSourceOFFSET_COMMIT, bpf.KafkaOffsetSourceOFFSET_TXN:
		return v.Ordered
	}
	return v.Time
}

// doubtful is what makes an offset not known.
type doubtful struct {
	sent uint64 // the request, a commit or the end of a transaction
	// A commit's, which a transaction that has only older ones does not make known again; the end of a transaction, when
	// it is answered after all, does.
	committed uint64
	ended     uint64 // the transaction, perhaps; 0: none
}

// outlived is what is asked for after that makes the offset known, if that is a look at it or another commit.
func (d doubtful) outlived(look bool) uint64 {
	if look && d.ended > 0 {
		return max(d.sent, d.ended+uint64(state.TransactionMarkers))
	}
	return d.sent
}

// looked tells whether what is known was read from the broker since it was committed, if it was.
func looked(v *bpf.KafkaOffsetValue) bool {
	switch bpf.KafkaOffsetSource(v.Source) {
	case bpf.KafkaOffsetSourceOFFSET_COMMIT, bpf.KafkaOffsetSourceOFFSET_TXN:
		return v.Ordered > v.Committed
	}
	return v.Time < v.Acked
}

func (d doubtful) or(other doubtful) doubtful {
	return doubtful{max(d.sent, other.sent), max(d.committed, other.committed), max(d.ended, other.ended)}
}

// offsetUnknown notes that an offset may have changed: a commit was sent, and its answer was not seen. Of a link that has
// been forgotten meanwhile there is nothing to be noted: nobody would remove it.
func (p *Probe) offsetUnknown(key bpf.KafkaOffsetKey, d doubtful) error {
	var link bpf.KafkaLinkValue
	if err := p.objects.Links.Lookup(key.Link, &link); errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("reading map %s: %w", p.objects.Links, err)
	}
	var known bpf.KafkaOffsetValue
	switch err := p.objects.Offsets.Lookup(&key, &known); {
	case errors.Is(err, ebpf.ErrKeyNotExist):
	case err != nil:
		return fmt.Errorf("reading map %s: %w", p.objects.Offsets, err)
	case known.Source == uint8(bpf.KafkaOffsetSourceOFFSET_UNKNOWN):
		if known.Time >= d.sent && known.Committed >= d.committed {
			return nil
		}
		d = d.or(doubtful{known.Time, known.Committed, known.Ordered})
	case asked(&known) >= d.outlived(looked(&known)):
		return nil // something newer is known
	default:
		d.committed = max(d.committed, known.Committed)
	}
	err := p.objects.Offsets.Put(&key, &bpf.KafkaOffsetValue{
		Offset: -1, Time: d.sent, Acked: d.sent, Ordered: d.ended, Committed: d.committed, LeaderEpoch: -1,
		Source: uint8(bpf.KafkaOffsetSourceOFFSET_UNKNOWN),
	})
	if err != nil {
		return fmt.Errorf("writing map %s: %w", p.objects.Offsets, err)
	}
	return nil
}
