// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// FileArgs say what to send out of a file or pipe, in calls of at most Chunk bytes.
type FileArgs struct {
	FD    int
	Data  []byte
	Chunk int
}

// SendFile sends the data with sendfile.
func (h *Hands) SendFile(a FileArgs, _ *struct{}) error {
	file, err := unix.MemfdCreate("records", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(file)
	if _, err := unix.Write(file, a.Data); err != nil {
		return err
	}
	for offset := int64(0); offset < int64(len(a.Data)); {
		_, err := unix.Sendfile(a.FD, file, &offset, a.Chunk)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("sendfile: %w", err)
		}
	}
	return nil
}

// Splice sends the data with splice, out of a pipe.
func (h *Hands) Splice(a FileArgs, _ *struct{}) error {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	for _, piece := range cut(a.Data, repeat(a.Chunk, len(a.Data)/a.Chunk)) {
		if _, err := unix.Write(pipe[1], piece); err != nil {
			return err
		}
		for left := len(piece); left > 0; {
			n, err := unix.Splice(pipe[0], nil, a.FD, nil, left, 0)
			if err != nil && !errors.Is(err, unix.EINTR) {
				return fmt.Errorf("splice: %w", err)
			}
			left -= max(0, int(n))
		}
	}
	return nil
}

// SpliceFrom receives that many bytes with splice, into a pipe, and returns them.
func (h *Hands) SpliceFrom(a ReceiveArgs, got *[]byte) error {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	for len(*got) < a.Bytes {
		if err := await(a.FD, unix.POLLIN); err != nil {
			return err
		}
		n, err := unix.Splice(a.FD, nil, pipe[1], nil, a.Bytes-len(*got), 0)
		if err != nil {
			return fmt.Errorf("splice: %w", err)
		}
		piece := make([]byte, n)
		if _, err := unix.Read(pipe[0], piece); err != nil {
			return err
		}
		*got = append(*got, piece...)
	}
	return nil
}

// Timestamps asks for the packets that are sent to come back on the error queue.
func (h *Hands) Timestamps(fd int, _ *struct{}) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING,
		unix.SOF_TIMESTAMPING_TX_SOFTWARE|unix.SOF_TIMESTAMPING_SOFTWARE)
}

// ErrorQueue receives one packet from the error queue and says how long it was.
func (h *Hands) ErrorQueue(fd int, n *int) (err error) {
	if err := await(fd, unix.POLLERR); err != nil {
		return err
	}
	*n, _, _, _, err = unix.Recvmsg(fd, make([]byte, 65536), make([]byte, 1024), unix.MSG_ERRQUEUE)
	return err
}

const (
	zerocopyOrigin   = 5 // SO_EE_ORIGIN_ZEROCOPY
	extendedErrBytes = int(unsafe.Sizeof(unix.SockExtendedErr{}))
)

// SendZerocopy sends the data with MSG_ZEROCOPY, in one call, and returns when the kernel has said that it needs it no
// more.
func (h *Hands) SendZerocopy(a FileArgs, _ *struct{}) error {
	if err := unix.SetsockoptInt(a.FD, unix.SOL_SOCKET, unix.SO_ZEROCOPY, 1); err != nil {
		return fmt.Errorf("SO_ZEROCOPY: %w", err)
	}
	n, err := unix.SendmsgN(a.FD, a.Data, nil, nil, unix.MSG_ZEROCOPY)
	if err != nil || n != len(a.Data) {
		return fmt.Errorf("sendmsg with MSG_ZEROCOPY: %d of %d bytes: %w", n, len(a.Data), err)
	}
	if err := await(a.FD, unix.POLLERR); err != nil {
		return err
	}
	control := make([]byte, 1024)
	_, n, _, _, err = unix.Recvmsg(a.FD, nil, control, unix.MSG_ERRQUEUE)
	runtime.KeepAlive(a.Data)
	if err != nil {
		return fmt.Errorf("recvmsg with MSG_ERRQUEUE: %w", err)
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil {
		return err
	}
	for _, m := range messages {
		if len(m.Data) >= extendedErrBytes && (*unix.SockExtendedErr)(unsafe.Pointer(&m.Data[0])).Origin == zerocopyOrigin {
			return nil
		}
	}
	return fmt.Errorf("no completion among %d messages of the error queue", len(messages))
}

// UrgentArgs: one byte.
type UrgentArgs struct {
	FD   int
	Byte byte
}

// Urgent sends a byte of urgent data; where the other end has not set SO_OOBINLINE it is not part of
// the stream there.
func (h *Hands) Urgent(a UrgentArgs, _ *struct{}) error {
	return unix.Sendto(a.FD, []byte{a.Byte}, unix.MSG_OOB, nil)
}

// TakeUrgent receives urgent data.
func (h *Hands) TakeUrgent(fd int, b *byte) error {
	if err := await(fd, unix.POLLPRI); err != nil {
		return err
	}
	buffer := make([]byte, 1)
	_, _, err := unix.Recvfrom(fd, buffer, unix.MSG_OOB)
	*b = buffer[0]
	return err
}
