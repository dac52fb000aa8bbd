// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/clients"
	"github.com/ebpfkafka/ebpfkafka/test/collector"
)

// idleTime is how long the broker is left alone: six collections.
const idleTime = 6 * speedInterval

// controllerListener is where the broker, which is its own controller, talks to itself.
const controllerListener = "CONTROLLER"

// asked is what a broker was asked for while it was left alone, by its own counters.
type asked struct {
	requests, connections int64 // of clients
	heartbeats            int64 // of the broker to its controller: it was alive and counted
	cpu                   time.Duration
}

// askedOf has what happened without a collector, with one that knows the cluster and a group, and without again.
type askedOf struct{ before, with, after asked }

// requests leaves the broker alone, with a collector and before and after it.
func (s *speedScene) requests(ctx context.Context, t *testing.T) (found askedOf) {
	begin := s.counters(ctx, t)
	_, err := s.admin.ListGroups(ctx)
	require.NoError(t, err)
	end := s.counters(ctx, t)
	require.Positive(t, end["request ListGroups"]-begin["request ListGroups"], "counted of a request that was made")
	s.client.Close() // else it asks for metadata now and then

	found.before = s.idle(ctx, t)
	c := s.watch(ctx, t, speedInterval)
	_, err = s.java.Consume(ctx, speedTopic, speedPartitions, 1) // which commits at its end
	require.NoError(t, err)
	awaitShown(ctx, t, c, func(found collector.Samples) error { return hasConsumed(found, "speed-java") })
	found.with = s.idle(ctx, t)
	require.NoError(t, c.Stop())
	found.after = s.idle(ctx, t)
	return found
}

func (s *speedScene) counters(ctx context.Context, t *testing.T) map[string]int64 {
	counts, err := clients.BrokerCounters(ctx, s.broker)
	require.NoError(t, err)
	return counts
}

func (s *speedScene) idle(ctx context.Context, t *testing.T) (out asked) {
	before := s.counters(ctx, t)
	begin := cpu(t, s.broker.PID())
	time.Sleep(idleTime) // that much time is what is measured
	out.cpu = cpu(t, s.broker.PID()) - begin
	for name, count := range s.counters(ctx, t) {
		n := count - before[name]
		if n > 0 {
			t.Logf("%s: %d", name, n)
		}
		kind, of, _ := strings.Cut(name, " ")
		switch {
		case of == "BrokerHeartbeat":
			out.heartbeats += n
		case kind == "request":
			out.requests += n
		case of != controllerListener:
			out.connections += n
		}
	}
	require.Positive(t, out.heartbeats, "of the broker, which counts, then")
	return out
}
