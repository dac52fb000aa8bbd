// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// A socket on other ports than those of the configuration is given up at its first call, whatever it says, and is none
// that was looked at. Those on one of them are followed, at both ends.
func TestPorts(t *testing.T) {
	o := roomy
	o.Ports = []uint16{9093, 9092}
	for _, role := range []state.Role{state.RoleClient, state.RoleBroker} {
		k := load(t, o)
		s := &situation{connection: k.connect(role), began: k.stats()}
		s.exchange("g", "t", 2, 10)
		assert.Equal(t, counting(2, 10), s.committed("g", "t"))
	}

	o.Ports = []uint16{9093, 19092}
	s := situate(t, o)
	request, _ := s.commit("g", "t", 2, 10)
	require.NoError(t, s.k.Feed(&s.FeedConnection, probe.Sent, request))
	for range 3 {
		assert.ErrorIs(t, s.k.Feed(&s.FeedConnection, probe.Sent, request), probe.ErrRefused)
	}
	assert.Zero(t, s.k.entries()["connections"])
	assert.Equal(t, s.began.GivenUp, s.k.stats().GivenUp)
	assert.Equal(t, none, s.left())
}
