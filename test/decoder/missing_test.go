// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestMissingPage: what stands before memory that cannot be read is understood, although memory is read ahead. Only what
// has to be read there is lost.
func TestMissingPage(t *testing.T) {
	const beyond = 300 // bytes, more than are read ahead
	page := os.Getpagesize()
	memory, err := unix.Mmap(-1, 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Munmap(memory)) })
	require.NoError(t, unix.Mprotect(memory[page:], unix.PROT_NONE))
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
