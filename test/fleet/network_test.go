// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// prefix of the names of namespaces and devices; the test's process id and the
// number of the host follow.
const prefix = "kfleet"

// host is a network namespace with one address.
type host struct {
	namespace string // its file
	address   string
}

// newNetwork makes so many hosts, joined by a bridge by which this namespace
// reaches them too, and removes them at the end of the test.
func newNetwork(t *testing.T, count int) []host {
	removeLeftovers(t)
	name := func(i int) string { return fmt.Sprintf("%s%d-%d", prefix, os.Getpid(), i) }
	bridge := name(0)
	// Of 198.18.0.0/15, which RFC 2544 sets aside for tests of networks.
	address := func(i int) string { return fmt.Sprintf("198.18.%d.%d", os.Getpid()%256, i) }
	ip(t, "link", "add", bridge, "type", "bridge")
	t.Cleanup(func() { ip(t, "link", "del", bridge) })
	ip(t, "addr", "add", address(254)+"/24", "dev", bridge)
	ip(t, "link", "set", bridge, "up")
	var hosts []host
	for i := 1; i <= count; i++ {
		ip(t, "netns", "add", name(i))
		t.Cleanup(func() { ip(t, "netns", "del", name(i)) })
		ip(t, "link", "add", name(i), "type", "veth", "peer", "name", "eth0", "netns", name(i))
		// Both ends at once. With the namespace alone they would go some time later.
		t.Cleanup(func() { ip(t, "link", "del", name(i)) })
		ip(t, "link", "set", name(i), "master", bridge, "up")
		ip(t, "-n", name(i), "addr", "add", address(i)+"/24", "dev", "eth0")
		ip(t, "-n", name(i), "link", "set", "lo", "up")
		ip(t, "-n", name(i), "link", "set", "eth0", "up")
		hosts = append(hosts, host{namespace: filepath.Join("/run/netns", name(i)), address: address(i)})
	}
	return hosts
}

// removeLeftovers removes what a test that was killed has left.
func removeLeftovers(t *testing.T) {
	left := func(name string) bool {
		rest, ours := strings.CutPrefix(name, prefix)
		pid, _, _ := strings.Cut(rest, "-")
		n, err := strconv.Atoi(pid)
		return ours && err == nil && unix.Kill(n, 0) == unix.ESRCH
	}
	// The folder is not there before the first namespace.
	files, _ := os.ReadDir("/run/netns")
	for _, f := range files {
		if left(f.Name()) {
			ip(t, "netns", "del", f.Name())
		}
	}
	devices, err := net.Interfaces()
	require.NoError(t, err)
	for _, d := range devices {
		if left(d.Name) && strings.HasSuffix(d.Name, "-0") { // the bridge; cables go with their namespace
			ip(t, "link", "del", d.Name)
		}
	}
}

func ip(t *testing.T, args ...string) {
	out, err := exec.Command("ip", args...).CombinedOutput()
	require.NoError(t, err, "ip %s: %s(needs root and iproute2; test/install.sh network)", strings.Join(args, " "), out)
}

// dial connects from the host, as kgo.Dialer takes it.
func (h host) dial(ctx context.Context, network, address string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result)
	go func() {
		// A socket belongs to the namespace of the thread that makes it. The
		// goroutine ends without unlocking its thread, which ends with it.
		runtime.LockOSThread()
		var r result
		if r.err = h.enter(); r.err == nil {
			var d net.Dialer
			r.conn, r.err = d.DialContext(ctx, network, address)
		}
		done <- r
	}()
	r := <-done
	return r.conn, r.err
}

// enter moves the calling thread to the host.
func (h host) enter() error {
	f, err := os.Open(h.namespace)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("setns %s: %w (needs root)", h.namespace, err)
	}
	return nil
}
