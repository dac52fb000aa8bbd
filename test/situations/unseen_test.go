// SPDX-License-Identifier: Apache-2.0

package situations

import (
	"fmt"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

// unseen: a client sends one commit in a way that hides its bytes, on a
// connection that was understood before and is after. The offset from before
// is not the group's any more, and no view may say so.
func (s *scene) unseen(t *testing.T) {
	const group, partitions = "unseen", 3
	s.topic(t, group, partitions, 1)
	clean := s.watch(t)
	perhaps := map[kafka.GroupPartition]bool{}
	for p := range int32(partitions) {
		perhaps[kafka.GroupPartition{Group: group, Topic: group, Partition: p}] = true
	}
	k := s.dial(t, s.broker.Addr, group).greet(group)
	k.committed(9, group, across(group, partitions, 10)...)
	s.agree(t, expectation{groups: []string{group}})

	k.sendFile(k.frame(k.commit(9, group, across(group, partitions, 20)...)))
	k.requireAnswer(0, k.receive())
	k.metadata(group) // the connection goes on as before
	s.agree(t, expectation{groups: []string{group}, perhaps: perhaps, uncounted: true})

	k.committed(9, group, across(group, partitions, 30)...)
	s.agree(t, expectation{groups: []string{group}, uncounted: true})
	clean("unseen_bytes", "orphan_responses", "orphan_response", "resynchronisations")
}

// sendFile sends b from a file: the system call has no buffer to look at.
func (k *talker) sendFile(b []byte) {
	k.t.Helper()
	file, err := unix.MemfdCreate("request", unix.MFD_CLOEXEC)
	require.NoError(k.t, err)
	defer unix.Close(file)
	_, err = unix.Write(file, b)
	require.NoError(k.t, err)
	raw, err := k.Conn.(*net.TCPConn).SyscallConn()
	require.NoError(k.t, err)
	var from int64
	var failed error
	require.NoError(k.t, raw.Write(func(fd uintptr) bool {
		var n int
		if n, failed = unix.Sendfile(int(fd), file, &from, len(b)); failed == unix.EAGAIN {
			return false
		}
		if failed == nil && n != len(b) {
			failed = fmt.Errorf("sent %d of %d bytes", n, len(b))
		}
		return true
	}))
	require.NoError(k.t, failed)
}
