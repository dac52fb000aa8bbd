// SPDX-License-Identifier: Apache-2.0

package storms

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// caseTimeout bounds one test, beside its storms.
const caseTimeout = 5 * time.Minute

// knownNames is how many names a storm has: of the group, the topic, the client
// and the member (none), and the cluster's.
const knownNames = 8

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), caseTimeout+4**storm)
	t.Cleanup(cancel)
	return ctx
}

// eachBackend runs a test with both.
func eachBackend(t *testing.T, f func(t *testing.T, setting string)) {
	for _, backend := range []string{"socket", "syscall"} {
		t.Run(backend, func(t *testing.T) { f(t, "receivers::ebpf_kafka::backend: "+backend) })
	}
}

// TestConnections: connections that are opened and closed as fast as possible.
// Sockets of the kernel are used again at once, and in one storm ports are too.
func TestConnections(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		for _, mode := range []string{modeKafka, modeSamePort} {
			t.Run(mode, func(t *testing.T) {
				ctx := testContext(t)
				b := newBroker(ctx, t)
				c := newCollector(ctx, t, b, backend)
				on := newTallies(t)
				storming := newClients(t, b, mode, on)
				(&watch{c: c, board: on.board}).during(ctx, t, *storm)
				storming.end(t)
				awaitExact(ctx, t, c, on.board, true)
				awaitEmpty(ctx, t, c, knownNames)
			})
		}
		t.Run(modeForeign, func(t *testing.T) {
			ctx := testContext(t)
			b := newBroker(ctx, t)
			c := newCollector(ctx, t, b, backend)
			on, quiet := newTallies(t), newTallies(t)
			storming := newClients(t, b, modeForeign, on)
			steady := newClients(t, b, modeSteady, quiet)
			(&watch{c: c, board: quiet.board}).during(ctx, t, *storm)
			storming.end(t)
			steady.end(t)
			awaitExact(ctx, t, c, quiet.board, true)
			require.Zero(t, sum(on.acknowledged()))
			awaitEmpty(ctx, t, c, knownNames)
		})
	})
}
