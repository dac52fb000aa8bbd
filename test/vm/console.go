// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/ebpfkafka/ebpfkafka/test/vm/guest"
)

// tailBytes is how much of the console an error message shows: a panic with its call trace.
const tailBytes = 6 << 10

// A console is what the machine prints.
type console struct {
	mu             sync.Mutex
	text           []byte
	on, began, end time.Time // switched on, markers seen
}

// Write implements io.Writer.
func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = append(c.text, bytes.ReplaceAll(b, []byte("\r"), nil)...) // the line discipline's
	if c.began.IsZero() && bytes.Contains(c.text, []byte(guest.Begin)) {
		c.began = time.Now()
	}
	c.end = time.Now()
	return len(b), nil
}

func (c *console) tail() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.text[max(0, len(c.text)-tailBytes):])
}

// result is what stands between the markers, nil if one is missing. A job that could not be run has a result too.
func (c *console) result() *Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, after, _ := bytes.Cut(c.text, []byte("\n"+guest.Begin+"\n"))
	i := bytes.LastIndex(after, []byte("\n"+guest.End))
	if i < 0 {
		return nil
	}
	line, _, whole := bytes.Cut(after[i+len("\n"+guest.End):], []byte("\n"))
	var ended guest.Ended
	if !whole || json.Unmarshal(line, &ended) != nil {
		return nil
	}
	r := &Result{
		Output: string(after[:i]), ExitCode: ended.ExitCode, Complaints: ended.Complaints,
		Boot: c.began.Sub(c.on), Took: c.end.Sub(c.began),
	}
	if ended.Error != "" {
		r.ExitCode = notRun
		r.Output += fmt.Sprintf("\nthe job did not run: %s\n", ended.Error)
	}
	return r
}

// notRun is a shell's exit code for a program that cannot be run.
const notRun = 126
