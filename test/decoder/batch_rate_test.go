// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/bpf"
	"github.com/ebpfkafka/ebpfkafka/internal/schema"
)

const (
	batchEvery = 1 << 18 * time.Nanosecond // BATCH_NANOSECONDS of bpf/config.h
	batchPause = time.Second               // BATCHES_NANOSECONDS
)

// batchesFetched makes a Fetch and counts the batches that were looked at. Each partition's watermark has to be known.
func (s *situation) batchesFetched(partitions ...[]byte) (looked int) {
	request, response := s.fetch(partitions...)
	s.feed(true, request)
	for part := range slices.Chunk(response, 64<<10) {
		s.feed(false, part)
	}
	for _, r := range s.k.drain() {
		if r.Sink == uint32(schema.SinkBatch) {
			looked++
		}
	}
	require.Equal(s.k.t, counting(len(partitions), 1000), s.highWatermarks())
	require.Equal(s.k.t, none, s.left())
	return looked
}

// More than can be remembered of a partition is not looked at.
func TestBatchesOfAPartition(t *testing.T) {
	s := situate(t, roomy)
	s.requireUnderstands(t, "before")
	kept := len(bpf.KafkaTimesValue{}.Points)
	for batches, looked := range map[int]int{kept - 1: kept - 1, kept: kept, kept + 1: kept, 1000: kept} {
		var records []byte
		for i := range batches {
			records = append(records, recordBatch(int64(10*i), 30, own)...)
		}
		require.Equal(t, 2*looked, s.batchesFetched(records, nil, records), "of two partitions' %d batches", batches)
	}
	for _, points := range s.k.snapshot().Batches {
		require.Len(t, points, kept)
	}
}

// Of what is fetched at full speed only so many batches are looked at. Nothing else of it is missed.
func TestBatchesAtFullSpeed(t *testing.T) {
	const batches, partitions, rounds = 10, 50, 15
	s := situate(t, roomy)
	s.requireUnderstands(t, "before")
	looked := 0
	began := time.Now()
	for range rounds {
		looked += s.batchesFetched(slices.Repeat([][]byte{bytes.Repeat(recordBatch(10, 30, own), batches)}, partitions)...)
	}
	atOnce := int(batchPause/batchEvery) + 1
	require.GreaterOrEqual(t, looked, atOnce)
	require.LessOrEqual(t, looked, atOnce+int(time.Since(began)/batchEvery)+1)
	s.requireUnderstands(t, "after")
}

// A follower commits nothing: the ages of what it fetches are nobody's lag.
func TestBatchesOfFollowers(t *testing.T) {
	s := situate(t, roomy)
	s.requireUnderstands(t, "before")
	request, response := s.fetchAs(2, recordBatch(10, 30, own), nil)
	s.feed(true, request)
	s.feed(false, response)
	require.Equal(t, counting(2, 1000), s.highWatermarks())
	require.Empty(t, s.k.snapshot().Batches)
}
