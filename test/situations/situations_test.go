// SPDX-License-Identifier: Apache-2.0

package situations

import "testing"

// TestSituations runs every situation beside one broker.
func TestSituations(t *testing.T) {
	s := newScene(t)
	for _, situation := range []struct {
		name string
		run  func(*scene, *testing.T)
	}{
		{"SASL", (*scene).sasl},
		{"SASL raw tokens", (*scene).saslRaw},
		{"SASL again on a connection", (*scene).saslAgain},
		{"acks", (*scene).acks},
		{"pipelining", (*scene).pipelining},
		{"topics by name and by id", (*scene).namesAndIDs},
		{"quotas", (*scene).quotas},
		{"long names", (*scene).longNames},
		{"long metadata", (*scene).longMetadata},
		{"refusals to members", (*scene).membersRefused},
		{"refusals to members of KIP-848", (*scene).epochsRefused},
		{"refusals beside good ones", (*scene).partlyRefused},
		{"refusals by access control", (*scene).accessRefused},
		{"every error code", (*scene).everyError},
		{"answers cut", (*scene).answersCut},
		{"requests cut", (*scene).requestsCut},
		{"more in flight than limits.pending", (*scene).limitReached},
		{"a commit that cannot be seen", (*scene).unseen},
		{"5000 partitions in a commit", (*scene).manyPartitions}, // last: so many make a broker slow
	} {
		t.Run(situation.name, func(t *testing.T) { situation.run(s, t) })
	}
}
