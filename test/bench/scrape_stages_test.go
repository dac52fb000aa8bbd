// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// stageRounds is how often each stage runs.
const stageRounds = 10

// stages is the CPU time of the parts of a collection before metrics are made.
type stages struct{ maps, sweep, model time.Duration }

// measureStages runs the parts alone, on maps that were filled by decoded commits.
func measureStages(t *testing.T, n int) stages {
	p := open(t, n)
	fill(t, p, n)
	m := state.New(state.Options{WatermarkMaxAge: time.Hour, IdleTimeout: time.Hour})
	var out stages
	take := func(sum *time.Duration, f func()) {
		before := cpu(t, os.Getpid())
		f()
		*sum += (cpu(t, os.Getpid()) - before) / stageRounds
	}
	for range stageRounds { // in turn, as the receiver does
		var s *state.Snapshot
		var err error
		take(&out.maps, func() { s, err = p.Snapshot() })
		require.NoError(t, err)
		require.Len(t, s.Offsets, n)
		take(&out.model, func() { require.Len(t, m.Update(s).Groups, n) })
		take(&out.sweep, func() { err = p.Sweep(time.Hour) })
		require.NoError(t, err)
	}
	return out
}
