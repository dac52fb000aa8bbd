// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

// What deploy/rules records for users.
const (
	recordedOffset    = "cluster_group_topic_partition:kafka_consumer_group_offset:newest"
	recordedWatermark = "cluster_topic_partition:kafka_partition_current_offset:max"
	recordedLag       = "cluster_group_topic_partition:kafka_consumer_group_lag:joined"
	recordedSum       = "cluster_group_topic:kafka_consumer_group_lag:sum"
)

var recorded = []string{recordedOffset, recordedWatermark, recordedLag, recordedSum}

// expected returns the series that the truth asks for, also of topics that no
// group reads: agents on brokers learn their names from the log directories.
func expected(cluster string, truth kafka.Truth) map[string]int64 {
	all := map[string]int64{}
	for k, offset := range truth.Committed {
		lag, _ := truth.Lag(k)
		of := []string{"kafka_cluster_id", cluster, "group", k.Group, "topic", k.Topic}
		all[series(recordedSum, of...)] += lag
		of = append(of, "partition", strconv.Itoa(int(k.Partition)))
		all[series(recordedOffset, of...)] = offset
		all[series(recordedLag, of...)] = lag
	}
	for k, bounds := range truth.Bounds {
		if internal(k.Topic) {
			continue
		}
		all[series(recordedWatermark, "kafka_cluster_id", cluster, "topic", k.Topic,
			"partition", strconv.Itoa(int(k.Partition)))] = bounds.End
	}
	return all
}

// internal tells whether a topic is Kafka's own: such grow with every commit.
func internal(topic string) bool { return strings.HasPrefix(topic, "__") }

func series(name string, labels ...string) string {
	s := collector.Sample{Name: name, Labels: map[string]string{}}
	for i := 0; i < len(labels); i += 2 {
		s.Labels[labels[i]] = labels[i+1]
	}
	return label(s)
}

// label is a series without its value.
func label(s collector.Sample) string {
	text := s.String()
	return text[:strings.LastIndex(text, " ")]
}

// compare returns what is wrong, missing, or there without being so.
func compare(all map[string]int64, samples collector.Samples) error {
	got := map[string]int64{}
	for _, s := range samples {
		if !internal(s.Labels["topic"]) {
			got[label(s)] = int64(s.Value)
		}
	}
	var differences []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		value, ok := got[name]
		switch {
		case !ok:
			differences = append(differences, fmt.Sprintf("%s is absent, the cluster has %d", name, all[name]))
		case value != all[name]:
			differences = append(differences, fmt.Sprintf("%s is %d, the cluster has %d", name, value, all[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := all[name]; !ok {
			differences = append(differences, fmt.Sprintf("%s is %d, the cluster has nothing of the kind", name, got[name]))
		}
	}
	if len(differences) > 0 {
		return errors.New("what is recorded differs from the cluster:\n" + strings.Join(differences, "\n"))
	}
	return nil
}
