// SPDX-License-Identifier: Apache-2.0

package process

import (
	"os"
	"strings"
	"sync"
)

// tailBytes is how much of the output an error message shows: enough for a
// Java stack trace.
const tailBytes = 6 << 10

// output keeps what a program prints, and tells waiters when there is more.
type output struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{}
	file    *os.File // nil: memory only
}

func newOutput(path string) (*output, error) {
	o := &output{changed: make(chan struct{})}
	if path == "" {
		return o, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	o.file = f
	return o, nil
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(b)
	close(o.changed)
	o.changed = make(chan struct{})
	if o.file != nil {
		return o.file.Write(b)
	}
	return len(b), nil
}

// Changed returns a channel that is closed at the next Write.
func (o *output) Changed() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.changed
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Tail returns the end of the text.
func (o *output) Tail() string {
	s := o.String()
	return s[max(0, len(s)-tailBytes):]
}

func (o *output) Close() error {
	if o.file == nil {
		return nil
	}
	return o.file.Close()
}
