// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SendArgs say what to send and how.
type SendArgs struct {
	FD     int
	Call   string // write, writev, sendto, sendmsg, sendmmsg
	Data   []byte
	Pieces []int // cuts Data: one call, iovec or message (sendmmsg) each; what is left is one more
	Flags  int
	Thread int
}

// SendReply counts the system calls.
type SendReply struct{ Calls, Short, Refused int }

// maxVectors is the kernel's UIO_MAXIOV.
const maxVectors = 1024

// Send sends all of the data, whatever that takes.
func (h *Hands) Send(a SendArgs, r *SendReply) error {
	pieces := cut(a.Data, a.Pieces)
	return h.on(a.Thread, func() error {
		for total(pieces) > 0 {
			n, whole, err := sendOnce(&a, pieces)
			r.Calls++
			switch {
			case errors.Is(err, unix.EINTR):
			case errors.Is(err, unix.EAGAIN):
				r.Refused++
				if err := await(a.FD, unix.POLLOUT); err != nil {
					return err
				}
			case err != nil:
				return fmt.Errorf("%s: %w", a.Call, err)
			case n < whole:
				// Some wait for room at once, some try again first.
				if r.Short++; a.Call == "sendmmsg" {
					if err := await(a.FD, unix.POLLOUT); err != nil {
						return err
					}
				}
			}
			if err == nil {
				pieces = drop(pieces, n)
			}
		}
		return nil
	})
}

// sendOnce makes one system call. Whole is how many bytes it offered.
func sendOnce(a *SendArgs, pieces [][]byte) (n, whole int, err error) {
	switch a.Call {
	case "write", "sendto":
		for len(pieces[0]) == 0 {
			pieces = pieces[1:]
		}
		first := pieces[0]
		if a.Call == "write" {
			n, err = call(unix.SYS_WRITE, a.FD, unsafe.Pointer(&first[0]), len(first), 0)
		} else {
			n, err = call(unix.SYS_SENDTO, a.FD, unsafe.Pointer(&first[0]), len(first), a.Flags)
		}
		return n, len(first), err
	case "writev":
		v := vectors(pieces)
		n, err = call(unix.SYS_WRITEV, a.FD, unsafe.Pointer(&v[0]), len(v), 0)
		return n, total(pieces[:len(v)]), err
	case "sendmsg":
		v := vectors(pieces)
		m := unix.Msghdr{Iov: &v[0], Iovlen: uint64(len(v))}
		n, err = call(unix.SYS_SENDMSG, a.FD, unsafe.Pointer(&m), a.Flags, 0)
		return n, total(pieces[:len(v)]), err
	case "sendmmsg":
		m := messages(pieces)
		done, err := call(unix.SYS_SENDMMSG, a.FD, unsafe.Pointer(&m[0]), len(m), a.Flags)
		for i := range done {
			n += int(m[i].length)
		}
		return n, total(pieces), err
	}
	return 0, 0, fmt.Errorf("no such call to send: %q", a.Call)
}

// ReceiveArgs say how much to receive and how.
type ReceiveArgs struct {
	FD     int
	Call   string // read, readv, recvfrom, recvmsg, recvmmsg
	Bytes  int    // in all
	Sizes  []int  // of one call after the other, the last again and again; or of iovecs, messages
	Single bool   // recvmsg: one iovec a call
	Flags  int
	Peek   bool // look at the bytes of each call before receiving them
	Thread int
}

// ReceiveReply is what came.
type ReceiveReply struct {
	Data  []byte
	Calls int
}

// Receive receives until it has what was asked for, or to the stream's end.
func (h *Hands) Receive(a ReceiveArgs, r *ReceiveReply) error {
	return h.on(a.Thread, func() error {
		for len(r.Data) < a.Bytes {
			if a.Peek {
				peek := a
				peek.Flags |= unix.MSG_PEEK
				if _, err := receiveOnce(&peek, r.Calls); err != nil {
					return fmt.Errorf("%s to peek: %w", a.Call, err)
				}
			}
			data, err := receiveOnce(&a, r.Calls)
			switch {
			case errors.Is(err, unix.EINTR):
				continue
			case errors.Is(err, unix.EAGAIN):
				if err := await(a.FD, unix.POLLIN); err != nil {
					return err
				}
				continue
			case err != nil:
				return fmt.Errorf("%s: %w", a.Call, err)
			}
			r.Calls++
			if len(data) == 0 {
				return nil
			}
			r.Data = append(r.Data, data...)
		}
		return nil
	})
}

// receiveOnce makes one system call: the i-th.
func receiveOnce(a *ReceiveArgs, i int) ([]byte, error) {
	sizes := a.Sizes
	if len(sizes) == 0 {
		sizes = []int{1 << 20}
	}
	var n int
	var err error
	switch a.Call {
	case "read", "recvfrom":
		b := make([]byte, sizes[min(i, len(sizes)-1)])
		if a.Call == "read" {
			n, err = call(unix.SYS_READ, a.FD, unsafe.Pointer(&b[0]), len(b), 0)
		} else {
			n, err = call(unix.SYS_RECVFROM, a.FD, unsafe.Pointer(&b[0]), len(b), a.Flags)
		}
		return b[:max(n, 0)], err
	case "readv", "recvmsg":
		if a.Single {
			sizes = sizes[min(i, len(sizes)-1):][:1]
		}
		b := make([]byte, sum(sizes))
		v := vectors(cut(b, sizes))
		if a.Call == "readv" {
			n, err = call(unix.SYS_READV, a.FD, unsafe.Pointer(&v[0]), len(v), 0)
		} else {
			m := unix.Msghdr{Iov: &v[0], Iovlen: uint64(len(v))}
			n, err = call(unix.SYS_RECVMSG, a.FD, unsafe.Pointer(&m), a.Flags, 0)
		}
		return b[:max(n, 0)], err
	case "recvmmsg":
		pieces := cut(make([]byte, sum(sizes)), sizes)
		m := messages(pieces)
		// One message at least; what there is of more.
		n, err = call(unix.SYS_RECVMMSG, a.FD, unsafe.Pointer(&m[0]), len(m), a.Flags|unix.MSG_WAITFORONE)
		var data []byte
		for i := range max(n, 0) {
			data = append(data, pieces[i][:m[i].length]...)
		}
		return data, err
	}
	return nil, fmt.Errorf("no such call to receive: %q", a.Call)
}

// call makes a system call of at most five arguments.
func call(number uintptr, fd int, p unsafe.Pointer, n, flags int) (int, error) {
	r, _, errno := unix.Syscall6(number, uintptr(fd), uintptr(p), uintptr(n), uintptr(flags), 0, 0)
	runtime.KeepAlive(p)
	if errno != 0 {
		return 0, errno
	}
	return int(r), nil
}

func await(fd int, events int16) error {
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, -1)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func vectors(pieces [][]byte) []unix.Iovec {
	v := make([]unix.Iovec, min(len(pieces), maxVectors))
	for i := range v {
		v[i].Base = unsafe.SliceData(pieces[i])
		v[i].SetLen(len(pieces[i]))
	}
	return v
}

// message is the kernel's struct mmsghdr.
type message struct {
	header unix.Msghdr
	length uint32
	_      uint32
}

// messages makes one of each piece, in so many iovecs that they are not all looked at together.
func messages(pieces [][]byte) []message {
	const iovecs = 15
	m := make([]message, min(len(pieces), maxVectors))
	for i := range m {
		v := vectors(cut(pieces[i], slices.Repeat([]int{len(pieces[i])/iovecs + 1}, iovecs)))
		m[i].header.Iov = &v[0]
		m[i].header.Iovlen = uint64(len(v))
	}
	return m
}

// cut divides b. Pieces beyond its end are empty.
func cut(b []byte, sizes []int) [][]byte {
	var pieces [][]byte
	for _, n := range sizes {
		n = min(n, len(b))
		pieces = append(pieces, b[:n:n])
		b = b[n:]
	}
	if len(b) > 0 {
		pieces = append(pieces, b)
	}
	return pieces
}

// drop takes the first n bytes away.
func drop(pieces [][]byte, n int) [][]byte {
	for len(pieces) > 0 && n >= len(pieces[0]) {
		n -= len(pieces[0])
		pieces = pieces[1:]
	}
	if n > 0 {
		pieces = append([][]byte{pieces[0][n:]}, pieces[1:]...)
	}
	return pieces
}

func total(pieces [][]byte) (n int) {
	for _, p := range pieces {
		n += len(p)
	}
	return n
}

func sum(sizes []int) (n int) {
	for _, s := range sizes {
		n += s
	}
	return n
}
