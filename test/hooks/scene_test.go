// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// A scene is a client, a broker that listens, and a probe that looks at the broker's port.
type scene struct {
	t              *testing.T
	p              *probe.Probe
	client, broker *peer
	network        Network
	listener       int
	address        Address
}

// seen is which ends of the connections are children: those that the probe sees.
type seen int

const (
	clientSeen seen = 1 << iota
	brokerSeen
	bothSeen = clientSeen | brokerSeen
)

// role of the end that counts.
func (s seen) role() state.Role {
	if s&clientSeen != 0 {
		return state.RoleClient
	}
	return state.RoleBroker
}

func newScene(t *testing.T, b probe.Backend, s seen) *scene {
	t.Helper()
	sc := newQuietScene(t, s, IPv4)
	sc.attach(b)
	return sc
}

// newQuietScene has no probe yet.
func newQuietScene(t *testing.T, s seen, network Network) *scene {
	t.Helper()
	sc := &scene{t: t, network: network}
	peers := [2]*peer{}
	for i, bit := range []seen{clientSeen, brokerSeen} {
		if s&bit != 0 {
			peers[i] = newChild(t)
		} else {
			peers[i] = newSelf(t)
		}
	}
	sc.client, sc.broker = peers[0], peers[1]
	sc.listener, sc.address = sc.broker.listen(network, 0)
	return sc
}

func (s *scene) attach(b probe.Backend) { s.p = open(s.t, b, s.address.Port()) }

// A wire is one connection of a scene and how its ends send and receive.
type wire struct {
	*scene
	talker
	clientFD, brokerFD int
	requests, answers  splitting
}

// connect opens a connection for a client of that id.
func (s *scene) connect(client string) *wire {
	s.t.Helper()
	w := &wire{scene: s, talker: talker{id: client}}
	w.clientFD = s.client.connect(s.network, s.address)
	w.brokerFD = s.broker.accept(s.listener)
	return w
}

// A splitting is how frames are cut into system calls on their way.
type splitting struct {
	send    func(frame []byte) SendArgs
	receive func(frame []byte) ReceiveArgs
}

// request sends a whole request and receives it at the other end.
func (w *wire) request(x exchange) { w.t.Helper(); w.carry(x.request, true) }

// answer sends a whole response and receives it.
func (w *wire) answer(x exchange) { w.t.Helper(); w.carry(x.response, false) }

// exchange does both, in turn.
func (w *wire) exchange(x exchange) { w.t.Helper(); w.request(x); w.answer(x) }

func (w *wire) carry(frame []byte, toBroker bool) {
	w.t.Helper()
	how, from, to, fromFD, toFD := &w.answers, w.broker, w.client, w.brokerFD, w.clientFD
	if toBroker {
		how, from, to, fromFD, toFD = &w.requests, w.client, w.broker, w.clientFD, w.brokerFD
	}
	send, receive := SendArgs{Call: "write", Data: frame}, ReceiveArgs{Call: "read"}
	if how.send != nil {
		send = how.send(frame)
	}
	if how.receive != nil {
		receive = how.receive(frame)
	}
	send.FD, receive.FD, receive.Bytes = fromFD, toFD, len(send.Data)
	var sent SendReply
	c := from.start("Send", send, &sent)
	got := to.receive(receive)
	from.await(c)
	require.True(w.t, bytes.Equal(send.Data, got), "%d bytes sent, %d received, not the same", len(send.Data), len(got))
}

// close closes both ends, the client's first.
func (w *wire) close() {
	w.t.Helper()
	w.client.close(w.clientFD)
	w.broker.close(w.brokerFD)
}
