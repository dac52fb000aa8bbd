// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/ebpfkafka/ebpfkafka/test/process"
)

// relayVariable makes this binary a relay that listens on the socket named.
const relayVariable = "EBPFKAFKA_TEST_RELAY"

// An app is a process whose Kafka clients live in the test: it passes their
// bytes on. To who watches the host, it is the process that talks.
type app struct {
	*process.Process
	t      *testing.T
	socket string
}

var relayReady = regexp.MustCompile(`ready`)

func startApp(t *testing.T, name string) *app {
	t.Helper()
	dir, err := os.MkdirTemp("", "relay") // a socket's path has at most 107 bytes: shorter than t.TempDir may be
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	socket := filepath.Join(dir, "s")
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), relayVariable+"="+socket)
	p, err := process.Start(name, "", cmd)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop(0)) })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err = p.Await(ctx, relayReady)
	require.NoError(t, err)
	return &app{p, t, socket}
}

// kill ends the process at once: the kernel closes its connections.
func (a *app) kill() {
	a.t.Helper()
	require.NoError(a.t, a.Stop(0))
}

// client makes a Kafka client within the app. It connects when it is used.
func (a *app) client(address, id string, options ...kgo.Opt) *kgo.Client {
	a.t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(address), kgo.ClientID(id), kgo.Dialer(a.dial), kgo.FetchMaxWait(pollInterval),
		kgo.MetadataMaxAge(metadataAge), kgo.MetadataMinAge(metadataAge), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.DisableClientMetrics(),
	}, options...)...)
	require.NoError(a.t, err)
	a.t.Cleanup(c.Close)
	return c
}

func (a *app) dial(ctx context.Context, _, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "unix", a.socket)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(c, address+"\n"); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// readsOnce behind an address asks for a connection whose process reads the
// first answer, and no more.
const readsOnce = " once"

// serveRelay passes on what comes by the socket to the address that the first
// line names, until it is killed.
func serveRelay(socket string) error {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			if err := relay(c); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
	}
}

func relay(near net.Conn) error {
	defer near.Close()
	in := bufio.NewReader(near)
	address, err := in.ReadString('\n')
	if err != nil {
		return err
	}
	address, once := strings.CutSuffix(strings.TrimSpace(address), readsOnce)
	far, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return err
	}
	defer far.Close()
	// Plain reads and writes: left alone, io.Copy would splice, which no client does.
	type reader struct{ io.Reader }
	type writer struct{ io.Writer }
	ended := make(chan struct{}, 2)
	pass := func(to io.Writer, from io.Reader) {
		io.Copy(writer{to}, reader{from}) // ends when either side closes
		ended <- struct{}{}
	}
	go pass(far, in)
	if once {
		size := make([]byte, 4)
		if _, err := io.ReadFull(far, size); err != nil {
			return err
		}
		if _, err := near.Write(size); err != nil {
			return err
		}
		if _, err := io.CopyN(writer{near}, reader{far}, int64(binary.BigEndian.Uint32(size))); err != nil {
			return err
		}
	} else {
		go pass(near, far)
	}
	<-ended
	return nil
}

const (
	// pollInterval is how often a consumer that has read everything asks again.
	pollInterval = 500 * time.Millisecond
	// metadataAge makes clients soon see topics come and go.
	metadataAge = time.Second
)
