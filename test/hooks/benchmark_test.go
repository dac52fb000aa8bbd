// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
)

// BenchmarkCalls measures what the hooks cost those who make system calls: CPU time of one thread, in
// pairs of with and without, by turns, because machines change speed. The figures are of one round of
// the work: one getppid, or a request and its response, each written and read: four socket calls.
func BenchmarkCalls(b *testing.B) {
	talk := talker{id: "benchmark"}
	small := talk.commit("group", "topic", 1, 1)
	large := talk.fetch("topic", 1, batch(1, 10, 64<<10))
	other := exchange{bytes.Repeat([]byte("x"), len(small.request)), bytes.Repeat([]byte("y"), len(small.response))}
	for _, work := range []struct {
		name, kind string
		x          exchange
		times      int
	}{
		{"getppid", "getppid", exchange{}, 200_000},
		{"not Kafka", "exchange", other, 20_000},
		{"commit of 64 bytes", "exchange", small, 20_000},
		{"fetch of 64 KiB", "exchange", large, 4_000},
	} {
		for _, backend := range backends {
			b.Run(work.name+"/"+string(backend), func(b *testing.B) {
				child := newChild(b)
				listener, address := child.listen(IPv4, 0)
				args := LoopArgs{Kind: work.kind, Request: work.x.request, Response: work.x.response, Times: work.times}
				args.FDs = [2]int{child.connect(IPv4, address), child.accept(listener)}
				run := func() float64 {
					var took time.Duration
					child.do("Loop", args, &took)
					return float64(took) / float64(work.times)
				}
				run() // warm
				const pairs = 7
				var without, with, ratios []float64
				for b.Loop() {
					for range pairs {
						off := run()
						p, err := probe.Open(probe.Options{Backend: backend})
						require.NoError(b, err)
						on := run()
						require.NoError(b, p.Close())
						without, with, ratios = append(without, off), append(with, on), append(ratios, on/off)
					}
				}
				b.ReportMetric(0, "ns/op") // of seven pairs: says nothing
				b.ReportMetric(median(without), "ns/without")
				b.ReportMetric(median(with), "ns/with")
				b.ReportMetric(median(ratios), "ratio")
			})
		}
	}
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}
