// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// catStat is `cat /proc/self/stat` on Linux 6.18.
const catStat = `9814 (cat) R 9812 9812 3637 0 -1 4194304 100 0 0 0 0 0 0 0 20 0 1 0 123600 3133440 362 18446744073709551615 93875275354112 93875275373993 140731618102000 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 93875275390000 93875275391616 93875768922112 140731618106031 140731618106069 140731618106069 140731618107371 0
`

func TestParseStat(t *testing.T) {
	cat := stat{
		comm: "cat", state: 'R', threads: 1, startTicks: 123600,
		startCode: 93875275354112, startStack: 140731618102000,
	}
	tests := map[string]struct {
		comm string
		want string
	}{
		"plain":                  {"cat", "cat"},
		"space":                  {"tmux: server", "tmux: server"},
		"parentheses":            {"(sd-pam)", "(sd-pam)"},
		"closing parenthesis":    {"a) Z 1 (b", "a) Z 1 (b"},
		"looks like other stats": {"x) S 1 1 1 0 -1", "x) S 1 1 1 0 -1"},
		"newline":                {"a\nb", "a\nb"},
		"empty":                  {"", ""},
		"not UTF-8":              {"\xff\xfe", "\xff\xfe"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat([]byte(strings.Replace(catStat, "(cat)", "("+test.comm+")", 1)))
			want := cat
			want.comm = test.want
			if err != nil || got != want {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
		})
	}
}

func TestParseStatRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty":           "",
		"no command name": "1 S 0 0 0",
		"turned around":   "1 )cat( S 0",
		"cut":             catStat[:100],
		"long state":      strings.Replace(catStat, ") R ", ") RR ", 1),
		"no number":       strings.Replace(catStat, "123600", "soon", 1),
		"negative":        strings.Replace(catStat, "123600", "-123600", 1),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := parseStat([]byte(text)); !errors.Is(err, errMalformedStat) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestStartedAt(t *testing.T) {
	s := stat{startTicks: 123600}
	for startTime, want := range map[uint64]bool{
		1_236_000_000_000: true,
		1_236_009_999_999: true,  // the same tick, not rounded
		1_236_010_000_000: false, // the next
		1_235_999_999_999: false, // the one before
		0:                 false,
		^uint64(0):        false,
	} {
		if got := s.startedAt(startTime); got != want {
			t.Errorf("startedAt(%d) = %v", startTime, got)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte(catStat), "cat", uint64(123600))
	f.Add([]byte("1 (a) S"), "a) S (b", uint64(0))
	f.Add([]byte(") ("), "", ^uint64(0))
	f.Fuzz(func(t *testing.T, raw []byte, comm string, ticks uint64) {
		if s, err := parseStat(raw); err == nil {
			open, end := bytes.IndexByte(raw, '('), bytes.LastIndexByte(raw, ')')
			if s.comm != string(raw[open+1:end]) {
				t.Errorf("comm %q of %q", s.comm, raw)
			}
		} else if s != (stat{}) {
			t.Errorf("an error with the data %+v", s)
		}
		line := strings.Replace(catStat, "123600", fmt.Sprint(ticks), 1)
		line = strings.Replace(line, "(cat)", "("+comm+")", 1)
		s, err := parseStat([]byte(line))
		if err != nil || s.comm != comm || s.startTicks != ticks || s.state != 'R' {
			t.Errorf("got %+v, %v for comm %q and %d ticks", s, err, comm, ticks)
		}
	})
}
