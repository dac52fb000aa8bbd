// SPDX-License-Identifier: Apache-2.0

package storms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/test/process"
)

const (
	roleBroker = "broker"

	// addresses is how many the broker has: the ports of a client's end are used
	// up for one address after 28,000 connections, until TIME_WAIT is over.
	addresses = 8
	// acceptors serve one connection each, on every address.
	acceptors = 16
)

// playBroker answers on loopback addresses of its own. What does not begin as a
// frame does gets its own bytes back.
func playBroker([]string) error {
	var listening []string
	failed := make(chan error)
	for i := range addresses {
		fd, at, err := listen(netip.AddrFrom4([4]byte{127, 0, 0, byte(1 + i)}))
		if err != nil {
			return err
		}
		listening = append(listening, at.String())
		for range acceptors {
			go func() {
				for {
					c, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
					if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNABORTED) {
						continue
					}
					if err != nil {
						failed <- err
						return
					}
					if err := serve(c); err != nil {
						failed <- err
						return
					}
				}
			}()
		}
	}
	fmt.Println("listening on", strings.Join(listening, ","))
	return <-failed
}

// shout is what those say who do not speak Kafka.
var shout = []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")

func serve(c int) error {
	defer unix.Close(c)
	for {
		head := make([]byte, 4)
		err := readFull(c, head)
		if err == nil && bytes.HasPrefix(shout, head) {
			rest := make([]byte, len(shout)-len(head))
			if err = readFull(c, rest); err == nil {
				err = writeFull(c, append(head, rest...))
			}
			if err == nil {
				continue
			}
		}
		var frame, out []byte
		if err == nil {
			frame, err = readRest(c, head)
		}
		if err == nil {
			if out, err = answer(frame); err != nil {
				return err
			}
			err = writeFull(c, out)
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
			return nil
		default:
			return err
		}
	}
}

// A broker is a running one.
type broker struct{ addresses []string }

func newBroker(ctx context.Context, t *testing.T) *broker {
	t.Helper()
	p, err := process.Start(roleBroker, filepath.Join(t.TempDir(), "broker.log"), exec.Command("/proc/self/exe", roleBroker))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.True(t, p.Running(), "the broker has ended: %s", p.Output())
		require.NoError(t, p.Stop(0))
	})
	match, err := p.Await(ctx, regexp.MustCompile(`listening on (.*)`))
	require.NoError(t, err)
	return &broker{addresses: strings.Split(match[1], ",")}
}

// onlyHere is the setting by which a collector looks at this broker alone,
// whatever else is going on on the machine.
func (b *broker) onlyHere() string {
	var ports []string
	for _, a := range b.addresses {
		ports = append(ports, a[strings.LastIndexByte(a, ':')+1:])
	}
	return "receivers::ebpf_kafka::discovery::ports: [" + strings.Join(ports, ", ") + "]"
}
