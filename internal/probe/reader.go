// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/bpf"
)

// batchEntries is how many entries one look-up of a map returns at most: few system calls, and buffers
// that stay below 1 MB for all but the connections.
const batchEntries = 4096

// A table reads one hash map in batches. Its buffers are kept between scrapes.
type table[K, V any] struct {
	keys    []K
	values  []V
	entries int // how many there were
}

// each calls f for every entry. An entry that is deleted or added meanwhile may or may not be seen; none
// is seen half-written, except that several fields of one value may stem from two updates.
func (t *table[K, V]) each(m *ebpf.Map, f func(*K, *V)) error {
	size := min(batchEntries, int(m.MaxEntries()))
	if len(t.keys) < size {
		t.keys, t.values = make([]K, size), make([]V, size)
	}
	var cursor ebpf.MapBatchCursor
	t.entries = 0
	for {
		n, err := m.BatchLookup(&cursor, t.keys, t.values, nil)
		t.entries += n
		for i := range n {
			f(&t.keys[i], &t.values[i])
		}
		switch {
		case err == nil:
		case errors.Is(err, ebpf.ErrKeyNotExist):
			return nil
		case errors.Is(err, unix.ENOSPC): // a single bucket holds more than the buffer
			t.keys, t.values = make([]K, 2*len(t.keys)), make([]V, 2*len(t.values))
		default:
			return fmt.Errorf("reading map %s: %w", m, err)
		}
	}
}

// keysIf are the keys of the entries that f picks. What has been read so far is returned with an error, too.
func (t *table[K, V]) keysIf(m *ebpf.Map, f func(*K, *V) bool) ([]K, error) {
	var keys []K
	err := t.each(m, func(k *K, v *V) { keys = appendIf(keys, *k, f(k, v)) })
	return keys, err
}

// removeIf removes the entries that f picks, once all have been read: a map that changes is not gone through reliably.
func (t *table[K, V]) removeIf(m *ebpf.Map, f func(*K, *V) bool) error {
	keys, err := t.keysIf(m, f)
	return errors.Join(err, remove(m, keys))
}

// reader holds the buffers of every map.
type reader struct {
	connections table[uint64, bpf.KafkaConnection]
	peers       table[bpf.KafkaTuple, uint64]
	links       table[uint64, bpf.KafkaLinkValue]
	names       table[uint64, bpf.KafkaName]
	topicIDs    table[uint64, bpf.KafkaTopicIdValue]
	offsets     table[bpf.KafkaOffsetKey, bpf.KafkaOffsetValue]
	refused     table[bpf.KafkaOffsetKey, uint64]
	watermarks  table[bpf.KafkaPartitionKey, bpf.KafkaWatermarkValue]
	times       table[bpf.KafkaPartitionKey, bpf.KafkaTimesValue]
	sessions    table[bpf.KafkaSessionKey, bpf.KafkaSessionValue]
	commits     table[bpf.KafkaCommitsKey, bpf.KafkaCommitsValue]
	members     table[bpf.KafkaMemberKey, bpf.KafkaMemberValue]
	groups      table[bpf.KafkaGroupKey, bpf.KafkaGroupValue]
	assignments table[bpf.KafkaAssignmentKey, bpf.KafkaAssignmentValue]
	gone        table[bpf.KafkaGoneKey, uint64]
	shares      table[bpf.KafkaShareKey, bpf.KafkaShareValue]
	txnOffsets  table[uint64, bpf.KafkaTxnOffset]
	producers   table[uint64, bpf.KafkaTxnProducer]
	requests    table[bpf.KafkaRequestKey, bpf.KafkaRequest]
	pending     table[bpf.KafkaPendingKey, bpf.KafkaPendingValue]
	parked      table[bpf.KafkaRequestKey, bpf.KafkaParkedValue]
}
