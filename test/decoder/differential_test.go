// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/schema"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

var (
	seedFlag      = flag.Uint64("seed", 0, "seed of the random tests; 0 takes one from the clock")
	exchangesFlag = flag.Int("exchanges", 200, "exchanges of TestDifferential for each API, version and role")
)

func seed(t testing.TB) uint64 {
	s := *seedFlag
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	t.Logf("rerun with: go test ./decoder -run '%s' -seed %d", t.Name(), s)
	return s
}

// exchange is a request, its response, and what must be reported of them.
type exchange struct {
	correlation             int32
	request, response       []byte
	wantRequest, wantAnswer *expectation
}

// chunk tests one version of one API in one role.
type chunk struct {
	k       *kernel
	r       *rand.Rand
	g       *generator
	model   *model
	api     schema.API
	version int16
	role    state.Role
	clients []*string
	batch   int // logical time
	frames  int
	reports int
}

// TestDifferential compares the decoder with kmsg for every version of every message that is decoded.
func TestDifferential(t *testing.T) {
	s := seed(t)
	versions := common(t)
	frames, reports, pairs := 0, 0, 0
	began := time.Now()
	for _, v := range versions {
		t.Run(v.api.Name, func(t *testing.T) {
			k := load(t, roomy)
			for version := v.versions.Min; version <= v.versions.Max; version++ {
				for _, role := range []state.Role{state.RoleClient, state.RoleBroker} {
					r := rand.New(rand.NewPCG(s, uint64(v.api.Key)<<32|uint64(version)<<8|uint64(role)))
					c := chunk{k: k, r: r, g: newGenerator(r), model: newModel(), api: v.api, version: version, role: role}
					c.run(t, *exchangesFlag)
					frames += c.frames
					reports += c.reports
				}
				pairs++
			}
		})
	}
	t.Logf("%d APIs, %d pairs of API and version, %d frames, %d reports compared in %s",
		len(versions), pairs, frames, reports, time.Since(began).Round(time.Millisecond))
}

func (c *chunk) run(t *testing.T, exchanges int) {
	empty, text := "", fmt.Sprintf("client-%d-%d", c.version, c.r.Uint32())
	c.clients = []*string{nil, &empty, &text}
	before := c.k.stats()
	entries := c.k.entries()
	what := fmt.Sprintf("%s version %d as %s", c.api.Name, c.version, [...]string{"?", "client", "broker"}[c.role])
	for done := 0; done < exchanges; {
		connection := c.k.connect(c.role)
		connection.correlation = int32(c.r.Uint32()) // also negative, and beyond the largest
		client := c.clients[c.r.IntN(len(c.clients))]
		for n := 5 + c.r.IntN(40); n > 0 && done < exchanges; {
			pipelined := 1
			if c.r.IntN(3) == 0 {
				pipelined += c.r.IntN(8)
			}
			require.NoError(t, c.exchange(connection, client, pipelined), "%s, after %d exchanges", what, done)
			n -= pipelined
			done += pipelined
		}
		connection.close()
	}
	require.NoError(t, c.model.check(c.k, c.role), what)
	require.Equal(t, c.model.drops, drops(before, c.k.stats()), "%s: left out", what)
	now := c.k.entries()
	require.Equal(t, entries["requests"], now["requests"], "%s: requests that were answered are still there", what)
	require.Equal(t, entries["pending"]+len(c.model.pending), now["pending"], "%s: values that await an answer", what)
	require.Zero(t, now["parked"], what)
	c.k.forget()
}

// exchange sends some requests and then their responses.
func (c *chunk) exchange(on *connection, client *string, n int) error {
	var all []exchange
	for range n {
		all = append(all, c.make(on, client))
	}
	c.batch++
	if err := c.direction(on, client, all, true); err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(e exchange) bool { return e.wantRequest.asked.noAnswer })
	if len(all) == 0 {
		return nil
	}
	err := c.direction(on, client, all, false)
	on.recognised = true
	return err
}

func (c *chunk) make(on *connection, client *string) exchange {
	req := kmsg.RequestForKey(c.api.Key)
	c.g.message(req, c.version)
	resp := req.ResponseKind()
	c.g.message(resp, c.version)
	c.g.answer(req, resp)
	on.correlation++
	asked := expectRequest(req, c.g.records.of)
	return exchange{
		correlation: on.correlation,
		request:     requestFrame(req, on.correlation, client, randomTags(c.r)),
		response:    responseFrame(resp, on.correlation, randomTags(c.r)),
		wantRequest: asked,
		wantAnswer:  expectResponse(resp, asked.asked, c.g.records.of),
	}
}

// direction delivers the frames of one direction, some of them or all in one stretch, and compares.
func (c *chunk) direction(on *connection, client *string, all []exchange, request bool) error {
	clientName := name{}
	if client != nil {
		clientName = name{kind: nameText, bytes: *client}
	}
	for len(all) > 0 {
		together := 1 + c.r.IntN(len(all))
		var stretch []byte
		var wants []want
		tooLong := 0
		for _, e := range all[:together] {
			frame, expected := e.response, e.wantAnswer
			if request {
				frame, expected = e.request, e.wantRequest
			}
			stretch = append(stretch, frame...)
			wants = append(wants, expected.wants...)
			tooLong += expected.tooLong
			at := place{
				connection: on.Key, role: c.role, correlation: e.correlation, client: clientName, asked: e.wantRequest.asked,
				askedAt: 2 * c.batch, now: 2*c.batch + 1, recognised: on.recognised,
			}
			for i := range expected.wants {
				c.model.apply(&expected.wants[i], at)
			}
		}
		if tooLong > 0 {
			c.model.drops["name_too_long"] += uint64(tooLong)
		}
		before := c.k.stats().Frames[c.api.Name]
		how := on.deliver(c.r, request, stretch)
		after := c.k.stats().Frames[c.api.Name]
		got := c.k.drain()
		which := "response"
		if request {
			which = "request"
		}
		if err := c.k.compare(got, c.api.Key, c.version, wants); err != nil {
			return fmt.Errorf("%d %ss delivered %s, % .200x: %w", together, which, how, stretch, err)
		}
		if after-before != uint64(together) {
			return fmt.Errorf("%d of %d %ss were decoded to their end, delivered %s: % .200x", after-before, together, which, how, stretch)
		}
		c.frames += together
		c.reports += len(wants)
		all = all[together:]
	}
	return nil
}
