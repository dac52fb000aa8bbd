// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
)

// foreign is what others say on a port that is looked at.
func foreign() map[string][]byte {
	random := make([]byte, 5000)
	source := rand.New(rand.NewPCG(1, 2))
	for i := range random {
		random[i] = byte(source.Uint32())
	}
	hello := []byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}
	hello = append(hello, random[:506]...)
	length := binary.BigEndian.AppendUint32(nil, 300) // a size as Kafka's, but not Kafka behind it
	return map[string][]byte{
		"HTTP":            []byte("POST /v1/metrics HTTP/1.1\r\nHost: localhost:9092\r\nContent-Length: 3\r\n\r\nabc"),
		"TLS":             hello,
		"random":          random,
		"zeros":           make([]byte, 3000),
		"length prefixed": append(length, random[:300]...),
		"text":            bytes.Repeat([]byte("all work and no play "), 99),
	}
}

// TestForeignTraffic: nothing comes of what is not Kafka. A connection of it is given up, and gets
// another chance at each Sweep: a proxy may reuse it.
func TestForeignTraffic(t *testing.T) {
	for name, bytes := range foreign() {
		t.Run(name, func(t *testing.T) {
			eachSide(t, func(t *testing.T, s *scene, sn seen) {
				w := s.connect("late")
				for range 40 { // more than FAILURES_TO_IGNORE of bpf/config.h
					w.carry(bytes, true)
					w.carry(bytes, false)
				}
				v := look(t, s.p)
				require.Empty(t, v.Offsets)
				require.Empty(t, v.Watermarks)
				require.Empty(t, v.Links)
				st := stats(t, s.p)
				require.EqualValues(t, 1, st.GivenUp)
				require.Zero(t, st.Recognised)
				require.Zero(t, entries(t, s.p, "connections"))

				w.exchange(w.apiVersions())
				w.exchange(w.commit("g", "t", 3, 100))
				require.Empty(t, look(t, s.p).Offsets, "given up until the next Sweep")

				require.NoError(t, s.p.Sweep(time.Hour))
				w.exchange(w.apiVersions())
				w.exchange(w.commit("g", "t", 3, 200))
				require.Equal(t, offsetsFrom("t", 3, 200), look(t, s.p).offsets("g"))
				v = look(t, s.p)
				v.link("late", sn.role())
			})
		})
	}
}

// TestAnyPort: without a list of ports Kafka is recognised by what is said.
func TestAnyPort(t *testing.T) {
	eachBackend(t, func(t *testing.T, b probe.Backend) {
		s := newQuietScene(t, clientSeen, IPv4)
		s.p = open(t, b)
		w := s.connect("anywhere")
		w.exchange(w.apiVersions())
		w.exchange(w.commit("group on any port", "t", 3, 100))
		require.Equal(t, offsetsFrom("t", 3, 100), look(t, s.p).offsets("group on any port"))
	})
}
