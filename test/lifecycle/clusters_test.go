// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
)

// twoClusters: topics and groups of equal names, and processes that talk to
// both clusters.
func (s *scene) twoClusters(t *testing.T) {
	for _, of := range []struct{ name, first, second string }{
		{"two client ids", "one", "two"}, {"one client id", "same", "same"}, {"no client id", "", ""},
	} {
		t.Run(of.name, func(t *testing.T) {
			t.Parallel()
			topic, name := named(t, "t"), named(t, "g")
			const partitions = 2
			s.main.topic(t, topic, partitions, 30)
			s.other.topic(t, topic, partitions+1, 70)
			a := startApp(t, "of two clusters")
			options := append(consumerOf(name, topic), byName()) // a topic id would tell the clusters apart
			here := a.client(s.main.Addr, of.first, options...)
			there := a.client(s.other.Addr, of.second, options...)
			begin := time.Now()
			consume(t, here, partitions*30)
			consume(t, there, (partitions+1)*70)
			s.apart(t, name)
			within(t, func(ctx context.Context) error { return commitAt(ctx, here, topic, 11, 12) })
			s.apart(t, name)
			s.other.produce(t, topic, partitions+1, 5)
			consume(t, there, (partitions+1)*5)
			s.apart(t, name)
			for _, v := range s.views() {
				snapshots, _ := v.since(t, begin)
				s.requireEither(t, snapshots, name)
			}
			for _, c := range []*kgo.Client{here, there} {
				c.Close()
			}
			for _, v := range s.views() {
				v.await(t, time.Now(), noClients(name))
			}
			s.apart(t, name)
		})
	}
}

// apart requires that each cluster's group is what its own broker says.
func (s *scene) apart(t *testing.T, group string) {
	t.Helper()
	s.agree(t, s.main, group, lagsMayLack)
	s.agree(t, s.other, group, lagsMayLack)
}

// requireEither: no snapshot told of the group in a cluster that is neither, and
// both clusters' differ from the first to the last.
func (s *scene) requireEither(t *testing.T, snapshots []snapshot, group string) {
	t.Helper()
	partitions := map[string]int{s.main.ClusterID: 2, s.other.ClusterID: 3}
	for _, taken := range snapshots {
		seen := map[string]map[string]collector.Sample{}
		for _, sample := range taken.Named("kafka_consumer_group_offset").With("group", group) {
			id := sample.Labels["kafka_cluster_id"]
			if id == "" {
				continue // not known yet: then it must not be merged, which the values below tell
			}
			if seen[id] == nil {
				seen[id] = map[string]collector.Sample{}
			}
			seen[id][sample.Labels["partition"]] = sample
		}
		for id, of := range seen {
			require.LessOrEqual(t, len(of), partitions[id], "%v: cluster %q: %v", taken.at, id, of)
		}
		for partition, sample := range seen[s.main.ClusterID] {
			// Here offsets never pass 30, there they are 70 or more.
			require.LessOrEqual(t, sample.Value, 30.0, fmt.Sprint(taken.at, partition, sample))
		}
		for partition, sample := range seen[s.other.ClusterID] {
			require.GreaterOrEqual(t, sample.Value, 70.0, fmt.Sprint(taken.at, partition, sample))
		}
	}
}
