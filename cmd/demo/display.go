// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/term"
)

// plainWidth is used where there is no terminal to ask, such as a log of CI.
const plainWidth = 132

// plainInterval is how often a display that is no terminal prints a line.
const plainInterval = 5 * time.Second

const ctrlCHint = "Ctrl-C ends it: the clients stand still and every number is compared with the broker's own answer."

// Terminal control. A frame is drawn over the last one on the alternate screen, as one update (mode 2026, ignored by
// terminals that do not know it), each line cleared to its end: nothing flickers, and the shell's screen comes back.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[2J"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	beginFrame  = "\x1b[?2026h\x1b[H"
	endFrame    = "\x1b[J\x1b[?2026l"
	endLine     = "\x1b[K"
)

// display draws frames on a terminal, or prints a line now and then where there is none.
type display struct {
	out      io.Writer
	styled   *colorprofile.Writer // colours as the terminal has them, none with NO_COLOR or without a terminal
	terminal uintptr
	tty      bool
	entered  bool
	closed   bool
	last     view
	printed  time.Time
}

func newDisplay(out *os.File) *display {
	return &display{
		out:      out,
		styled:   colorprofile.NewWriter(out, os.Environ()),
		terminal: out.Fd(),
		tty:      term.IsTerminal(out.Fd()) && os.Getenv("TERM") != "dumb",
	}
}

func (d *display) size() (width, height int) {
	if d.tty {
		if width, height, err := term.GetSize(d.terminal); err == nil && width > 0 && height > 0 {
			return width, height
		}
	}
	return plainWidth, 0
}

// show draws a frame.
func (d *display) show(v view) {
	d.last = v
	if d.tty {
		d.frame(v, ctrlCHint)
		return
	}
	if time.Since(d.printed) >= plainInterval {
		d.printed = time.Now()
		fmt.Fprintf(d.out, "%5s  %d partitions  total lag %s\n", v.elapsed.Round(time.Second), len(v.rows), thousands(v.totalLag()))
	}
}

// status draws the last frame again with another last line.
func (d *display) status(text string) {
	if d.tty {
		d.frame(d.last, text)
		return
	}
	fmt.Fprintln(d.out, text)
}

func (d *display) frame(v view, hint string) {
	width, height := d.size()
	lines := strings.Split(render(v, width), "\n")
	lines = append(lines, ansi.Truncate(hint, width, "…"))
	if len(lines) > height {
		lines = lines[:height]
	}
	if !d.entered {
		d.entered = true
		io.WriteString(d.out, enterScreen)
	}
	// One write a frame: the writer that fits the colours passes the control sequences on.
	io.WriteString(d.styled, beginFrame+strings.Join(lines, endLine+"\r\n")+endLine+endFrame)
}

// close gives the terminal back and leaves the last table on it. It may be called twice.
func (d *display) close() {
	if d.entered {
		io.WriteString(d.out, leaveScreen)
	}
	if !d.closed && len(d.last.rows) > 0 {
		width, _ := d.size()
		io.WriteString(d.styled, "\n"+render(d.last, width)+"\n\n")
	}
	d.entered, d.closed = false, true
}
