// SPDX-License-Identifier: Apache-2.0

package costs

import (
	"context"
	"fmt"
	"math"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/ebpfkafka/ebpfkafka/test/page"
	"github.com/ebpfkafka/ebpfkafka/test/process"
)

// command is what writes the figures, as the page says.
const command = "make bench-calls"

// A report is all that was measured.
type report struct {
	date     time.Time
	here     measured
	machines []measured
}

// whole tells whether nothing was left out by -run.
func (r *report) whole() bool {
	return !slices.ContainsFunc(append(r.machines, r.here), func(m measured) bool { return len(m.costs) == 0 })
}

// text is what the page says.
func (r *report) text(ctx context.Context) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", page.Measured(r.date))
	fmt.Fprintf(&b, "### In time, on one machine\n\n%s. Nanoseconds. In "+
		"each cell:\nwhat the hooks add to a call, and the ratio of with to without, both as the median of %d pairs; in "+
		"brackets the\nquartiles of the ratio.\n\n", page.Machine(), *hostPairs)
	if len(r.here.costs) > 0 {
		b.WriteString(r.here.table(timeCell))
	}
	fmt.Fprintf(&b, "\n### In instructions\n\nCounted by %s. In each cell: what the hooks add to a call. ± "+
		"follows if two counts\nwithout hooks were not the same.\n", qemu(ctx))
	for _, m := range r.machines {
		if len(m.costs) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\nLinux %s, %s (%s):\n\n", m.name, m.arch, m.version)
		b.WriteString(m.table(instructionsCell))
	}
	return b.String()
}

// table has a row for each work and a column for each backend.
func (m measured) table(cell func(Cost) string) string {
	rows := [][]string{{"call", "without hooks"}}
	for _, backend := range m.backends {
		rows[0] = append(rows[0], "`"+string(backend)+"`")
	}
	for _, first := range m.costs {
		if first.Backend != m.costs[0].Backend {
			break
		}
		var without []float64
		var cells []string
		for _, c := range m.costs {
			if c.Work == first.Work {
				without = append(without, c.Without...)
				cells = append(cells, cell(c))
			}
		}
		slices.Sort(without)
		rows = append(rows, append([]string{first.Work, page.Number(Quartile(without, 2))}, cells...))
	}
	return page.Table(rows)
}

func timeCell(c Cost) string {
	ratios := c.Each(Pair.Ratio)
	return fmt.Sprintf("%s, × %.2f (%.2f to %.2f)", page.Signed(Quartile(c.Each(Pair.Difference), 2)),
		Quartile(ratios, 2), Quartile(ratios, 1), Quartile(ratios, 3))
}

func instructionsCell(c Cost) string {
	text := page.Signed(c.Pairs()[0].Difference())
	if apart := math.Round(math.Abs(c.Without[0] - c.Without[1])); apart > 0 {
		text += " ± " + page.Number(apart)
	}
	return text
}

func qemu(ctx context.Context) string {
	text, err := process.Run(ctx, "qemu-system-x86_64", exec.Command("qemu-system-x86_64", "--version"))
	if err != nil {
		return err.Error()
	}
	line, _, _ := strings.Cut(text, "\n")
	version, _, _ := strings.Cut(strings.TrimPrefix(line, "QEMU emulator version "), " ")
	return "QEMU " + version
}
