// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"fmt"
	"strings"
	"time"

	"github.com/ebpfkafka/ebpfkafka/test/page"
)

// command is what writes the figures, as the page says.
const command = "make bench-soak"

// A report is what became of the collector.
type report struct {
	date            time.Time
	lasted          time.Duration
	verdict         verdict
	changes, visits int64
	trends          []trend
}

func (r report) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s.\n\n", page.Measured(r.date), page.Machine())
	fmt.Fprintf(&b, "In %g minutes: %s changes of membership, and %s short processes, each with a topic and a group of "+
		"its own. %s offsets\nand %s lags were compared with the broker's answers around them, of which %s were wrong.\n\n%s",
		r.lasted.Minutes(), count(r.changes), count(r.visits), count(r.verdict.offsets), count(r.verdict.lags),
		count(r.verdict.wrongs), table(r.trends))
	return b.String()
}

func count[T int | int64](n T) string { return page.Number(float64(n)) }

func table(all []trend) string {
	rows := [][]string{{"the median, and the largest", "at the start", "1st quarter", "2nd quarter", "3rd quarter",
		"4th quarter"}}
	for _, x := range all {
		name, unit := x.name, 1.0
		switch {
		case name == resident:
			name, unit = "resident memory, MiB", 1<<20
		case strings.HasPrefix(name, mapPrefix):
			name = mapPrefix + "`" + strings.TrimPrefix(name, mapPrefix) + "`"
		}
		row := []string{name, page.Number(x.start / unit)}
		for q := range x.quarters {
			row = append(row, fmt.Sprintf("%s, %s", page.Number(x.quarters[q]/unit), page.Number(x.mosts[q]/unit)))
		}
		rows = append(rows, row)
	}
	return page.Table(rows)
}
