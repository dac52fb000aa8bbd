// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/bpf"
	"github.com/ebpfkafka/ebpfkafka/internal/probe"
)

// frameOffsets is the receiver's default of limits.offsets: open makes room for twice as many as it is given.
const frameOffsets = defaultOffsets / 2

// framesAnew is after how many exchanges a connection is opened anew. A connection that is as busy as these has only so
// many batches looked at, and 160 are the most of a response; it begins with room for 3,814 (bpf/config.h).
const framesAnew = 20

// A meter runs the shipped decoder, and reads from the kernel how long it ran.
type meter struct {
	t       *testing.T
	probe   *probe.Probe
	program *ebpf.Program
	clients int
}

func newMeter(t *testing.T) *meter {
	m := &meter{t: t, probe: open(t, frameOffsets)}
	t.Cleanup(keepStatistics(t))
	m.program = programsOf(t, os.Getpid())[bpf.KafkaProgFeedTest]
	require.NotNil(t, m.program, "none of this process's descriptors is of a program %q", bpf.KafkaProgFeedTest)
	return m
}

func (m *meter) stats() *ebpf.ProgramStats {
	stats, err := m.program.Stats()
	require.NoError(m.t, err)
	return stats
}

// runs is the time in the decoder, in nanoseconds, of what makes it run n times.
func (m *meter) runs(n int, f func()) float64 {
	before := m.stats()
	f()
	after := m.stats()
	require.Equal(m.t, before.RunCount+uint64(n), after.RunCount, "how often the decoder ran, as the kernel counts")
	return float64(after.Runtime - before.Runtime)
}

// turn repeats f for a while.
func (m *meter) turn(f func()) {
	for end := time.Now().Add(frameTurn); time.Now().Before(end); {
		f()
	}
}

// client is one whose connection is known to speak Kafka.
func (m *meter) client() *client {
	c := newClient(m.t, m.probe, m.clients)
	m.clients++
	c.introduce()
	return c
}

// introduce has the connection recognised.
func (c *client) introduce() {
	first := newest(heartbeat())
	c.exchange(first.request, first.response)
}

// stranger makes a call on a connection that is not Kafka's and was given up: the least that the decoder can do.
func (m *meter) stranger() func() {
	c := newClient(m.t, m.probe, m.clients)
	m.clients++
	call := func() error { return m.probe.Feed(&c.connection, probe.Sent, []byte("GET / HTTP/1.1\r\n\r\n")) }
	const calls = 100 // more than it takes
	for range calls {
		if call() != nil {
			break
		}
	}
	return func() { require.ErrorIs(m.t, call(), probe.ErrRefused) }
}

// A meteredRow is a row with the client that it happens to.
type meteredRow struct {
	frameCost
	*meter
	client *client
	frames [2][]byte
	first  [][2][]byte // what is before them
}

func (m *meter) row(row frameRow) *meteredRow {
	c := m.client()
	r := &meteredRow{frameCost: frameCost{frameRow: row}, meter: m, client: c}
	for _, x := range row.before {
		r.first = append(r.first, c.frames(x.request, x.response))
	}
	r.frames = c.frames(row.request, row.response)
	r.bytes = [2]int{len(r.frames[0]), len(r.frames[1])}
	r.reads = 1
	if row.read > 0 {
		r.reads = (r.bytes[1] + row.read - 1) / row.read
	}
	return r
}

// feed hands over a frame in calls of so many bytes.
func (r *meteredRow) feed(d probe.Direction, frame []byte, size int) {
	for piece := range slices.Chunk(frame, size) {
		require.NoError(r.t, r.probe.Feed(&r.client.connection, d, piece))
	}
}

// send hands over the request, in one call.
func (r *meteredRow) send() {
	if r.buffer == 0 {
		r.feed(probe.Sent, r.frames[0], r.bytes[0])
		return
	}
	buffers := slices.Collect(slices.Chunk(r.frames[0], r.buffer))
	require.NoError(r.t, r.probe.FeedVector(&r.client.connection, probe.Sent, buffers, r.bytes[0]))
}

// turn measures the row for a while, and fails if anything was not understood.
func (r *meteredRow) turn() {
	before, err := r.probe.Stats()
	require.NoError(r.t, err)
	size := r.read
	if size == 0 {
		size = r.bytes[1]
	}
	n := uint64(0)
	r.meter.turn(func() {
		if n%framesAnew == 0 && r.request.Key() == int16(kmsg.Fetch) {
			require.NoError(r.t, r.probe.FeedClose(&r.client.connection))
			r.client.introduce()
		}
		for _, x := range r.first {
			r.feed(probe.Sent, x[0], len(x[0]))
			r.feed(probe.Received, x[1], len(x[1]))
		}
		r.took[0] = append(r.took[0], r.runs(1, r.send))
		r.took[1] = append(r.took[1], r.runs(r.reads, func() { r.feed(probe.Received, r.frames[1], size) }))
		n++
	})
	after, err := r.probe.Stats()
	require.NoError(r.t, err)
	for i := range after.Drops {
		require.Equal(r.t, before.Drops[i], after.Drops[i], "%s: left out: %s", r, probe.Reason(i))
	}
	api := apiOf(r.request).Name
	require.Equal(r.t, before.Frames[api]+2*n, after.Frames[api], "%s: understood requests and responses", r)
	require.Equal(r.t, before.Resynchronisations, after.Resynchronisations, "%s: the place was lost", r)
}
