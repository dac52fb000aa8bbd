// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/bpf"
	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// around divides a frame into what stands between blobs, and the blobs.
func around(t *testing.T, frame []byte, blobs ...[]byte) (between [][]byte) {
	t.Helper()
	for _, b := range blobs {
		head, rest, found := bytes.Cut(frame, b)
		require.True(t, found)
		between = append(between, head)
		frame = rest
	}
	return append(between, frame)
}

// TestSendfile: a broker sends record data out of its log files, between the heads of the partitions,
// whose watermarks must be right all the same. The client sees everything.
func TestSendfile(t *testing.T) {
	records := [][]byte{batch(10, 3, 70_000), batch(20, 1, 300), batch(30, 9, 150_000)}
	for _, x := range []struct {
		call  string
		chunk int
	}{{"SendFile", 1 << 20}, {"SendFile", 5000}, {"Splice", 60_000}, {"Splice", 1000}} {
		t.Run(x.call, func(t *testing.T) {
			eachSide(t, func(t *testing.T, s *scene, sn seen) {
				outOfFiles(t, s, sn, "fetcher", x.call, x.chunk, records)
			})
		})
	}
}

// outOfFiles sends the records of responses with that call. Names are made of name.
func outOfFiles(t *testing.T, s *scene, sn seen, name, call string, chunk int, records [][]byte) {
	before := stats(t, s.p)
	w := s.connect(name)
	w.exchange(w.apiVersions())
	for round := range 3 {
		first := int64(1000 * round)
		f := w.fetch(name, first, records...)
		w.request(f)
		var got ReceiveReply
		c := w.client.start("Receive", ReceiveArgs{FD: w.clientFD, Call: "read",
			Sizes: []int{4, len(f.response)}, Bytes: len(f.response)}, &got)
		for i, head := range around(t, f.response, records...) {
			w.broker.send(SendArgs{FD: w.brokerFD, Call: "writev", Data: head})
			if i < len(records) {
				w.broker.do(call, FileArgs{FD: w.brokerFD, Data: records[i], Chunk: chunk}, new(struct{}))
			}
		}
		w.client.await(c)
		require.True(t, bytes.Equal(f.response, got.Data))
		v := look(t, s.p)
		require.Equal(t, watermarksFrom(len(records), first), v.watermarks(name))
		if sn == clientSeen {
			require.Len(t, v.Batches, len(records))
		}
	}
	w.exchange(w.commit(name, name, 3, 5))
	require.Equal(t, offsetsFrom(name, 3, 5), look(t, s.p).offsets(name))
	requireCleanSince(t, s.p, before)
	w.close()
}

// TestDiscard: MSG_TRUNC throws bytes of a TCP stream away, unseen. Record data may go that way; of a
// response that did nothing is believed, and the next one is understood.
func TestDiscard(t *testing.T) {
	for _, call := range []string{"recvfrom", "recvmsg", "recvmmsg"} {
		t.Run(call, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, b probe.Backend) {
				discards(t, newScene(t, b, clientSeen), b, "discarding", call)
			})
		})
	}
}

// hearsLater tells whether a backend hears of bytes without a buffer only by the sequence numbers of the next call. For
// kprobe a call has moved what its iterator has, and one that discards leaves it where it is.
func hearsLater(b probe.Backend) bool { return b == probe.Kprobe }

func discards(t *testing.T, s *scene, b probe.Backend, name, call string) {
	before := stats(t, s.p)
	w := s.connect(name)
	w.exchange(w.apiVersions())
	records := [][]byte{batch(10, 3, 7000), batch(20, 1, 300)}
	f := w.fetch(name, 70, records...)
	w.request(f)
	discard := func(n int) {
		w.client.receive(ReceiveArgs{FD: w.clientFD, Call: call, Sizes: []int{n / 2, n - n/2}, Single: true,
			Bytes: n, Flags: unix.MSG_TRUNC})
	}
	for i, head := range around(t, f.response, records...) {
		w.broker.send(SendArgs{FD: w.brokerFD, Call: "write", Data: head})
		w.client.receive(ReceiveArgs{FD: w.clientFD, Call: "read", Bytes: len(head)})
		if i < len(records) {
			w.broker.send(SendArgs{FD: w.brokerFD, Call: "write", Data: records[i]})
			discard(len(records[i]))
		}
	}
	require.Equal(t, watermarksFrom(2, 70), look(t, s.p).watermarks(name))
	requireCleanSince(t, s.p, before)

	lost := w.commit(name, name, 3, 100)
	w.request(lost)
	w.broker.send(SendArgs{FD: w.brokerFD, Call: "write", Data: lost.response})
	discard(len(lost.response))
	if hearsLater(b) {
		w.exchange(w.fetch(name, 80))
	}
	require.Empty(t, look(t, s.p).offsets(name))
	requireUnseen(t, s.p, before)

	w.exchange(w.commit(name, name, 3, 200))
	require.Equal(t, offsetsFrom(name, 3, 200), look(t, s.p).offsets(name))
	w.close()
}

// requireUnseen: bytes that were not seen have been counted since.
func requireUnseen(t *testing.T, p *probe.Probe, before *probe.Stats) {
	t.Helper()
	const unseen = bpf.KafkaDropReasonDROP_UNSEEN_BYTES
	require.Greater(t, stats(t, p).Drops[unseen], before.Drops[unseen])
}

// TestBytesWithoutAHook: no hook is called for what is spliced out of a socket. The next call does not join on to the
// one before it, which tells that bytes are missing and how many: within record data they do no harm, and elsewhere
// nothing is taken for what it is not.
func TestBytesWithoutAHook(t *testing.T) {
	eachBackend(t, func(t *testing.T, b probe.Backend) { splicesOut(t, newScene(t, b, clientSeen), "splicing") })
}

func splicesOut(t *testing.T, s *scene, name string) {
	before := stats(t, s.p)
	w := s.connect(name)
	w.exchange(w.apiVersions())
	w.exchange(w.commit(name, name, 3, 100))
	splice := func(data []byte) {
		w.broker.send(SendArgs{FD: w.brokerFD, Call: "write", Data: data})
		var got []byte
		w.client.do("SpliceFrom", ReceiveArgs{FD: w.clientFD, Bytes: len(data)}, &got)
		require.Equal(t, data, got)
	}
	read := func(data []byte) {
		w.broker.send(SendArgs{FD: w.brokerFD, Call: "write", Data: data})
		w.client.receive(ReceiveArgs{FD: w.clientFD, Call: "read", Bytes: len(data)})
	}
	records := [][]byte{batch(10, 3, 7000), batch(20, 1, 300)}
	f := w.fetch(name, 70, records...)
	w.request(f)
	for i, head := range around(t, f.response, records...) {
		read(head)
		if i < len(records) {
			rest := records[i]
			if i == 0 { // its head is looked at, so that it is passed over
				read(rest[:100])
				rest = rest[100:]
			}
			splice(rest)
		}
	}
	require.Equal(t, watermarksFrom(2, 70), look(t, s.p).watermarks(name))
	requireCleanSince(t, s.p, before)

	// A whole answer: without the sequence numbers the next one would seem to follow at once.
	lost := w.commit(name, name, 3, 200)
	w.request(lost)
	splice(lost.response)
	w.exchange(w.fetch(name, 80))
	requireUnseen(t, s.p, before)
	require.Equal(t, offsetsFrom(name, 3, 100), look(t, s.p).offsets(name), "the answer was not seen")

	w.exchange(w.commit(name, name, 3, 300))
	w.exchange(w.commit(name, name, 3, 400))
	require.Equal(t, offsetsFrom(name, 3, 400), look(t, s.p).offsets(name))
	w.close()
}

// TestLostOnAnotherConnection: a commit that no hook was called for is noticed with the connection's next call. What the
// client committed by another connection in between may be older than it, and is no longer known.
func TestLostOnAnotherConnection(t *testing.T) {
	s := newScene(t, probe.Syscall, clientSeen) // which does not hear of io_uring
	one, other := s.connect("same"), s.connect("same")
	one.exchange(one.apiVersions())
	other.exchange(other.apiVersions())
	other.exchange(other.commit("g", "t", 3, 100))
	asked := look(t, s.p).Offsets[0].Ordered

	x := one.commit("g", "t", 3, 200)
	one.client.do("UringSend", UringArgs{Op: uringSend, FD: one.clientFD, Data: x.request}, new(struct{}))
	one.broker.receive(ReceiveArgs{FD: one.brokerFD, Call: "read", Bytes: len(x.request)})
	one.broker.send(SendArgs{FD: one.brokerFD, Call: "write", Data: x.response})
	var got []byte
	one.client.do("SpliceFrom", ReceiveArgs{FD: one.clientFD, Bytes: len(x.response)}, &got)
	one.exchange(one.apiVersions())
	require.GreaterOrEqual(t, look(t, s.p).link("same", state.RoleClient).Lost, asked, "the broker has 200")

	other.exchange(other.commit("g", "t", 3, 300))
	v := look(t, s.p)
	require.Equal(t, offsetsFrom("t", 3, 300), v.offsets("g"))
	require.Less(t, v.link("same", state.RoleClient).Lost, v.Offsets[0].Ordered, "committed since")
}

// TestBesideTheStream: packets that come back on the error queue and urgent data are no bytes of the
// stream.
func TestBesideTheStream(t *testing.T) {
	eachBackend(t, func(t *testing.T, b probe.Backend) {
		t.Run("error queue", func(t *testing.T) {
			s := newScene(t, b, clientSeen)
			w := s.connect("timestamps")
			w.exchange(w.apiVersions())
			w.client.do("Timestamps", w.clientFD, new(struct{}))
			for i := range 3 {
				x := w.commit("g", "t", 3, int64(100*i))
				w.request(x)
				var n int
				w.client.do("ErrorQueue", w.clientFD, &n)
				require.Greater(t, n, len(x.request), "the packet with its headers")
				w.answer(x)
				require.Equal(t, offsetsFrom("t", 3, int64(100*i)), look(t, s.p).offsets("g"))
			}
			requireClean(t, s.p)
		})
		t.Run("urgent data", func(t *testing.T) {
			s := newScene(t, b, clientSeen)
			w := s.connect("urgent")
			w.exchange(w.apiVersions())
			x := w.commit("g", "t", 3, 100)
			w.request(x)
			w.broker.send(SendArgs{FD: w.brokerFD, Call: "write", Data: x.response[:20]})
			w.client.receive(ReceiveArgs{FD: w.clientFD, Call: "read", Bytes: 20})
			w.broker.do("Urgent", UrgentArgs{FD: w.brokerFD, Byte: 7}, new(struct{}))
			var urgent byte
			w.client.do("TakeUrgent", w.clientFD, &urgent)
			require.EqualValues(t, 7, urgent)
			w.broker.send(SendArgs{FD: w.brokerFD, Call: "write", Data: x.response[20:]})
			w.client.receive(ReceiveArgs{FD: w.clientFD, Call: "read", Bytes: len(x.response) - 20})
			require.Equal(t, offsetsFrom("t", 3, 100), look(t, s.p).offsets("g"))
			requireClean(t, s.p)
		})
	})
}

// TestUringDuringAnotherCall: the kernel completes io_uring's receiving on the way out of whatever
// system call the thread is in, a read of a pipe here. That call's buffer is not what was received.
func TestUringDuringAnotherCall(t *testing.T) {
	eachBackend(t, func(t *testing.T, b probe.Backend) {
		s := newScene(t, b, clientSeen)
		w := s.connect("uring")
		w.exchange(w.apiVersions())
		x := w.commit("g", "t", 3, 100)
		failed := bytes.Clone(x.response)
		for i := range 3 { // error codes, behind each partition's number, before its tags
			failed[len(failed)-2-7*(2-i)-2] = 25
		}
		w.request(x)

		var pipe PairReply
		w.client.do("Pair", PairArgs{Kind: "pipe"}, &pipe)
		var got []byte
		c := w.client.start("UringDuring", DuringArgs{Socket: w.clientFD, Bytes: len(failed), Other: pipe.Read, Stale: x.response}, &got)
		awaitRead(t, w.client.pid, pipe.Read)
		w.broker.send(SendArgs{FD: w.brokerFD, Call: "write", Data: failed})
		awaitThat(t, func() error {
			var n int
			if w.client.do("Pending", w.clientFD, &n); n > 0 {
				return fmt.Errorf("%d bytes were not received yet", n)
			}
			return nil
		})
		w.client.send(SendArgs{FD: pipe.Write, Call: "write", Data: x.response})
		w.client.await(c)
		require.Equal(t, failed, got)
		v := look(t, s.p)
		require.Empty(t, v.offsets("g"))
		require.Zero(t, v.commits("g"))

		w.exchange(w.commit("g", "t", 3, 300))
		require.Equal(t, offsetsFrom("t", 3, 300), look(t, s.p).offsets("g"))
	})
}

// awaitRead returns when a thread of the process is in a read of that descriptor.
func awaitRead(t *testing.T, pid, fd int) {
	t.Helper()
	want := fmt.Sprintf("%d %#x ", unix.SYS_READ, fd)
	awaitThat(t, func() error {
		calls, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
		if err != nil {
			return err
		}
		for _, path := range calls {
			if b, err := os.ReadFile(path); err == nil && strings.HasPrefix(string(b), want) {
				return nil
			}
		}
		return fmt.Errorf("no thread of process %d reads from descriptor %d", pid, fd)
	})
}
