// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

// lifecycleProgram is beside the hooks of every backend.
const lifecycleProgram = "socket_state"

// othersTimeout is how long BenchmarkCalls waits for other collectors on this machine to end: those of tests do.
const othersTimeout = 10 * time.Minute

// unwatched measures when no other collector is attached. It would decode the benchmark's traffic too, and what
// is to be "without" would not be.
func unwatched(b *testing.B, measure func() []float64) []float64 {
	ctx, cancel := context.WithTimeout(b.Context(), othersTimeout)
	defer cancel()
	for {
		require.NoError(b, wait.Until(ctx, func() error {
			n, err := watchers()
			if err == nil && n > 0 {
				err = fmt.Errorf("%d other collectors are attached: stop them", n)
			}
			return err
		}))
		figures := measure()
		n, err := watchers()
		require.NoError(b, err)
		if n == 0 {
			return figures
		}
		fmt.Fprintln(os.Stderr, "another collector has come: measuring anew")
	}
}

// watchers is how many times the hooks are attached on this machine.
func watchers() (n int, err error) {
	var all link.Iterator
	defer all.Close()
	for all.Next() {
		info, err := all.Link.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		name, err := programName(info.Program)
		if err != nil {
			return 0, err
		}
		if name == lifecycleProgram {
			n++
		}
	}
	return n, all.Err()
}

// programName is empty for a program that has gone.
func programName(id ebpf.ProgramID) (string, error) {
	p, err := ebpf.NewProgramFromID(id)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return "", err
	}
	return info.Name, nil
}
