// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
)

// eachSide runs f with the client seen alone and with the broker seen alone.
func eachSide(t *testing.T, f func(*testing.T, *scene, seen)) {
	eachBackend(t, func(t *testing.T, b probe.Backend) {
		t.Run("client", func(t *testing.T) { f(t, newScene(t, b, clientSeen), clientSeen) })
		t.Run("broker", func(t *testing.T) { f(t, newScene(t, b, brokerSeen), brokerSeen) })
	})
}

// TestSeveralFramesInOneCall: pipelined requests written at once, responses read at once or in pieces
// that end in the middle of a frame.
func TestSeveralFramesInOneCall(t *testing.T) {
	for _, size := range []int{1 << 20, 4096, 100} {
		eachSide(t, func(t *testing.T, s *scene, _ seen) {
			w := s.connect("pipelined")
			w.exchange(w.apiVersions())
			cutting := splitting{receive: receiving(ReceiveArgs{Call: "read", Sizes: []int{size}})}
			w.requests, w.answers = cutting, cutting
			var all exchange
			for i := range 9 {
				x := w.commit("pipelined", "t", 5, int64(100*i))
				all.request = append(all.request, x.request...)
				all.response = append(all.response, x.response...)
			}
			w.exchange(all)
			v := look(t, s.p)
			require.Equal(t, offsetsFrom("t", 5, 800), v.offsets("pipelined"))
			require.EqualValues(t, 9*5, v.commits("pipelined"))
			requireClean(t, s.p)
		})
	}
}

// TestLargeFrames: requests and responses of more than a MiB, in whatever the sockets take at once.
func TestLargeFrames(t *testing.T) {
	eachSide(t, func(t *testing.T, s *scene, _ seen) {
		w := s.connect("large")
		w.exchange(w.apiVersions())
		for i, how := range []splitting{
			{},
			{send: sending("writev", parts(455)), receive: receiving(ReceiveArgs{Call: "recvmsg", Sizes: []int{8, 60000}})},
			{send: sending("sendmsg", parts(455)), receive: headAndRest("read", 4)},
			{send: sending("sendmmsg", parts(20)), receive: receiving(ReceiveArgs{Call: "recvmmsg", Sizes: repeat(9999, 30)})},
		} {
			w.requests, w.answers = how, how
			base := int64(1000 * i)
			w.exchange(w.produce("t", batch(0, 10, 1_500_000), base))
			w.exchange(w.fetch("t", base, batch(base, 5, 3_000_000), batch(base, 1, 2_000_000)))
			w.exchange(w.commit("large", "t", 6000, base))
			v := look(t, s.p)
			require.Equal(t, offsetsFrom("t", 6000, base), v.offsets("large"))
			require.Equal(t, watermarksFrom(2, base), v.watermarks("t"))
			for _, m := range v.Watermarks {
				if m.Partition == 0 {
					require.Equal(t, base+10, m.Produced)
				}
			}
		}
		requireClean(t, s.p)
	})
}

// TestPartialSends: a small socket buffer and calls that do not wait: one frame takes many calls, most
// of which send less than asked or are refused with EAGAIN.
func TestPartialSends(t *testing.T) {
	for _, send := range []SendArgs{
		{Call: "sendmsg", Pieces: repeat(400, 455), Flags: unix.MSG_DONTWAIT},
		{Call: "sendto", Flags: unix.MSG_DONTWAIT},
		{Call: "sendmmsg", Pieces: repeat(70_000, 7), Flags: unix.MSG_DONTWAIT},
	} {
		t.Run(send.Call, func(t *testing.T) {
			eachSide(t, func(t *testing.T, s *scene, sn seen) {
				const partitions = 5_000
				w := s.connect("partial")
				from, to, fromFD, toFD := w.client, w.broker, w.clientFD, w.brokerFD
				if sn == brokerSeen {
					from, to, fromFD, toFD = w.broker, w.client, w.brokerFD, w.clientFD
				}
				from.do("SendBuffer", BufferArgs{FD: fromFD, Bytes: 1}, new(struct{}))
				w.exchange(w.apiVersions())
				var all SendReply
				partly := func(frame []byte) {
					send := send
					send.FD, send.Data = fromFD, frame
					var sent SendReply
					c := from.start("Send", send, &sent)
					got := to.receive(ReceiveArgs{FD: toFD, Call: "read", Bytes: len(frame)})
					from.await(c)
					require.True(t, bytes.Equal(frame, got))
					all.Short += sent.Short
					all.Refused += sent.Refused
				}
				for i := range 3 {
					for _, x := range []exchange{
						w.produce("t", batch(0, 10, 500_000), 7),
						w.fetch("t", int64(i), batch(0, 10, 500_000)),
						w.commit("partial", "t", partitions, int64(i)),
					} {
						if sn == clientSeen {
							partly(x.request)
							w.answer(x)
						} else {
							w.request(x)
							partly(x.response)
						}
					}
				}
				require.Greater(t, all.Short, 16)
				if send.Call != "sendmmsg" { // which waits for room
					require.Positive(t, all.Refused)
				}
				v := look(t, s.p)
				require.Equal(t, offsetsFrom("t", partitions, 2), v.offsets("partial"))
				require.EqualValues(t, 3*partitions, v.commits("partial"))
				requireClean(t, s.p)
			})
		})
	}
}
