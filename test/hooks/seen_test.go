// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

// backends are what every test runs on.
var backends = []probe.Backend{probe.Socket, probe.Syscall}

func init() {
	flag.Func("backends", "backends to test, with commas, on kernels that do not have all", func(names string) error {
		backends = nil
		for name := range strings.SplitSeq(names, ",") {
			backends = append(backends, probe.Backend(name))
		}
		return nil
	})
}

var old = flag.Bool("old", false, "test the object for kernels before 6.3, wherever this is")

func eachBackend(t *testing.T, f func(*testing.T, probe.Backend)) {
	for _, b := range backends {
		t.Run(string(b), func(t *testing.T) { f(t, b) })
	}
}

// open attaches a probe that looks at the given ports.
func open(t *testing.T, b probe.Backend, ports ...uint16) *probe.Probe {
	t.Helper()
	return openWith(t, probe.Options{Backend: b, Ports: ports})
}

func openWith(t *testing.T, o probe.Options) *probe.Probe {
	t.Helper()
	o.Old = *old
	p, err := probe.Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// A view is a snapshot with questions that tests ask.
type view struct {
	t *testing.T
	*state.Snapshot
}

func look(t *testing.T, p *probe.Probe) view {
	t.Helper()
	s, err := p.Snapshot()
	require.NoError(t, err)
	return view{t, s}
}

// topic is the name of a topic, or of the topic with that id.
func (v view) topic(id state.NameID) string {
	if name, ok := v.TopicIDs[id]; ok {
		id = name
	}
	return v.Names[id]
}

// offsets are a group's committed offsets by "topic/partition", those of two links side by side.
func (v view) offsets(group string) map[string][]int64 {
	m := make(map[string][]int64)
	for _, o := range v.Offsets {
		if v.Names[o.Group] == group {
			k := fmt.Sprintf("%s/%d", v.topic(o.Topic), o.Partition)
			if o.Source != state.OffsetCommitted {
				m[k] = append(m[k], -int64(o.Source))
			} else {
				m[k] = append(m[k], o.Offset)
			}
		}
	}
	return m
}

// commits is how many offsets of a group were acknowledged.
func (v view) commits(group string) (n uint64) {
	for _, c := range v.Commits {
		if v.Names[c.Group] == group && c.Error == 0 {
			n += c.Count
		}
	}
	return n
}

// watermarks are a topic's high watermarks by partition, those of two links side by side.
func (v view) watermarks(topic string) map[int32][]int64 {
	m := make(map[int32][]int64)
	for _, w := range v.Watermarks {
		if v.topic(w.Topic) == topic && w.HighWatermark >= 0 {
			m[w.Partition] = append(m[w.Partition], w.HighWatermark)
		}
	}
	return m
}

// links are the links of a client id with that role.
func (v view) links(client string, role state.Role) (links []state.Link) {
	for _, l := range v.Links {
		if v.Names[l.Client] == client && l.Role == role {
			links = append(links, l)
		}
	}
	return links
}

// link is the only link of a client id.
func (v view) link(client string, role state.Role) state.Link {
	v.t.Helper()
	links := v.links(client, role)
	require.Len(v.t, links, 1, "links of client %q in role %d: %+v", client, role, v.Links)
	return links[0]
}

// offsetsFrom is what a commit or fetch of that many partitions leaves: first, first+1 …
func offsetsFrom(topic string, partitions int, first int64) map[string][]int64 {
	m := make(map[string][]int64)
	for i := range partitions {
		m[fmt.Sprintf("%s/%d", topic, i)] = []int64{first + int64(i)}
	}
	return m
}

func watermarksFrom(partitions int, first int64) map[int32][]int64 {
	m := make(map[int32][]int64)
	for i := range partitions {
		m[int32(i)] = []int64{first + int64(i)}
	}
	return m
}

func stats(t *testing.T, p *probe.Probe) *probe.Stats {
	t.Helper()
	s, err := p.Stats()
	require.NoError(t, err)
	return s
}

// drops are the reasons that were counted.
func drops(s *probe.Stats) map[string]uint64 {
	m := make(map[string]uint64)
	for r, n := range s.Drops {
		if n > 0 {
			m[probe.Reason(r).String()] = n
		}
	}
	return m
}

// requireClean: nothing was lost or left out. But an interrupt may change the states of many connections on a CPU that
// is in the program which follows them; had one of the other programs been skipped, what it should have seen is missing.
func requireClean(t *testing.T, p *probe.Probe) {
	t.Helper()
	requireCleanSince(t, p, new(probe.Stats))
}

func requireCleanSince(t *testing.T, p *probe.Probe, before *probe.Stats) {
	t.Helper()
	s := stats(t, p)
	for r := range s.Drops {
		s.Drops[r] -= before.Drops[r]
	}
	lost := drops(s)
	delete(lost, "program_skipped")
	require.Empty(t, lost)
	require.Equal(t, before.Resynchronisations, s.Resynchronisations)
}

// awaitThat waits until f returns nil.
func awaitThat(t *testing.T, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
	defer cancel()
	require.NoError(t, wait.Until(ctx, f))
}

// entries counts the entries of a map.
func entries(t *testing.T, p *probe.Probe, name string) int {
	t.Helper()
	uses, err := p.Maps()
	require.NoError(t, err)
	for _, u := range uses {
		if u.Name == name {
			return u.Entries
		}
	}
	t.Fatalf("no map %q", name)
	return 0
}
