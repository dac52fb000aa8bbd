// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"

	"github.com/ebpfkafka/ebpfkafka/test/page"
)

// A peer is something else that tells a group's lag, and what it costs. Nothing here measures it: see the page.
type peer struct {
	name                      string
	cpu, brokerCPU, peak, out string // of one collection; milliseconds, MiB, KB
	requests                  string
}

// peers with 10,000 group-partitions, measured elsewhere with the load of TestScrape.
var peers = []peer{
	{"kafka_exporter", "1,300", "800 to 1,300", "54", "2,400", "12,115"},
	{"kminion, admin API", "110", "10 to 30", "92", "1,300", "22"},
	{"kminion, offsets topic", "100", "10 to 30", "100", "1,300", "12"},
	{"kafka_metrics of the collector", "2,800, and 450 a scrape", "about 20", "167", "6,000", "10"},
}

// peersSize is the number of group-partitions with which they were measured.
const peersSize = 10_000

// unasked is what this collector asks brokers, and what that costs them. It is not measured here either.
const unasked = "none \\*"

// beside sets them beside what was measured here.
func (r *costReport) beside() string {
	rows := [][]string{{"", "CPU time, ms", "of the broker, ms", "requests to brokers", "resident at most, MiB", "KB"}}
	for _, p := range peers {
		rows = append(rows, []string{p.name + " (measured elsewhere)", p.cpu, p.brokerCPU, p.requests, p.peak, p.out})
	}
	for _, s := range r.sizes {
		if s.n != peersSize {
			continue
		}
		for _, c := range s.costs[1:] {
			rows = append(rows, []string{"ebpf_kafka, " + c.way, milliseconds(c.cpu), unasked, unasked,
				page.Number(float64(c.peak) / mebibyte), page.Number(float64(c.bytes) / 1000)})
		}
		return fmt.Sprintf("Beside what asks brokers, with %s group-partitions, for one collection:\n\n%s\n"+
			"\\* Without the block `watermarks`; a broker's own counters [below](#what-clients-at-full-speed-lose) show it.\n\n",
			page.Number(peersSize), page.Table(rows))
	}
	return ""
}
