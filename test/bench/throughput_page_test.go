// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ebpfkafka/ebpfkafka/test/costs"
	"github.com/ebpfkafka/ebpfkafka/test/page"
)

// speedCommand is what writes the figures, as the page says.
const speedCommand = "make bench-throughput"

// A speedReport is all that was measured.
type speedReport struct {
	date      time.Time
	version   string   // of the broker
	libraries []string // of the clients
	speeds    []speed
	requests  askedOf
}

// whole tells whether nothing was left out by -run.
func (r *speedReport) whole(works int) bool {
	return len(r.speeds) == works && r.requests.after.heartbeats > 0
}

func (r *speedReport) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s.\nClients: %s. Broker: Apache Kafka %s.\n\n", page.Measured(r.date), page.Machine(),
		strings.Join(r.libraries, ", "), r.version)
	fmt.Fprintf(&b, "Throughput without the collector, and by how much it is another with it: the median of %d pairs of "+
		"series of %d\nmeasurements, and in brackets their quartiles:\n\n%s\n", *speedPairs, *speedRuns, r.throughput())
	fmt.Fprintf(&b, "What consumers read, before anything is measured:\n\n%s\n", r.reads())
	fmt.Fprintf(&b, "CPU time in seconds, for each GB of records or for each million commits: without the collector, and "+
		"what is added\nwith it. In brackets the quartiles of the ratio:\n\n%s\n", r.cpu())
	fmt.Fprintf(&b, "Of it in the hooks, by the kernel's statistics of their programs, in a run of its own: of all "+
		"processes together,\nfor each GB of records or for each million commits:\n\n%s\n", r.hooks())
	fmt.Fprintf(&b, "What clients asked of an idle broker, by its own counters; the collector knew of its cluster and "+
		"of a group:\n\n%s", r.requests.table())
	return b.String()
}

func (r *speedReport) throughput() string {
	rows := [][]string{{"traffic", "without", "change"}}
	for _, s := range r.speeds {
		change := s.throughput.Each(func(p costs.Pair) float64 { return 100 * (p.Ratio() - 1) })
		rows = append(rows, []string{s.name, page.Number(speedMedian(s.throughput.Without)) + " " + s.what,
			fmt.Sprintf("%s %% (%s to %s)", signed(costs.Quartile(change, 2), 1), signed(costs.Quartile(change, 1), 1),
				signed(costs.Quartile(change, 3), 1))})
	}
	return page.Table(rows)
}

func (r *speedReport) reads() string {
	rows := [][]string{{"traffic", "KiB a read, on average", "of the bytes, by reads of 64 KiB or more"}}
	for _, s := range r.speeds {
		if s.consumes {
			rows = append(rows, []string{s.name, fmt.Sprintf("%.1f", s.reads.mean()), fmt.Sprintf("%.1f %%", s.reads.share())})
		}
	}
	return page.Table(rows)
}

func (r *speedReport) cpu() string {
	rows := [][]string{{"traffic", "client", "added", "broker", "added", "collector"}}
	for _, s := range r.speeds {
		digits := 3 // of a GB
		if s.per == "million" {
			digits = 1
		}
		row := []string{s.name + ", " + s.per}
		for _, c := range []costs.Cost{s.client, s.broker} {
			added, ratios := c.Each(costs.Pair.Difference), c.Each(costs.Pair.Ratio)
			row = append(row, fmt.Sprintf("%.*f", digits, speedMedian(c.Without)),
				fmt.Sprintf("%s, × %.2f (%.2f to %.2f)", signed(costs.Quartile(added, 2), digits),
					costs.Quartile(ratios, 2), costs.Quartile(ratios, 1), costs.Quartile(ratios, 3)))
		}
		rows = append(rows, append(row, fmt.Sprintf("%.*f", digits, speedMean(s.collector))))
	}
	return page.Table(rows)
}

func (r *speedReport) hooks() string {
	rows := [][]string{{"traffic", "calls with hooks, thousands", "nanoseconds a call", "together, in seconds"}}
	for _, s := range r.speeds {
		units := s.unit(s.hooked)
		rows = append(rows, []string{s.name + ", " + s.per, page.Number(float64(s.hooks.runs) / units / 1000),
			page.Number(float64(s.hooks.took.Nanoseconds()) / float64(s.hooks.runs)),
			fmt.Sprintf("%.3g", s.hooks.took.Seconds()/units)})
	}
	return page.Table(rows)
}

func (a askedOf) table() string {
	row := func(name string, of func(asked) any) []string {
		cells := []string{name}
		for _, x := range []asked{a.before, a.with, a.after} {
			cells = append(cells, fmt.Sprint(of(x)))
		}
		return cells
	}
	return page.Table([][]string{
		{"in " + fmt.Sprintf("%.0f seconds", idleTime.Seconds()), "before", "with the collector", "after"},
		row("requests", func(x asked) any { return x.requests }),
		row("new connections", func(x asked) any { return x.connections }),
		row("the broker's own heartbeats", func(x asked) any { return x.heartbeats }),
		row("CPU time of the broker, in milliseconds", func(x asked) any { return x.cpu.Milliseconds() }),
	})
}

func speedMedian(figures []float64) float64 {
	return costs.Quartile(slices.Sorted(slices.Values(figures)), 2)
}

func speedMean(figures []float64) (sum float64) {
	for _, f := range figures {
		sum += f / float64(len(figures))
	}
	return sum
}

// signed is x with its sign and so many digits after the point.
func signed(x float64, digits int) string {
	return strings.Replace(fmt.Sprintf("%+.*f", digits, x), "-", "−", 1)
}
