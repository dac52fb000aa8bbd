// SPDX-License-Identifier: Apache-2.0

// Package costs measures what the hooks cost those who make system calls: BenchmarkCalls of package hooks on this
// machine, in time, and on other kernels in emulated machines, in instructions. Its test writes docs/performance.md.
//
// What is not a test is what the two packages have to agree on.
package costs

import "slices"

// Line is how each line of the benchmark's output begins that holds a Cost in JSON.
const Line = "cost: "

// Cost is what one kind of work took with a backend and without, in nanoseconds of the thread's CPU time for a call.
// Where the machine's clock counts instructions, that many.
type Cost struct {
	Backend, Work string

	// Without has one more: what stands before and after each With.
	With, Without []float64
}

// Pair is one run with the hooks, and the mean of those without before and after it: a machine that becomes slower
// all the while does so for both.
type Pair struct{ With, Without float64 }

// Ratio is with to without.
func (p Pair) Ratio() float64 { return p.With / p.Without }

// Difference is what the hooks add.
func (p Pair) Difference() float64 { return p.With - p.Without }

// Pairs are in the order in which they were measured.
func (c Cost) Pairs() (pairs []Pair) {
	for i, with := range c.With {
		pairs = append(pairs, Pair{With: with, Without: (c.Without[i] + c.Without[i+1]) / 2})
	}
	return pairs
}

// Each is what f says of each pair, the smallest first.
func (c Cost) Each(f func(Pair) float64) []float64 {
	var all []float64
	for _, p := range c.Pairs() {
		all = append(all, f(p))
	}
	slices.Sort(all)
	return all
}

// Quartile is the smallest (0) to the largest (4) of sorted numbers; 2 is the median.
func Quartile(sorted []float64, which int) float64 {
	at := float64(which) / 4 * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	part := at - float64(i)
	return sorted[i]*(1-part) + sorted[i+1]*part
}
