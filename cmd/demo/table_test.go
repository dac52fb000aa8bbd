// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
)

var update = flag.Bool("update", false, "write the golden files")

// sample is testdata/metrics.txt as the demo sees it.
func sample(t *testing.T) snapshot {
	t.Helper()
	file, err := os.Open("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s, err := parse(file, "demo-1", 99)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTable(t *testing.T) {
	v := view{snapshot: sample(t), elapsed: 42 * time.Second, broker: "127.0.0.1:9092"}
	for name, width := range map[string]int{"wide": 132, "eighty": 80, "narrow": 60} {
		t.Run(name, func(t *testing.T) {
			got := ansi.Strip(render(v, width)) + "\n"
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestNoLineIsWiderThanTheTerminal(t *testing.T) {
	s := sample(t)
	s.rows[0].group = strings.Repeat("long", 20)
	for width := 1; width < 160; width++ {
		for line := range strings.SplitSeq(render(view{snapshot: s}, width), "\n") {
			if got := ansi.StringWidth(line); got > width {
				t.Errorf("width %d: a line of %d: %q", width, got, ansi.Strip(line))
			}
		}
	}
}

func TestBar(t *testing.T) {
	for _, test := range []struct {
		lag  int64
		want string
	}{{0, ""}, {1, "▏"}, {500, "████████"}, {1000, "████████████████"}, {2000, "████████████████"}} {
		if got := strings.TrimRight(bar(&test.lag, 1000), " "); got != test.want {
			t.Errorf("lag %d: %q, want %q", test.lag, got, test.want)
		}
	}
	for most, want := range map[int64]int64{0: 100, 100: 100, 101: 200, 201: 500, 823: 1000, 1 << 62: barScale([]row{{lag: new(int64(1 << 62))}})} {
		if got := barScale([]row{{lag: &most}, {}}); got != want || got <= 0 {
			t.Errorf("scale for %d: %d, want %d", most, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{0: "0.0s", 24680 * time.Millisecond: "24.7s", 125400 * time.Millisecond: "2m5s"} {
		if got := age(&d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

func TestDisplayWithoutATerminal(t *testing.T) {
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	d := newDisplay(out)
	d.show(view{snapshot: sample(t)})
	d.show(view{snapshot: sample(t)}) // within plainInterval: not printed
	d.close()
	d.close()
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "\x1b") {
		t.Errorf("terminal control in a file: %q", text)
	}
	for what, times := range map[string]int{"total lag 826\n": 2, "CLIENT ID": 1} {
		if got := strings.Count(string(text), what); got != times {
			t.Errorf("%q is there %d times, want %d:\n%s", what, got, times, text)
		}
	}
}
