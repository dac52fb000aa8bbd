// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/process"
)

var backends []string

func init() {
	flag.Func("backends", "the receiver's backends to test, with commas; empty: auto", func(s string) error {
		backends = strings.Split(s, ",")
		return nil
	})
}

// roleVariable makes this binary a broker or a client.
const roleVariable = "EBPFKAFKA_TEST_ROLE"

var roles = map[string]func(args []string) error{"broker": broker, "client": client}

func TestMain(m *testing.M) {
	role, ok := roles[os.Getenv(roleVariable)]
	if !ok {
		os.Exit(m.Run())
	}
	if err := role(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// start runs this binary in a role until the test ends. What is written to input it reads.
func start(t *testing.T, role string, args ...string) (p *process.Process, input io.Writer) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	input, err := cmd.StdinPipe()
	require.NoError(t, err)
	p, err = process.Start(role, "", cmd)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop(0)) })
	return p, input
}

// patience is for emulated machines, which are fifty times slower.
const patience = 2 * time.Minute

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, fmt.Errorf("not within %s", patience))
	t.Cleanup(cancel)
	return ctx
}
