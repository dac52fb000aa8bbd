// SPDX-License-Identifier: Apache-2.0

// Package hooks tests the hooks as root, on real sockets and with each backend. The probe ignores its
// own process, so the traffic it is to see comes from children: this test binary again, whose system
// calls the test dictates one by one over a pipe. What the probe is not to see, the test does itself.
//
// A call to a child returns after its system call has, and hooks run within system calls: a snapshot
// taken then is exact, and nothing here sleeps.
package hooks

import (
	"fmt"
	"io"
	"net/rpc"
	"os"
	"testing"
)

// roleVariable makes this binary a child.
const roleVariable = "EBPFKAFKA_TEST_HANDS"

func TestMain(m *testing.M) {
	role := os.Getenv(roleVariable)
	if role == "" {
		os.Exit(m.Run())
	}
	if role == roleOwnNetwork {
		if err := loopbackUp(); err != nil {
			fmt.Fprintln(os.Stderr, "setting the loopback interface up:", err)
			os.Exit(1)
		}
	}
	serveHands(struct {
		io.Reader
		io.WriteCloser
	}{os.Stdin, os.Stdout})
}

// serveHands does what is asked for until the connection ends.
func serveHands(c io.ReadWriteCloser) {
	s := rpc.NewServer()
	if err := s.Register(new(Hands)); err != nil {
		panic(err) // the methods do not fit net/rpc
	}
	s.ServeConn(c)
}
