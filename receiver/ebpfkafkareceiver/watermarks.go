// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"cmp"
	"context"
	"slices"

	"go.uber.org/zap"

	"github.com/ebpfkafka/ebpfkafka/internal/state"
	"github.com/ebpfkafka/ebpfkafka/internal/watermarks"
)

// maxSeeds is how many addresses of a cluster a client begins with: more than brokers are down at a time.
const maxSeeds = 8

// newPoller makes the poller that the configuration asks for, nil if it asks for none.
func newPoller(ctx context.Context, config *Config, logger *zap.Logger) (*watermarks.Poller, error) {
	w := config.Watermarks.Get()
	if w == nil {
		return nil, nil
	}
	clusters, err := w.clusters(ctx)
	if err != nil {
		return nil, err
	}
	return watermarks.New(watermarks.Options{
		Interval:   w.Interval,
		Clusters:   clusters,
		LogStart:   config.Metrics.KafkaPartitionOldestOffset.Enabled,
		LastStable: config.Metrics.KafkaPartitionLastStableOffset.Enabled,
		Logger:     logger,
	}), nil
}

// wantedWatermarks are the partitions that a view has committed offsets of. A cluster whose id is not known yet is left
// out: nobody could tell whether an answer is about it.
func wantedWatermarks(view *state.View) []watermarks.Wanted {
	type key struct {
		cluster, topic string
		partition      int32
	}
	seen := make(map[key]bool, len(view.Groups))
	index := newGrouping(func(cluster string) *watermarks.Wanted {
		return &watermarks.Wanted{Cluster: cluster, Partitions: make(map[string][]int32)}
	})
	for i := range view.Groups {
		g := &view.Groups[i]
		k := key{g.Cluster, g.Topic, g.Partition}
		if g.Cluster == "" || g.Unknown || seen[k] {
			continue
		}
		seen[k] = true
		w := index.at(g.Cluster)
		w.Partitions[g.Topic] = append(w.Partitions[g.Topic], g.Partition)
	}
	wanted := make([]watermarks.Wanted, 0, len(index.inOrder()))
	for _, w := range index.inOrder() {
		wanted = append(wanted, *w)
	}
	return wanted
}

// addBrokers adds the addresses at which this host has reached each cluster last. Addresses of other network namespaces
// may be somebody else's here. Only what Metadata said at the very address counts.
func addBrokers(wanted []watermarks.Wanted, s *state.Snapshot, netns uint32) {
	last := make(map[string]map[string]uint64, len(wanted)) // when each address was last used, by cluster
	for i := range wanted {
		last[wanted[i].Cluster] = make(map[string]uint64)
	}
	for _, l := range s.Links {
		if l.NetNS != netns || l.Cluster == state.NameNone {
			continue
		}
		if used, ok := last[s.Names[l.Cluster]]; ok {
			address := l.Broker.String()
			used[address] = max(used[address], l.LastSeen)
		}
	}
	for i := range wanted {
		used := last[wanted[i].Cluster]
		brokers := make([]string, 0, len(used))
		for address := range used {
			brokers = append(brokers, address)
		}
		slices.SortFunc(brokers, func(a, b string) int {
			return cmp.Or(cmp.Compare(used[b], used[a]), cmp.Compare(a, b))
		})
		brokers = brokers[:min(len(brokers), maxSeeds)]
		slices.Sort(brokers) // the same brokers are the same list
		wanted[i].Brokers = brokers
	}
}
