// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ebpfkafka/ebpfkafka/test/kernels/verifier"
)

const figuresFile = "verifier.txt"

// tolerance is what the number of instructions may move between two builds of one kernel line. More comes of the
// programs: the kernel's limit is a million.
const tolerance = 0.1

// A figure is what a program cost on a kernel.
type figure struct {
	instructions instructions
	took         time.Duration
}

// instructions is how many the verifier looked at; 0: the kernel does not tell.
type instructions uint32

// untold stands for it in tables.
const untold = "-"

func (n instructions) String() string {
	if n == 0 {
		return untold
	}
	return strconv.FormatUint(uint64(n), 10)
}

// Scan implements fmt.Scanner.
func (n *instructions) Scan(state fmt.ScanState, _ rune) error {
	text, err := state.Token(true, nil)
	if err != nil {
		return err
	}
	if *n = 0; string(text) == untold {
		return nil
	}
	number, err := strconv.ParseUint(string(text), 10, 32)
	*n = instructions(number)
	return err
}

// figures are by kernel, backend and program.
type figures map[[3]string]figure

func figuresOf(k kernel, all []verifier.Loaded) figures {
	f := make(figures)
	for _, l := range all {
		for _, p := range l.Programs {
			f[[3]string{k.String(), l.Backend, p.Name}] = figure{instructions(p.Instructions), p.Took}
		}
	}
	return f
}

// compare says where a kernel's figures are not those that are known. The time is not compared.
func (known figures) compare(k kernel, all []verifier.Loaded) (differences []string) {
	const renew = "if it is meant to be so, run make kernels"
	now := figuresOf(k, all)
	for key, f := range now {
		was, ok := known[key]
		low, high := float64(was.instructions)*(1-tolerance), float64(was.instructions)*(1+tolerance)
		switch n := float64(f.instructions); {
		case !ok:
			differences = append(differences, fmt.Sprintf("%v: not in %s: %s", key, figuresFile, renew))
		case n < low || n > high:
			differences = append(differences, fmt.Sprintf("%v: %s instructions verified, in %s it is %s: %s",
				key, f.instructions, figuresFile, was.instructions, renew))
		}
	}
	for key := range known {
		if _, ok := now[key]; !ok && key[0] == k.String() {
			differences = append(differences, fmt.Sprintf("%v: in %s, but not loaded: %s", key, figuresFile, renew))
		}
	}
	return differences
}

// readLoaded finds what the verifier's job has printed.
func readLoaded(output string) (all []verifier.Loaded, err error) {
	for line := range strings.Lines(output) {
		_, text, ok := strings.Cut(line, verifier.Line)
		if !ok || !strings.HasPrefix(text, "{") {
			continue
		}
		var l verifier.Loaded
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		all = append(all, l)
	}
	if len(all) == 0 {
		return nil, errors.New("the job printed no figures")
	}
	return all, nil
}

func readFigures() (figures, error) {
	f := make(figures)
	text, err := os.ReadFile(figuresFile)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		if strings.TrimSpace(line) == "" {
			continue
		}
		var key [3]string
		var v figure
		var seconds float64
		if _, err := fmt.Sscan(line, &key[0], &key[1], &key[2], &v.instructions, &seconds); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", figuresFile, line, err)
		}
		v.took = time.Duration(seconds * float64(time.Second))
		f[key] = v
	}
	return f, nil
}

const figuresHead = `# What each program costs the kernel's verifier, written by: make kernels
#
# instructions: how many the verifier looked at; it refuses programs at a million. -: the kernel does not tell (before
# 5.16). make test-kernels fails when it is another number by more than a tenth.
# seconds: to load it in an emulated machine, for comparison with one another only.
#
`

// writeFigures replaces those of the kernels that were booted.
func writeFigures(known, now figures) error {
	booted := make(map[string]bool)
	for key := range now {
		booted[key[0]] = true
	}
	all := maps.Clone(now)
	for key, f := range known {
		if !booted[key[0]] {
			all[key] = f
		}
	}
	var b bytes.Buffer
	b.WriteString(figuresHead)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "# kernel\tbackend\tprogram\tinstructions\tseconds")
	for _, key := range sortedKeys(all) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.1f\n", key[0], key[1], key[2], all[key].instructions, all[key].took.Seconds())
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return os.WriteFile(figuresFile, b.Bytes(), 0o644)
}

func sortedKeys(f figures) [][3]string {
	return slices.SortedFunc(maps.Keys(f), func(a, b [3]string) int { return slices.Compare(a[:], b[:]) })
}
