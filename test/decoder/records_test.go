// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/bpf"
)

// batch is what the decoder must see of a record batch.
type batch struct {
	base           int64
	lastDelta      int32
	first, maxTime int64
}

// recordData is what it must see of the records of one partition.
type recordData []batch

// count is the number of records of batches of magic 2, by their headers.
func (d recordData) count() int64 {
	n := int64(0)
	for _, b := range d {
		n += int64(b.lastDelta) + 1
	}
	return n
}

// batchesKept is how many batches of a partition are remembered. Of a response, more are not looked at.
const batchesKept = len(bpf.KafkaTimesValue{}.Points)

// recordReader tells what a partition's record data holds.
type recordReader func([]byte) recordData

// generatedRecords remembers what random record data holds, by where it lies.
type generatedRecords map[*byte]recordData

func (g generatedRecords) of(b []byte) recordData {
	if len(b) == 0 {
		return nil
	}
	return g[unsafe.SliceData(b)]
}

// headOfBatch is how many bytes of a batch, up to and with the maximum timestamp, tell all that is kept.
const headOfBatch = 43

// records makes the record data of a partition: null, empty, batches of which a Fetch may cut the last one
// off, message sets from before Kafka 0.11, or something unknown.
func (g generatedRecords) records(r *rand.Rand) []byte {
	var b []byte
	var data recordData
	switch r.IntN(10) {
	case 0:
		return nil
	case 1:
		return []byte{}
	case 2: // message sets: nothing is kept of them
		for range 1 + r.IntN(4) {
			b = appendOldMessage(r, b)
		}
		if r.IntN(2) == 0 { // the last one cut off
			b = b[:1+r.IntN(len(b))]
		}
	case 3: // a magic byte that is not known: nothing of the rest can be
		b, data = appendBatches(r, b, r.IntN(3))
		unknown := randomBytes(r, headOfBatch+r.IntN(100))
		unknown[16] = byte(3 + r.IntN(253))
		b = append(b, unknown...)
	case 4: // both, as after an upgrade
		for range 1 + r.IntN(3) {
			b = appendOldMessage(r, b)
		}
		b, data = appendBatches(r, b, 1+r.IntN(3))
	default:
		b, data = appendBatches(r, b, 1+r.IntN(4))
		if r.IntN(2) == 0 { // a last one cut off: known if its head is whole
			last, lastData := appendBatches(r, nil, 1)
			last = last[:1+r.IntN(len(last)-1)]
			if len(last) >= headOfBatch {
				data = append(data, lastData...)
			}
			b = append(b, last...)
		}
	}
	if len(b) > 0 {
		g[unsafe.SliceData(b)] = data
	}
	return b
}

func appendBatches(r *rand.Rand, b []byte, n int) ([]byte, recordData) {
	var data recordData
	for range n {
		records := randomBytes(r, r.IntN(1<<r.IntN(11)))
		v := kmsg.RecordBatch{
			FirstOffset:          randomOffset(r),
			Length:               int32(49 + len(records)),
			PartitionLeaderEpoch: int32(r.Uint32()),
			Magic:                2,
			CRC:                  int32(r.Uint32()),
			Attributes:           int16(r.Uint32()),
			LastOffsetDelta:      int32(r.IntN(1 << (1 + r.IntN(30)))),
			FirstTimestamp:       randomOffset(r),
			MaxTimestamp:         randomOffset(r),
			ProducerID:           int64(r.Uint64()),
			NumRecords:           int32(r.Uint32()),
			Records:              records,
		}
		b = v.AppendTo(b)
		data = append(data, batch{v.FirstOffset, v.LastOffsetDelta, firstTime(&v), v.MaxTimestamp})
	}
	return b, data
}

// appendOldMessage appends one entry of a message set of magic 0 or 1, which may wrap compressed ones.
func appendOldMessage(r *rand.Rand, b []byte) []byte {
	value := randomBytes(r, r.IntN(200))
	magic := byte(r.IntN(2))
	message := binary.BigEndian.AppendUint32(nil, r.Uint32()) // crc
	message = append(message, magic, byte(r.IntN(4)))
	if magic == 1 {
		message = binary.BigEndian.AppendUint64(message, r.Uint64())
	}
	message = binary.BigEndian.AppendUint32(message, 0xffffffff) // no key
	message = binary.BigEndian.AppendUint32(message, uint32(len(value)))
	message = append(message, value...)
	b = binary.BigEndian.AppendUint64(b, r.Uint64())
	b = binary.BigEndian.AppendUint32(b, uint32(len(message)))
	return append(b, message...)
}

// readRecords reads record data of magic 2 with kmsg. A last batch that is cut off counts if its head is whole.
func readRecords(b []byte) recordData {
	var data recordData
	for len(b) >= headOfBatch {
		var v kmsg.RecordBatch
		padded := append(slices.Clone(b), make([]byte, 61)...)
		size := 12 + int(binary.BigEndian.Uint32(b[8:]))
		if len(padded) > size {
			padded = padded[:size]
		}
		if err := v.ReadFrom(padded); err != nil && size <= len(b) {
			panic(fmt.Sprintf("a batch that kmsg does not read: %v", err))
		}
		data = append(data, batch{v.FirstOffset, v.LastOffsetDelta, firstTime(&v), v.MaxTimestamp})
		b = b[min(size, len(b)):]
	}
	return data
}

// firstTime is the time of a batch's first record: with timestamp type LogAppendTime (attribute bit 3) that
// of all of them, the broker's.
func firstTime(v *kmsg.RecordBatch) int64 {
	if v.Attributes&8 != 0 {
		return v.MaxTimestamp
	}
	return v.FirstTimestamp
}
