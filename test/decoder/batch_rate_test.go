// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
	const kept = batchesKept
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
	old := appendOldMessage(rand.New(rand.NewPCG(1, 2)), nil)
	for messages, looked := range map[int]int{kept - 1: 1, kept: 0} {
		records := append(bytes.Repeat(old, messages), recordBatch(10, 30, own)...)
		require.Equal(t, looked, s.batchesFetched(records, nil, nil), "behind %d messages of an older format", messages)
	}
}

// Of what is fetched at full speed not every response is looked at, but then none of it is. Nothing else is missed.
func TestBatchesAtFullSpeed(t *testing.T) {
	const each, partitions, rounds = 10, 50, 15
	const all = each * partitions
	s := situate(t, roomy)
	s.requireUnderstands(t, "before")
	records := slices.Repeat([][]byte{bytes.Repeat(recordBatch(10, 30, own), each)}, partitions)
	looked := 0
	began := time.Now()
	for range rounds {
		n := s.batchesFetched(records...)
		require.Contains(t, []int{0, all}, n)
		looked += n
	}
	atOnce := int(batchPause/batchEvery) + 1
	require.GreaterOrEqual(t, looked, atOnce)
	require.LessOrEqual(t, looked, atOnce+int(time.Since(began)/batchEvery)+all)
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
