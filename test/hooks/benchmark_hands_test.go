// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/test/costs"
)

// Calls are what one batch of a kind of work consists of. Only the timed ones count.
type Calls struct {
	Kind  string // nothing, loop, getppid, file, reads, rounds
	Times int    // of what is timed

	FDs               [2]int // the client's end of a connection and the broker's; the file
	Request, Response []byte

	// Of reads: so many exchanges stand ready, of whose answers Skip bytes are read before the clock starts, Bytes by
	// each timed call, and the rest after it has stopped. Of a file: Bytes too.
	Exchanges, Skip, Bytes int
}

// bufferBytes is for the sockets: what stands ready has to fit.
const bufferBytes = 16 << 20

// Roomy gives both ends of a connection large buffers.
func (h *Hands) Roomy(fds [2]int, _ *struct{}) error {
	for _, fd := range fds {
		for _, option := range []int{unix.SO_SNDBUFFORCE, unix.SO_RCVBUFFORCE} {
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, bufferBytes); err != nil {
				return err
			}
		}
	}
	return nil
}

// ReadyFileArgs: what ReadyFile writes to Path.
type ReadyFileArgs struct {
	Path  string
	Bytes int
}

// ReadyFile opens a file whose content is in the page cache.
func (h *Hands) ReadyFile(a ReadyFileArgs, fd *int) (err error) {
	if *fd, err = unix.Open(a.Path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600); err != nil {
		return err
	}
	return writeFull(*fd, make([]byte, a.Bytes))
}

// MeasureArgs: Batches over, each of the works.
type MeasureArgs struct {
	Works   []Calls
	Batches int
}

// Measure returns for each work the CPU time of each batch, in nanoseconds, of one thread that never waits.
func (h *Hands) Measure(a MeasureArgs, took *[][]int64) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	if err := settle(); err != nil {
		return err
	}
	for _, c := range a.Works {
		m := meter{Calls: c, buffer: make([]byte, max(c.Bytes, len(c.Request), len(c.Response)))}
		all := make([]int64, a.Batches)
		for i := range all {
			var err error
			if all[i], err = m.batch(); err != nil {
				return fmt.Errorf("%s: %w", c.Kind, err)
			}
		}
		*took = append(*took, all)
	}
	return nil
}

// settleTime is until Go's monitor looks after its threads every 10 ms: as long as it is new to it that they are busy
// it does so every 20 µs, which on a single processor interrupts what is measured.
const settleTime = 60 * time.Millisecond

func settle() error {
	const turns = 100_000
	start, err := threadTime()
	for now := start; err == nil && now-start < settleTime.Nanoseconds(); {
		costs.Loop(turns)
		now, err = threadTime()
	}
	return err
}

// A meter makes batches of calls.
type meter struct {
	Calls
	buffer      []byte
	correlation uint32
}

// batch prepares, makes the timed calls, and clears away.
func (m *meter) batch() (nanoseconds int64, err error) {
	switch m.Kind {
	case "file":
		if _, err := unix.Seek(m.FDs[0], 0, unix.SEEK_SET); err != nil {
			return 0, err
		}
	case "reads":
		if err := m.exchangesReady(); err != nil {
			return 0, err
		}
	}
	start, err := threadTime()
	if err != nil {
		return 0, err
	}
	if err := m.timed(); err != nil {
		return 0, err
	}
	end, err := threadTime()
	if err != nil {
		return 0, err
	}
	if m.Kind == "reads" {
		rest := m.Exchanges*len(m.Response) - m.Skip - m.Times*m.Bytes
		err = readFull(m.FDs[0], m.buffer[:rest])
	}
	return end - start, err
}

func (m *meter) timed() error {
	switch m.Kind {
	case "nothing":
	case "loop":
		costs.Loop(uint64(m.Times))
	case "getppid":
		for range m.Times {
			_, _, _ = unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0)
		}
	case "file", "reads":
		into, bytes := uintptr(unsafe.Pointer(unsafe.SliceData(m.buffer))), uintptr(m.Bytes)
		for range m.Times {
			// Not unix.Read, which tells Go's scheduler of the call: that costs as much as what is looked for.
			n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(m.FDs[0]), into, bytes)
			if errno != 0 || n != bytes {
				return fmt.Errorf("read of %d bytes returned %d (%w)", bytes, n, errno)
			}
		}
	case "rounds":
		for range m.Times {
			m.number()
			for side, frame := range [2][]byte{m.Request, m.Response} {
				if err := m.carry(side, frame); err != nil {
					return err
				}
			}
		}
	default:
		return fmt.Errorf("no such kind of calls: %q", m.Kind)
	}
	return nil
}

// number gives the next exchange its correlation id. What is not Kafka is too short for one, or may have it.
func (m *meter) number() {
	m.correlation++
	binary.BigEndian.PutUint32(m.Request[8:], m.correlation)
	binary.BigEndian.PutUint32(m.Response[4:], m.correlation)
}

// carry sends from one side (0: the client) and receives at the other.
func (m *meter) carry(side int, frame []byte) error {
	if err := writeFull(m.FDs[side], frame); err != nil {
		return err
	}
	return readFull(m.FDs[1-side], m.buffer[:len(frame)])
}

func (m *meter) exchangesReady() error {
	first := m.correlation
	for range m.Exchanges {
		m.number()
		if err := m.carry(0, m.Request); err != nil {
			return err
		}
	}
	m.correlation = first
	for range m.Exchanges {
		m.number()
		if err := writeFull(m.FDs[1], m.Response); err != nil {
			return err
		}
	}
	if err := readFull(m.FDs[0], m.buffer[:m.Skip]); err != nil {
		return err
	}
	return m.arrived(m.Exchanges*len(m.Response) - m.Skip)
}

// arrivalTime is for bytes that the kernel carries over loopback later than in the call that wrote them.
const arrivalTime = 10 * time.Second

// arrived returns when so many bytes can be read without waiting.
func (m *meter) arrived(bytes int) error {
	for deadline := time.Now().Add(arrivalTime); ; {
		n, err := unix.IoctlGetInt(m.FDs[0], unix.TIOCINQ)
		if err != nil || n >= bytes {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d bytes have arrived within %s", n, bytes, arrivalTime)
		}
	}
}

func threadTime() (int64, error) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return t.Nano(), err
}
