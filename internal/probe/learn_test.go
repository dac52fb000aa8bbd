// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/bpf"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// The id of a name is the same whether the kernel side or LearnTopic has entered it.
func TestTextName(t *testing.T) {
	p := detached(t)
	c := talk(t, p, 1, "10.0.0.1:9092")
	for _, name := range []string{
		"t", "orders", "eight888", "nine99999", strings.Repeat("x", 249), "ünïcode",
		strings.Repeat("a", 63), strings.Repeat("b", 64), strings.Repeat("c", 65), strings.Repeat("d", 255),
	} {
		require.NoError(t, p.Feed(c, Sent, commitRequest(9, "g", name, 1)))
		key, want, err := textName(name)
		require.NoError(t, err)
		var got bpf.KafkaName
		require.NoError(t, p.objects.Names.Lookup(key, &got), name)
		clear(got.Bytes[got.Length:]) // what longer ones have left there
		assert.Equal(t, *want, got)
	}
	_, _, err := textName(strings.Repeat("x", 256))
	assert.ErrorContains(t, err, "256 bytes")
}

func TestLearnTopic(t *testing.T) {
	p := detached(t)
	uuid := [16]byte{15: 7}
	id := state.NameID(4711)
	entry := bpf.KafkaName{Length: 16, Kind: uint8(bpf.KafkaNameKindNAME_UUID)}
	copy(entry.Bytes[:], uuid[:])
	require.NoError(t, p.objects.Names.Put(uint64(id), &entry))

	_, err := p.Snapshot()
	require.NoError(t, err)
	assert.Equal(t, map[[16]byte]state.NameID{uuid: id}, p.Unnamed())

	for range 2 { // a name that is known already is no fault
		require.NoError(t, p.LearnTopic(id, "orders"))
		s, err := p.Snapshot()
		require.NoError(t, err)
		assert.Equal(t, "orders", s.Names[s.TopicIDs[id]])
		assert.Empty(t, p.Unnamed())
	}
}

func TestLearnCluster(t *testing.T) {
	p := detached(t)
	talk(t, p, 1, "10.0.0.1:9092")
	cluster := func() (state.LinkID, string) {
		s := snapshot(t, p)
		require.Len(t, s.Links, 1)
		for id, l := range s.Links {
			return id, s.Names[l.Cluster]
		}
		return 0, ""
	}
	link, name := cluster()
	assert.Empty(t, name)
	require.NoError(t, p.LearnCluster(link, "abc"))
	_, name = cluster()
	assert.Equal(t, "abc", name)

	var v bpf.KafkaLinkValue
	require.NoError(t, p.objects.Links.Lookup(uint64(link), &v))
	told, err := p.enterName("told")
	require.NoError(t, err)
	v.Cluster = told
	require.NoError(t, p.objects.Links.Put(uint64(link), &v))
	_, name = cluster()
	assert.Equal(t, "told", name, "Metadata knows better")
	require.NoError(t, p.LearnCluster(link+1, "abc"), "a link that has ended meanwhile")
}
