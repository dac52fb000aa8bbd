// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"errors"
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/bpf"
	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// failuresToIgnore is FAILURES_TO_IGNORE of bpf/config.h. One call fails twice at most.
const failuresToIgnore = 32

// roundTrips is how many exchanges it may take until one is decoded again. Measured: nearly always the first.
const roundTrips = 4

// recovery is how it went.
type recovery struct {
	trips     int  // round trips until an exchange was decoded, the one decoded among them
	givenUp   bool // until the next tick
	wrongRole bool // garbage had looked like a request of the other end
}

// fed is the decoder's state of a connection.
func (c *connection) fed() *bpf.KafkaConnection {
	v, err := c.k.FedConnection(&c.FeedConnection)
	require.NoError(c.k.t, err)
	return v
}

// recover proves that a connection that has seen anything at all is decoded again: after what its frames have
// announced has passed (whoever says that 90 MiB follow is believed, as Kafka itself would), an exchange of
// frames that begin at calls is decoded after a few round trips. A connection that was never recognised may have
// been given up instead, but not early; one on which garbage passed for a request of the other end may get there.
func (c *connection) recover() (r recovery, err error) {
	for r.trips = 1; ; r.trips++ {
		if c.refused {
			if c.recognised {
				return r, errors.New("given up although it was recognised")
			}
			if 2*c.calls <= failuresToIgnore {
				return r, fmt.Errorf("given up after %d calls", c.calls)
			}
			r.givenUp = true
			return r, nil
		}
		c.passAnnounced()
		if c.refused {
			continue
		}
		c.k.lastOffset++
		correlation, offset := int32(0x70000000)+int32(c.k.lastOffset), c.k.lastOffset
		c.feed(true, commitRequest(correlation, "recovery", "recovery", 1, offset))
		c.feed(false, commitResponse(correlation, "recovery", 1, 0))
		for _, o := range c.k.snapshot().Offsets {
			if o.Offset == offset && o.Source == state.OffsetCommitted && c.k.name(uint64(o.Group)).bytes == "recovery" {
				return r, nil
			}
		}
		if v := c.fed(); v != nil && v.Role != uint8(state.RoleUnknown) && v.Role != uint8(c.role) {
			r.wrongRole = true
		}
		if r.trips >= roundTrips && !r.wrongRole || r.trips > 3*failuresToIgnore {
			v := c.fed()
			return r, fmt.Errorf("not decoded after %d round trips: role %d, confirmed %d, failures %d, in sync %d and %d, drops %v",
				r.trips, v.Role, v.Confirmed, v.Failures, v.Streams[0].InSync, v.Streams[1].InSync, drops(&probe.Stats{}, c.k.stats()))
		}
	}
}

// passAnnounced lets pass what is left of the frames that the connection is in.
func (c *connection) passAnnounced() {
	for range 8 {
		v := c.fed()
		if v == nil {
			return
		}
		left := [2]int{int(v.Streams[0].FrameLeft), int(v.Streams[1].FrameLeft)}
		if left == [2]int{} {
			return
		}
		for d, n := range left {
			if n > 0 && !c.refused {
				c.accepted(c.k.FeedUnseen(&c.FeedConnection, probe.Direction(d), n))
			}
		}
	}
}
