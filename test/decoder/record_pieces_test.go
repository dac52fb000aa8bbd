// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/internal/schema"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

const (
	batchHead      = 43       // bytes of a batch that are looked at
	lengthFrom     = 12       // a batch says how many bytes there are from here on
	batchTillMagic = 17       // what is looked at first
	batchBytes     = 61       // a batch without records
	own            = int32(0) // the length that the batch has
	toTheHeadsEnd  = int32(batchHead - lengthFrom)
)

// recordBatch is a batch of 5 records from offset base on, of some bytes, which says that it had a length.
func recordBatch(base int64, bytes int, length int32) []byte {
	b := (&kmsg.RecordBatch{
		FirstOffset: base, Length: int32(batchBytes - lengthFrom + bytes), Magic: 2, LastOffsetDelta: 4,
		FirstTimestamp: 1000 + base, MaxTimestamp: 2000 + base, Records: make([]byte, bytes),
	}).AppendTo(nil)
	if length != own {
		binary.BigEndian.PutUint32(b[8:], uint32(length))
	}
	return b
}

// Record data as no broker sends it, too, cut at each byte and given in several ways: what is known of it is what is
// known of it whole, and the partitions behind it are found.
func TestRecordsInPieces(t *testing.T) {
	regions := map[string]struct {
		data    []byte
		batches int // that are found in it
	}{
		"two batches":               {append(recordBatch(10, 30, own), recordBatch(20, 30, own)...), 2},
		"the same twice":            {bytes.Repeat(recordBatch(10, 9*batchHead-batchBytes, own), 2), 2},
		"without records":           {append(recordBatch(10, 0, own), recordBatch(20, 0, own)...), 2},
		"cut behind the head":       {append(recordBatch(10, 300, own), recordBatch(20, 3, own)[:batchHead]...), 2},
		"cut within the head":       {append(recordBatch(10, 300, own), recordBatch(20, 3, own)[:batchHead-1]...), 1},
		"cut behind the magic byte": {append(recordBatch(10, 0, own), recordBatch(20, 3, own)[:batchTillMagic]...), 1},
		"ends with its head":        {recordBatch(10, 3, toTheHeadsEnd)[:batchHead], 1},
		"longer than all, alone":    {recordBatch(10, 10, 0x7fffffff), 1},
		"longer than all":           {append(recordBatch(10, 10, 0x7fffffff), recordBatch(20, 10, own)...), 1},
		"ends within the next":      {append(recordBatch(10, 10, batchBytes-lengthFrom+40), recordBatch(20, 100, own)...), 1},
		"of a negative length":      {append(recordBatch(10, 10, -5), recordBatch(20, 10, own)...), 0},
		"shorter than its head":     {append(recordBatch(10, 10, toTheHeadsEnd-1), recordBatch(20, 10, own)...), 0},
	}
	pieces := map[string]func(s *situation, b []byte, cut int){
		"two calls": func(s *situation, b []byte, cut int) {
			s.feed(false, b[:cut])
			s.feed(false, b[cut:])
		},
		"into one buffer": func(s *situation, b []byte, cut int) {
			buffer := make([]byte, len(b))
			s.feed(false, buffer[:copy(buffer, b[:cut])])
			s.feed(false, buffer[:copy(buffer, b[cut:])])
		},
		"one call, other bytes behind the first piece": func(s *situation, b []byte, cut int) {
			first := append(bytes.Clone(b[:cut]), bytes.Repeat([]byte{0xee}, len(b)-cut)...)
			s.feedVector(false, [][]byte{first[:cut], nil, b[cut:]}, len(b))
		},
		"one call, many short pieces": func(s *situation, b []byte, cut int) {
			s.feedVector(false, manyPieces(b, cut, 7), len(b))
		},
		"one call, many pieces of a head's length": func(s *situation, b []byte, cut int) {
			s.feedVector(false, manyPieces(b, cut, batchHead), len(b))
		},
		"two calls, the first with room for more": func(s *situation, b []byte, cut int) {
			first := manyPieces(b[:cut], 0, 7)
			last := &first[len(first)-1]
			*last = append(bytes.Clone(*last), bytes.Repeat([]byte{0xee}, 100)...)
			s.feedVector(false, append(first, make([]byte, 100)), cut)
			s.feedVector(false, manyPieces(b[cut:], 0, 7), len(b)-cut)
		},
	}
	k := load(t, roomy)
	for name, region := range regions {
		for end, way := range map[string]struct {
			role  state.Role
			later bool // the request is seen after its response
		}{
			"client":                     {role: state.RoleClient},
			"client, request seen later": {role: state.RoleClient, later: true},
			"broker":                     {role: state.RoleBroker},
		} {
			t.Run(name+"/"+end, func(t *testing.T) {
				var s *situation
				connect := func() {
					s = &situation{connection: k.connect(way.role), began: k.stats()}
					s.requireUnderstands(t, "before")
				}
				exchange := func(feed func(response []byte, at int)) []string {
					k.drain()
					request, response := s.fetch(region.data, nil, region.data)
					if !way.later {
						s.feed(true, request)
					}
					feed(response, bytes.Index(response, region.data))
					if way.later {
						s.feed(true, request)
					}
					require.Equal(t, counting(3, 1000), s.highWatermarks())
					require.Equal(t, none, s.left())
					return recordReports(k.drain())
				}
				connect()
				whole := exchange(func(response []byte, _ int) { s.feed(false, response) })
				require.Len(t, whole, 2*region.batches+3, "batches of two partitions, and three watermarks")
				for name, give := range pieces {
					s.close()
					connect() // so many batches as all ways have together are not looked at
					for cut := range region.data {
						require.Equal(t, whole, exchange(func(response []byte, at int) { give(s, response, at+cut) }),
							"%s, cut at %d", name, cut)
					}
				}
				s.close()
				k.forget()
			})
		}
	}
}

// manyPieces are what is before the cut, and pieces of a size from there on, with empty ones between. The same bytes are
// the same memory, as they may be where they stand in a message more than once.
func manyPieces(b []byte, cut, size int) [][]byte {
	const emptyEach = 5
	pieces := [][]byte{b[:cut]}
	known := make(map[string][]byte)
	for piece := range slices.Chunk(b[cut:], size) {
		if len(pieces)%emptyEach == 0 {
			pieces = append(pieces, nil)
		}
		if known[string(piece)] == nil {
			known[string(piece)] = append(bytes.Clone(piece), 0xee)[:len(piece)]
		}
		pieces = append(pieces, known[string(piece)])
	}
	return pieces
}

// recordReports are those of batches and of the partitions that they are of.
func recordReports(reports []probe.Report) []string {
	var texts []string
	for _, r := range reports {
		switch schema.Sink(r.Sink) {
		case schema.SinkBatch:
			texts = append(texts, fmt.Sprintln("batch of partition", r.Regs[schema.RegPartition], r.Regs[schema.RegBatchBase],
				r.Regs[schema.RegBatchLast], r.Regs[schema.RegBatchTime], r.Regs[schema.RegBatchMaxTime]))
		case schema.SinkWatermark:
			texts = append(texts, fmt.Sprintln("watermark of partition", r.Regs[schema.RegPartition]))
		}
	}
	return texts
}
