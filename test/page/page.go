// SPDX-License-Identifier: Apache-2.0

// Package page writes measured figures into docs/performance.md, so that nobody copies them by hand. Each run has a
// part of the page, between lines that name the command, and leaves the rest as it is.
package page

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// end is the line after each part.
const end = "<!-- End of figures -->"

// Write replaces the part of the page that the command writes.
func Write(command, text string) error {
	_, file, _, _ := runtime.Caller(0)
	path := filepath.Join(filepath.Dir(file), "..", "..", "docs", "performance.md")
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	replaced, err := replace(string(old), command, text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(replaced), 0o644)
}

func replace(old, command, text string) (string, error) {
	begin := "<!-- Figures: written by " + command + " -->"
	before, rest, begins := strings.Cut(old, begin+"\n")
	_, after, ends := strings.Cut(rest, end)
	if !begins || !ends {
		return "", fmt.Errorf("no lines %q and %q to write between", begin, end)
	}
	return before + begin + "\n\n" + text + "\n" + end + after, nil
}

// Table is a table in Markdown, of which the first row is the head and the first column text; the others are numbers.
func Table(rows [][]string) string {
	rule := slices.Repeat([]string{"---:"}, len(rows[0]))
	rule[0] = "---"
	var b strings.Builder
	for _, row := range slices.Insert(slices.Clone(rows), 1, rule) {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
	}
	return b.String()
}

// Number is x with commas between thousands; it is not negative.
func Number(x float64) string {
	text := fmt.Sprintf("%.0f", x)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Signed is x with its sign.
func Signed(x float64) string {
	if math.Round(x) <= -1 {
		return "−" + Number(-x)
	}
	return "+" + Number(max(x, 0))
}

// Measured says when, and with what.
func Measured(date time.Time) string {
	return fmt.Sprintf("Measured on %s, with %s.", date.Format("2 January 2006"), runtime.Version())
}

// Machine is what was measured on.
func Machine() string {
	return fmt.Sprintf("%s; %d processors of the model %s", release(), runtime.NumCPU(), processor())
}

func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("Linux %s, %s", unix.ByteSliceToString(u.Release[:]), runtime.GOARCH)
}

// processor is the model, by the kernel.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return err.Error()
	}
	for line := range strings.Lines(string(text)) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown" // arm64 says numbers only
}
