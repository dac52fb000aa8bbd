// SPDX-License-Identifier: Apache-2.0

package storms

import (
	"encoding/binary"
	"errors"
	"io"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Plain blocking sockets: a connection costs a few system calls, and no poller.

func socketAddress(a netip.AddrPort) unix.Sockaddr {
	return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
}

// listen listens on a free port.
func listen(address netip.Addr) (fd int, at netip.AddrPort, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, at, err
	}
	if err := unix.Bind(fd, socketAddress(netip.AddrPortFrom(address, 0))); err != nil {
		return 0, at, err
	}
	const backlog = 4096 // the kernel caps it (net.core.somaxconn)
	if err := unix.Listen(fd, backlog); err != nil {
		return 0, at, err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return 0, at, err
	}
	return fd, netip.AddrPortFrom(address, uint16(name.(*unix.SockaddrInet4).Port)), nil
}

// connect connects, from a port of its own if that is not 0.
func connect(to netip.AddrPort, port int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if port != 0 {
		err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
			unix.Bind(fd, socketAddress(netip.AddrPortFrom(to.Addr(), uint16(port)))))
	}
	for err == nil {
		if err = unix.Connect(fd, socketAddress(to)); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return 0, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// hangUp closes a connection: with a reset it leaves nothing in TIME_WAIT, and
// the port can be had again at once.
func hangUp(fd int, reset bool) error {
	if reset {
		l := unix.Linger{Onoff: 1}
		if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &l); err != nil {
			return err
		}
	}
	return unix.Close(fd)
}

func readFull(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Read(fd, b)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return io.EOF
		}
		b = b[n:]
	}
	return nil
}

// readFrame reads a size and what follows.
func readFrame(fd int) ([]byte, error) {
	size := make([]byte, 4)
	if err := readFull(fd, size); err != nil {
		return nil, err
	}
	return readRest(fd, size)
}

// readRest reads what follows a size, and returns the whole frame.
func readRest(fd int, size []byte) ([]byte, error) {
	frame := make([]byte, 4+int(binary.BigEndian.Uint32(size)))
	copy(frame, size)
	return frame, readFull(fd, frame[4:])
}

func writeFull(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		b = b[max(n, 0):]
	}
	return nil
}

// ask sends a request and reads its answer.
func ask(fd int, request []byte) error {
	if err := writeFull(fd, request); err != nil {
		return err
	}
	_, err := readFrame(fd)
	return err
}
