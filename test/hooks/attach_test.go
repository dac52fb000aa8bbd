// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
)

// TestConnectionsThatExist: consumers run for weeks before a collector starts. What they say is
// understood after a few round trips, whenever in an exchange the probe came.
func TestConnectionsThatExist(t *testing.T) {
	type moment struct {
		name   string
		attach func(*wire, func())
	}
	for _, m := range []moment{
		{"between exchanges", func(_ *wire, attach func()) { attach() }},
		{"between request and response", func(w *wire, attach func()) {
			x := w.commit("g", "t", 3, 1)
			w.request(x)
			attach()
			w.answer(x)
		}},
		{"within a request", func(w *wire, attach func()) {
			x := w.commit("g", "t", 300, 1)
			w.client.send(SendArgs{FD: w.clientFD, Call: "write", Data: x.request[:777]})
			w.broker.receive(ReceiveArgs{FD: w.brokerFD, Call: "read", Bytes: 777})
			attach()
			w.carry(x.request[777:], true)
			w.answer(x)
		}},
		{"within a response", func(w *wire, attach func()) {
			x := w.commit("g", "t", 300, 1)
			w.request(x)
			w.broker.send(SendArgs{FD: w.brokerFD, Call: "write", Data: x.response[:777]})
			w.client.receive(ReceiveArgs{FD: w.clientFD, Call: "read", Bytes: 777})
			attach()
			w.carry(x.response[777:], false)
		}},
		{"with requests in flight", func(w *wire, attach func()) {
			xs := []exchange{w.commit("g", "t", 3, 1), w.commit("g", "t", 3, 2), w.commit("g", "t", 3, 3)}
			w.request(xs[0])
			w.request(xs[1])
			attach()
			w.request(xs[2])
			for _, x := range xs {
				w.answer(x)
			}
		}},
	} {
		t.Run(m.name, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, b probe.Backend) {
				for _, sn := range []seen{clientSeen, brokerSeen, bothSeen} {
					s := newQuietScene(t, sn, IPv4)
					w := s.connect("old")
					w.requests.receive, w.answers.receive = headAndRest("read", 4), headAndRest("read", 4)
					w.exchange(w.apiVersions())
					w.exchange(w.commit("g", "t", 3, 0))
					m.attach(w, func() { s.attach(b) })
					const enough = 4 // round trips
					for i := range enough {
						w.exchange(w.fetch("t", int64(i), batch(0, 1, 300)))
						w.exchange(w.commit("g", "t", 3, int64(100*i)))
					}
					v := look(t, s.p)
					for k, o := range offsetsFrom("t", 3, 100*(enough-1)) {
						require.Equal(t, o, v.offsets("g")[k], k)
					}
					require.Equal(t, watermarksFrom(1, enough-1), v.watermarks("t"))
					v.link("old", sn.role())
				}
			})
		})
	}
}
