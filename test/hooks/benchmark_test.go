// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/test/costs"
)

var (
	pairs        = flag.Int("pairs", 7, "BenchmarkCalls: how often to measure with hooks, each between two times without")
	batches      = flag.Int("batches", 100, "BenchmarkCalls: batches of calls each time; the lower quartile counts")
	instructions = flag.Bool("instructions", false, "BenchmarkCalls: the clock counts instructions, and has to")
	printCosts   = flag.Bool("costs", false, "BenchmarkCalls: print what package costs reads")
)

// warmBatches are enough for hooks to recognise a connection, or to give it up, at both ends.
const warmBatches = 5

// BenchmarkCalls measures what the hooks cost those who make system calls: CPU time of the calling thread. Each time
// with hooks is between two without, because machines change speed. The figures are of one call, or of one round: a
// request and its answer, each written and read.
func BenchmarkCalls(b *testing.B) {
	child := newChild(b)
	works, port := newWorks(b, child)
	if *instructions {
		requireInstructions(b, child)
	}
	for _, backend := range backends {
		b.Run(string(backend), func(b *testing.B) {
			without := func() []float64 { return unwatched(b, func() []float64 { return measure(child, works, *batches) }) }
			measure(child, works, warmBatches)
			all := make([]costs.Cost, len(works))
			add := func(to func(*costs.Cost) *[]float64, figures []float64) {
				for i, f := range figures {
					list := to(&all[i])
					*list = append(*list, f)
				}
			}
			unhooked := func(c *costs.Cost) *[]float64 { return &c.Without }
			add(unhooked, without())
			for range *pairs {
				add(func(c *costs.Cost) *[]float64 { return &c.With }, measureWith(b, child, works, backend, port))
				add(unhooked, without())
			}
			for i, w := range works {
				all[i].Backend, all[i].Work = string(backend), w.name
				report(b, all[i])
			}
		})
	}
}

// measureWith measures with the hooks of a backend.
func measureWith(b *testing.B, child *peer, works []work, backend probe.Backend, port uint16) []float64 {
	return unwatched(b, func() []float64 { return measureHooked(b, child, works, backend, port) })
}

func measureHooked(b *testing.B, child *peer, works []work, backend probe.Backend, port uint16) []float64 {
	p, err := probe.Open(probe.Options{Backend: backend, Ports: []uint16{port}, Old: *old})
	require.NoError(b, err)
	defer func() { require.NoError(b, p.Close()) }()
	measure(child, works, warmBatches)
	figures := measure(child, works, *batches)

	// What is not decoded is cheap.
	_, err = p.Snapshot()
	require.NoError(b, err)
	recognised := map[probe.Role]int{}
	for kind, n := range p.Connections() {
		if kind.Recognised {
			recognised[kind.Role] += n
		}
	}
	kafka := 0
	for _, w := range works {
		if w.kafka {
			kafka++
		}
	}
	require.Equal(b, map[probe.Role]int{probe.Client: kafka, probe.Broker: kafka}, recognised, "recognised connections")
	return figures
}

// measure returns the time of a call of each work: of all in one go, see settleTime.
func measure(child *peer, works []work, batches int) (figures []float64) {
	// What the clock itself takes; with `syscall` it pays for the hook too.
	calls := []Calls{{Kind: "nothing"}}
	for _, w := range works {
		calls = append(calls, w.Calls)
	}
	took := quartiles(child, calls, batches)
	for i, w := range works {
		figures = append(figures, (took[1+i]-took[0])/float64(w.Times))
	}
	return figures
}

// quartiles are the lower ones of each work's batches: what interrupts a batch only makes it dearer.
func quartiles(child *peer, calls []Calls, batches int) (figures []float64) {
	var took [][]int64
	done := <-child.start("Measure", MeasureArgs{calls, batches}, &took).Done // a slow machine takes its time
	require.NoError(child.t, done.Error)
	for _, t := range took {
		slices.Sort(t)
		figures = append(figures, float64(t[len(t)/4]))
	}
	return figures
}

// requireInstructions fails where the clock does not count instructions, by a loop of known length.
func requireInstructions(b *testing.B, child *peer) {
	const turns = 100_000 // short: the kernel's own clock ticks every few million
	took := quartiles(child, []Calls{{Kind: "nothing"}, {Kind: "loop", Times: turns}}, *batches)
	const interrupted = 0.03 // what else a machine does that has just booted; another clock is wrong by a multiple
	require.InEpsilon(b, turns*costs.InstructionsATurn, took[1]-took[0], interrupted,
		"nanoseconds for a loop of so many instructions: the machine's clock does not count them")
}

func report(b *testing.B, c costs.Cost) {
	b.Run(c.Work, func(b *testing.B) {
		ratios := c.Each(costs.Pair.Ratio)
		b.ReportMetric(0, "ns/op") // of nothing
		b.ReportMetric(costs.Quartile(c.Each(func(p costs.Pair) float64 { return p.Without }), 2), "ns/without")
		b.ReportMetric(costs.Quartile(c.Each(func(p costs.Pair) float64 { return p.With }), 2), "ns/with")
		b.ReportMetric(costs.Quartile(ratios, 2), "ratio")
		b.ReportMetric(costs.Quartile(ratios, 0), "ratio/least")
		b.ReportMetric(costs.Quartile(ratios, 4), "ratio/most")
	})
	if *printCosts {
		text, err := json.Marshal(c)
		require.NoError(b, err)
		fmt.Printf("\n%s%s\n", costs.Line, text)
	}
}
