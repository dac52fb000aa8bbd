// SPDX-License-Identifier: Apache-2.0

package decoder

import "github.com/ebpfkafka/ebpfkafka/internal/state"

// published lists as claims all that the kernel published, of all links. Values that say "not known" claim nothing.
func published(k *kernel, s *state.Snapshot) []claim {
	var all []claim
	for _, o := range s.Offsets {
		what := map[state.OffsetSource]string{
			state.OffsetCommitted: "commit", state.OffsetFetched: "fetched", state.OffsetDeleted: "fetched", state.OffsetUnknown: "unknown",
			state.OffsetTransaction: "transaction",
		}[o.Source]
		all = append(all, claim{
			what: what, group: k.name(uint64(o.Group)), topic: k.name(uint64(o.Topic)), partition: o.Partition, value: o.Offset,
		})
	}
	for _, w := range s.Watermarks {
		for what, n := range map[string]int64{"high": w.HighWatermark, "stable": w.LastStable, "start": w.LogStart} {
			if n >= 0 {
				all = append(all, claim{what: what, topic: k.name(uint64(w.Topic)), partition: w.Partition, value: n})
			}
		}
	}
	for _, c := range s.Commits {
		all = append(all, claim{what: "commit count", group: k.name(uint64(c.Group)), topic: k.name(uint64(c.Topic)), value: int64(c.Error)})
	}
	for _, g := range s.Groups {
		if g.Deleted != 0 {
			all = append(all, claim{what: "group deleted", group: k.name(uint64(g.Group))})
		}
	}
	for _, a := range s.Assignments {
		all = append(all, claim{what: "assigned", group: k.name(uint64(a.Group)), topic: k.name(uint64(a.Topic)), partition: a.Partition})
	}
	for _, x := range s.Shares {
		all = append(all, claim{what: "shared", group: k.name(uint64(x.Group)), topic: k.name(uint64(x.Topic)), partition: x.Partition})
	}
	for _, g := range s.Gone {
		all = append(all, claim{what: "gone", topic: k.name(uint64(g.Topic))})
	}
	for id, n := range s.TopicIDs {
		all = append(all, claim{what: "topic id", topic: k.name(uint64(id)), other: k.name(uint64(n))})
	}
	for _, l := range s.Links {
		if l.Cluster != state.NameNone {
			all = append(all, claim{what: "cluster", other: k.name(uint64(l.Cluster))})
		}
	}
	return all
}
