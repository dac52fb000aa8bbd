// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The part of io_uring(7) that one operation at a time needs.
const (
	uringOffSubmission = 0
	uringOffEntries    = 0x10000000
	uringEnterGet      = 1 // IORING_ENTER_GETEVENTS
	uringSingleMap     = 1 // IORING_FEAT_SINGLE_MMAP

	uringRegisterBuffers = 0 // IORING_REGISTER_BUFFERS
	uringRegisterProbe   = 8 // IORING_REGISTER_PROBE, Linux 5.6

	uringReadFixed  = 4 // these two with a registered buffer, which is the kernel's bio_vec
	uringWriteFixed = 5
	uringRead       = 22
	uringWrite      = 23
	uringSend       = 26
	uringReceive    = 27
)

type uringParams struct {
	submissions, completions, flags, cpu, idle, features, workers uint32
	_                                                             [3]uint32
	submission                                                    struct {
		head, tail, mask, entries, flags, dropped, array, _ uint32
		_                                                   uint64
	}
	completion struct {
		head, tail, mask, entries, overflow, entry, flags, _ uint32
		_                                                    uint64
	}
}

type uringEntry struct {
	op, flags uint8
	priority  uint16
	fd        int32
	offset    uint64
	address   uint64
	length    uint32
	_         uint32
	user      uint64
	_         [3]uint64
}

type uring struct {
	fd      int
	p       uringParams
	ring    []byte
	entries []byte
}

func newUring() (*uring, error) {
	u := new(uring)
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(&u.p)), 0)
	if errno != 0 {
		return nil, fmt.Errorf("io_uring_setup: %w", errno)
	}
	u.fd = int(fd)
	if u.p.features&uringSingleMap == 0 {
		return nil, fmt.Errorf("io_uring of before Linux 5.4")
	}
	size := max(int(u.p.submission.array+u.p.submissions*4), int(u.p.completion.entry+u.p.completions*16))
	var err error
	if u.ring, err = unix.Mmap(u.fd, uringOffSubmission, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, err
	}
	u.entries, err = unix.Mmap(u.fd, uringOffEntries, int(u.p.submissions)*64, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	return u, err
}

func (u *uring) word(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&u.ring[offset])) }

// submit begins an operation on a buffer that the caller keeps.
func (u *uring) submit(op uint8, fd int, b []byte) error {
	tail := atomic.LoadUint32(u.word(u.p.submission.tail))
	i := tail & *u.word(u.p.submission.mask)
	*(*uringEntry)(unsafe.Pointer(&u.entries[i*64])) = uringEntry{
		op: op, fd: int32(fd), address: uint64(uintptr(unsafe.Pointer(&b[0]))), length: uint32(len(b)),
	}
	*u.word(u.p.submission.array + 4*i) = i
	atomic.StoreUint32(u.word(u.p.submission.tail), tail+1)
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(u.fd), 1, 0, 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("io_uring_enter: %w", errno)
	}
	return nil
}

// ready tells whether an operation has ended and nobody has asked for it.
func (u *uring) ready() bool {
	return atomic.LoadUint32(u.word(u.p.completion.head)) != atomic.LoadUint32(u.word(u.p.completion.tail))
}

// wait returns the result of the next operation that ends.
func (u *uring) wait() (int, error) {
	for !u.ready() {
		_, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(u.fd), 0, 1, uringEnterGet, 0, 0)
		if errno != 0 && errno != unix.EINTR {
			return 0, fmt.Errorf("io_uring_enter: %w", errno)
		}
	}
	head := atomic.LoadUint32(u.word(u.p.completion.head))
	i := head & *u.word(u.p.completion.mask)
	result := *(*int32)(unsafe.Pointer(&u.ring[u.p.completion.entry+16*i+8]))
	atomic.StoreUint32(u.word(u.p.completion.head), head+1)
	if result < 0 {
		return 0, unix.Errno(-result)
	}
	return int(result), nil
}

// register makes b the buffer of the operations that are called fixed.
func (u *uring) register(b []byte) error {
	v := vectors([][]byte{b})
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(u.fd), uringRegisterBuffers,
		uintptr(unsafe.Pointer(&v[0])), 1, 0, 0)
	if errno != 0 {
		return fmt.Errorf("io_uring_register of a buffer of %d bytes: %w", len(b), errno)
	}
	return nil
}

// uringOps is the kernel's struct io_uring_probe.
type uringOps struct {
	last, count uint8
	_           [14]byte
	ops         [256]struct {
		op, _ uint8
		flags uint16 // 1: supported
		_     uint32
	}
}

// UringLacks asks the kernel for an operation: empty if it has it, else why not.
func (h *Hands) UringLacks(op uint8, why *string) error {
	u, err := newUring()
	if err != nil {
		*why = err.Error()
		return nil
	}
	defer u.close()
	var known uringOps
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(u.fd), uringRegisterProbe,
		uintptr(unsafe.Pointer(&known)), uintptr(len(known.ops)), 0, 0)
	switch {
	case errno != 0:
		*why = fmt.Sprintf("asking io_uring for its operations: %v", errno)
	case op > known.last || known.ops[op].flags&1 == 0:
		*why = fmt.Sprintf("io_uring has no operation %d", op)
	}
	return nil
}

func (u *uring) close() {
	_ = unix.Munmap(u.ring)
	_ = unix.Munmap(u.entries)
	_ = unix.Close(u.fd)
}

// UringArgs: one of the operations above.
type UringArgs struct {
	Op    uint8
	FD    int
	Data  []byte // to send
	Bytes int    // to receive
}

// UringSend sends the data through io_uring.
func (h *Hands) UringSend(a UringArgs, _ *struct{}) error { return uringMove(a.Op, a.FD, a.Data) }

// UringReceive receives that many bytes through io_uring.
func (h *Hands) UringReceive(a UringArgs, data *[]byte) error {
	*data = make([]byte, a.Bytes)
	return uringMove(a.Op, a.FD, *data)
}

// uringMove goes on until all of b has been moved.
func uringMove(op uint8, fd int, b []byte) error {
	u, err := newUring()
	if err != nil {
		return err
	}
	defer u.close()
	if op == uringReadFixed || op == uringWriteFixed {
		if err := u.register(b); err != nil {
			return err
		}
	}
	for left := b; len(left) > 0; {
		if err := u.submit(op, fd, left); err != nil {
			return err
		}
		n, err := u.wait()
		if err != nil {
			return fmt.Errorf("operation %d of io_uring: %w", op, err)
		}
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
		left = left[n:]
	}
	runtime.KeepAlive(b)
	return nil
}

// DuringArgs: Bytes to receive on Socket while the thread is in a read of the pipe Other, whose buffer
// holds Stale.
type DuringArgs struct {
	Socket, Bytes int
	Other         int
	Stale         []byte
}

// UringDuring receives through io_uring while the same thread sits in another system call: the kernel
// does the receiving on that call's way out.
func (h *Hands) UringDuring(a DuringArgs, data *[]byte) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	u, err := newUring()
	if err != nil {
		return err
	}
	defer u.close()
	*data = make([]byte, a.Bytes)
	if err := u.submit(uringReceive, a.Socket, *data); err != nil {
		return err
	}
	if _, err := call(unix.SYS_READ, a.Other, unsafe.Pointer(&a.Stale[0]), len(a.Stale), 0); err != nil && err != unix.EINTR {
		return err
	}
	n, err := u.wait()
	*data = (*data)[:n]
	return err
}
