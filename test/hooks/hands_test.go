// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Hands make the system calls that a test dictates. Methods are called through net/rpc.
type Hands struct {
	mu      sync.Mutex
	threads map[int]chan func()
}

// on runs f on the thread with that number; 0 is any.
func (h *Hands) on(thread int, f func() error) error {
	if thread == 0 {
		return f()
	}
	h.mu.Lock()
	work, ok := h.threads[thread]
	if !ok {
		if h.threads == nil {
			h.threads = make(map[int]chan func())
		}
		work = make(chan func())
		h.threads[thread] = work
		go func() {
			runtime.LockOSThread()
			for f := range work {
				f()
			}
		}()
	}
	h.mu.Unlock()
	done := make(chan error)
	work <- func() { done <- f() }
	return <-done
}

// Network is a kind of socket.
type Network int

// The networks.
const (
	IPv4   Network = iota
	IPv6           // ::1
	Mapped         // 127.0.0.1 as ::ffff:127.0.0.1, as Java does
	UDP
)

// Address is what a socket is bound or connected to.
type Address = netip.AddrPort

func (n Network) open() (int, error) {
	family, kind := unix.AF_INET, unix.SOCK_STREAM
	switch n {
	case IPv6, Mapped:
		family = unix.AF_INET6
	case UDP:
		kind = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err == nil && kind == unix.SOCK_STREAM {
		// What is accepted inherits it.
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	return fd, err
}

func (n Network) loopback() netip.Addr {
	if n == IPv6 {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

func (n Network) sockaddr(a Address) unix.Sockaddr {
	if n == IPv6 || n == Mapped {
		return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	}
	return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
}

func localPort(fd int) (uint16, error) {
	a, err := unix.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return uint16(a.Port), nil
	case *unix.SockaddrInet6:
		return uint16(a.Port), nil
	}
	return 0, fmt.Errorf("no port in %T", a)
}

// ListenArgs: port 0 is any free one.
type ListenArgs struct {
	Network Network
	Port    int
}

// ListenReply is a bound socket, listening unless it is UDP's.
type ListenReply struct {
	FD      int
	Address Address
}

// Listen opens a socket on a loopback address.
func (h *Hands) Listen(a ListenArgs, r *ListenReply) error {
	fd, err := a.Network.open()
	if err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := unix.Bind(fd, a.Network.sockaddr(netip.AddrPortFrom(a.Network.loopback(), uint16(a.Port)))); err != nil {
		return err
	}
	if a.Network != UDP {
		if err := unix.Listen(fd, 1024); err != nil {
			return err
		}
	}
	port, err := localPort(fd)
	*r = ListenReply{FD: fd, Address: netip.AddrPortFrom(a.Network.loopback(), port)}
	return err
}

// ConnectArgs say where to.
type ConnectArgs struct {
	Network Network
	To      Address
}

// Connect opens a connection.
func (h *Hands) Connect(a ConnectArgs, fd *int) (err error) {
	*fd, err = dial(a.Network, a.To)
	return err
}

func dial(n Network, to Address) (int, error) {
	fd, err := n.open()
	if err != nil {
		return -1, err
	}
	return fd, unix.Connect(fd, n.sockaddr(to))
}

// Accept takes the next connection of a listening socket.
func (h *Hands) Accept(listener int, fd *int) error {
	n, err := acceptOn(listener)
	*fd = n
	return err
}

func acceptOn(listener int) (int, error) {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		if err != unix.EINTR && err != unix.ECONNABORTED {
			return fd, err
		}
	}
}

// Close closes a descriptor.
func (h *Hands) Close(fd int, _ *struct{}) error { return unix.Close(fd) }

// Dup duplicates a descriptor.
func (h *Hands) Dup(fd int, to *int) (err error) {
	*to, err = unix.Dup(fd)
	return err
}

// Reset closes a connection so that its other end gets ECONNRESET.
func (h *Hands) Reset(fd int, _ *struct{}) error {
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return err
	}
	return unix.Close(fd)
}

// ShutdownWrite says that nothing more will be sent.
func (h *Hands) ShutdownWrite(fd int, _ *struct{}) error { return unix.Shutdown(fd, unix.SHUT_WR) }

// BufferArgs: the kernel makes at least its minimum of Bytes.
type BufferArgs struct{ FD, Bytes int }

// SendBuffer sets the size of a socket's send buffer.
func (h *Hands) SendBuffer(a BufferArgs, _ *struct{}) error {
	return unix.SetsockoptInt(a.FD, unix.SOL_SOCKET, unix.SO_SNDBUF, a.Bytes)
}

// Pending is how many bytes a socket holds that were not received yet.
func (h *Hands) Pending(fd int, n *int) (err error) {
	*n, err = unix.IoctlGetInt(fd, unix.TIOCINQ)
	return err
}

// PassArgs: descriptor FD over the Unix socket Over.
type PassArgs struct{ Over, FD int }

// Pass gives a descriptor to whoever holds the other end.
func (h *Hands) Pass(a PassArgs, _ *struct{}) error {
	return unix.Sendmsg(a.Over, []byte{0}, unix.UnixRights(a.FD), nil, 0)
}

// Take receives a descriptor.
func (h *Hands) Take(over int, fd *int) error {
	control := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(over, make([]byte, 1), control, 0)
	if err != nil {
		return err
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil {
		return err
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return err
	}
	*fd = fds[0]
	return nil
}

// PairArgs: one of pipe, unix, file, eventfd.
type PairArgs struct{ Kind string }

// PairReply are the descriptors to write to and to read from.
type PairReply struct{ Write, Read int }

// Pair opens something that is no network socket.
func (h *Hands) Pair(a PairArgs, r *PairReply) error {
	switch a.Kind {
	case "pipe":
		var fds [2]int
		err := unix.Pipe2(fds[:], unix.O_CLOEXEC)
		*r = PairReply{Write: fds[1], Read: fds[0]}
		return err
	case "unix":
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		*r = PairReply{Write: fds[1], Read: fds[0]}
		return err
	case "file":
		fd, err := unix.MemfdCreate("file", unix.MFD_CLOEXEC)
		*r = PairReply{Write: fd, Read: fd}
		return err
	case "eventfd":
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		*r = PairReply{Write: fd, Read: fd}
		return err
	}
	return fmt.Errorf("no such pair: %q", a.Kind)
}

// NetNS is the inode of the process's network namespace.
func (h *Hands) NetNS(_ struct{}, inode *uint64) error {
	var s unix.Stat_t
	err := unix.Stat("/proc/self/ns/net", &s)
	*inode = s.Ino
	return err
}

func loopbackUp() error {
	fd, err := IPv4.open()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFFLAGS, uintptr(unsafe.Pointer(r))); errno != 0 {
		return errno
	}
	return nil
}
