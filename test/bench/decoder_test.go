// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
)

// BenchmarkDecoder is the time of one request and its response, with the two BPF_PROG_TEST_RUN calls
// that bring them in; "empty call" is what such a call costs alone.
func BenchmarkDecoder(b *testing.B) {
	b.Run("empty call", func(b *testing.B) {
		p := open(b, 1000)
		c := newClient(b, p, 0)
		for b.Loop() {
			require.NoError(b, p.FeedClose(&c.connection))
		}
	})
	for _, x := range []struct {
		name string
		make func() (kmsg.Request, kmsg.Response)
		// ops of the interpreter in both frames, where the heads do not matter beside them: of each partition 7
		// in the request (index, offset, epoch, metadata, tags, report, loop) and 5 in the response. Two of them are
		// reports, which put the offset asked for into a map and take it out again.
		ops int
	}{
		{"Heartbeat", heartbeat, 0},
		{"OffsetCommit of 1 partition", func() (kmsg.Request, kmsg.Response) { return commit("checkout", 1, 1) }, 0},
		{"OffsetCommit of 10 partitions", func() (kmsg.Request, kmsg.Response) { return commit("checkout", 1, 10) }, 0},
		{"OffsetCommit of 1000 partitions", func() (kmsg.Request, kmsg.Response) { return commit("checkout", 10, 100) }, 12_000},
		{"Fetch of 10 empty partitions", func() (kmsg.Request, kmsg.Response) { return fetch(1, 10, 0) }, 0},
		{"Fetch of 10 partitions with 64 KiB", func() (kmsg.Request, kmsg.Response) { return fetch(1, 10, 64<<10) }, 0},
	} {
		b.Run(x.name, func(b *testing.B) {
			p := open(b, 2000)
			c := newClient(b, p, 0)
			frames := c.frames(x.make())
			b.SetBytes(int64(len(frames[0]) + len(frames[1])))
			for b.Loop() {
				require.NoError(b, p.Feed(&c.connection, probe.Sent, frames[0]))
				require.NoError(b, p.Feed(&c.connection, probe.Received, frames[1]))
			}
			if x.ops > 0 {
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*x.ops), "ns/operation")
			}
			stats, err := p.Stats()
			require.NoError(b, err)
			for i, n := range stats.Drops {
				require.Zero(b, n, fmt.Sprint("dropped: ", probe.Reason(i)))
			}
		})
	}
}
