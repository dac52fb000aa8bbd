// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
	"github.com/ebpfkafka/ebpfkafka/test/frames"
)

var damageFor = flag.Duration("damage", 5*time.Second, "how long TestGarbage and TestMutated run, each")

// fuzzLimits keep snapshots quick; reload says when they are reached.
var fuzzLimits = probe.Options{Connections: 256, Offsets: 1 << 13, Watermarks: 1 << 13, Names: 1 << 14, Pending: 1 << 13}

// bench runs one input after the other on one loaded decoder.
type bench struct {
	k      *kernel
	inputs int
	values map[string]int // published and found right
	trips  map[int]int    // of recoveries
	others map[string]int
	before map[claim]bool // topic ids, which belong to no connection, of earlier inputs
	ended  bool           // the end of a transaction was asked for, also by an input before: whose link comes back makes it doubtful
}

func newBench(t testing.TB) *bench {
	return &bench{k: load(t, fuzzLimits), values: map[string]int{}, trips: map[int]int{}, others: map[string]int{}}
}

// next prepares for an input: nothing is known.
func (b *bench) next(t testing.TB) {
	b.k.t = t
	b.inputs++
	b.k.forget()
	full := false
	for reason := range drops(&probe.Stats{}, b.k.stats()) {
		full = full || strings.HasSuffix(reason, "_full")
	}
	if n := b.k.entries(); full || n["names"] > 6000 || n["requests"] > 6000 || n["pending"] > 6000 {
		require.NoError(t, b.k.reports.Close())
		require.NoError(t, b.k.Close())
		o := fuzzLimits
		o.Backend = probe.Detached
		p, err := probe.Open(o)
		require.NoError(t, err)
		reports, err := p.Reports()
		require.NoError(t, err)
		*b.k = kernel{Probe: p, t: t, reports: reports, names: map[uint64]name{0: {}, 1: {kind: nameInvalid}}}
		b.others["reloads"]++
		b.ended = false
	}
	b.before = map[claim]bool{}
	for _, p := range b.published() {
		b.before[p] = true
	}
}

// published is what was published since next.
func (b *bench) published() []claim {
	return slices.DeleteFunc(published(b.k, b.k.snapshot()), func(p claim) bool { return b.before[p] })
}

func (b *bench) recovered(t testing.TB, s uint64, c *connection) {
	r, err := c.recover()
	require.NoError(t, err, "seed %d", s)
	switch {
	case r.givenUp:
		b.others["given up"]++
	case r.wrongRole:
		b.others["role mistaken"]++
	default:
		b.trips[r.trips]++
	}
}

func (b *bench) String() string {
	return fmt.Sprintf("%d inputs, published values checked: %v, round trips until decoded again: %v, others %v",
		b.inputs, b.values, b.trips, b.others)
}

// garbage feeds what is not Kafka on several connections in both directions: nothing may be published.
func (b *bench) garbage(t testing.TB, s uint64, data []byte) {
	b.next(t)
	r := rand.New(rand.NewPCG(s, 1))
	var all []*connection
	for i := range 3 {
		c := b.k.connect([]state.Role{state.RoleClient, state.RoleBroker, state.RoleClient}[i])
		c.mayRefuse = true
		all = append(all, c)
	}
	for range 1 + r.IntN(25) {
		piece := data
		switch r.IntN(5) {
		case 0:
			piece = foreign[r.IntN(len(foreign))]
		case 1:
			piece = randomBytes(r, 1+r.IntN(1<<r.IntN(11)))
		case 2: // mostly small numbers, as in Kafka's headers
			piece = randomBytes(r, 1+r.IntN(100))
			for i := range piece {
				if r.IntN(4) > 0 {
					piece[i] = byte(r.IntN(3))
				}
			}
		case 3:
			piece = data[len(data)-r.IntN(len(data)+1):]
		}
		if len(piece) > 0 {
			all[r.IntN(len(all))].deliver(r, r.IntN(2) == 0, piece)
		}
	}
	require.Empty(t, b.published(), "seed %d", s)
	require.Empty(t, b.k.snapshot().Members)
	for _, c := range all {
		b.recovered(t, s, c)
		c.mayRefuse = true
		c.close()
	}
}

// mutated feeds a dialogue of which frames are damaged, lost, repeated or out of order, and holds what is
// published against claims: it must stand in a request that is whole and in a response to it.
func (b *bench) mutated(t testing.TB, s uint64, extra []byte) {
	b.next(t)
	r := rand.New(rand.NewPCG(s, 2))
	g := newGenerator(rand.New(rand.NewPCG(7, 7))) // always the same names: there is room for few
	g.Rand = r
	g.producers = 10 * int64(b.inputs)
	requests, responses := g.dialogue(2 + r.IntN(8))
	c := b.k.connect([]state.Role{state.RoleClient, state.RoleBroker}[r.IntN(2)])
	c.mayRefuse = true
	var passed [2][]byte
	pass := func(request bool, b []byte) {
		if len(b) == 0 {
			return
		}
		direction := 0
		if !request {
			direction = 1
		}
		passed[direction] = append(passed[direction], b...)
		c.deliver(r, request, b)
		if v := c.fed(); v != nil && v.Confirmed != 0 {
			c.recognised = true
		}
	}
	damage := 1 + r.IntN(6) // one of so many frames
	frame := func(request bool, b []byte) {
		if r.IntN(damage) > 0 {
			pass(request, b)
			return
		}
		switch r.IntN(10) {
		case 0: // lost
		case 1:
			pass(request, b)
			pass(request, b)
		case 2:
			pass(request, extra)
			pass(request, b)
		case 3:
			pass(request, foreign[r.IntN(len(foreign))])
		default:
			pass(request, mutate(r, b))
		}
	}
	for asked, answered := 0, 0; answered < len(responses); {
		// Mostly in order; now and then a response comes first.
		if asked < len(requests) && (asked <= answered && r.IntN(20) > 0 || r.IntN(3) == 0) {
			frame(true, requests[asked])
			asked++
		} else {
			frame(false, responses[answered])
			answered++
		}
	}
	allowed := claims(passed[0], passed[1])
	b.ended = b.ended || allowed[endAsked]
	for _, p := range b.published() {
		require.True(t, allowed[p] || (p.what == "unknown" && b.ended), "seed %d: published, but in no exchange that is whole: %+v", s, p)
		b.values[p.what]++
	}
	b.recovered(t, s, c)
	c.close()
}

// run runs inputs for as long as -damage says.
func (b *bench) run(t *testing.T, one func(t testing.TB, s uint64, data []byte)) {
	s := seed(t)
	extras := append(captured(t), foreign...)
	for began := time.Now(); time.Since(began) < *damageFor; s++ {
		one(t, s, extras[s%uint64(len(extras))])
	}
	t.Log(b)
}

// captured are some frames of real clients and brokers.
func captured(t testing.TB) (all [][]byte) {
	paths, err := frames.Captures()
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		read, err := frames.Load(path)
		require.NoError(t, err)
		for i := 0; i < len(read); i += 5 {
			if len(read[i].Bytes) < 2000 {
				all = append(all, read[i].Bytes)
			}
		}
	}
	return all
}

func TestGarbage(t *testing.T) {
	b := newBench(t)
	s := seed(t)
	for began := time.Now(); time.Since(began) < *damageFor; s++ {
		b.garbage(t, s, foreign[s%uint64(len(foreign))])
	}
	t.Log(b)
}

func TestMutated(t *testing.T) {
	b := newBench(t)
	b.run(t, b.mutated)
	if b.inputs < 2000 {
		return // too few to tell
	}
	for _, what := range []string{
		"commit", "commit count", "fetched", "unknown", "transaction", "high", "stable", "start", "topic id", "cluster",
		"gone", "group deleted", "assigned", "shared",
	} {
		require.NotZero(t, b.values[what], "nothing of %q came to be checked: is it not generated any more?", what)
	}
}

func FuzzGarbage(f *testing.F) {
	for i, b := range foreign {
		f.Add(uint64(i), b)
	}
	b := newBench(f)
	f.Fuzz(func(t *testing.T, s uint64, data []byte) { b.garbage(t, s, data) })
}

func FuzzMutated(f *testing.F) {
	for i, b := range append(captured(f), foreign...) {
		f.Add(uint64(i), b)
	}
	b := newBench(f)
	f.Fuzz(func(t *testing.T, s uint64, data []byte) { b.mutated(t, s, data) })
}
