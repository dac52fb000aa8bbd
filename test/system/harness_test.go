// SPDX-License-Identifier: Apache-2.0

package system

import (
	"context"
	"maps"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

// TestLoadAndOracles proves the harness without a collector: the clients
// reach the offsets they should, each partition has an owner, both oracles
// agree; and the comparison accepts the truth and nothing else.
func TestLoadAndOracles(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), caseTimeout)
	defer cancel()
	broker, oracle := kafka.ForTest(ctx, t, kafka.Options{Version: os.Getenv("KAFKA_VERSION")})

	l := newLoad(broker, oracle, "alone")
	t.Cleanup(func() { require.NoError(t, l.stop()) })
	require.NoError(t, l.start(ctx))
	require.NoError(t, l.first(ctx))
	require.NoError(t, l.second(ctx))
	truth, err := oracle.Ask(ctx)
	require.NoError(t, err)
	rows, err := broker.Describe(ctx, l.groups()...)
	require.NoError(t, err)
	requireSame(t, truth, rows)
	require.Len(t, rows, 3*ordersPartitions+paymentsPartitions)
	owners := l.owners()
	require.Len(t, owners, len(rows))

	e := expected{truth: truth, rows: rows, cluster: broker.ClusterID, topics: l.topics(), owners: owners}
	right := perfect(e)
	require.NoError(t, e.check(right))
	t.Log(e.table(right))
	require.Error(t, e.checkLeft(right), "the clients' own series are still there")
	for i, s := range right {
		// One series wrong, one missing, one twice, one of another cluster.
		wrong := clone(right)
		wrong[i].Value++
		require.Error(t, e.check(wrong), "accepted a wrong value of %v", s)
		if s.Name == "kafka_consumer_group_lag_time_seconds" {
			continue // optional
		}
		require.Error(t, e.check(append(clone(right[:i]), right[i+1:]...)), "accepted without %v", s)
		if _, ok := s.Labels["kafka_cluster_id"]; ok {
			other := clone(right)
			other[i].Labels["kafka_cluster_id"] = "other"
			require.Error(t, e.check(append(right, other[i])), "accepted twice: %v", s)
		}
	}
}

// perfect returns the series of a receiver that makes no mistake.
func perfect(e expected) collector.Samples {
	var s collector.Samples
	add := func(name string, value int64, labels ...string) {
		m := map[string]string{}
		for i := 0; i < len(labels); i += 2 {
			m[labels[i]] = labels[i+1]
		}
		s = append(s, collector.Sample{Name: name, Labels: m, Value: float64(value)})
	}
	offsets, lags := map[[2]string]int64{}, map[[2]string]int64{}
	members := map[string]map[string]bool{}
	for _, r := range e.rows {
		id := []string{"kafka_cluster_id", e.cluster, "group", r.Group, "topic", r.Topic, "partition", strconv.Itoa(int(r.Partition))}
		add("kafka_consumer_group_offset", r.Committed, id...)
		add("kafka_consumer_group_lag", r.Lag, id...)
		if r.Lag == 0 {
			add("kafka_consumer_group_lag_time_seconds", 0, id...)
		}
		client := append(id[2:len(id):len(id)], "client_id", r.Client, "process_pid", strconv.Itoa(e.owners[key(r)]))
		add("kafka_consumer_offset", r.Committed, client...)
		add("kafka_consumer_lag", r.Lag, client...)
		offsets[[2]string{r.Group, r.Topic}] += r.Committed
		lags[[2]string{r.Group, r.Topic}] += r.Lag
		if members[r.Group] == nil {
			members[r.Group] = map[string]bool{}
		}
		members[r.Group][r.ConsumerID] = true
	}
	for k := range offsets {
		add("kafka_consumer_group_offset_sum", offsets[k], "group", k[0], "topic", k[1])
		add("kafka_consumer_group_lag_sum", lags[k], "group", k[0], "topic", k[1])
	}
	for group, ids := range members {
		add("kafka_consumer_group_members", int64(len(ids)), "group", group)
	}
	for k, bounds := range e.truth.Bounds {
		for _, topic := range e.topics {
			if k.Topic == topic {
				id := []string{"kafka_cluster_id", e.cluster, "topic", k.Topic, "partition", strconv.Itoa(int(k.Partition))}
				add("kafka_partition_current_offset", bounds.End, id...)
				add("kafka_partition_oldest_offset", bounds.Start, id...)
			}
		}
	}
	return s
}

func clone(s collector.Samples) collector.Samples {
	out := make(collector.Samples, len(s))
	for i, sample := range s {
		sample.Labels = maps.Clone(sample.Labels)
		out[i] = sample
	}
	return out
}
