// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"os"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
)

// halfReadable is two pages of memory, of which the first can be used; and how many bytes that is.
func halfReadable(t *testing.T) (memory []byte, page int) {
	page = os.Getpagesize()
	memory, err := unix.Mmap(-1, 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Munmap(memory)) })
	require.NoError(t, unix.Mprotect(memory[page:], unix.PROT_NONE))
	return memory, page
}

// TestMissingPage: what stands before memory that cannot be read is understood, although memory is read ahead. Only what
// has to be read there is lost.
func TestMissingPage(t *testing.T) {
	const beyond = 300 // bytes, more than are read ahead
	memory, page := halfReadable(t)
	s := situate(t, roomy)
	s.requireUnderstands(t, "before")

	request, response := s.commit("g", "orders", 3, 10)
	at := page - len(request)
	copy(memory[at:], request)
	s.feed(true, memory[at:page+beyond])
	s.feed(false, response)
	require.Equal(t, counting(3, 10), s.committed("g", "orders"))
	require.Equal(t, map[string]uint64{"user_copy": 1}, s.left())
	s.requireUnderstands(t, "after")
}

// TestMissingVectors: an array of buffers is gone along as far as it can be read, although it is read ahead.
func TestMissingVectors(t *testing.T) {
	const beyond = 20 // buffers, which the call did not come to
	memory, page := halfReadable(t)
	s := situate(t, roomy)
	s.requireUnderstands(t, "before")

	request, response := s.fetch(recordBatch(10, 500, own), recordBatch(20, 500, own))
	at := copy(memory, response)
	require.Less(t, at, page/2)
	lengths := []int{200, 100, 100, 100, at - 500} // records begin in the first, and end in the last
	vectors := unsafe.Slice((*unix.Iovec)(unsafe.Pointer(&memory[page-len(lengths)*int(unsafe.Sizeof(unix.Iovec{}))])), len(lengths))
	from := 0
	for i, n := range lengths {
		vectors[i] = unix.Iovec{Base: &memory[from], Len: uint64(n)}
		from += n
	}
	s.feed(true, request)
	s.accepted(s.k.FeedVectorAt(&s.FeedConnection, probe.Received, unsafe.Pointer(&vectors[0]), len(vectors)+beyond, at))
	require.Equal(t, counting(2, 1000), s.highWatermarks())
	require.Equal(t, none, s.left())
	s.requireUnderstands(t, "after")
}
