// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// keyAPIVersions is the API whose responses never have tagged fields in their header (KIP-511).
const keyAPIVersions = 18

func framed(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// requestFrame encodes a request with its header, which kmsg leaves to the caller. Null client ids and unknown
// tagged fields in the header are legal, too.
func requestFrame(req kmsg.Request, correlation int32, client *string, headerTags []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(req.Key()))
	b = binary.BigEndian.AppendUint16(b, uint16(req.GetVersion()))
	b = binary.BigEndian.AppendUint32(b, uint32(correlation))
	if client == nil {
		b = binary.BigEndian.AppendUint16(b, 0xffff)
	} else {
		b = binary.BigEndian.AppendUint16(b, uint16(len(*client)))
		b = append(b, *client...)
	}
	if req.IsFlexible() {
		b = append(b, headerTags...)
	}
	return framed(req.AppendTo(b))
}

func responseFrame(resp kmsg.Response, correlation int32, headerTags []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(correlation))
	if resp.IsFlexible() && resp.Key() != keyAPIVersions {
		b = append(b, headerTags...)
	}
	return framed(resp.AppendTo(b))
}

// noTags are the tagged fields of a struct that has none.
var noTags = []byte{0}

// randomTags are tagged fields of numbers that Kafka does not use.
func randomTags(r *rand.Rand) []byte {
	if r.IntN(4) > 0 {
		return noTags
	}
	n := 1 + r.IntN(3)
	b := binary.AppendUvarint(nil, uint64(n))
	tag := uint64(100)
	for range n {
		tag += 1 + uint64(r.IntN(1<<(4+r.IntN(20))))
		b = binary.AppendUvarint(b, tag)
		size := r.IntN(1 << r.IntN(9))
		b = binary.AppendUvarint(b, uint64(size))
		b = append(b, randomBytes(r, size)...)
	}
	return b
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// deliver hands a stretch of one direction over in random pieces. It returns how it did so, for messages.
func (c *connection) deliver(r *rand.Rand, request bool, b []byte) string {
	switch mode := r.IntN(12); {
	case mode < 3:
		c.feed(request, b)
		return "whole"
	case mode < 5 && len(b) <= 1500 || mode < 6 && len(b) <= 6000 && r.IntN(20) == 0:
		for i := range b {
			c.feed(request, b[i:i+1])
		}
		return "byte by byte"
	case mode < 7 && len(b) > 12:
		// As rskafka and librdkafka do: the size, or the size and a part of the header, apart.
		cut := []int{4, 8, 12}[r.IntN(3)]
		c.feed(request, b[:cut])
		c.feed(request, b[cut:])
		return "header apart"
	case mode < 9:
		c.vectors(r, request, b)
		return "iovecs"
	default:
		most := 1 + r.IntN(1<<(1+r.IntN(12)))
		most = max(most, len(b)/2000)
		for len(b) > 0 {
			n := min(1+r.IntN(most), len(b))
			if r.IntN(10) == 0 {
				c.vectors(r, request, b[:n])
			} else {
				c.feed(request, b[:n])
			}
			b = b[n:]
		}
		return "random cuts"
	}
}

// vectors hands over one call of several iovecs, some of them empty. The last may be longer than what the
// call took, as after a short read.
func (c *connection) vectors(r *rand.Rand, request bool, b []byte) {
	n := len(b)
	var buffers [][]byte
	most := 1 + r.IntN(1<<(1+r.IntN(10)))
	most = max(most, n/900)
	for len(b) > 0 {
		if r.IntN(8) == 0 {
			buffers = append(buffers, nil)
			continue
		}
		k := min(1+r.IntN(most), len(b))
		buffers = append(buffers, b[:k])
		b = b[k:]
	}
	if r.IntN(3) == 0 {
		last := buffers[len(buffers)-1]
		buffers[len(buffers)-1] = append(append([]byte(nil), last...), "beyond what was transferred"...)
	}
	if r.IntN(3) == 0 {
		buffers = append(buffers, []byte("a buffer that was not reached"))
	}
	c.feedVector(request, buffers, n)
}
