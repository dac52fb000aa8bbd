// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ebpfkafka/ebpfkafka/test/page"
)

// command is what writes the figures, as the page says.
const command = "make bench-scrape"

// A costReport is all that was measured.
type costReport struct {
	date  time.Time
	sizes []sizeCosts
}

// sizeCosts are those with one number of group-partitions.
type sizeCosts struct {
	n      int
	stages stages
	costs  []cost // in the order of ways
}

// of finds a way; false if it was not tried.
func (s sizeCosts) of(way string) (cost, bool) {
	i := slices.IndexFunc(s.costs, func(c cost) bool { return c.way == way })
	if i < 0 {
		return cost{}, false
	}
	return s.costs[i], true
}

// A cost is that of one collection and what belongs to it.
type cost struct {
	way            string
	cpu            time.Duration
	points         int64           // data points that the receiver passed on
	bytes          int64           // that left the collector
	walls          []time.Duration // of scrapes, the shortest first
	resident, peak int64
}

func (c cost) String() string {
	return fmt.Sprintf("%s: CPU %v, %d bytes, wall %v, RSS %d MiB, peak %d MiB",
		c.way, c.cpu, c.bytes, c.wall(), c.resident/mebibyte, c.peak/mebibyte)
}

// wall is the median time of a scrape; 0 if there was none.
func (c cost) wall() time.Duration {
	if len(c.walls) == 0 {
		return 0
	}
	return c.walls[len(c.walls)/2]
}

func (r *costReport) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s.\n\n", page.Measured(r.date), page.Machine())
	fmt.Fprintf(&b, "CPU time of the whole collector for each collection, in milliseconds, and how often that is the "+
		"receiver's own:\n\n%s\n", r.table(func(s sizeCosts, c cost) string {
		return fmt.Sprintf("%s, × %.1f", milliseconds(c.cpu), float64(c.cpu)/float64(s.costs[0].cpu))
	}))
	b.WriteString(r.beside())
	fmt.Fprintf(&b, "Where the receiver's part goes, in milliseconds of CPU time:\n\n%s\n", r.stages())
	fmt.Fprintf(&b, "Time until a scrape is answered, the median, in milliseconds:\n\n%s\n",
		r.table(func(_ sizeCosts, c cost) string { return milliseconds(c.wall()) }))
	fmt.Fprintf(&b, "KiB that leave the collector for each collection, or for each scrape:\n\n%s\n",
		r.table(func(_ sizeCosts, c cost) string { return page.Number(float64(c.bytes) / 1024) }))
	fmt.Fprintf(&b, "Resident memory of the whole collector afterwards, and at most, in MiB:\n\n%s",
		r.table(func(_ sizeCosts, c cost) string {
			return fmt.Sprintf("%s, %s", page.Number(float64(c.resident)/mebibyte), page.Number(float64(c.peak)/mebibyte))
		}))
	return b.String()
}

// table has a row for each way and a column for each size; a way of which the cell says nothing is left out.
func (r *costReport) table(cell func(sizeCosts, cost) string) string {
	rows := [][]string{r.head("group-partitions")}
	for _, first := range r.sizes[0].costs {
		row := []string{first.way}
		for _, s := range r.sizes {
			text := "not tried"
			if c, tried := s.of(first.way); tried {
				text = cell(s, c)
			}
			row = append(row, text)
		}
		if row[1] != "0" && row[1] != "0.0" {
			rows = append(rows, row)
		}
	}
	return page.Table(rows)
}

func (r *costReport) head(first string) []string {
	row := []string{first}
	for _, s := range r.sizes {
		row = append(row, page.Number(float64(s.n)))
	}
	return row
}

// stages splits the receiver's part. What the parts that run alone do not account for is the making of metrics.
func (r *costReport) stages() string {
	rows := [][]string{r.head("stage"), {"reading the maps"}, {"sweep"}, {"model"}, {"metrics, and the rest"}}
	for _, s := range r.sizes {
		x := s.stages
		for i, took := range []time.Duration{x.maps, x.sweep, x.model, s.costs[0].cpu - x.maps - x.sweep - x.model} {
			rows[i+1] = append(rows[i+1], milliseconds(took))
		}
	}
	return page.Table(rows)
}

// milliseconds has a digit after the point where there are few before it.
func milliseconds(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	if ms < 100 {
		return fmt.Sprintf("%.1f", ms)
	}
	return page.Number(ms)
}
