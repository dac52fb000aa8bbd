// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf/ringbuf"
	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/internal/schema"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// name is a name as a register holds it, resolved.
type name struct {
	kind  nameKind
	bytes string
}

type nameKind byte

const (
	nameNone    nameKind = iota // null on the wire
	nameInvalid                 // left out by the kernel, and counted
	nameText
	nameID // the 16 bytes of a topic id
)

func (n name) usable() bool { return n.kind > nameInvalid }

func (n name) String() string {
	return fmt.Sprintf("%s%.80q", [...]string{"none", "invalid", "text", "id"}[n.kind], n.bytes)
}

// kernel is a loaded decoder.
type kernel struct {
	*probe.Probe
	t       testing.TB
	reports *ringbuf.Reader
	names   map[uint64]name
	lastKey uint64

	lastOffset int64 // of recover
}

// roomy are limits that the tests do not reach.
var roomy = probe.Options{
	Connections: 1 << 12, Offsets: 1 << 17, Watermarks: 1 << 17, Names: 1 << 16, Pending: 1 << 16,
}

var old = flag.Bool("old", false, "test the object for kernels before 6.3, wherever this is")

// load loads the decoder, with every report traced.
func load(t testing.TB, o probe.Options) *kernel {
	t.Helper()
	o.Backend = probe.Detached
	o.TraceReports = true
	o.Old = *old
	p, err := probe.Open(o)
	require.NoError(t, err)
	reports, err := p.Reports()
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, reports.Close())
		require.NoError(t, p.Close())
	})
	return &kernel{Probe: p, t: t, reports: reports, names: map[uint64]name{0: {}, 1: {kind: nameInvalid}}}
}

// connection is a connection whose local end has a role.
type connection struct {
	probe.FeedConnection
	k           *kernel
	role        state.Role
	correlation int32
	recognised  bool // a response has fitted its request

	mayRefuse bool // garbage may have the connection given up
	refused   bool // it was
	calls     int
}

// connect makes a connection between addresses that depend on the role alone: links of one client id are one.
// The two roles have different brokers, lest one be taken for the other end of the other.
func (k *kernel) connect(role state.Role) *connection {
	k.lastKey++
	c := &connection{k: k, role: role}
	c.Key = k.lastKey
	port := uint16(20000 + k.lastKey%40000)
	if role == state.RoleClient {
		c.Local = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, 1}), port)
		c.Remote = netip.MustParseAddrPort("10.0.0.2:9092")
	} else {
		c.Local = netip.MustParseAddrPort("10.1.0.2:9092")
		c.Remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, 1}), port)
	}
	return c
}

// direction is the one in which requests, or responses, pass the local end.
func (c *connection) direction(request bool) probe.Direction {
	if request == (c.role == state.RoleClient) {
		return probe.Sent
	}
	return probe.Received
}

// feed hands over one call; refusal is a failure.
func (c *connection) feed(request bool, b []byte) {
	c.k.t.Helper()
	c.accepted(c.k.Feed(&c.FeedConnection, c.direction(request), b))
}

func (c *connection) accepted(err error) {
	c.k.t.Helper()
	if errors.Is(err, probe.ErrRefused) && c.mayRefuse {
		c.refused = true
		return
	}
	c.calls++
	require.NoError(c.k.t, err)
}

func (c *connection) feedVector(request bool, buffers [][]byte, n int) {
	c.k.t.Helper()
	c.accepted(c.k.FeedVector(&c.FeedConnection, c.direction(request), buffers, n))
}

func (c *connection) unseen(request bool, n int) {
	c.k.t.Helper()
	require.NoError(c.k.t, c.k.FeedUnseen(&c.FeedConnection, c.direction(request), n))
}

func (c *connection) close() {
	require.NoError(c.k.t, c.k.FeedClose(&c.FeedConnection))
}

// drain takes the reports since the last time.
func (k *kernel) drain() []probe.Report {
	var all []probe.Report
	var record ringbuf.Record
	for k.reports.AvailableBytes() > 0 {
		require.NoError(k.t, k.reports.ReadInto(&record))
		var r probe.Report
		require.GreaterOrEqual(k.t, len(record.RawSample), int(unsafe.Sizeof(r)))
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&r)), unsafe.Sizeof(r)), record.RawSample)
		all = append(all, r)
	}
	return all
}

// name resolves an id.
func (k *kernel) name(id uint64) name {
	if n, ok := k.names[id]; ok {
		return n
	}
	b, topicID, err := k.Name(id)
	require.NoError(k.t, err)
	n := name{kind: nameText, bytes: string(b)}
	if topicID {
		n.kind = nameID
	}
	k.names[id] = n
	return n
}

// stats is Stats, which does not fail.
func (k *kernel) stats() *probe.Stats {
	s, err := k.Stats()
	require.NoError(k.t, err)
	return s
}

// snapshot is Snapshot, which does not fail.
func (k *kernel) snapshot() *state.Snapshot {
	s, err := k.Snapshot()
	require.NoError(k.t, err)
	return s
}

// forget removes everything that was learnt on connections that are closed.
func (k *kernel) forget() {
	k.snapshot() // tells which are
	require.NoError(k.t, k.Sweep(0))
}

// entries counts the entries of the maps by name.
func (k *kernel) entries() map[string]int {
	uses, err := k.Maps()
	require.NoError(k.t, err)
	n := make(map[string]int)
	for _, u := range uses {
		n[u.Name] = u.Entries
	}
	return n
}

// drops is what moved between two Stats, by reason.
func drops(before, after *probe.Stats) map[string]uint64 {
	moved := make(map[string]uint64)
	for r := range after.Drops {
		if n := after.Drops[r] - before.Drops[r]; n > 0 {
			moved[probe.Reason(r).String()] = n
		}
	}
	return moved
}

// isName tells the registers that hold names from those that hold numbers.
func isName(r schema.Register) bool {
	switch r {
	case schema.RegClient, schema.RegGroup, schema.RegTopic, schema.RegMember, schema.RegCluster, schema.RegTopicName:
		return true
	}
	return false
}
