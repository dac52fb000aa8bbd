// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"strings"
	"time"

	"github.com/ebpfkafka/ebpfkafka/test/costs"
	"github.com/ebpfkafka/ebpfkafka/test/page"
)

// framesCommand is what writes the figures, as the page says.
const framesCommand = "make bench-frames"

// A frameReport is all that was measured.
type frameReport struct {
	date  time.Time
	empty []float64 // runs for a connection that was given up; sorted
	costs []frameCost
}

func (r *frameReport) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s.\n\n", page.Measured(r.date), page.Machine())
	fmt.Fprintf(&b, "A call on a connection that was given up: %s ns. This is in each of the following figures, too. Medians are "+
		"up\nto %.0f %% above what stands here.\n\n", page.Number(lower(r.empty)), r.above())
	fmt.Fprintf(&b, "Nanoseconds for a frame that comes whole:\n\n%s\n", r.table())
	fmt.Fprintf(&b, "Nanoseconds for each partition more, from %s to %s:\n\n%s\n", page.Number(fewer.count()), many, r.slopes())
	fmt.Fprintf(&b, "Fetch responses with records of one partition:\n\n%s", r.records())
	return b.String()
}

// lower is the lower quartile of sorted figures: what interrupts a run, or slows the machine, only makes it dearer.
func lower(sorted []float64) float64 { return costs.Quartile(sorted, 1) }

// above is how far the medians are above the lower quartiles, at most, in percent.
func (r *frameReport) above() (most float64) {
	for _, c := range r.costs {
		for _, sorted := range c.took {
			most = max(most, 100*(costs.Quartile(sorted, 2)/lower(sorted)-1))
		}
	}
	return most
}

func (r *frameReport) table() string {
	rows := [][]string{{"API, version, and what is in it", "request, bytes", "ns", "response, bytes", "ns"}}
	for _, c := range r.costs {
		if c.read > 0 {
			continue
		}
		rows = append(rows, []string{c.String(), page.Number(float64(c.bytes[0])), page.Number(lower(c.took[0])),
			page.Number(float64(c.bytes[1])), page.Number(lower(c.took[1]))})
	}
	return page.Table(rows)
}

// What a partition more takes is by the last two extents: with one partition, what comes once is most of it.
var fewer, many = extents[1], extents[2]

// slopes are what a partition more takes.
func (r *frameReport) slopes() string {
	rows := [][]string{{"API, version", "request", "response"}}
	for _, a := range r.costs {
		for _, b := range r.costs {
			if a.extent != fewer || b.extent != many || a.api() != b.api() || a.what != b.what {
				continue
			}
			row := []string{a.api()}
			for i := range a.took {
				more := lower(b.took[i]) - lower(a.took[i])
				row = append(row, page.Number(more/(many.count()-fewer.count())))
			}
			rows = append(rows, row)
		}
	}
	return page.Table(rows)
}

// records are the responses of recordRows.
func (r *frameReport) records() string {
	rows := [][]string{{"records", "response, bytes", "reads", "ns", "ns a read"}}
	for _, c := range r.costs {
		if c.read == 0 {
			continue
		}
		rows = append(rows, []string{c.what, page.Number(float64(c.bytes[1])), page.Number(float64(c.reads)),
			page.Number(lower(c.took[1])), page.Number(lower(c.took[1]) / float64(c.reads))})
	}
	return page.Table(rows)
}
