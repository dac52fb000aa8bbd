// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

const (
	replicas     = 3
	offsetsTopic = "__consumer_offsets"
)

// createTopic creates a topic whose replicas are on every broker and whose
// leaders are spread.
func createTopic(ctx context.Context, admin *kadm.Client, topic string, partitions int) error {
	r, err := admin.CreateTopic(ctx, int32(partitions), replicas, nil, topic)
	if err == nil {
		err = r.Err
	}
	if err != nil {
		return fmt.Errorf("create topic %s: %w", topic, err)
	}
	return wait.Until(ctx, func() error {
		leaders, err := leaders(ctx, admin, topic)
		if err == nil && len(brokersOf(leaders)) < replicas {
			err = fmt.Errorf("topic %s is led by %v, want %d brokers", topic, leaders, replicas)
		}
		return err
	})
}

// partition is one of a topic.
type partition struct {
	topic  string
	number int32
}

// leaders returns the leader of each partition, or an error while one has none.
func leaders(ctx context.Context, admin *kadm.Client, topics ...string) (map[partition]int32, error) {
	metadata, err := admin.Metadata(ctx, topics...)
	if err != nil {
		return nil, err
	}
	led := map[partition]int32{}
	for _, topic := range metadata.Topics {
		if topic.Err != nil {
			return nil, fmt.Errorf("topic %s: %w", topic.Topic, topic.Err)
		}
		for _, p := range topic.Partitions {
			if p.Leader < 0 {
				return nil, fmt.Errorf("%s-%d has no leader", topic.Topic, p.Partition)
			}
			led[partition{topic.Topic, p.Partition}] = p.Leader
		}
	}
	return led, nil
}

func brokersOf[K comparable](on map[K]int32) []int32 {
	return slices.Compact(slices.Sorted(maps.Values(on)))
}

// coordinators returns the coordinator of each group, as soon as each has one.
func coordinators(ctx context.Context, admin *kadm.Client, groups ...string) (map[string]int32, error) {
	found := map[string]int32{}
	return found, wait.Until(ctx, func() error {
		for _, r := range admin.FindGroupCoordinators(ctx, groups...) {
			if r.Err != nil {
				return fmt.Errorf("coordinator of %s: %w", r.Name, r.Err)
			}
			found[r.Name] = r.NodeID
		}
		if len(found) < len(groups) {
			return fmt.Errorf("%d of %d groups have a coordinator", len(found), len(groups))
		}
		return nil
	})
}

// spreadGroups returns a name that begins with each of the given ones, such
// that each group has another coordinator.
func spreadGroups(ctx context.Context, admin *kadm.Client, names ...string) ([]string, error) {
	const tries = 20 // of each: a third of the names fit
	var candidates []string
	for _, name := range names {
		for i := range tries {
			candidates = append(candidates, fmt.Sprintf("%s-%d", name, i))
		}
	}
	on, err := coordinators(ctx, admin, candidates...)
	if err != nil {
		return nil, err
	}
	var groups []string
	taken := map[int32]bool{}
	for i := range names {
		for _, candidate := range candidates[i*tries : (i+1)*tries] {
			if !taken[on[candidate]] {
				taken[on[candidate]] = true
				groups = append(groups, candidate)
				break
			}
		}
	}
	if len(groups) < len(names) {
		return nil, fmt.Errorf("the groups' coordinators are on too few brokers: %v", on)
	}
	return groups, nil
}

// moveLeaders gives every partition of the topics to the next of its replicas.
func moveLeaders(ctx context.Context, admin *kadm.Client, topics ...string) error {
	metadata, err := admin.Metadata(ctx, topics...)
	if err != nil {
		return err
	}
	var assignments kadm.AlterPartitionAssignmentsReq
	var all kadm.TopicsSet
	want := map[partition]int32{}
	for _, topic := range metadata.Topics {
		for _, p := range topic.Partitions {
			order := append(slices.Clone(p.Replicas[1:]), p.Replicas[0])
			assignments.Assign(topic.Topic, p.Partition, order)
			all.Add(topic.Topic, p.Partition)
			want[partition{topic.Topic, p.Partition}] = order[0]
		}
	}
	altered, err := admin.AlterPartitionAssignments(ctx, assignments)
	if err == nil {
		err = altered.Error()
	}
	if err != nil {
		return fmt.Errorf("reorder the replicas: %w", err)
	}
	return wait.Until(ctx, func() error {
		if _, err := admin.ElectLeaders(ctx, kadm.ElectPreferredReplica, all); err != nil {
			return fmt.Errorf("elect the preferred leaders: %w", err)
		}
		led, err := leaders(ctx, admin, topics...)
		if err == nil && !maps.Equal(led, want) {
			err = fmt.Errorf("leaders are %v, want %v", led, want)
		}
		return err
	})
}
