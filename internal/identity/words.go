// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"bytes"
	"io"
)

const (
	// maxWordBytes is the longest environment variable or argument that is
	// looked into; what is longer is passed over. Names are far shorter, class
	// paths and inlined configurations are not.
	maxWordBytes = 16 << 10

	// maxWordsBytes bounds what is read of /proc/PID/environ and of cmdline:
	// Linux's limit for both together at the default stack size (a quarter of
	// 8 MiB, execve(2)). It bounds the time; the memory is maxWordBytes.
	maxWordsBytes = 2 << 20
)

// words reads NUL-terminated words, the form of /proc/PID/environ and cmdline,
// through a buffer of maxWordBytes, so that neither a process's secrets nor a
// megabyte of class path is ever held.
type words struct {
	r          io.Reader
	buf        []byte
	start, end int
	skipping   bool
	// err is what ended the reading, nil for the end of the file or the limit.
	err error
}

func newWords(r io.Reader) *words {
	return &words{r: io.LimitReader(r, maxWordsBytes), buf: make([]byte, maxWordBytes)}
}

// next gives the next word, without its NUL, valid until the next call. Whole is
// false for a word that is too long or not terminated: its beginning is given.
func (w *words) next() (word []byte, whole, ok bool) {
	for {
		if i := bytes.IndexByte(w.buf[w.start:w.end], 0); i >= 0 {
			word = w.buf[w.start : w.start+i]
			w.start += i + 1
			if w.skipping {
				w.skipping = false
				continue
			}
			return word, true, true
		}
		if w.skipping {
			w.start, w.end = 0, 0
		} else if w.start > 0 {
			w.end = copy(w.buf, w.buf[w.start:w.end])
			w.start = 0
		}
		if w.end == len(w.buf) {
			w.skipping, w.start = true, w.end
			return w.buf, false, true
		}
		n, err := w.r.Read(w.buf[w.end:])
		w.end += n
		if n == 0 && err != nil {
			if err != io.EOF {
				w.err = err
			}
			word = w.buf[w.start:w.end]
			w.start, w.end = 0, 0
			return word, false, len(word) > 0
		}
	}
}

// clear overwrites what was read.
func (w *words) clear() {
	clear(w.buf)
}
