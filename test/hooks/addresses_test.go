// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// TestAddresses: a link tells where its broker is, whatever the family of the socket.
func TestAddresses(t *testing.T) {
	for name, x := range map[string]struct {
		listen, connect Network
	}{
		"IPv4":                   {IPv4, IPv4},
		"IPv6":                   {IPv6, IPv6},
		"v4-mapped":              {Mapped, Mapped},
		"v4-mapped client":       {IPv4, Mapped},
		"v4-mapped broker alone": {Mapped, IPv4},
	} {
		t.Run(name, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, b probe.Backend) {
				for _, sn := range []seen{clientSeen, brokerSeen, bothSeen} {
					s := newQuietScene(t, sn, x.listen)
					s.network = x.connect
					s.attach(b)
					w := s.connect("client")
					w.exchange(w.apiVersions())
					w.exchange(w.commit("g", "t", 3, 100))
					v := look(t, s.p)
					require.Equal(t, offsetsFrom("t", 3, 100), v.offsets("g"))
					l := v.link("client", sn.role())
					require.Equal(t, s.address, l.Broker)
					if sn == brokerSeen {
						require.Equal(t, x.listen.loopback().String(), l.Process.Remote)
					} else {
						require.Empty(t, l.Process.Remote)
					}
					requireClean(t, s.p)
				}
			})
		})
	}
}

// TestNetworkNamespaces: the same addresses and ports in two namespaces are two brokers.
func TestNetworkNamespaces(t *testing.T) {
	eachBackend(t, func(t *testing.T, b probe.Backend) {
		here, there := newChild(t), newNetworkChild(t)
		var inodes [2]uint64
		here.do("NetNS", struct{}{}, &inodes[0])
		there.do("NetNS", struct{}{}, &inodes[1])
		require.NotEqual(t, inodes[0], inodes[1])

		s := &scene{t: t, client: here, broker: here}
		s.listener, s.address = here.listen(IPv4, 0)
		s.attach(b)
		other := &scene{t: t, client: there, broker: there, p: s.p}
		other.listener, other.address = there.listen(IPv4, int(s.address.Port()))
		for i, s := range []*scene{s, other} {
			w := s.connect("client")
			w.exchange(w.apiVersions())
			w.exchange(w.commit("g", "t", 1, int64(100*(i+1))))
		}
		v := look(t, s.p)
		require.EqualValues(t, 2, v.commits("g"))
		offsets := make(map[uint64]int64)
		for _, o := range v.Offsets {
			l := v.Links[o.Link]
			require.Equal(t, s.address, l.Broker)
			offsets[uint64(l.NetNS)] = o.Offset
		}
		require.Equal(t, map[uint64]int64{inodes[0]: 100, inodes[1]: 200}, offsets)
		requireClean(t, s.p)
	})
}

// TestNotTCP: what goes through anything but TCP is not looked at.
func TestNotTCP(t *testing.T) {
	eachBackend(t, func(t *testing.T, b probe.Backend) {
		p := open(t, b)
		here := newChild(t)
		for _, kind := range []string{"pipe", "unix", "file"} {
			talk := talker{id: kind}
			var pair PairReply
			here.do("Pair", PairArgs{Kind: kind}, &pair)
			for i := range 5 {
				x := talk.commit("group of "+kind, "t", 3, int64(i))
				here.send(SendArgs{FD: pair.Write, Call: "write", Data: x.request})
				if kind != "file" {
					here.receive(ReceiveArgs{FD: pair.Read, Call: "read", Bytes: len(x.request)})
				}
			}
		}
		var counter PairReply
		here.do("Pair", PairArgs{Kind: "eventfd"}, &counter)
		here.send(SendArgs{FD: counter.Write, Call: "write", Data: []byte{1, 0, 0, 0, 0, 0, 0, 0}})
		here.receive(ReceiveArgs{FD: counter.Read, Call: "read", Bytes: 8, Sizes: []int{8}})
		for _, name := range look(t, p).Names {
			require.NotContains(t, name, "group of")
		}
	})
}

// TestUDP: datagrams from and to a port that is looked at.
func TestUDP(t *testing.T) {
	eachBackend(t, func(t *testing.T, b probe.Backend) {
		here := newChild(t)
		fd, address := here.listen(UDP, 0)
		p := open(t, b, address.Port())
		from := here.connect(UDP, address)
		var talk talker
		for range 5 {
			x := talk.commit("g", "t", 3, 100)
			here.send(SendArgs{FD: from, Call: "sendto", Data: x.request})
			here.receive(ReceiveArgs{FD: fd, Call: "recvfrom", Bytes: len(x.request)})
		}
		require.Zero(t, stats(t, p).Calls)
		require.Empty(t, look(t, p).Names)
		require.Zero(t, entries(t, p, "connections"))
	})
}

// TestRoles: which end of a connection this is, is read off what it sends; an end alone counts, of two
// the client's, and the receiver's own connections never.
func TestRoles(t *testing.T) {
	eachBackend(t, func(t *testing.T, b probe.Backend) {
		for name, x := range map[string]struct {
			seen  seen
			links map[state.Role]int
		}{
			"client": {clientSeen, map[state.Role]int{state.RoleClient: 1}},
			"broker": {brokerSeen, map[state.Role]int{state.RoleBroker: 1}},
			"both":   {bothSeen, map[state.Role]int{state.RoleClient: 1}},
			"none":   {0, map[state.Role]int{}},
		} {
			t.Run(name, func(t *testing.T) {
				s := newScene(t, b, x.seen)
				w := s.connect("client")
				w.exchange(w.apiVersions())
				for i := range 50 {
					w.exchange(w.commit("g", "t", 3, int64(i)))
				}
				v := look(t, s.p)
				counts := make(map[state.Role]int)
				for _, o := range v.Offsets {
					require.EqualValues(t, 49+o.Partition, o.Offset)
					counts[v.Links[o.Link].Role]++
				}
				want := make(map[state.Role]int)
				for role, n := range x.links {
					want[role] = 3 * n
				}
				require.Equal(t, want, counts)
				require.EqualValues(t, 150*len(x.links), v.commits("g"))
				requireClean(t, s.p)
				if x.seen == 0 {
					require.Zero(t, stats(t, s.p).Calls)
					require.Zero(t, entries(t, s.p, "connections"))
				}
			})
		}
	})
}

// TestOptions: ports and role limit what is looked at.
func TestOptions(t *testing.T) {
	eachBackend(t, func(t *testing.T, b probe.Backend) {
		t.Run("ports", func(t *testing.T) {
			s, other := newQuietScene(t, clientSeen, IPv4), newQuietScene(t, clientSeen, IPv4)
			s.attach(b)
			other.p = s.p
			for i, s := range []*scene{s, other} {
				w := s.connect("client")
				w.exchange(w.apiVersions())
				w.exchange(w.commit("g", "t", 3, int64(100*(i+1))))
			}
			require.Equal(t, offsetsFrom("t", 3, 100), look(t, s.p).offsets("g"))
			require.Equal(t, 1, entries(t, s.p, "connections"))
		})
		for wanted, role := range map[probe.Role]state.Role{probe.Client: state.RoleClient, probe.Broker: state.RoleBroker} {
			for _, sn := range []seen{clientSeen, brokerSeen} {
				s := newQuietScene(t, sn, IPv4)
				s.p = openWith(t, probe.Options{Backend: b, Ports: []uint16{s.address.Port()}, Role: wanted})
				w := s.connect("client")
				w.exchange(w.apiVersions())
				w.exchange(w.commit("g", "t", 3, 100))
				if role == sn.role() {
					require.Equal(t, offsetsFrom("t", 3, 100), look(t, s.p).offsets("g"))
				} else {
					require.Empty(t, look(t, s.p).Offsets)
					require.Zero(t, entries(t, s.p, "connections"))
				}
			}
		}
	})
}
