// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
)

// ways are how bytes get into and out of a socket besides the system calls of TestSplittings.
var ways = []struct {
	name string
	seen seen
	try  func(t *testing.T, s *scene, b probe.Backend, name string)
}{
	{"sent in part", clientSeen, sendsInPart},
	{"MSG_ZEROCOPY", clientSeen, sendsWithoutCopy},
	{"MSG_TRUNC", clientSeen, func(t *testing.T, s *scene, b probe.Backend, name string) {
		discards(t, s, b, name, "recvmsg")
	}},
	{"sendfile", brokerSeen, func(t *testing.T, s *scene, _ probe.Backend, name string) {
		outOfFiles(t, s, brokerSeen, name, "SendFile", 5000, fewRecords)
	}},
	{"splice into a socket", brokerSeen, func(t *testing.T, s *scene, _ probe.Backend, name string) {
		outOfFiles(t, s, brokerSeen, name, "Splice", 5000, fewRecords)
	}},
	{"splice out of a socket", clientSeen, func(t *testing.T, s *scene, _ probe.Backend, name string) {
		splicesOut(t, s, name)
	}},
	{"io_uring send", clientSeen, uringWay{op: uringSend}.try},
	{"io_uring write", clientSeen, uringWay{op: uringWrite}.try},
	{"io_uring write of a registered buffer", clientSeen, uringWay{op: uringWriteFixed, registered: true}.try},
	{"io_uring receive", clientSeen, uringWay{op: uringReceive, receives: true}.try},
	{"io_uring read", clientSeen, uringWay{op: uringRead, receives: true}.try},
	{"io_uring read into a registered buffer", clientSeen,
		uringWay{op: uringReadFixed, registered: true, receives: true}.try},
	// These two leave the scene with another client.
	{"inherited", clientSeen, func(t *testing.T, s *scene, _ probe.Backend, name string) {
		inherit(t, s, name)
	}},
	{"passed with SCM_RIGHTS", clientSeen, func(t *testing.T, s *scene, _ probe.Backend, name string) {
		pass(t, s, name)
	}},
}

var fewRecords = [][]byte{batch(10, 3, 20_000), batch(20, 1, 300)}

// TestWays tries all of them with one probe for each backend, since loading one takes longest where kernels are
// emulated. Other tests have more of most of them.
func TestWays(t *testing.T) {
	eachBackend(t, func(t *testing.T, b probe.Backend) {
		scenes := map[seen]*scene{}
		var ports []uint16
		for _, sn := range []seen{clientSeen, brokerSeen} {
			scenes[sn] = newQuietScene(t, sn, IPv4)
			ports = append(ports, scenes[sn].address.Port())
		}
		p := open(t, b, ports...)
		for _, s := range scenes {
			s.p = p
		}
		for _, way := range ways {
			t.Run(way.name, func(t *testing.T) { way.try(t, scenes[way.seen], b, way.name) })
		}
	})
}

// lacks says that this kernel does not have what a test is of. `make test-kernels` counts these lines, and does not count
// the test as passed.
func lacks(t *testing.T, why string) {
	t.Helper()
	fmt.Printf("kernel lacks: %s: %s\n", t.Name(), why)
}

// sendsInPart sends with a small buffer and without waiting.
func sendsInPart(t *testing.T, s *scene, _ probe.Backend, name string) {
	before := stats(t, s.p)
	w := s.connect(name)
	w.client.do("SendBuffer", BufferArgs{FD: w.clientFD, Bytes: 1}, new(struct{}))
	w.exchange(w.apiVersions())
	const partitions = 2000
	short := 0
	for _, x := range []exchange{
		w.produce(name, batch(0, 10, 200_000), 7), w.commit(name, name, partitions, 100),
	} {
		var sent SendReply
		c := w.client.start("Send", SendArgs{FD: w.clientFD, Call: "sendmsg", Data: x.request, Pieces: repeat(400, 455),
			Flags: unix.MSG_DONTWAIT}, &sent)
		got := w.broker.receive(ReceiveArgs{FD: w.brokerFD, Call: "read", Bytes: len(x.request)})
		w.client.await(c)
		require.True(t, bytes.Equal(x.request, got))
		short += sent.Short
		w.answer(x)
	}
	require.Positive(t, short, "calls that sent less than asked")
	require.Equal(t, offsetsFrom(name, partitions, 100), look(t, s.p).offsets(name))
	requireCleanSince(t, s.p, before)
	w.close()
}

// sendsWithoutCopy: the buffer is the application's still, and what the kernel says of it comes by the error queue,
// which is not the stream.
func sendsWithoutCopy(t *testing.T, s *scene, _ probe.Backend, name string) {
	before := stats(t, s.p)
	w := s.connect(name)
	w.exchange(w.apiVersions())
	for i := range 3 {
		x := w.commit(name, name, 300, int64(100*i))
		c := w.client.start("SendZerocopy", FileArgs{FD: w.clientFD, Data: x.request}, new(struct{}))
		got := w.broker.receive(ReceiveArgs{FD: w.brokerFD, Call: "read", Bytes: len(x.request)})
		w.client.await(c)
		require.True(t, bytes.Equal(x.request, got))
		w.answer(x)
		require.Equal(t, offsetsFrom(name, 300, int64(100*i)), look(t, s.p).offsets(name))
	}
	requireCleanSince(t, s.p, before)
	w.close()
}

// A uringWay is one operation of io_uring, by which a request is sent or a response received.
type uringWay struct {
	op                   uint8
	receives, registered bool
}

// try: what TCP's own functions are given is seen, unless the buffer is one of the kernel's. Else the bytes are counted
// (by `syscall`, which does not hear of them, with the next call), nothing wrong comes of them, and what follows is
// understood.
func (u uringWay) try(t *testing.T, s *scene, b probe.Backend, name string) {
	var why string
	if s.client.do("UringLacks", u.op, &why); why != "" {
		lacks(t, why)
		return
	}
	before := stats(t, s.p)
	w := s.connect(name)
	w.exchange(w.apiVersions())
	w.exchange(w.commit(name, name, 3, 100))
	x := w.commit(name, name, 3, 200)
	if u.receives {
		w.request(x)
		w.broker.send(SendArgs{FD: w.brokerFD, Call: "write", Data: x.response})
		var got []byte
		w.client.do("UringReceive", UringArgs{Op: u.op, FD: w.clientFD, Bytes: len(x.response)}, &got)
		require.Equal(t, x.response, got)
	} else {
		w.client.do("UringSend", UringArgs{Op: u.op, FD: w.clientFD, Data: x.request}, new(struct{}))
		got := w.broker.receive(ReceiveArgs{FD: w.brokerFD, Call: "read", Bytes: len(x.request)})
		require.Equal(t, x.request, got)
		w.answer(x)
	}
	v := look(t, s.p)
	visible := (b == probe.Fentry || b == probe.Kprobe) && !u.registered
	if visible {
		require.Equal(t, offsetsFrom(name, 3, 200), v.offsets(name))
		require.EqualValues(t, 6, v.commits(name))
		requireCleanSince(t, s.p, before)
	} else {
		require.Equal(t, offsetsFrom(name, 3, 100), v.offsets(name))
		require.EqualValues(t, 3, v.commits(name))
		w.exchange(w.commit(name, name, 3, 300))
		requireUnseen(t, s.p, before)
	}
	w.exchange(w.commit(name, name, 3, 400))
	v = look(t, s.p)
	require.Equal(t, offsetsFrom(name, 3, 400), v.offsets(name))
	if !visible && !u.receives { // else the answer before may have been the first after the gap
		require.EqualValues(t, 9, v.commits(name))
	}
	w.close()
}
