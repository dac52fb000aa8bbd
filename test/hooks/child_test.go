// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"io"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/process"
)

const (
	rolePlain      = "plain"
	roleOwnNetwork = "own network"
)

// A peer makes system calls for a test: in a child, or in this process, which the probe ignores.
type peer struct {
	t   testing.TB
	pid int
	rpc *rpc.Client
	p   *process.Process // nil: this process
}

// newChild starts a child. Files are its descriptors from 3 on.
func newChild(t testing.TB, files ...*os.File) *peer { return startChild(t, rolePlain, files...) }

// newNetworkChild starts a child in a network namespace of its own.
func newNetworkChild(t testing.TB) *peer { return startChild(t, roleOwnNetwork) }

func startChild(t testing.TB, role string, files ...*os.File) *peer {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.ExtraFiles = files
	if role == roleOwnNetwork {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	}
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	child, err := process.Start("child", "", cmd)
	require.NoError(t, err)
	p := &peer{t: t, pid: child.PID(), p: child, rpc: rpc.NewClient(struct {
		io.Reader
		io.WriteCloser
	}{out, in})}
	t.Cleanup(func() { p.kill() })
	return p
}

// newSelf is this process as a peer: its traffic is not seen.
func newSelf(t testing.TB) *peer {
	mine, theirs := net.Pipe()
	go serveHands(theirs)
	p := &peer{t: t, pid: os.Getpid(), rpc: rpc.NewClient(mine)}
	t.Cleanup(func() { p.rpc.Close() })
	return p
}

// kill ends a child with SIGKILL and returns when it is gone.
func (p *peer) kill() {
	p.rpc.Close()
	if p.p != nil {
		require.NoError(p.t, p.p.Stop(0))
	}
}

const callTimeout = 30 * time.Second

// start begins a call; the test goes on.
func (p *peer) start(method string, args, reply any) *rpc.Call {
	return p.rpc.Go("Hands."+method, args, reply, make(chan *rpc.Call, 1))
}

// await waits for the end of a call.
func (p *peer) await(c *rpc.Call) {
	p.t.Helper()
	select {
	case <-c.Done:
		require.NoError(p.t, c.Error, c.ServiceMethod)
	case <-time.After(callTimeout):
		p.t.Fatalf("%s of process %d has not returned for %s", c.ServiceMethod, p.pid, callTimeout)
	}
}

func (p *peer) do(method string, args, reply any) {
	p.t.Helper()
	p.await(p.start(method, args, reply))
}

func (p *peer) listen(network Network, port int) (fd int, addr Address) {
	p.t.Helper()
	var r ListenReply
	p.do("Listen", ListenArgs{Network: network, Port: port}, &r)
	return r.FD, r.Address
}

func (p *peer) connect(network Network, to Address) int {
	p.t.Helper()
	var fd int
	p.do("Connect", ConnectArgs{Network: network, To: to}, &fd)
	return fd
}

func (p *peer) accept(listener int) int {
	p.t.Helper()
	var fd int
	p.do("Accept", listener, &fd)
	return fd
}

func (p *peer) close(fd int) {
	p.t.Helper()
	p.do("Close", fd, new(struct{}))
}

func (p *peer) send(a SendArgs) SendReply {
	p.t.Helper()
	var r SendReply
	p.do("Send", a, &r)
	return r
}

func (p *peer) receive(a ReceiveArgs) []byte {
	p.t.Helper()
	var r ReceiveReply
	p.do("Receive", a, &r)
	return r.Data
}
