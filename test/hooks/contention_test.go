// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/bpf"
	"github.com/ebpfkafka/ebpfkafka/internal/probe"
)

// TestContention: on each connection one thread writes and another reads, more threads than there are
// CPUs. A response is then often read, and its hook has run, before the hook of the write of its
// request has. Every commit that was acknowledged is counted all the same.
func TestContention(t *testing.T) {
	const connections, commits, depth = 8, 4000, 16
	eachBackend(t, func(t *testing.T, b probe.Backend) {
		for _, sn := range []seen{clientSeen, bothSeen} {
			s := newScene(t, b, sn)
			serving := s.broker.start("ServeCommits", ServeArgs{Listener: s.listener, Connections: connections}, new(struct{}))
			s.client.do("Pipeline", PipelineArgs{To: s.address, Connections: connections, Commits: commits, Depth: depth}, new(struct{}))

			st := stats(t, s.p)
			t.Logf("%d of %d responses overtook their requests; left out: %v; resynchronised: %d",
				st.LateRequests, connections*commits, drops(st), st.Resynchronisations)
			v := look(t, s.p)
			want := make(map[string][]int64)
			for c := range connections {
				want[fmt.Sprintf("%s/0", pipelinedTopic(c))] = []int64{commits - 1}
			}
			require.EqualValues(t, connections*commits, v.commits(pipelinedGroup))
			require.Equal(t, want, v.offsets(pipelinedGroup))
			require.Zero(t, st.Drops[bpf.KafkaDropReasonDROP_ORPHAN_RESPONSE])
			for _, m := range []string{"requests", "pending", "parked"} {
				require.Zero(t, entries(t, s.p, m), m)
			}
			requireClean(t, s.p)
			s.client.kill()
			s.broker.await(serving)
		}
	})
}

// TestResponsesDuringAWrite: one call writes many requests and takes long, because the last is larger
// than all buffers. The first are answered, and their answers read, before its hook can run.
func TestResponsesDuringAWrite(t *testing.T) {
	const requests, partitions = 40, 50 // requests: below ORPHANS_MAX of bpf/frames.h
	eachBackend(t, func(t *testing.T, b probe.Backend) {
		s := newScene(t, b, clientSeen)
		w := s.connect("client")
		w.exchange(w.apiVersions())
		var early exchange
		for i := range requests {
			x := w.commit("g", "t", partitions, int64(1000*i))
			early.request = append(early.request, x.request...)
			early.response = append(early.response, x.response...)
		}
		large := w.produce("u", batch(0, 10, 24<<20), 70)

		var sent SendReply
		writing := w.client.start("Send", SendArgs{FD: w.clientFD, Call: "write", Thread: 1,
			Data: append(append([]byte(nil), early.request...), large.request...)}, &sent)
		w.broker.receive(ReceiveArgs{FD: w.brokerFD, Call: "read", Bytes: len(early.request), Sizes: []int{len(early.request)}})
		w.answers.receive = headAndRest("read", 4)
		w.answer(early)
		select {
		case <-writing.Done:
			t.Fatal("the write has ended: its last request was too small for this test")
		default:
		}
		require.Zero(t, look(t, s.p).commits("g"), "the requests were not seen yet")
		w.broker.receive(ReceiveArgs{FD: w.brokerFD, Call: "read", Bytes: len(large.request)})
		w.client.await(writing)
		require.Equal(t, 1, sent.Calls)

		v := look(t, s.p)
		require.EqualValues(t, requests*partitions, v.commits("g"))
		require.Equal(t, offsetsFrom("t", partitions, 1000*(requests-1)), v.offsets("g"))
		require.EqualValues(t, requests, stats(t, s.p).LateRequests)
		w.answer(large)
		for _, m := range look(t, s.p).Watermarks {
			require.EqualValues(t, 80, m.Produced)
		}
		for _, m := range []string{"requests", "pending", "parked"} {
			require.Zero(t, entries(t, s.p, m), m)
		}
		requireClean(t, s.p)
	})
}
