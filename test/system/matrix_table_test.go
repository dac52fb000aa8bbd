// SPDX-License-Identifier: Apache-2.0

package system

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/ebpfkafka/ebpfkafka/test/clients"
)

var writeMatrix = flag.Bool("write", false, "write the client matrix to docs/clients.md")

// matrix collects what each client showed with each broker.
type matrix struct {
	versions map[string]string            // by client: of the library
	cells    map[string]map[string]string // by client and broker
	notes    []string                     // why a cell is empty
}

func newMatrix() *matrix {
	return &matrix{versions: map[string]string{}, cells: map[string]map[string]string{}}
}

func (m *matrix) set(c clients.Client, broker, text string) {
	if m.cells[c.ID()] == nil {
		m.cells[c.ID()] = map[string]string{}
	}
	m.cells[c.ID()][broker] = text
}

func (m *matrix) cannot(c clients.Client, broker, why string) { m.set(c, broker, "– "+m.note(why)) }

// note returns the mark of a note.
func (m *matrix) note(text string) string {
	for i, known := range m.notes {
		if known == text {
			return fmt.Sprintf("(%d)", i+1)
		}
	}
	m.notes = append(m.notes, text)
	return fmt.Sprintf("(%d)", len(m.notes))
}

func (m *matrix) add(p *place, broker string) {
	m.versions[p.ID()] = p.running.Library()
	text := fmt.Sprintf("%v, %v, %v", p.watched, p.idle, p.busy)
	if p.Unpublished != "" {
		text += " " + m.note(p.Unpublished)
	}
	m.set(p.Client, broker, text)
}

// rows are the table's, the head first.
func (m *matrix) rows() [][]string {
	head := []string{"client", "version", "protocol", "commits"}
	for _, b := range matrixBrokers {
		head = append(head, "broker "+b)
	}
	rows := [][]string{head}
	for _, c := range clients.All() {
		cells, ok := m.cells[c.ID()]
		if !ok {
			continue
		}
		row := []string{c.Name, m.versions[c.ID()], string(c.Protocol), c.Commits}
		for _, b := range matrixBrokers {
			row = append(row, cells[b])
		}
		rows = append(rows, row)
	}
	return rows
}

func (m *matrix) text() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range m.rows() {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	w.Flush()
	for i, note := range m.notes {
		fmt.Fprintf(&b, "(%d) %s\n", i+1, note)
	}
	return b.String()
}

// write makes docs/clients.md anew, whatever the numbers are, unless cells are
// missing.
func (m *matrix) write() error {
	for _, c := range clients.All() {
		for _, broker := range matrixBrokers {
			if m.cells[c.ID()][broker] == "" {
				return fmt.Errorf("docs/clients.md is not written: nothing is known of %s with broker %s", c.ID(), broker)
			}
		}
	}
	var b strings.Builder
	b.WriteString(matrixHead)
	for i, row := range m.rows() {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			b.WriteString(strings.Repeat("| --- ", len(row)) + "|\n")
		}
	}
	b.WriteString("\n")
	for i, note := range m.notes {
		fmt.Fprintf(&b, "(%d) %s\n\n", i+1, note)
	}
	return os.WriteFile(filepath.Join("..", "..", "docs", "clients.md"), []byte(strings.TrimSpace(b.String())+"\n"), 0o644)
}

const matrixHead = `<!-- Written by TestClientMatrix in test/system: cd test && go test ./system -run TestClientMatrix -write -->

# Clients

What was tested with which client. Each consumes two topics of together 12 partitions in one group and commits in its
own way. Records keep coming that it must not commit, so that there is a lag. Beside all of them runs one collector,
which knows no port and no name. A cell says in how many partitions the group's offset and lag and the client's offset
and lag equal what the broker itself says: first with the collector running before the clients; then after it was
started anew beside the idle clients; then after it was started anew while they were at work, once they had gone on
working: what was under way at the start is not known, and then absent.

`
