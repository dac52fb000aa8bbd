// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// interleavedAPIs change what groups are known to have. A transaction takes several of them, over several connections.
var interleavedAPIs = []kmsg.Key{
	kmsg.OffsetCommit, kmsg.OffsetCommit, kmsg.TxnOffsetCommit, kmsg.TxnOffsetCommit, kmsg.TxnOffsetCommit, kmsg.EndTxn, kmsg.EndTxn,
	kmsg.WriteTxnMarkers, kmsg.WriteTxnMarkers, kmsg.OffsetFetch, kmsg.OffsetDelete, kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat,
	kmsg.LeaveGroup, kmsg.ConsumerGroupHeartbeat, kmsg.DeleteGroups, kmsg.ShareAcknowledge,
}

// TestInterleaved compares the maps with the model after random messages of few groups, producers and partitions, on
// several connections of two clients.
func TestInterleaved(t *testing.T) {
	const rounds, messages, connections = 40, 80, 5
	s := seed(t)
	versions := common(t)
	k := load(t, roomy)
	transactions := 0
	for round := range rounds {
		for _, role := range []state.Role{state.RoleClient, state.RoleBroker} {
			r := rand.New(rand.NewPCG(s, uint64(round)<<8|uint64(role)))
			g := newGenerator(r)
			g.topics, g.groups, g.members, g.ids = g.topics[:2], g.groups[:2], g.members[:2], g.ids[:2]
			g.producers = int64(10 * round)
			c := chunk{k: k, r: r, g: g, model: newModel(), role: role}
			all := make([]*connection, connections)
			clients := make([]string, connections)
			before := k.stats()
			for i := range all {
				all[i], clients[i] = k.connect(role), fmt.Sprintf("client-%d-%d", round, i%2)
				c.pick(versions, kmsg.Heartbeat)
				require.NoError(t, c.exchange(all[i], &clients[i], 1))
			}
			began := time.Now()
			for range messages {
				c.pick(versions, interleavedAPIs[r.IntN(len(interleavedAPIs))])
				i := r.IntN(connections)
				require.NoError(t, c.exchange(all[i], &clients[i], 1), "round %d", round)
			}
			// While markers may not be written, what is fetched does not count: see TestTransactionReadBeforeItsMarkers.
			if took := time.Since(began); took < time.Second {
				require.NoError(t, c.model.check(k, role), "round %d", round)
				require.Equal(t, c.model.drops, drops(before, k.stats()), "round %d", round)
			} else {
				t.Logf("round %d took %s: not compared", round, took)
			}
			for _, o := range c.model.offsets {
				if o.source == state.OffsetTransaction {
					transactions++
				}
			}
			for i := range all {
				all[i].close()
			}
			k.forget()
		}
	}
	require.Greater(t, transactions, rounds)
	t.Logf("%d offsets by transactions", transactions)
}

// pick takes any version of an API.
func (c *chunk) pick(versions []apiVersions, key kmsg.Key) {
	v := versions[slices.IndexFunc(versions, func(v apiVersions) bool { return v.api.Key == key.Int16() })]
	c.api, c.version = v.api, v.versions.Min+int16(c.r.IntN(int(v.versions.Max-v.versions.Min)+1))
}
