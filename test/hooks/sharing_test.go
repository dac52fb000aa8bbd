// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// TestDuplicates: a connection used through several descriptors and several threads is one connection.
func TestDuplicates(t *testing.T) {
	eachSide(t, func(t *testing.T, s *scene, _ seen) {
		w := s.connect("client")
		w.exchange(w.apiVersions())
		fds := [2][2]int{{w.clientFD}, {w.brokerFD}}
		w.client.do("Dup", w.clientFD, &fds[0][1])
		w.broker.do("Dup", w.brokerFD, &fds[1][1])
		for i := range 20 {
			w.clientFD, w.brokerFD = fds[0][i%2], fds[1][i/2%2]
			// Each half of each frame from another thread.
			half := func(thread int) splitting {
				return splitting{
					send: func(f []byte) SendArgs {
						return SendArgs{Call: "write", Data: f, Thread: thread}
					},
					receive: func(f []byte) ReceiveArgs {
						return ReceiveArgs{Call: "read", Sizes: []int{4, len(f) - 4}, Thread: thread + 4}
					},
				}
			}
			w.requests, w.answers = half(1+i%4), half(1+(i+1)%4)
			x := w.commit("g", "t", 3, int64(i))
			cut := 11 + i
			w.carry(x.request[:cut], true)
			w.requests = half(1 + (i+2)%4)
			w.carry(x.request[cut:], true)
			w.carry(x.response[:cut], false)
			w.answers = half(1 + (i+3)%4)
			w.carry(x.response[cut:], false)
		}
		v := look(t, s.p)
		require.Equal(t, offsetsFrom("t", 3, 19), v.offsets("g"))
		require.EqualValues(t, 60, v.commits("g"))
		require.Equal(t, 1, entries(t, s.p, "connections"))
		requireClean(t, s.p)

		w.client.close(fds[0][0]) // its duplicate stays
		w.clientFD = fds[0][1]
		w.exchange(w.commit("g", "t", 3, 50))
		require.Equal(t, offsetsFrom("t", 3, 50), look(t, s.p).offsets("g"))
	})
}

// TestInherited: two processes have the same connection by inheritance and take turns on it.
func TestInherited(t *testing.T) {
	eachBackend(t, func(t *testing.T, b probe.Backend) {
		s := newListening(t, b)
		inherit(t, s, "inherited")
		require.Equal(t, 1, entries(t, s.p, "connections"))
	})
}

// newListening is a scene whose clients are yet to come.
func newListening(t *testing.T, b probe.Backend) *scene {
	t.Helper()
	s := &scene{t: t, broker: newSelf(t)}
	s.listener, s.address = s.broker.listen(IPv4, 0)
	s.attach(b)
	return s
}

func inherit(t *testing.T, s *scene, name string) {
	fd, err := dial(IPv4, s.address)
	require.NoError(t, err)
	file := os.NewFile(uintptr(fd), "connection")
	children := []*peer{newChild(t, file), newChild(t, file)}
	require.NoError(t, file.Close())
	requireTurns(t, s, name, children, []int{3, 3})
}

// TestPassed: a process passes its connection on over a Unix socket (SCM_RIGHTS).
func TestPassed(t *testing.T) {
	eachBackend(t, func(t *testing.T, b probe.Backend) {
		s := newListening(t, b)
		pass(t, s, "passed")
		require.Equal(t, 1, entries(t, s.p, "connections"))
	})
}

func pass(t *testing.T, s *scene, name string) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	var children []*peer
	for _, fd := range pair {
		f := os.NewFile(uintptr(fd), "pair")
		children = append(children, newChild(t, f))
		require.NoError(t, f.Close())
	}
	fds := []int{children[0].connect(IPv4, s.address), 0}
	children[0].do("Pass", PassArgs{Over: 3, FD: fds[0]}, new(struct{}))
	children[1].do("Take", 3, &fds[1])
	requireTurns(t, s, name, children, fds)
}

// requireTurns has the children take turns on one connection; each one's last commit is its own. The scene's client is
// another afterwards.
func requireTurns(t *testing.T, s *scene, name string, children []*peer, fds []int) {
	t.Helper()
	before := stats(t, s.p)
	w := &wire{scene: s, talker: talker{id: name}, brokerFD: s.broker.accept(s.listener)}
	for i := range 20 {
		s.client, w.clientFD = children[i%2], fds[i%2]
		w.exchange(w.commit(name, "t", 3, int64(i)))
	}
	// One asks, the other takes the answer: it belongs to who asked.
	x := w.commit(name, "t", 3, 100)
	s.client, w.clientFD = children[0], fds[0]
	w.request(x)
	s.client, w.clientFD = children[1], fds[1]
	w.answer(x)

	v := look(t, s.p)
	require.Len(t, v.links(name, state.RoleClient), 2)
	byPID := make(map[uint32]int64)
	for _, o := range v.Offsets {
		if v.Names[o.Group] == name {
			pid := v.Links[o.Link].Process.PID
			byPID[pid] = max(byPID[pid], o.Offset)
		}
	}
	require.Equal(t, map[uint32]int64{uint32(children[0].pid): 102, uint32(children[1].pid): 21}, byPID)
	require.EqualValues(t, 63, v.commits(name))
	requireCleanSince(t, s.p, before)
}

// TestTwoConnections: a client with two connections to one broker is one link, with equal correlation
// ids on both.
func TestTwoConnections(t *testing.T) {
	eachSide(t, func(t *testing.T, s *scene, sn seen) {
		a, b := s.connect("client"), s.connect("client")
		a.exchange(a.apiVersions())
		b.exchange(b.apiVersions())
		for i := range 10 {
			x, y := a.commit("g", "t", 3, int64(100+i)), b.commit("other", "t", 3, int64(500+i))
			a.request(x)
			b.request(y)
			b.answer(y)
			a.answer(x)
		}
		v := look(t, s.p)
		require.Equal(t, offsetsFrom("t", 3, 109), v.offsets("g"))
		require.Equal(t, offsetsFrom("t", 3, 509), v.offsets("other"))
		v.link("client", sn.role())
		require.Equal(t, 2, entries(t, s.p, "connections"))
		requireClean(t, s.p)
	})
}
