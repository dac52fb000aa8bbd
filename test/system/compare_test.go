// SPDX-License-Identifier: Apache-2.0

package system

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

// requireSame fails unless kafka-consumer-groups and the admin client agree.
func requireSame(t *testing.T, truth kafka.Truth, rows []kafka.Row) {
	t.Helper()
	for _, r := range rows {
		k := kafka.GroupPartition{Group: r.Group, Topic: r.Topic, Partition: r.Partition}
		lag, ok := truth.Lag(k)
		require.True(t, ok, "the admin client does not know %v", k)
		require.Equal(t, truth.Committed[k], r.Committed, "committed offset of %v", k)
		require.Equal(t, lag, r.Lag, "lag of %v", k)
	}
}

// expected is what /metrics is held against.
type expected struct {
	truth   kafka.Truth // of the whole cluster
	rows    []kafka.Row // of this case's groups: each must be there
	cluster string
	topics  []string // of this case: all of their partitions must be there
	owners  map[kafka.GroupPartition]int
	role    string // the receiver's
}

// check compares every series with the truth, and returns all differences.
func (e expected) check(s collector.Samples) error {
	p := problems{}
	e.checkGroups(&p, s)
	e.checkPartitions(&p, s)
	e.checkSums(&p, s)
	e.checkMembers(&p, s)
	e.checkClients(&p, s)
	return p.err()
}

// checkLeft is check for when the clients have ended: no series of theirs,
// all of their groups'. Lag needs a watermark that somebody still fetches, so
// it may be absent, but not wrong.
func (e expected) checkLeft(s collector.Samples) error {
	p := problems{}
	for _, name := range []string{"kafka_consumer_offset", "kafka_consumer_lag"} {
		for _, sample := range s.Named(name) {
			p.add("its client has ended: %v", sample)
		}
	}
	offsets := groupValues(&p, s, "kafka_consumer_group_offset", e.cluster)
	for _, r := range e.rows {
		k := key(r)
		if got, ok := offsets[k]; !ok || got != r.Committed {
			p.add("%v: offset %v after the clients ended, broker has %d", k, show(got, ok), r.Committed)
		}
	}
	for k, got := range groupValues(&p, s, "kafka_consumer_group_lag", e.cluster) {
		if want, ok := e.truth.Lag(k); !ok || got != want {
			p.add("%v: lag %d after the clients ended, broker has %v", k, got, show(want, ok))
		}
	}
	return p.err()
}

func (e expected) checkGroups(p *problems, s collector.Samples) {
	offsets := groupValues(p, s, "kafka_consumer_group_offset", e.cluster)
	lags := groupValues(p, s, "kafka_consumer_group_lag", e.cluster)
	for _, r := range e.rows {
		k := key(r)
		if got, ok := offsets[k]; !ok || got != r.Committed {
			p.add("%v: offset %v, broker has %d", k, show(got, ok), r.Committed)
		}
		if got, ok := lags[k]; !ok || got != r.Lag {
			p.add("%v: lag %v, broker has %d", k, show(got, ok), r.Lag)
		}
	}
	// And nothing that the broker does not have.
	for _, k := range sorted(offsets) {
		if want, ok := e.truth.Committed[k]; !ok || want != offsets[k] {
			p.add("%v: offset %d, broker has %v", k, offsets[k], show(want, ok))
		}
	}
	for _, k := range sorted(lags) {
		if want, ok := e.truth.Lag(k); !ok || want != lags[k] {
			p.add("%v: lag %d, broker has %v", k, lags[k], show(want, ok))
		}
	}
	// Lag in time is optional where the record's time is not known, but it is
	// 0 exactly where there is no lag.
	for _, sample := range s.Named("kafka_consumer_group_lag_time_seconds") {
		if lag, ok := lags[groupPartition(p, sample)]; !ok || (lag == 0) != (sample.Value == 0) || sample.Value < 0 {
			p.add("with a lag of %v: %v", show(lag, ok), sample)
		}
	}
}

func (e expected) checkPartitions(p *problems, s collector.Samples) {
	ends := partitionValues(p, s, "kafka_partition_current_offset", e.cluster)
	starts := partitionValues(p, s, "kafka_partition_oldest_offset", e.cluster)
	for k, bounds := range e.truth.Bounds {
		if !slices.Contains(e.topics, k.Topic) {
			continue
		}
		if got, ok := ends[k]; !ok || got != bounds.End {
			p.add("%v: current offset %v, broker has %d", k, show(got, ok), bounds.End)
		}
		if got, ok := starts[k]; !ok || got != bounds.Start {
			p.add("%v: oldest offset %v, broker has %d", k, show(got, ok), bounds.Start)
		}
	}
	for k, got := range ends {
		if strings.HasPrefix(k.Topic, "__") {
			continue // Kafka's own: it grows with every commit
		}
		if bounds, ok := e.truth.Bounds[k]; !ok || got != bounds.End {
			p.add("%v: current offset %d, broker has %v", k, got, show(bounds.End, ok))
		}
	}
}

// checkSums: the sums over a topic are those of the partitions.
func (e expected) checkSums(p *problems, s collector.Samples) {
	type topic struct{ group, topic string }
	offsets, lags := map[topic]int64{}, map[topic]int64{}
	for _, r := range e.rows {
		offsets[topic{r.Group, r.Topic}] += r.Committed
		lags[topic{r.Group, r.Topic}] += r.Lag
	}
	for name, sums := range map[string]map[topic]int64{
		"kafka_consumer_group_offset_sum": offsets, "kafka_consumer_group_lag_sum": lags,
	} {
		for k, want := range sums {
			got := s.Named(name).With("group", k.group).With("topic", k.topic)
			if len(got) != 1 || int64(got[0].Value) != want {
				p.add("%s of %s %s: %v, want %d", name, k.group, k.topic, got, want)
			}
		}
	}
}

// checkMembers: a group has as many members as the broker has given partitions.
func (e expected) checkMembers(p *problems, s collector.Samples) {
	members := map[string]map[string]bool{}
	for _, r := range e.rows {
		if members[r.Group] == nil {
			members[r.Group] = map[string]bool{}
		}
		members[r.Group][r.ConsumerID] = true
	}
	for group, ids := range members {
		got := s.Named("kafka_consumer_group_members").With("group", group)
		if len(got) != 1 || int(got[0].Value) != len(ids) {
			p.add("members of %s: %v, want %d", group, got, len(ids))
		}
	}
}

// checkClients: each partition's owner has its own series, and no other
// process has one.
func (e expected) checkClients(p *problems, s collector.Samples) {
	byName := map[string]func(kafka.Row) int64{
		"kafka_consumer_offset": func(r kafka.Row) int64 { return r.Committed },
		"kafka_consumer_lag":    func(r kafka.Row) int64 { return r.Lag },
	}
	for name, value := range byName {
		series := map[kafka.GroupPartition]collector.Samples{}
		for _, sample := range s.Named(name) {
			k := groupPartition(p, sample)
			series[k] = append(series[k], sample)
		}
		for _, r := range e.rows {
			k := key(r)
			owner := strconv.Itoa(e.owners[k])
			found := false
			for _, sample := range series[k] {
				if int64(sample.Value) != value(r) || sample.Labels["client_id"] != r.Client {
					p.add("broker has %s at %d: %v", r.Client, value(r), sample)
				}
				// What is seen on the broker's side has the client's address instead.
				remote := sample.Labels["client_address"] != ""
				switch {
				case sample.Labels["process_pid"] == owner, remote && e.role == "broker":
					found = true
				case !remote:
					p.add("process %s owns the partition: %v", owner, sample)
				}
			}
			if !found {
				p.add("%v: no %s of process %s (%s)", k, name, owner, r.Client)
			}
			delete(series, k)
		}
		for k, more := range series {
			if _, ok := e.truth.Committed[k]; !ok {
				p.add("broker has nothing of the kind: %v", more)
			}
		}
	}
}

// table shows what was compared.
func (e expected) table(s collector.Samples) string {
	var none problems
	offsets := groupValues(&none, s, "kafka_consumer_group_offset", e.cluster)
	lags := groupValues(&none, s, "kafka_consumer_group_lag", e.cluster)
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "group\ttopic\tpartition\toffset\tbroker's\tlag\tbroker's")
	for _, r := range e.rows {
		offset, haveOffset := offsets[key(r)]
		lag, haveLag := lags[key(r)]
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%d\t%s\t%d\n", r.Group, r.Topic, r.Partition,
			show(offset, haveOffset), r.Committed, show(lag, haveLag), r.Lag)
	}
	w.Flush()
	return b.String()
}

// problems collects what differs.
type problems struct{ all []string }

func (p *problems) add(format string, args ...any) {
	p.all = append(p.all, fmt.Sprintf(format, args...))
}

func (p problems) err() error {
	if len(p.all) == 0 {
		return nil
	}
	slices.Sort(p.all)
	return errors.New("/metrics differs from the broker:\n" + strings.Join(p.all, "\n"))
}

func key(r kafka.Row) kafka.GroupPartition {
	return kafka.GroupPartition{Group: r.Group, Topic: r.Topic, Partition: r.Partition}
}

func show(v int64, ok bool) string {
	if !ok {
		return "none"
	}
	return strconv.FormatInt(v, 10)
}

// groupPartition reads the labels that identify a group's partition.
func groupPartition(p *problems, s collector.Sample) kafka.GroupPartition {
	n, err := strconv.ParseInt(s.Labels["partition"], 10, 32)
	if err != nil {
		p.add("no partition: %v", s)
	}
	return kafka.GroupPartition{Group: s.Labels["group"], Topic: s.Labels["topic"], Partition: int32(n)}
}

// groupValues returns a metric by group and partition. Two series of one
// partition, or another cluster's, are problems.
func groupValues(p *problems, s collector.Samples, name, cluster string) map[kafka.GroupPartition]int64 {
	values := map[kafka.GroupPartition]int64{}
	for _, sample := range s.Named(name) {
		k := groupPartition(p, sample)
		if _, twice := values[k]; twice {
			p.add("twice: %v", sample)
		}
		if got := sample.Labels["kafka_cluster_id"]; got != cluster {
			p.add("cluster is %s: %v", cluster, sample)
		}
		values[k] = int64(sample.Value)
	}
	return values
}

func partitionValues(p *problems, s collector.Samples, name, cluster string) map[kafka.Partition]int64 {
	values := map[kafka.Partition]int64{}
	for k, v := range groupValues(p, s, name, cluster) {
		values[kafka.Partition{Topic: k.Topic, Partition: k.Partition}] = v
	}
	return values
}

// receiverOwn tells whether a metric of the collector is about the receiver.
func receiverOwn(name string) bool {
	return strings.Contains(name, "ebpf_kafka") || strings.Contains(name, "ebpfkafka") || strings.HasPrefix(name, "otelcol_receiver_") ||
		strings.HasPrefix(name, "otelcol_scraper_")
}
