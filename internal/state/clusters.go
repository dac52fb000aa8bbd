// SPDX-License-Identifier: Apache-2.0

package state

import "net/netip"

// clusterID tells clusters apart within one Update, named or not.
type clusterID int32

// clusters says to which cluster each link belongs.
//
// Links belong together that go to the same broker address, or that the same client (or broker) has:
// a client id of one process talks to one cluster, as long as nothing says otherwise. A cluster is named
// once Metadata told its id on any of them. If a client turns out to talk to several clusters, what it
// does at one broker no longer says anything about another.
type clusters struct {
	of    map[LinkID]clusterID
	names []NameID // by clusterID; NameNone: not known
}

type endpointKey struct {
	addr  netip.AddrPort
	netns uint32 // only where the address means something in there alone
}

// neighbourKey is what brokers have in common that belong together.
type neighbourKey struct {
	pid       uint32
	startTime uint64
	client    NameID // not of brokers: one broker is in one cluster
	role      Role
}

func joinClusters(s *Snapshot) *clusters {
	byEndpoint := make(map[endpointKey]int)
	var endpoints union
	told := make(map[int]NameID) // by endpoint; NameInvalid: contradictory
	place := make(map[LinkID]int, len(s.Links))
	for id, l := range s.Links {
		key := endpointKey{addr: l.Broker}
		if l.Broker.Addr().IsLoopback() || l.Broker.Addr().IsLinkLocalUnicast() {
			key.netns = l.NetNS
		}
		at, ok := byEndpoint[key]
		if !ok {
			at = endpoints.add()
			byEndpoint[key] = at
		}
		place[id] = at
		tell(told, at, l.Cluster)
	}

	// Brokers of one client belong together unless they are known to be of different clusters.
	neighbours := make(map[neighbourKey][]int)
	for id, l := range s.Links {
		key := neighbourKey{pid: l.Process.PID, startTime: l.Process.StartTime, role: l.Role}
		if l.Role == RoleClient {
			key.client = l.Client
		}
		neighbours[key] = append(neighbours[key], place[id])
	}
	for _, places := range neighbours {
		names := make(map[NameID]bool)
		for _, at := range places {
			if told[at] != NameNone {
				names[told[at]] = true
			}
		}
		if len(names) > 1 {
			continue
		}
		for _, at := range places[1:] {
			endpoints.join(places[0], at)
		}
	}

	// Two chains of unnamed brokers may have joined what is known to be different.
	joined := make(map[int]NameID)
	for at := range endpoints {
		tell(joined, endpoints.find(at), told[at])
	}
	c := &clusters{of: make(map[LinkID]clusterID, len(s.Links))}
	byName := make(map[NameID]clusterID)
	byPlace := make(map[int]clusterID)
	for id, at := range place {
		name, root := joined[endpoints.find(at)], endpoints.find(at)
		if name == NameInvalid {
			name, root = told[at], at
		}
		if name == NameInvalid {
			name = s.Links[id].Cluster // one address, several clusters: only what was said on the link itself
		}
		if name != NameNone {
			known, ok := byName[name]
			if !ok {
				known = c.add(name)
				byName[name] = known
			}
			c.of[id] = known
			continue
		}
		unnamed, ok := byPlace[root]
		if !ok {
			unnamed = c.add(NameNone)
			byPlace[root] = unnamed
		}
		c.of[id] = unnamed
	}
	return c
}

func (c *clusters) add(name NameID) clusterID {
	c.names = append(c.names, name)
	return clusterID(len(c.names) - 1)
}

// unnamed counts the clusters whose id is not known yet.
func (c *clusters) unnamed() int {
	n := 0
	for _, name := range c.names {
		if name == NameNone {
			n++
		}
	}
	return n
}

func tell(told map[int]NameID, at int, name NameID) {
	switch known := told[at]; {
	case name == NameNone || known == name:
	case known == NameNone:
		told[at] = name
	default:
		told[at] = NameInvalid
	}
}

// union is a disjoint-set forest.
type union []int

func (u *union) add() int {
	*u = append(*u, len(*u))
	return len(*u) - 1
}

func (u union) find(i int) int {
	for u[i] != i {
		u[i] = u[u[i]]
		i = u[i]
	}
	return i
}

func (u union) join(a, b int) {
	u[u.find(a)] = u.find(b)
}
