// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/test/costs"
	"github.com/ebpfkafka/ebpfkafka/test/page"
)

// hostCommand is what writes the figures, as the page says.
const hostCommand = "make bench-host"

// A hostReport is all that was measured.
type hostReport struct {
	date     time.Time
	backends []probe.Backend
	starts   map[probe.Backend]*starts
	clients  clientCosts
	calls    callCosts
}

// whole tells whether nothing was left out by -run.
func (r *hostReport) whole() bool {
	return r.starts != nil && r.clients.maps != nil && r.calls.of != nil
}

func (r *hostReport) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s.\n\n", page.Measured(r.date), page.Machine())
	fmt.Fprintf(&b, "To start, in milliseconds: the median of %d starts, and the longest.\n\n%s\n", startPairs,
		r.startTable())
	fmt.Fprintf(&b, "To watch, all at once:\n\n%s\n", r.clients.table())
	fmt.Fprintf(&b, "What others pay who make %s system calls a second that are not Kafka's: the median of %d pairs, in "+
		"brackets\nthe quartiles.\n\n%s", page.Number(math.Round(median(r.calls.rate)/100)*100), callsRounds, r.calls.table())
	return b.String()
}

func (r *hostReport) startTable() string {
	rows := [][]string{{"", "few processes", page.Number(hostProcesses) + " more"}}
	for _, b := range r.backends {
		for _, x := range []struct {
			name string
			of   func(start) time.Duration
		}{
			{"load and attach", func(s start) time.Duration { return s.attach }},
			{"from the start of the process until attached", func(s start) time.Duration { return s.attached }},
			{"… until the first collection is over", func(s start) time.Duration { return s.collection }},
		} {
			row := []string{fmt.Sprintf("`%s`: %s", b, x.name)}
			for _, of := range [][]start{r.starts[b].few, r.starts[b].many} {
				typical, most := middle(of, x.of)
				row = append(row, fmt.Sprintf("%s, %s", page.Number(float64(typical.Milliseconds())),
					page.Number(float64(most.Milliseconds()))))
			}
			rows = append(rows, row)
		}
	}
	return page.Table(rows)
}

func (c clientCosts) table() string {
	rows := [][]string{
		{"on the host, and of the collector", ""},
		{"client processes, and their connections", fmt.Sprintf("%s, %s", page.Number(hostClients), page.Number(hostConnections))},
		{"processes that wait", page.Number(hostProcesses)},
		{"commits a second", page.Number(c.commits)},
		{"system calls a second that are not Kafka's", page.Number(c.calls)},
		{"CPU time of the collector, milliseconds in a second", milliseconds(c.cpu)},
		{"resident memory of the collector, and at most, MiB", fmt.Sprintf("%s, %s",
			page.Number(float64(c.resident)/mebibyte), page.Number(float64(c.peak)/mebibyte))},
		{"offsets equal to what was committed last", fmt.Sprintf("%s of %s", page.Number(float64(c.right)),
			page.Number(hostConnections))},
		{"commits counted, of as many", page.Number(c.counted)},
	}
	for _, m := range c.maps {
		rows = append(rows, []string{fmt.Sprintf("entries of map `%s`", m.name),
			fmt.Sprintf("%s of %s", page.Number(m.entries), page.Number(m.capacity))})
	}
	return page.Table(rows)
}

func (c callCosts) table() string {
	rows := [][]string{{"", "without a collector"}, {"CPU time of a call, nanoseconds"},
		{"CPU time of the whole host, milliseconds in a second"}, {"of it the collector's own"}}
	var calls, host []float64 // without
	for _, of := range c.of {
		rows[0] = append(rows[0], "`"+string(of.backend)+"`")
		for _, p := range of.calls {
			calls = append(calls, p.Without)
		}
		for _, p := range of.host {
			host = append(host, p.Without)
		}
	}
	rows[1], rows[2] = append(rows[1], page.Number(median(calls))), append(rows[2], page.Number(median(host)))
	rows[3] = append(rows[3], "–")
	for _, of := range c.of {
		ratios := quartiles(of.calls, costs.Pair.Ratio)
		rows[1] = append(rows[1], fmt.Sprintf("%s, × %.2f (%.2f to %.2f)",
			page.Signed(quartiles(of.calls, costs.Pair.Difference)[1]), ratios[1], ratios[0], ratios[2]))
		added := quartiles(of.host, costs.Pair.Difference)
		rows[2] = append(rows[2], fmt.Sprintf("%s (%s to %s)", page.Signed(added[1]), page.Signed(added[0]),
			page.Signed(added[2])))
		rows[3] = append(rows[3], milliseconds(median(of.own)))
	}
	return page.Table(rows)
}

// quartiles are the first, the median and the third of what f says of each pair.
func quartiles(pairs []costs.Pair, f func(costs.Pair) float64) (q [3]float64) {
	var all []float64
	for _, p := range pairs {
		all = append(all, f(p))
	}
	slices.Sort(all)
	for i := range q {
		q[i] = costs.Quartile(all, i+1)
	}
	return q
}

func median[T cmp.Ordered](all []T) T {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
