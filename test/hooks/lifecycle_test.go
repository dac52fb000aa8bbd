// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// awaitConnections returns when so many connections are tracked.
func awaitConnections(t *testing.T, p *probe.Probe, want int) {
	t.Helper()
	awaitThat(t, func() error {
		if n := entries(t, p, "connections"); n != want {
			return fmt.Errorf("%d connections are tracked, not %d", n, want)
		}
		return nil
	})
}

// TestEnds: a connection is forgotten when it ends, whichever way, and is not brought back by what is
// read of it afterwards.
func TestEnds(t *testing.T) {
	eachBackend(t, func(t *testing.T, b probe.Backend) {
		begin := func(t *testing.T) (*wire, exchange) {
			w := newScene(t, b, clientSeen).connect("client")
			w.exchange(w.apiVersions())
			w.exchange(w.commit("g", "t", 3, 100))
			require.Equal(t, 1, entries(t, w.p, "connections"))
			x := w.commit("g", "t", 3, 200)
			w.request(x)
			return w, x
		}
		gone := func(t *testing.T, w *wire) {
			t.Helper()
			awaitConnections(t, w.p, 0)
			// The broker may have stored the commit whose answer was not read.
			for partition, seen := range look(t, w.p).offsets("g") {
				require.Equal(t, []int64{-int64(state.OffsetUnknown)}, seen, partition)
			}
			requireClean(t, w.p)
		}
		t.Run("closed", func(t *testing.T) {
			w, _ := begin(t)
			w.close()
			gone(t, w)
		})
		t.Run("closed by the other end", func(t *testing.T) {
			w, _ := begin(t)
			w.broker.close(w.brokerFD)
			require.Empty(t, w.client.receive(ReceiveArgs{FD: w.clientFD, Call: "read", Bytes: 1}))
			w.client.close(w.clientFD)
			gone(t, w)
		})
		t.Run("killed within a request", func(t *testing.T) {
			w, _ := begin(t)
			x := w.commit("g", "t", 300, 300)
			w.client.send(SendArgs{FD: w.clientFD, Call: "write", Data: x.request[:500]})
			w.client.kill()
			gone(t, w)
		})
		t.Run("killed within a response", func(t *testing.T) {
			w, x := begin(t)
			w.broker.send(SendArgs{FD: w.brokerFD, Call: "write", Data: x.response[:20]})
			w.client.receive(ReceiveArgs{FD: w.clientFD, Call: "read", Bytes: 20})
			w.client.kill()
			gone(t, w)
		})
		t.Run("reset, then read", func(t *testing.T) {
			w, x := begin(t)
			w.broker.send(SendArgs{FD: w.brokerFD, Call: "write", Data: x.response})
			w.broker.do("Reset", w.brokerFD, new(struct{}))
			gone(t, w)
			w.client.receive(ReceiveArgs{FD: w.clientFD, Call: "read", Bytes: len(x.response)})
			gone(t, w)
		})
		t.Run("half closed, then read", func(t *testing.T) {
			w, x := begin(t)
			w.client.do("ShutdownWrite", w.clientFD, new(struct{}))
			w.broker.send(SendArgs{FD: w.brokerFD, Call: "write", Data: x.response})
			w.broker.close(w.brokerFD)
			gone(t, w)
			w.client.receive(ReceiveArgs{FD: w.clientFD, Call: "read", Bytes: len(x.response)})
			gone(t, w)
		})
	})
}

// TestShortConnections: thousands of them, which reuse ports and the kernel's socks, leave nothing
// behind, and everything they said is counted.
func TestShortConnections(t *testing.T) {
	const times, partitions = 5000, 2
	eachBackend(t, func(t *testing.T, b probe.Backend) {
		s := newQuietScene(t, bothSeen, IPv4)
		// Small maps: what leaks fills them up.
		s.p = openWith(t, probe.Options{Backend: b, Ports: []uint16{s.address.Port()}, Connections: 256, Pending: 1024})
		talk := talker{id: "visitor"}
		hello, commit := talk.apiVersions(), talk.commit("g", "t", partitions, 100)
		visit := func(requests ...[]byte) {
			serving := s.broker.start("Serve", ServeArgs{Listener: s.listener, Connections: times,
				Answers: [][]byte{hello.response, commit.response}}, new(struct{}))
			s.client.do("Visit", VisitArgs{To: s.address, Times: times, Requests: requests}, new(struct{}))
			s.broker.await(serving)
		}
		visit(hello.request, commit.request)
		visit()

		awaitConnections(t, s.p, 0)
		v := look(t, s.p)
		require.EqualValues(t, times*partitions, v.commits("g"))
		require.Equal(t, offsetsFrom("t", partitions, 100), v.offsets("g"))
		require.EqualValues(t, s.client.pid, v.link("visitor", state.RoleClient).Process.PID)
		require.EqualValues(t, 2*times, stats(t, s.p).Recognised)
		requireClean(t, s.p)

		// What a broker's end noted before it knew that the client's end counts goes some seconds after it.
		awaitThat(t, func() error {
			if err := s.p.Sweep(time.Nanosecond); err != nil {
				return err
			}
			uses, err := s.p.Maps()
			for _, u := range uses {
				if u.Name != "names" && u.Entries > 0 {
					err = errors.Join(err, fmt.Errorf("%d entries in map %s", u.Entries, u.Name))
				}
			}
			return err
		})
	})
}
