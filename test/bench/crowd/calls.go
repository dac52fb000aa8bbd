// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// What is called each millisecond: 50 system calls, with the waiting for the next one 51.
const (
	callsParents    = 20 // getppid
	callsReads      = 10 // of a page of /dev/zero
	callsRoundTrips = 5  // of 64 bytes over TCP: four calls each
	callsEach       = callsParents + callsReads + 4*callsRoundTrips

	// callsWarm is how long calls are made before they count: caches are warm, and a hook has given the
	// connection up.
	callsWarm = 300 * time.Millisecond
)

// calls makes 50,000 system calls a second, and says how many there were and what CPU time they took.
func calls(args []string) error {
	flags := flag.NewFlagSet("calls", flag.ContinueOnError)
	lasts := flags.Duration("for", time.Second, "how long calls are counted")
	if err := flags.Parse(args); err != nil {
		return err
	}
	runtime.LockOSThread() // whose CPU time is counted
	zero, err := os.Open("/dev/zero")
	if err != nil {
		return err
	}
	one, other, err := tcpPair()
	if err != nil {
		return err
	}
	w := work{zero: int(zero.Fd()), one: one, other: other, page: make([]byte, os.Getpagesize()), message: message()}
	if _, _, err := w.during(callsWarm); err != nil {
		return err
	}
	began := time.Now()
	made, took, err := w.during(*lasts)
	if err != nil {
		return err
	}
	fmt.Printf("calls %d cpu %d wall %d\n", made, took.Nanoseconds(), time.Since(began).Nanoseconds())
	return nil
}

// message is 64 bytes that are not Kafka's: a frame would begin with its size.
func message() []byte {
	m := make([]byte, 64)
	copy(m, "GET / HTTP/1.1\r\nHost: localhost\r\n")
	return m
}

type work struct {
	zero, one, other int
	page, message    []byte
}

// during makes calls for a time, and returns their number and the thread's CPU time. What is late is made up for.
func (w *work) during(d time.Duration) (made int, took time.Duration, err error) {
	before, err := threadTime()
	if err != nil {
		return 0, 0, err
	}
	next := time.Now()
	for end := next.Add(d); next.Before(end); next = next.Add(time.Millisecond) {
		if err := w.once(); err != nil {
			return 0, 0, err
		}
		made += callsEach
		if rest := time.Until(next.Add(time.Millisecond)); rest > 0 {
			ts := unix.NsecToTimespec(rest.Nanoseconds())
			if err := unix.Nanosleep(&ts, nil); err != nil && !errors.Is(err, unix.EINTR) {
				return 0, 0, err
			}
		}
	}
	after, err := threadTime()
	return made, after - before, err
}

func (w *work) once() error {
	for range callsParents {
		unix.Getppid()
	}
	for range callsReads {
		if _, err := unix.Read(w.zero, w.page); err != nil {
			return fmt.Errorf("reading /dev/zero: %w", err)
		}
	}
	for range callsRoundTrips {
		for _, hop := range [][2]int{{w.one, w.other}, {w.other, w.one}} {
			if _, err := unix.Write(hop[0], w.message); err != nil {
				return fmt.Errorf("writing to a connection: %w", err)
			}
			if _, err := unix.Read(hop[1], w.message); err != nil {
				return fmt.Errorf("reading from a connection: %w", err)
			}
		}
	}
	return nil
}

// tcpPair is a connection over loopback, with both ends here.
func tcpPair() (one, other int, err error) {
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, err
	}
	defer unix.Close(listener)
	loopback := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}} // a free port
	if err := errors.Join(unix.Bind(listener, loopback), unix.Listen(listener, 1)); err != nil {
		return 0, 0, err
	}
	at, err := unix.Getsockname(listener)
	if err != nil {
		return 0, 0, err
	}
	if one, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return 0, 0, err
	}
	if err := unix.Connect(one, at); err != nil {
		return 0, 0, err
	}
	other, _, err = unix.Accept4(listener, unix.SOCK_CLOEXEC)
	return one, other, err
}

func threadTime() (time.Duration, error) {
	var ts unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
	return time.Duration(ts.Nano()), err
}
