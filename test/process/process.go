// SPDX-License-Identifier: Apache-2.0

// Package process runs the programs that whole-system tests are made of:
// brokers, clients and collectors. It starts a program, keeps what it prints,
// waits for a line, and stops exactly that process, by its id.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"syscall"
	"time"
)

// Process is a running or ended program. Its methods may be called from any
// goroutine.
type Process struct {
	// Name is what messages call the program.
	Name string

	cmd    *exec.Cmd
	output *output
	done   chan struct{}
	err    error // valid once done is closed
}

// Start runs cmd in a process group of its own. Standard output and error go
// both to the file at logPath, if not empty, and to memory, for Await and
// Output; standard output goes to cmd.Stdout alone if that is set.
//
// The kernel ends the program when this process dies, so that a test that
// panics or is killed leaves nothing behind.
func Start(name, logPath string, cmd *exec.Cmd) (*Process, error) {
	out, err := newOutput(logPath)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if cmd.Stdout == nil {
		cmd.Stdout = out
	}
	cmd.Stderr = out
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	// A child of the program that holds the pipe open must not hold up Wait.
	cmd.WaitDelay = 2 * time.Second

	p := &Process{Name: name, cmd: cmd, output: out, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The parent of Pdeathsig is the thread, not the process (prctl(2)):
		// keep the thread that forked until the program has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- errors.Join(err, out.Close())
			return
		}
		started <- nil
		p.err = cmd.Wait()
		p.err = errors.Join(p.err, out.Close())
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// Run starts cmd, waits for its end and returns what it printed. A program
// that fails, or that is still running when ctx ends, is an error that holds
// the end of the output.
func Run(ctx context.Context, name string, cmd *exec.Cmd) (string, error) {
	p, err := Start(name, "", cmd)
	if err != nil {
		return "", err
	}
	if err := p.Wait(ctx); err != nil {
		return p.Output(), errors.Join(err, p.Stop(0))
	}
	return p.Output(), nil
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Output returns what the program has printed so far, standard output and
// error in the order they were written.
func (p *Process) Output() string { return p.output.String() }

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running tells whether the program has not yet ended.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Wait returns when the program has ended: nil if it ended with status 0.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		if p.err != nil {
			return fmt.Errorf("%s: %w; it printed:\n%s", p.Name, p.err, p.output.Tail())
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s still runs: %w; it printed:\n%s", p.Name, context.Cause(ctx), p.output.Tail())
	}
}

// Await returns the first match of pattern, and its groups, in the output,
// waiting for it if need be. It fails when the program ends or ctx ends
// before there is a match.
func (p *Process) Await(ctx context.Context, pattern *regexp.Regexp) ([]string, error) {
	for {
		// Take the signal before looking, so that nothing is missed between.
		changed := p.output.Changed()
		ended := !p.Running()
		if m := pattern.FindStringSubmatch(p.output.String()); m != nil {
			return m, nil
		}
		if ended {
			return nil, fmt.Errorf("%s ended (%v) before printing %q; it printed:\n%s", p.Name, p.err, pattern, p.output.Tail())
		}
		select {
		case <-changed:
		case <-p.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("%s did not print %q: %w; it printed:\n%s", p.Name, pattern, context.Cause(ctx), p.output.Tail())
		}
	}
}

// Stop asks the program to end (SIGTERM), kills it when it has not ended
// within grace, and returns once it is gone. It is no error if it had ended
// before, nor which status it ended with.
func (p *Process) Stop(grace time.Duration) error {
	if grace > 0 && p.Running() {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop %s: %w", p.Name, err)
		}
		select {
		case <-p.done:
			return nil
		case <-time.After(grace):
		}
	}
	if p.Running() {
		if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("kill %s: %w", p.Name, err)
		}
		<-p.done
	}
	return nil
}
