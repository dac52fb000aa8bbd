// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

// lags says what is expected of a group's lag. A wrong one is never accepted.
type lags int

const (
	lagsMayLack lags = iota // nobody need fetch the partitions
	lagsKnown
)

// agree awaits that each view says of a group what the broker says: of each
// partition that the group has committed, and of no other.
func (s *scene) agree(t *testing.T, c *cluster, group string, want lags) {
	t.Helper()
	s.agreeOn(t, s.views(), c, group, want)
}

func (s *scene) agreeOn(t *testing.T, views []*view, c *cluster, group string, want lags) {
	t.Helper()
	for _, v := range views {
		// The broker is asked each time: clients may still be at work.
		var truth kafka.Truth
		deadline := time.Now().Add(patience)
		for {
			truth = c.truth(t, group)
			said, _ := v.next(t, time.Now())
			err := compare(said, c, truth, group, want)
			if err == nil {
				break
			}
			require.True(t, time.Now().Before(deadline), "%s of group %s, for %v: %v", v.name, group, patience, err)
		}
	}
}

// next awaits the first snapshot after a moment.
func (v *view) next(t *testing.T, then time.Time) (collector.Samples, time.Time) {
	t.Helper()
	s := v.await(t, then, func(snapshot) error { return nil })
	return s.Samples, s.at
}

// truth is what the broker says of a group and of the topics that it has
// offsets in. (Oracle.Ask asks about all topics, which others make and delete
// meanwhile.)
func (c *cluster) truth(t *testing.T, group string) kafka.Truth {
	t.Helper()
	truth := kafka.Truth{Committed: map[kafka.GroupPartition]int64{}, Bounds: map[kafka.Partition]kafka.Bounds{}}
	within(t, func(ctx context.Context) error {
		clear(truth.Committed)
		topics := map[string]bool{}
		fetched, err := c.admin.FetchOffsets(ctx, group)
		if err == nil {
			err = fetched.Error()
		}
		if err != nil {
			return fmt.Errorf("fetch the offsets of group %s: %w", group, err)
		}
		fetched.Each(func(offset kadm.OffsetResponse) {
			if offset.At >= 0 {
				truth.Committed[kafka.GroupPartition{Group: group, Topic: offset.Topic, Partition: offset.Partition}] = offset.At
				topics[offset.Topic] = true
			}
		})
		if len(topics) == 0 {
			return nil
		}
		ends, err := c.admin.ListEndOffsets(ctx, slices.Collect(maps.Keys(topics))...)
		if err == nil {
			err = ends.Error()
		}
		ends.Each(func(end kadm.ListedOffset) {
			truth.Bounds[kafka.Partition{Topic: end.Topic, Partition: end.Partition}] = kafka.Bounds{End: end.Offset}
		})
		return err
	})
	return truth
}

// compare returns all that differs between what is said of a group and the truth.
func compare(s collector.Samples, c *cluster, truth kafka.Truth, group string, want lags) error {
	s = s.With("group", group).With("kafka_cluster_id", c.ClusterID)
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	offsets := byPartition(s, "kafka_consumer_group_offset", add)
	lagsSaid := byPartition(s, "kafka_consumer_group_lag", add)
	sums := map[string]int64{}
	for k, offset := range truth.Committed {
		if said, ok := offsets[k]; !ok || said != offset {
			add("%v: offset %s, broker has %d", k, show(said, ok), offset)
		}
		if _, ok := lagsSaid[k]; !ok && want == lagsKnown {
			add("%v: no lag", k)
		}
		sums[k.Topic] += offset
	}
	for k, said := range offsets {
		if _, ok := truth.Committed[k]; !ok {
			add("%v: offset %d, broker has none", k, said)
		}
	}
	for k, said := range lagsSaid {
		if lag, ok := truth.Lag(k); !ok || said != lag {
			add("%v: lag %d, broker has %s", k, said, show(lag, ok))
		}
	}
	for _, sample := range s.Named("kafka_consumer_group_offset_sum") {
		if said := int64(sample.Value); said != sums[sample.Labels["topic"]] {
			add("sum of offsets of %s: %d, broker has %d", sample.Labels["topic"], said, sums[sample.Labels["topic"]])
		}
	}
	for name, of := range map[string]func(kafka.GroupPartition) (int64, bool){
		"kafka_consumer_offset": func(k kafka.GroupPartition) (int64, bool) { v, ok := truth.Committed[k]; return v, ok },
		"kafka_consumer_lag":    truth.Lag,
	} {
		for k, said := range byPartition(s, name, add) { // two clients of one partition would be twice
			if value, ok := of(k); !ok || said != value {
				add("%s of %v: %d, broker has %s", name, k, said, show(value, ok))
			}
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// byPartition returns a metric of one group by its partitions.
func byPartition(s collector.Samples, name string, add func(string, ...any)) map[kafka.GroupPartition]int64 {
	out := map[kafka.GroupPartition]int64{}
	for _, sample := range s.Named(name) {
		k := placeOf(sample)
		if _, twice := out[k]; twice {
			add("twice: %v", sample)
		}
		out[k] = int64(sample.Value)
	}
	return out
}

func placeOf(s collector.Sample) kafka.GroupPartition {
	n, err := strconv.ParseInt(s.Labels["partition"], 10, 32)
	if err != nil {
		panic(fmt.Sprintf("no partition: %v", s))
	}
	return kafka.GroupPartition{Group: s.Labels["group"], Topic: s.Labels["topic"], Partition: int32(n)}
}

func show(v int64, ok bool) string {
	if !ok {
		return "none"
	}
	return strconv.FormatInt(v, 10)
}

// one is the only series of a metric and a group.
func one(s collector.Samples, name, group string) (float64, error) {
	found := s.Named(name).With("group", group)
	if len(found) != 1 {
		return 0, fmt.Errorf("%d series of %s of %s: %v", len(found), name, group, found)
	}
	return found[0].Value, nil
}

// equals finds a metric of a group wrong unless it has that value.
func equals(name, group string, want float64) func(snapshot) error {
	return func(s snapshot) error {
		got, err := one(s.Samples, name, group)
		if err == nil && got != want {
			err = fmt.Errorf("%s of %s is %v, want %v", name, group, got, want)
		}
		return err
	}
}

// inState finds it wrong if a group is not in that state, and no other.
func inState(group, state string) func(snapshot) error {
	return func(s snapshot) error {
		found := s.Named("kafka_consumer_group_state").With("group", group)
		for _, sample := range found {
			if (sample.Value == 1) != (sample.Labels["state"] == state) {
				return fmt.Errorf("want %s: %v", state, found)
			}
		}
		if len(found) != 3 {
			return fmt.Errorf("%d states of %s", len(found), group)
		}
		return nil
	}
}

// owners are the clients that a metric of clients names, by partition.
func owners(s collector.Samples, name, group string) map[string][]string {
	out := map[string][]string{}
	for _, sample := range s.Named(name).With("group", group) {
		k := sample.Labels["topic"] + "-" + sample.Labels["partition"]
		out[k] = append(out[k], sample.Labels["client_id"]+"@"+sample.Labels["process_pid"])
	}
	return out
}
