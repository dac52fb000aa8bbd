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

// farFromMedian is from where on quartiles are told, as a part of the median.
const farFromMedian = 0.1

// A frameReport is all that was measured.
type frameReport struct {
	date  time.Time
	empty []float64 // runs for a connection that was given up; sorted
	costs []frameCost
}

func (r *frameReport) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s.\n\n", page.Measured(r.date), page.Machine())
	fmt.Fprintf(&b, "A call on a connection that was given up: %s ns. This is in each of the following figures, too.\n\n",
		middleOf(r.empty))
	fmt.Fprintf(&b, "Nanoseconds for a frame that comes whole; in brackets the quartiles, where one is more than "+
		"%.0f %% from the median:\n\n%s\n", 100*farFromMedian, r.table())
	fmt.Fprintf(&b, "Nanoseconds for each partition more, from %s to %s:\n\n%s\n", page.Number(fewer.count()), many, r.slopes())
	fmt.Fprintf(&b, "Fetch responses with records of one partition:\n\n%s", r.records())
	return b.String()
}

// middleOf is the median of sorted figures, and the quartiles where one of them is far from it.
func middleOf(sorted []float64) string {
	first, median, third := costs.Quartile(sorted, 1), costs.Quartile(sorted, 2), costs.Quartile(sorted, 3)
	text := page.Number(median)
	if max(median-first, third-median) > farFromMedian*median {
		text += fmt.Sprintf(" (%s to %s)", page.Number(first), page.Number(third))
	}
	return text
}

func (r *frameReport) table() string {
	rows := [][]string{{"API, version, and what is in it", "request, bytes", "ns", "response, bytes", "ns"}}
	for _, c := range r.costs {
		if c.read > 0 {
			continue
		}
		rows = append(rows, []string{c.String(), page.Number(float64(c.bytes[0])), middleOf(c.took[0]),
			page.Number(float64(c.bytes[1])), middleOf(c.took[1])})
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
				more := costs.Quartile(b.took[i], 2) - costs.Quartile(a.took[i], 2)
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
			middleOf(c.took[1]), page.Number(costs.Quartile(c.took[1], 2) / float64(c.reads))})
	}
	return page.Table(rows)
}
