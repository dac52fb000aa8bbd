// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/test/kernels/verifier"
	"github.com/ebpfkafka/ebpfkafka/test/vm"
)

// results are in the order of kernels.txt.
type results []*result

// A result is what became of a kernel.
type result struct {
	kernel
	version string
	cells   map[cell]string
	loaded  []verifier.Loaded
	took    time.Duration
}

// A cell of the table.
type cell struct {
	job     string
	backend probe.Backend
}

func (all *results) add(k kernel, version string) *result {
	r := &result{kernel: k, version: version, cells: make(map[cell]string)}
	*all = append(*all, r)
	return r
}

// lacked is counted beside verdicts: a test passes that says that the kernel does not have what it is of, and is taken
// off those that have passed.
const lacked = "LACKED"

// add notes how a job ended.
func (r *result) add(j job, b probe.Backend, counts map[string]int, ran *vm.Result) {
	text := fmt.Sprintf("%d", counts["PASS"]-counts[lacked])
	if counts[lacked] > 0 {
		text += fmt.Sprintf(", %d lacking", counts[lacked])
	}
	if counts["FAIL"] > 0 || ran.ExitCode != 0 {
		text += fmt.Sprintf(", %d FAILED", max(1, counts["FAIL"]))
	}
	r.cells[cell{j.name, b}] = fmt.Sprintf("%s (%.0f s)", text, ran.Took.Seconds())
	r.took += ran.Boot + ran.Took
}

// note replaces what a cell says of tests that have passed.
func (r *result) note(j job, b probe.Backend, text string) {
	if !strings.Contains(r.cells[cell{j.name, b}], "FAILED") {
		r.cells[cell{j.name, b}] = text
	}
}

func (r *result) cell(j job, b probe.Backend) string {
	if text, ok := r.cells[cell{j.name, b}]; ok {
		return text
	}
	return "did not end"
}

func (r *result) privileges() string {
	if !slices.Contains(privilegesOn, r.String()) {
		return untold
	}
	return r.cell(privilegesJob, "")
}

func (all results) figures() figures {
	f := make(figures)
	for _, r := range all {
		maps.Copy(f, figuresOf(r.kernel, r.loaded))
	}
	return f
}

// table is how many tests have passed, and what the verifier said.
func (all results) table() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "kernel\tarchitecture\tbackend\tdecoder\thooks\treceiver\tprivileges\tpackage")
	for _, r := range all {
		if len(r.backends) == 0 {
			fmt.Fprintf(w, "%s\t%s\tnone\t\t\t\t\t%s\n", r.name, r.arch, r.version)
		}
		for _, backend := range r.backends {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.name, r.arch, backend, r.cell(decoderJob, probe.Detached),
				r.cell(hooksJob, backend), r.cell(receiverJob, backend), r.privileges(), r.version)
		}
	}
	fmt.Fprintln(w, "\nNumbers are of tests that passed, of these:")
	for _, j := range jobs {
		fmt.Fprintf(w, "%s: %s\n", j.name, strings.Join(append(slices.Clone(j.tests), j.args...), " "))
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, "kernel\tarchitecture\tbackend\tprogram\tinstructions verified\tseconds to load")
	for _, r := range all {
		for _, l := range r.loaded {
			if l.Refused != "" {
				fmt.Fprintf(w, "%s\t%s\t%s\trefused: %.200s\n", r.name, r.arch, l.Backend, l.Refused)
			}
			for _, p := range l.Programs {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%.1f\n",
					r.name, r.arch, l.Backend, p.Name, instructions(p.Instructions), p.Took.Seconds())
			}
		}
	}
	for _, r := range all {
		fmt.Fprintf(w, "%s took %.0f s\n", r.kernel, r.took.Seconds())
	}
	w.Flush() // to memory
	return b.String()
}
