// SPDX-License-Identifier: Apache-2.0

package system

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

// verdict is how many partitions of a place were published as the broker has
// them: the group's offset and lag, and the client's.
type verdict struct {
	equal, of int
	lagging   int      // partitions that have a lag, so that equality means something
	wrong     problems // values that the broker does not have
	absent    problems // values that it has, and commits that were not counted
}

func (v verdict) err() error {
	all := problems{slices.Concat(v.wrong.all, v.absent.all)}
	return all.err()
}

func (v verdict) String() string { return fmt.Sprintf("%d/%d", v.equal, v.of) }

// judge compares what /metrics says of a place with the truth.
func (p *place) judge(s collector.Samples, truth kafka.Truth, cluster string) verdict {
	v := verdict{of: len(p.want)}
	s = s.With("group", p.group)
	pid := strconv.Itoa(p.running.PID())
	views := map[string]collector.Samples{
		"kafka_consumer_group_offset": s.Named("kafka_consumer_group_offset"),
		"kafka_consumer_group_lag":    s.Named("kafka_consumer_group_lag"),
		"kafka_consumer_offset":       s.Named("kafka_consumer_offset").With("process_pid", pid),
		"kafka_consumer_lag":          s.Named("kafka_consumer_lag").With("process_pid", pid),
	}
	differ := map[kafka.GroupPartition]bool{}
	for name, samples := range views {
		got := groupValues(&v.wrong, samples, name, cluster)
		for k := range p.want {
			k := kafka.GroupPartition{Group: p.group, Topic: k.Topic, Partition: k.Partition}
			want, ok := truth.Committed[k], true
			if name == "kafka_consumer_group_lag" || name == "kafka_consumer_lag" {
				want, ok = truth.Lag(k)
			}
			value, have := got[k]
			switch {
			case !have:
				v.absent.add("%v: no %s, broker has %v", k, name, show(want, ok))
			case !ok || value != want:
				v.wrong.add("%v: %s is %d, broker has %v", k, name, value, show(want, ok))
			default:
				delete(got, k)
				continue
			}
			differ[k] = true
			delete(got, k)
		}
		for k, value := range got {
			v.wrong.add("%v: %s is %d, the group has no such partition", k, name, value)
		}
	}
	v.equal = v.of - len(differ)
	for k := range p.want {
		if lag, _ := truth.Lag(kafka.GroupPartition{Group: p.group, Topic: k.Topic, Partition: k.Partition}); lag > 0 {
			v.lagging++
		}
	}
	// That the collector has seen commits, and not only what a client has asked for at its start.
	for topic := range p.topics() {
		counts := s.Named("kafka_consumer_group_commits_total").With("topic", topic).With("error_type", "")
		if len(counts) != 1 || counts[0].Value <= 0 {
			v.absent.add("%s %s: no commit was counted: %v", p.group, topic, counts)
		}
	}
	return v
}
