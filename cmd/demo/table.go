// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"
	"github.com/charmbracelet/x/ansi"
)

// legend says what is seen and where it comes from.
const legend = "Read by eBPF in the kernel, from the bytes on these processes' sockets: no broker was asked, no client was changed."

// view is everything that one frame shows.
type view struct {
	snapshot
	elapsed time.Duration
	broker  string
}

const (
	columnGap = 2
	barWidth  = 16
	// nameWidth keeps a foreign group with a long name from pushing the numbers off the screen.
	nameWidth = 24
	unknown   = "–"
)

// column is one column of the table. Those with the highest expendable go first when the terminal is narrow, 0 never.
type column struct {
	header     string
	expendable int
	right      bool
	cell       func(r row, scale int64) string
}

var columns = []column{
	{header: "GROUP", cell: func(r row, _ int64) string { return short(r.group) }},
	{header: "TOPIC", cell: func(r row, _ int64) string { return short(r.topic) }},
	{header: "PART", right: true, cell: func(r row, _ int64) string { return strconv.Itoa(int(r.partition)) }},
	{header: "COMMITTED", right: true, cell: func(r row, _ int64) string { return count(r.committed) }},
	{header: "END", right: true, expendable: 1, cell: func(r row, _ int64) string { return count(r.end) }},
	{header: "LAG", right: true, cell: func(r row, _ int64) string { return count(r.lag) }},
	{header: "LAG TIME", right: true, expendable: 2, cell: func(r row, _ int64) string { return age(r.lagTime) }},
	{header: "", expendable: 5, cell: func(r row, scale int64) string { return bar(r.lag, scale) }},
	{header: "SERVICE", expendable: 3, cell: func(r row, _ int64) string { return short(orUnknown(r.service)) }},
	{header: "PID", right: true, expendable: 4, cell: func(r row, _ int64) string { return orUnknown(r.pid) }},
	{header: "CLIENT ID", expendable: 6, cell: func(r row, _ int64) string { return short(orUnknown(r.clientID)) }},
}

// render is one frame, no line wider than width.
func render(v view, width int) string {
	faint := lipgloss.NewStyle().Faint(true)
	bold := lipgloss.NewStyle().Bold(true)
	title := fmt.Sprintf("%s   broker %s   %s   total lag %s", bold.Render("ebpf_kafka"), v.broker,
		v.elapsed.Round(time.Second), bold.Render(thousands(v.totalLag())))
	lines := []string{title, ""}
	if len(v.rows) == 0 {
		lines = append(lines, "waiting for the first commit …")
	} else {
		lines = append(lines, strings.Split(renderTable(v.rows, width), "\n")...)
	}
	lines = append(lines, "")
	for line := range strings.SplitSeq(ansi.Wordwrap(legend, max(width, 1), ""), "\n") {
		lines = append(lines, faint.Render(line))
	}
	for i, line := range lines {
		lines[i] = strings.TrimRight(ansi.Truncate(line, width, "…"), " ")
	}
	return strings.Join(lines, "\n")
}

func renderTable(rows []row, width int) string {
	scale := barScale(rows)
	shown := slices.Clone(columns)
	var cells [][]string
	for {
		cells = make([][]string, len(rows))
		for i, r := range rows {
			for _, c := range shown {
				cells[i] = append(cells[i], c.cell(r, scale))
			}
		}
		if naturalWidth(shown, cells) <= width {
			break
		}
		victim := slices.IndexFunc(shown, func(c column) bool { return c.expendable > 0 && c.expendable == mostExpendable(shown) })
		if victim < 0 {
			break // what is left is cut by the caller
		}
		shown = slices.Delete(shown, victim, victim+1)
	}
	headers := make([]string, len(shown))
	for i, c := range shown {
		headers[i] = c.header
	}
	return table.New().
		Border(lipgloss.NormalBorder()).
		BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).BorderColumn(false).
		BorderStyle(lipgloss.NewStyle().Faint(true)).
		Headers(headers...).
		Rows(cells...).
		StyleFunc(func(line, i int) lipgloss.Style {
			style := lipgloss.NewStyle()
			if i > 0 {
				style = style.PaddingLeft(columnGap)
			}
			if shown[i].right {
				style = style.Align(lipgloss.Right)
			}
			if line == table.HeaderRow {
				return style.Bold(true)
			}
			switch shown[i].header {
			case "LAG", "LAG TIME", "":
				return style.Foreground(lipgloss.Color(urgency(rows[line])))
			}
			return style
		}).
		Render()
}

func mostExpendable(shown []column) (most int) {
	for _, c := range shown {
		most = max(most, c.expendable)
	}
	return most
}

func naturalWidth(shown []column, cells [][]string) int {
	total := 0
	for i, c := range shown {
		widest := ansi.StringWidth(c.header)
		for _, line := range cells {
			widest = max(widest, ansi.StringWidth(line[i]))
		}
		total += widest
		if i > 0 {
			total += columnGap
		}
	}
	return total
}

// urgency is a colour of the terminal's own palette: green while the group keeps up, yellow while it is seconds
// behind, red beyond. Without a lag time the number of records decides.
func urgency(r row) string {
	const green, yellow, red = "2", "3", "1"
	behind := func(lag, slow, bad int64) string {
		switch {
		case lag >= bad:
			return red
		case lag >= slow:
			return yellow
		}
		return green
	}
	switch {
	case r.lag == nil:
		return ""
	case *r.lag == 0:
		return green
	case r.lagTime != nil:
		return behind(r.lagTime.Milliseconds(), 2_000, 10_000)
	}
	return behind(*r.lag, 100, 1_000)
}

// barScale is the lag that fills a bar: the next 1, 2 or 5 with zeros, so that bars grow rather than the scale.
func barScale(rows []row) int64 {
	var most int64
	for _, r := range rows {
		if r.lag != nil {
			most = max(most, *r.lag)
		}
	}
	for step := int64(100); ; step *= 10 {
		for _, scale := range []int64{step, 2 * step, 5 * step} {
			if most <= scale || scale > 1<<58 {
				return scale
			}
		}
	}
}

// bar draws in eighths of a character. Any lag is visible.
func bar(lag *int64, scale int64) string {
	eighths := 0
	if lag != nil && *lag > 0 {
		eighths = max(1, int(float64(min(*lag, scale))/float64(scale)*barWidth*8))
	}
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return text + strings.Repeat(" ", barWidth-ansi.StringWidth(text))
}

func short(name string) string {
	return ansi.Truncate(name, nameWidth, "…")
}

func orUnknown(text string) string {
	if text == "" {
		return unknown
	}
	return text
}

func count(n *int64) string {
	if n == nil {
		return unknown
	}
	return thousands(*n)
}

func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

func age(d *time.Duration) string {
	switch {
	case d == nil:
		return unknown
	case *d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}
