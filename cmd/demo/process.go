// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopGrace is how long a process may take to end when asked, before it is killed.
const stopGrace = 5 * time.Second

// logTailLines is how much of a process's log a report shows.
const logTailLines = 15

// cast is every process that the demo started.
type cast struct {
	folder string
	died   chan *process // a process that ended without being asked to

	mu        sync.Mutex
	processes []*process
	stopping  bool
}

func newCast(folder string) *cast {
	return &cast{folder: folder, died: make(chan *process, 8)}
}

// process is one child. Roles are spoken to by lines: the parent writes to their standard input, they answer on
// standard output.
type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser // nil for the collector
	lines chan string
	log   logFile
	ended chan struct{} // closed once it was waited for
	err   error         // its end; valid after ended
}

// startRole re-executes this program in a role. The process runs under a link with its own name, so that its kernel
// name (comm) and `ps` tell it from the others.
func (c *cast) startRole(name, role string, arguments ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find this program to start %s: %w", name, err)
	}
	link := filepath.Join(c.folder, name)
	if err := os.Symlink(self, link); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	cmd := exec.Command(link, append([]string{roleArgument, role, "-name", name}, arguments...)...)
	cmd.Env = append(os.Environ(), "OTEL_SERVICE_NAME="+name)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	p := &process{name: name, cmd: cmd, stdin: stdin, lines: make(chan string, 8)}
	return p, c.start(p, stdout)
}

// start runs the command, its log going to a file of its own. stdout may be nil.
func (c *cast) start(p *process, stdout io.Reader) error {
	p.log = logFile(filepath.Join(c.folder, p.name+".log"))
	file, err := os.Create(string(p.log))
	if err != nil {
		return fmt.Errorf("cannot start %s: %w", p.name, err)
	}
	defer file.Close() // the child has its own
	p.cmd.Stderr = file
	if stdout == nil {
		p.cmd.Stdout = file
	}
	p.cmd.SysProcAttr = diesWithParent()
	p.ended = make(chan struct{})
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", p.name, err)
	}
	c.mu.Lock()
	c.processes = append(c.processes, p)
	c.mu.Unlock()
	go func() {
		if stdout != nil {
			scanner := bufio.NewScanner(stdout)
			for scanner.Scan() {
				p.lines <- scanner.Text()
			}
		}
		p.err = p.cmd.Wait()
		close(p.ended)
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.stopping {
			c.died <- p
		}
	}()
	return nil
}

// stopAll ends every process in the reverse order of their start, so that the broker outlives its clients, and waits.
func (c *cast) stopAll() {
	c.mu.Lock()
	c.stopping = true
	processes := c.processes
	c.mu.Unlock()
	for i := len(processes) - 1; i >= 0; i-- {
		processes[i].stop()
	}
}

func (p *process) stop() {
	if p.stdin != nil {
		p.stdin.Close() // a role ends with its input
	} else {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only if it has ended
	}
	select {
	case <-p.ended:
	case <-time.After(stopGrace):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

func (p *process) pid() int {
	return p.cmd.Process.Pid
}

func (p *process) say(line string) error {
	if _, err := fmt.Fprintln(p.stdin, line); err != nil {
		return fmt.Errorf("%s does not listen any more: %w", p.name, err)
	}
	return nil
}

// await returns what follows the given first word on the next line that begins with it.
func (p *process) await(ctx context.Context, word string, limit time.Duration) (string, error) {
	timeout := time.After(limit)
	for {
		select {
		case line := <-p.lines:
			if first, rest, _ := strings.Cut(line, " "); first == word {
				return rest, nil
			}
		case <-p.ended:
			return "", p.deathReport()
		case <-timeout:
			return "", fmt.Errorf("%s did not say %q within %s; the end of its log:\n%s", p.name, word, limit, p.log.tail(logTailLines))
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// deathReport is the error for a process that ended by itself.
func (p *process) deathReport() error {
	<-p.ended
	how := "exit status 0"
	if p.err != nil {
		how = p.err.Error()
	}
	return fmt.Errorf("%s ended unexpectedly (%s); the end of its log:\n%s", p.name, how, p.log.tail(logTailLines))
}

// logFile is the path of a process's log.
type logFile string

// tail returns the last lines, indented.
func (l logFile) tail(lines int) string {
	content, err := os.ReadFile(string(l))
	if err != nil {
		return indent(err.Error())
	}
	text := strings.TrimRight(string(content), "\n")
	if text == "" {
		return indent("(empty)")
	}
	all := strings.Split(text, "\n")
	return indent(strings.Join(all[max(0, len(all)-lines):], "\n"))
}
