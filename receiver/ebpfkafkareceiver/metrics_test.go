// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/ebpfkafka/ebpfkafka/internal/identity"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
	"github.com/ebpfkafka/ebpfkafka/receiver/ebpfkafkareceiver/internal/metadata"
)

var update = flag.Bool("update", false, "write the golden files anew")

var (
	testStart = time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	testNow   = testStart.Add(10 * time.Minute)
)

// fakeResolver knows one process in a pod and nothing of any other.
type fakeResolver struct{}

func (fakeResolver) Resolve(pid uint32, _ uint64, comm string) identity.Process {
	if pid != 100 {
		return identity.Process{Executable: comm, ServiceInstanceID: fmt.Sprintf("host:%d", pid)}
	}
	return identity.Process{
		Executable:        "java",
		ServiceName:       "orders",
		ServiceInstanceID: "0123456789ab:100",
		ContainerID:       "0123456789abcdef",
		PodUID:            "6f3a-uid",
	}
}

// publish turns a view into metrics, with each metric on.
func publish(t testing.TB, view *state.View, configure func(*Config)) pmetric.Metrics {
	t.Helper()
	config := createDefaultConfig().(*Config)
	config.Metrics.KafkaConsumerPosition.Enabled = true
	config.Metrics.KafkaConsumerAssignment.Enabled = true
	config.Metrics.KafkaConsumerGroupCommitAge.Enabled = true
	config.Metrics.KafkaConsumerGroupOffsetTime.Enabled = true
	config.Metrics.KafkaConsumerGroupMembers.Enabled = true
	config.Metrics.KafkaPartitionLastStableOffset.Enabled = true
	config.Metrics.KafkaPartitionWatermarkAge.Enabled = true
	if configure != nil {
		configure(config)
	}
	p := newPublisher(config, receivertest.NewNopSettings(metadata.Type), fakeResolver{}, testStart)
	all := pmetric.NewMetrics()
	p.publish(view, func(page pmetric.Metrics) {
		page.ResourceMetrics().MoveAndAppendTo(all.ResourceMetrics())
	})
	return all
}

// exampleView has two clusters with equal names, values that are not known, and a client of each sort.
func exampleView() *state.View {
	var (
		pod    = state.ProcessKey{PID: 100, StartTime: 7, Comm: "java"}
		script = state.ProcessKey{PID: 200, StartTime: 9, Comm: "python3"}
		remote = state.ProcessKey{PID: 300, StartTime: 11, Comm: "java", Remote: "10.0.0.7"}
	)
	// By cluster and topic.
	groupTopics := map[string]*state.GroupTopic{
		"one t":   {Cluster: "one", Group: "g", Topic: "t"},
		"one u":   {Cluster: "one", Group: "g", Topic: "u"},
		"two t":   {Cluster: "two", Group: "g", Topic: "t"},
		"three u": {Cluster: "three", Group: "g", Topic: "u"},
	}
	return &state.View{
		Time: testNow,
		Groups: []state.GroupPartition{
			{GroupTopic: groupTopics["one t"], Partition: 0, Since: testNow.Add(-2500 * time.Millisecond), Committed: 90, CommitTime: testNow.Add(-2 * time.Second),
				Lag: 10, HasLag: true, LagTime: 1500 * time.Millisecond, HasLagTime: true},
			{GroupTopic: groupTopics["one t"], Partition: 1, Committed: 50, CommitTime: testNow.Add(-4 * time.Second),
				Lag: 0, HasLag: true, LagTime: 0, HasLagTime: true},
			{GroupTopic: groupTopics["two t"], Partition: 0, Committed: 7},
			{GroupTopic: groupTopics["one u"], Partition: 0, Committed: 5, Lag: 3, HasLag: true},
			{GroupTopic: groupTopics["one u"], Partition: 1, Committed: 6},
			{GroupTopic: groupTopics["three u"], Partition: 1, Since: testNow.Add(-time.Second), Unknown: true},
		},
		Partitions: []state.Partition{
			{ClusterTopic: &state.ClusterTopic{Cluster: "one", Topic: "t"}, Partition: 0, HasCurrent: true, Current: 100, HasOldest: true, Oldest: 10,
				HasLastStable: true, LastStable: 95, WatermarkTime: testNow.Add(-time.Second)},
			{ClusterTopic: &state.ClusterTopic{Cluster: "two", Topic: "t"}, Partition: 0, HasOldest: true, Oldest: 3},
			{ClusterTopic: &state.ClusterTopic{Cluster: "", Topic: "t"}, Partition: 0, HasCurrent: true, Current: 1, WatermarkTime: testNow.Add(time.Second)},
		},
		Clients: []state.ClientPartition{
			{ClientTopic: &state.ClientTopic{Cluster: "one", Process: pod, ClientID: "c", Group: "g", Topic: "t"}, Partition: 0,
				Assigned: true, Committed: 90, HasCommitted: true, Position: 96, HasPosition: true, Lag: 10, HasLag: true},
			{ClientTopic: &state.ClientTopic{Cluster: "one", Process: script, ClientID: "c", Group: "g", Topic: "t"}, Partition: 1,
				Committed: 50, HasCommitted: true},
			{ClientTopic: &state.ClientTopic{Cluster: "two", Process: script, ClientID: "", Group: "", Topic: "t"}, Partition: 0, Position: 8, HasPosition: true},
			{ClientTopic: &state.ClientTopic{Cluster: "one", Process: remote, ClientID: "c", Group: "g", Topic: "t"}, Partition: 1,
				Committed: 49, HasCommitted: true, Lag: 1, HasLag: true},
		},
		Commits: []state.CommitCount{
			{Cluster: "one", Group: "g", Topic: "t", Error: 0, Count: 12, Start: testStart.Add(time.Minute)},
			{Cluster: "one", Group: "g", Topic: "t", Error: 25, Count: 2},
			{Cluster: "two", Group: "g", Topic: "t", Error: 9999, Count: 1},
		},
		Members: []state.GroupMembers{
			{Cluster: "one", Group: "g", Members: 2, State: state.GroupStable, Rebalances: 3, Start: testStart.Add(time.Minute)},
			{Cluster: "two", Group: "g", Members: 1, State: state.GroupRebalancing},
			{Cluster: "two", Group: "left"},
			{Cluster: "one", Group: "s", Type: state.ShareGroup, Members: 4, State: state.GroupStable},
		},
		Rebalances: []state.RebalanceTime{
			{Cluster: "one", Group: "g", Time: 2500 * time.Millisecond, Start: testStart.Add(time.Minute)},
		},
		Shares: []state.ShareCount{
			{Cluster: "one", Group: "s", Topic: "t", Partition: 0, Type: state.Accepted, Count: 8},
			{Cluster: "one", Group: "s", Topic: "t", Partition: 0, Type: state.Rejected, Count: 1},
		},
	}
}

func TestPublishGolden(t *testing.T) {
	compact, err := (&pmetric.JSONMarshaler{}).MarshalMetrics(publish(t, exampleView(), nil))
	require.NoError(t, err)
	var got bytes.Buffer
	require.NoError(t, json.Indent(&got, compact, "", "  "))
	got.WriteByte('\n')

	path := filepath.Join("testdata", "golden", "metrics.json")
	if *update {
		require.NoError(t, os.WriteFile(path, got.Bytes(), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got.String(), "go test -update writes %s anew", path)
}

// points lists every point of a metric as "resource attributes | attributes = value".
func points(metrics pmetric.Metrics, name string) []string {
	var lines []string
	for _, rm := range metrics.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Name() != name {
					continue
				}
				for _, dp := range numberPoints(m).All() {
					value := fmt.Sprint(dp.IntValue())
					if dp.ValueType() == pmetric.NumberDataPointValueTypeDouble {
						value = fmt.Sprint(dp.DoubleValue())
					}
					lines = append(lines, fmt.Sprintf("%v | %v = %s",
						rm.Resource().Attributes().AsRaw(), dp.Attributes().AsRaw(), value))
				}
			}
		}
	}
	return lines
}

func numberPoints(m pmetric.Metric) pmetric.NumberDataPointSlice {
	if m.Type() == pmetric.MetricTypeSum {
		return m.Sum().DataPoints()
	}
	return m.Gauge().DataPoints()
}

func TestPublishSums(t *testing.T) {
	metrics := publish(t, exampleView(), nil)
	assert.ElementsMatch(t, []string{
		"map[kafka.cluster.id:one] | map[group:g topic:t] = 140",
		"map[kafka.cluster.id:one] | map[group:g topic:u] = 11",
		"map[kafka.cluster.id:two] | map[group:g topic:t] = 7",
	}, points(metrics, "kafka.consumer_group.offset_sum"))
	// Of topic u and of cluster two the lag is known in part or not at all.
	assert.Equal(t, []string{"map[kafka.cluster.id:one] | map[group:g topic:t] = 10"},
		points(metrics, "kafka.consumer_group.lag_sum"))
}

func TestPublishCommits(t *testing.T) {
	metrics := publish(t, exampleView(), nil)
	assert.ElementsMatch(t, []string{
		"map[kafka.cluster.id:one] | map[group:g topic:t] = 12",
		"map[kafka.cluster.id:one] | map[error.type:UNKNOWN_MEMBER_ID group:g topic:t] = 2",
		"map[kafka.cluster.id:two] | map[error.type:ERROR_9999 group:g topic:t] = 1",
	}, points(metrics, "kafka.consumer_group.commits"))

	// The start of a count is its own; without one, and for all else, it is the receiver's.
	for _, rm := range metrics.ResourceMetrics().All() {
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			for _, dp := range numberPoints(m).All() {
				want, own := testStart, false
				switch m.Name() {
				case "kafka.consumer_group.commits":
					own = dp.IntValue() == 12
				case "kafka.consumer_group.rebalances":
					own = dp.IntValue() == 3
				case "kafka.consumer_group.rebalance_time":
					own = true
				}
				if own {
					want = testStart.Add(time.Minute)
				}
				assert.Equal(t, pcommon.NewTimestampFromTime(want), dp.StartTimestamp(), m.Name())
				assert.Equal(t, pcommon.NewTimestampFromTime(testNow), dp.Timestamp(), m.Name())
			}
		}
	}
}

func TestPublishClients(t *testing.T) {
	metrics := publish(t, exampleView(), nil)
	assert.ElementsMatch(t, []string{
		"map[container.id:0123456789abcdef k8s.pod.uid:6f3a-uid kafka.cluster.id:one process.executable.name:java" +
			" process.pid:100 service.instance.id:0123456789ab:100 service.name:orders]" +
			" | map[client_id:c group:g partition:0 topic:t] = 90",
		"map[kafka.cluster.id:one process.executable.name:python3 process.pid:200 service.instance.id:host:200]" +
			" | map[client_id:c group:g partition:1 topic:t] = 50",
		"map[client.address:10.0.0.7 kafka.cluster.id:one service.instance.id:10.0.0.7]" +
			" | map[client_id:c group:g partition:1 topic:t] = 49",
	}, points(metrics, "kafka.consumer.offset"))
	assert.Len(t, points(metrics, "kafka.consumer.lag"), 2)
	assert.Contains(t, points(metrics, "kafka.consumer.position"),
		"map[kafka.cluster.id:two process.executable.name:python3 process.pid:200 service.instance.id:host:200]"+
			" | map[client_id: partition:0 topic:t] = 8")
}

// Disabled metrics and resource attributes stay away.
func TestPublishDisabled(t *testing.T) {
	metrics := publish(t, exampleView(), func(config *Config) {
		config.Metrics.KafkaConsumerGroupOffset.Enabled = false
		config.ResourceAttributes.ServiceInstanceID.Enabled = false
		config.ResourceAttributes.KafkaClusterID.Enabled = false
		config.ResourceAttributes.ProcessExecutableName.Enabled = false
	})
	assert.Empty(t, points(metrics, "kafka.consumer_group.offset"))
	assert.Contains(t, points(metrics, "kafka.consumer.offset"),
		"map[process.pid:200] | map[client_id:c group:g partition:1 topic:t] = 50")
}

func TestPublishEmptyView(t *testing.T) {
	metrics := publish(t, &state.View{Time: testNow}, nil)
	assert.Zero(t, metrics.ResourceMetrics().Len())
}

// A name that is not UTF-8 makes an OTLP request invalid as a whole.
func TestPublishInvalidUTF8(t *testing.T) {
	const bad = "n\xff"
	view := exampleView()
	groupTopic := &state.GroupTopic{Cluster: bad, Group: bad, Topic: bad}
	for i := range view.Groups {
		view.Groups[i].GroupTopic = groupTopic
		view.Groups[i].Partition = int32(i)
	}
	for i := range view.Partitions {
		view.Partitions[i].Cluster, view.Partitions[i].Topic = bad, bad
	}
	for i := range view.Clients {
		e := &view.Clients[i]
		e.Cluster, e.ClientID, e.Group, e.Topic = bad, bad, bad, bad
		e.Process.Comm = bad
		if e.Process.Remote != "" {
			e.Process.Remote = bad
		}
	}
	for i := range view.Commits {
		view.Commits[i].Cluster, view.Commits[i].Group, view.Commits[i].Topic = bad, bad, bad
	}
	for i := range view.Members {
		view.Members[i].Cluster, view.Members[i].Group = bad, bad
	}
	metrics := publish(t, view, nil)
	require.NotZero(t, metrics.DataPointCount())
	check := func(attributes pcommon.Map) {
		for key, value := range attributes.All() {
			assert.True(t, utf8.ValidString(value.AsString()), "%s: %q", key, value.AsString())
		}
	}
	for _, rm := range metrics.ResourceMetrics().All() {
		check(rm.Resource().Attributes())
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			for _, dp := range numberPoints(m).All() {
				check(dp.Attributes())
			}
		}
	}
	assert.Len(t, points(metrics, "kafka.consumer_group.offset"), 5)
}

// A metric with an attribute that may be left out gets a generated recordDataPoint that compares each point with all
// before it, and a configuration key aggregation_strategy that tells.
func TestNoMetricIsAggregated(t *testing.T) {
	metrics := reflect.TypeFor[metadata.MetricsConfig]()
	require.NotZero(t, metrics.NumField())
	for i := range metrics.NumField() {
		metric := metrics.Field(i)
		_, aggregated := metric.Type.FieldByName("AggregationStrategy")
		assert.False(t, aggregated, "%s: each attribute must be required or conditionally_required in metadata.yaml",
			metric.Tag.Get("mapstructure"))
	}
}

// largeView has groups × partitions committed offsets, the partitions' watermarks, and the same offsets by clients.
func largeView(groups, topics, partitions, clients int) *state.View {
	view := &state.View{Time: testNow}
	const cluster = "MkU3OEVBNTcwNTJENDM2Qg"
	for t := range topics {
		topic := &state.ClusterTopic{Cluster: cluster, Topic: fmt.Sprintf("topic-%03d", t)}
		for p := range partitions {
			view.Partitions = append(view.Partitions, state.Partition{
				ClusterTopic: topic, Partition: int32(p),
				HasCurrent: true, Current: 1000, HasOldest: true, WatermarkTime: testNow,
			})
		}
	}
	for g := range groups {
		for t := range topics {
			topic := &state.GroupTopic{Cluster: cluster, Group: fmt.Sprintf("group-%03d", g), Topic: fmt.Sprintf("topic-%03d", t)}
			for p := range partitions {
				view.Groups = append(view.Groups, state.GroupPartition{
					GroupTopic: topic, Partition: int32(p), Committed: 900, CommitTime: testNow, Lag: 100, HasLag: true,
				})
			}
		}
	}
	processes := make([]*state.ClientTopic, min(clients, 500))
	for i := range processes {
		processes[i] = &state.ClientTopic{
			Cluster: cluster, Process: state.ProcessKey{PID: uint32(1000 + i)}, ClientID: "consumer-1",
			Group: "group-000", Topic: "topic-000",
		}
	}
	for c := range clients {
		view.Clients = append(view.Clients, state.ClientPartition{
			ClientTopic: processes[c%len(processes)], Partition: int32(c), Committed: 900, HasCommitted: true,
		})
	}
	return view
}

// BenchmarkPublish measures the way from a view to metrics. The time per point must not grow with their number.
func BenchmarkPublish(b *testing.B) {
	for _, size := range []struct {
		name                                string
		groups, topics, partitions, clients int
	}{
		{"groups", 5, 10, 100, 0},
		{"groups", 50, 10, 100, 0},
		{"clients", 0, 0, 0, 10_000},
		{"clients", 0, 0, 0, 100_000},
	} {
		view := largeView(size.groups, size.topics, size.partitions, size.clients)
		config := createDefaultConfig().(*Config)
		p := newPublisher(config, receivertest.NewNopSettings(metadata.Type), fakeResolver{}, testStart)
		count := 0
		p.publish(view, func(page pmetric.Metrics) { count += page.DataPointCount() })
		b.Run(fmt.Sprintf("%s/points=%d", size.name, count), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.publish(view, func(pmetric.Metrics) {})
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(count), "ns/point")
		})
	}
}
