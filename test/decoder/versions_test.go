// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/schema"
)

// tested are the APIs that are compared with kmsg: all that the decoder looks into.
var tested = []kmsg.Key{
	kmsg.Produce, kmsg.Fetch, kmsg.ListOffsets, kmsg.Metadata, kmsg.OffsetCommit, kmsg.OffsetFetch,
	kmsg.FindCoordinator, kmsg.JoinGroup, kmsg.Heartbeat, kmsg.LeaveGroup, kmsg.SyncGroup, kmsg.SASLHandshake,
	kmsg.ApiVersions, kmsg.InitProducerID, kmsg.AddOffsetsToTxn, kmsg.EndTxn, kmsg.TxnOffsetCommit,
	kmsg.SASLAuthenticate, kmsg.DescribeCluster, kmsg.ConsumerGroupHeartbeat, kmsg.WriteTxnMarkers,
	kmsg.OffsetDelete, kmsg.DeleteGroups, kmsg.DeleteTopics, kmsg.ShareGroupHeartbeat, kmsg.ShareFetch,
	kmsg.ShareAcknowledge, kmsg.StreamsGroupHeartbeat,
}

// oneSided are the versions that only one of the two knows. A line that appears or goes is a new release of
// Kafka in internal/schema or of kmsg in go.mod: look whether the test still covers what it should.
var oneSided = []string{
	"ApiVersions 5: kmsg only",           // Kafka 4.4 (KIP-1242)
	"InitProducerId 6: ours only",        // two-phase commit (KIP-939), not yet stable
	"TxnOffsetCommit 6: kmsg only",       // Kafka 4.4
	"DeleteGroups 3: kmsg only",          // Kafka 4.4
	"StreamsGroupHeartbeat 1: kmsg only", // Kafka 4.4
}

type apiVersions struct {
	api      schema.API
	versions schema.VersionRange
}

// common returns the versions that both sides know, and fails when the others are not those of oneSided.
func common(t *testing.T) []apiVersions {
	var all []apiVersions
	var others []string
	for _, key := range tested {
		i := slices.IndexFunc(schema.APIs(), func(a schema.API) bool { return a.Key == key.Int16() })
		require.GreaterOrEqual(t, i, 0, "%s is not among our APIs", key.Name())
		api := schema.APIs()[i]
		theirs := schema.VersionRange{Max: kmsg.RequestForKey(api.Key).MaxVersion()}
		both := api.Versions.Intersect(theirs)
		for v := int16(0); v <= max(api.Versions.Max, theirs.Max); v++ {
			switch {
			case both.Has(v):
			case theirs.Has(v):
				others = append(others, fmt.Sprintf("%s %d: kmsg only", api.Name, v))
			default:
				others = append(others, fmt.Sprintf("%s %d: ours only", api.Name, v))
			}
		}
		all = append(all, apiVersions{api, both})
	}
	require.Equal(t, oneSided, others)
	return all
}

// TestEveryCaptureIsTested fails when the decoder comes to look into a message that is not in tested.
func TestEveryCaptureIsTested(t *testing.T) {
	for _, m := range schema.Messages() {
		if schema.Captured(m.Name) {
			require.True(t, slices.ContainsFunc(tested, func(k kmsg.Key) bool { return k.Int16() == m.APIKey }), m.Name)
		}
	}
}
