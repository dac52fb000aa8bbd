// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

var sizes = []int{10_000, 100_000}

// BenchmarkSnapshot reads the maps.
func BenchmarkSnapshot(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := open(b, n)
			fill(b, p, n)
			b.ReportAllocs()
			for b.Loop() {
				s, err := p.Snapshot()
				require.NoError(b, err)
				require.Len(b, s.Offsets, n)
			}
		})
	}
}

// BenchmarkSweep is what is done after each snapshot.
func BenchmarkSweep(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := open(b, n)
			fill(b, p, n)
			_, err := p.Snapshot()
			require.NoError(b, err)
			for b.Loop() {
				require.NoError(b, p.Sweep(time.Hour))
			}
		})
	}
}

// BenchmarkModel joins a snapshot.
func BenchmarkModel(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := open(b, n)
			fill(b, p, n)
			s, err := p.Snapshot()
			require.NoError(b, err)
			m := state.New(state.Options{WatermarkMaxAge: time.Hour, IdleTimeout: time.Hour})
			b.ReportAllocs()
			for b.Loop() {
				v := m.Update(s)
				require.Len(b, v.Groups, n)
			}
		})
	}
}
