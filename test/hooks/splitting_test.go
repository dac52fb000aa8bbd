// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
)

// sendings are the ways to send a frame: each system call, and as real clients cut.
var sendings = []struct {
	name string
	send func(frame []byte) SendArgs
}{
	{"write", sending("write", nil)},
	{"write of 4 and the rest", sending("write", first(4))},
	{"write byte by byte", sending("write", even(1))},
	{"write of 64 KiB chunks", sending("write", even(64<<10))},
	{"writev of 1", sending("writev", nil)},
	{"writev of 2", sending("writev", first(4))},
	{"writev of 3", sending("writev", first(10, 20))},
	{"writev of 455", sending("writev", parts(455))},
	{"writev of 1024", sending("writev", parts(1024))},
	{"writev with empty iovecs", sending("writev", first(0, 4, 0, 0, 5, 1, 0))},
	{"writev of 5 bytes each", sending("writev", even(5))},
	{"sendto", sending("sendto", nil)},
	{"sendto of 4 and the rest", sending("sendto", first(4))},
	{"sendmsg of 1", sending("sendmsg", nil)},
	{"sendmsg of 455", sending("sendmsg", parts(455))},
	{"sendmsg with empty iovecs", sending("sendmsg", first(0, 1, 0, 9, 0))},
	{"sendmmsg of 1", sending("sendmmsg", nil)},
	{"sendmmsg of 3", sending("sendmmsg", first(6, 30))},
	{"sendmmsg of 200", sending("sendmmsg", parts(200))},
}

// receivings are the ways to receive one.
var receivings = []struct {
	name    string
	receive func(frame []byte) ReceiveArgs
}{
	{"read", receiving(ReceiveArgs{Call: "read"})},
	{"read of 4096", receiving(ReceiveArgs{Call: "read", Sizes: []int{4096}})},
	{"read byte by byte", receiving(ReceiveArgs{Call: "read", Sizes: []int{1}})},
	{"read of 4 and the rest", headAndRest("read", 4)},
	{"readv of 1", receiving(ReceiveArgs{Call: "readv"})},
	{"readv of 3", receiving(ReceiveArgs{Call: "readv", Sizes: []int{4, 10, 65536}})},
	{"readv with empty iovecs", receiving(ReceiveArgs{Call: "readv", Sizes: []int{0, 3, 0, 2, 65536}})},
	{"readv of 3 bytes each", receiving(ReceiveArgs{Call: "readv", Sizes: repeat(3, 1024)})},
	{"recvfrom", receiving(ReceiveArgs{Call: "recvfrom", Sizes: []int{4096}})},
	{"recvfrom of 4 and the rest", headAndRest("recvfrom", 4)},
	{"recvfrom, looked at before", receiving(ReceiveArgs{Call: "recvfrom", Sizes: []int{100}, Peek: true})},
	{"recvmsg of 1", receiving(ReceiveArgs{Call: "recvmsg"})},
	{"recvmsg of 3", receiving(ReceiveArgs{Call: "recvmsg", Sizes: []int{4, 10, 65536}})},
	{"recvmsg, looked at before", receiving(ReceiveArgs{Call: "recvmsg", Sizes: []int{30, 30}, Peek: true})},
	{"recvmsg of 8 and the rest", headAndRest("recvmsg", 8)},
	{"recvfrom, waiting for all", func(frame []byte) ReceiveArgs {
		return ReceiveArgs{Call: "recvfrom", Sizes: []int{len(frame)}, Flags: unix.MSG_WAITALL}
	}},
	{"recvmmsg of 1", receiving(ReceiveArgs{Call: "recvmmsg", Sizes: []int{65536}})},
	{"recvmmsg of 3", receiving(ReceiveArgs{Call: "recvmmsg", Sizes: []int{8, 16, 65536}})},
	{"recvmmsg, looked at before", receiving(ReceiveArgs{Call: "recvmmsg", Sizes: []int{8, 16}, Peek: true})},
}

func sending(call string, pieces func(n int) []int) func([]byte) SendArgs {
	return func(frame []byte) SendArgs {
		a := SendArgs{Call: call, Data: frame}
		if pieces != nil {
			a.Pieces = pieces(len(frame))
		}
		return a
	}
}

func receiving(a ReceiveArgs) func([]byte) ReceiveArgs {
	return func([]byte) ReceiveArgs { return a }
}

func headAndRest(call string, head int) func([]byte) ReceiveArgs {
	return func(frame []byte) ReceiveArgs {
		return ReceiveArgs{Call: call, Sizes: []int{head, len(frame) - head}, Single: true}
	}
}

func first(sizes ...int) func(int) []int { return func(int) []int { return sizes } }

func even(size int) func(int) []int {
	return func(n int) []int { return repeat(size, n/size+1) }
}

// parts cuts into that many pieces, empty ones at the end if there are not enough bytes.
func parts(count int) func(int) []int {
	return func(n int) []int { return repeat((n+count-1)/count, count) }
}

func repeat(size, count int) []int {
	sizes := make([]int, count)
	for i := range sizes {
		sizes[i] = size
	}
	return sizes
}

// TestSplittings: every system call, and every way in which clients cut frames, at either end.
func TestSplittings(t *testing.T) {
	eachBackend(t, func(t *testing.T, b probe.Backend) {
		for _, side := range []struct {
			name string
			seen seen
		}{{"client", clientSeen}, {"broker", brokerSeen}} {
			t.Run(side.name, func(t *testing.T) {
				s := newScene(t, b, side.seen)
				for _, x := range sendings {
					t.Run(x.name, func(t *testing.T) {
						both := splitting{send: x.send}
						s.converse(t, "send "+x.name, side.seen, both)
					})
				}
				for _, x := range receivings {
					t.Run(x.name, func(t *testing.T) {
						both := splitting{receive: x.receive}
						s.converse(t, "receive "+x.name, side.seen, both)
					})
				}
			})
		}
	})
}

// converse says a little of everything and compares it with what was seen.
func (s *scene) converse(t *testing.T, name string, sn seen, how splitting) {
	const partitions = 40
	w := s.connect(name)
	w.t = t
	w.requests, w.answers = how, how
	topic, byID := "topic of "+name, "other topic of "+name
	w.exchange(w.apiVersions())
	w.exchange(w.metadata("cluster of "+name, topic, byID))
	w.exchange(w.commit(name, topic, partitions, 100))
	w.exchange(w.fetch(topic, 5000, batch(10, 3, 200), nil, batch(20, 1, 2000)))
	w.exchange(w.commitByID(name+" by id", byID, 3, 900))

	v := look(t, s.p)
	require.Equal(t, offsetsFrom(topic, partitions, 100), v.offsets(name))
	require.Equal(t, offsetsFrom(byID, 3, 900), v.offsets(name+" by id"))
	require.EqualValues(t, partitions, v.commits(name))
	require.EqualValues(t, 3, v.commits(name+" by id"))
	require.Equal(t, watermarksFrom(3, 5000), v.watermarks(topic))
	l := v.link(name, sn.role())
	require.Equal(t, "cluster of "+name, v.Names[l.Cluster])
	require.Equal(t, s.address, l.Broker)
	process := s.client
	if sn == brokerSeen {
		process = s.broker
	}
	require.EqualValues(t, process.pid, l.Process.PID)
	requireClean(t, s.p)
	w.close()
}
