// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scrapeTimeout bounds one read of /metrics.
const scrapeTimeout = 5 * time.Second

// partitionKey is one line of the table.
type partitionKey struct {
	group, topic string
	partition    int32
}

func (k partitionKey) String() string {
	return fmt.Sprintf("%s/%s/%d", k.group, k.topic, k.partition)
}

func (k partitionKey) compare(other partitionKey) int {
	return cmp.Or(cmp.Compare(k.group, other.group), cmp.Compare(k.topic, other.topic), cmp.Compare(k.partition, other.partition))
}

func (k partitionKey) isOwn() bool {
	return k.group == checkoutGroup || k.group == billingGroup
}

// row is what the collector says about one partition of one group. A nil pointer is a value that it does not know.
type row struct {
	partitionKey
	committed *int64
	end       *int64
	lag       *int64
	lagTime   *time.Duration

	service  string
	pid      string
	clientID string

	at time.Time // the age of its numbers: the oldest timestamp of committed and lag
}

// snapshot is one read of /metrics, sorted by group, topic and partition.
type snapshot struct {
	rows []row
}

func (s snapshot) totalLag() (total int64) {
	for _, r := range s.rows {
		if r.lag != nil {
			total += *r.lag
		}
	}
	return total
}

// own is the snapshot without groups that are not the demo's.
func (s snapshot) own() (own snapshot) {
	for _, r := range s.rows {
		if r.isOwn() {
			own.rows = append(own.rows, r)
		}
	}
	return own
}

// oldest is the earliest moment that any row speaks of.
func (s snapshot) oldest() (oldest time.Time) {
	for i, r := range s.rows {
		if i == 0 || r.at.Before(oldest) {
			oldest = r.at
		}
	}
	return oldest
}

// completeSince says whether every partition of the demo is there with offset and lag, all measured after the moment.
func (s snapshot) completeSince(moment time.Time) bool {
	for _, r := range s.rows {
		if r.committed == nil || r.lag == nil || !r.at.After(moment) {
			return false
		}
	}
	return len(s.rows) >= ordersPartitions+paymentsPartitions
}

// sameNumbers compares what must stand still when the clients do. Lag time goes on growing.
func (s snapshot) sameNumbers(other snapshot) bool {
	return slices.EqualFunc(s.rows, other.rows, func(a, b row) bool {
		return a.partitionKey == b.partitionKey && equal(a.committed, b.committed) && equal(a.end, b.end) && equal(a.lag, b.lag)
	})
}

func equal[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// scrape reads /metrics. Series of another cluster are left out: this host may have Kafka of its own. brokerPID tells
// a consumer's own series from what the broker's process shows of it.
func scrape(ctx context.Context, url, clusterID string, brokerPID int) (snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return snapshot{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return snapshot{}, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return snapshot{}, fmt.Errorf("%s answered %s", url, response.Status)
	}
	return parse(response.Body, clusterID, brokerPID)
}

func parse(text io.Reader, clusterID string, brokerPID int) (snapshot, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(text)
	if err != nil {
		return snapshot{}, fmt.Errorf("/metrics is not in Prometheus' text format: %w", err)
	}
	rows := map[partitionKey]*row{}
	rowOf := func(s series) *row {
		key, ok := s.key()
		if !ok {
			return nil
		}
		if rows[key] == nil {
			rows[key] = &row{partitionKey: key}
		}
		return rows[key]
	}
	for s := range allSeries(families, clusterID, "kafka_consumer_group_offset") {
		if r := rowOf(s); r != nil {
			r.committed = new(int64(s.value))
			r.aged(s.at)
		}
	}
	for s := range allSeries(families, clusterID, "kafka_consumer_group_lag") {
		if r := rowOf(s); r != nil {
			r.lag = new(int64(s.value))
			r.aged(s.at)
		}
	}
	for s := range allSeries(families, clusterID, "kafka_consumer_group_lag_time") {
		if r := rowOf(s); r != nil {
			r.lagTime = new(time.Duration(s.value * float64(time.Second)))
		}
	}
	ends := map[partitionKey]int64{} // without a group
	for s := range allSeries(families, clusterID, "kafka_partition_current_offset") {
		if key, ok := s.key(); ok {
			ends[key] = int64(s.value)
		}
	}
	for key, r := range rows {
		if end, ok := ends[partitionKey{topic: key.topic, partition: key.partition}]; ok {
			r.end = &end
		}
	}
	owners := map[partitionKey]series{}
	for s := range allSeries(families, clusterID, "kafka_consumer_offset") {
		key, ok := s.key()
		if !ok || rows[key] == nil {
			continue
		}
		if present, taken := owners[key]; !taken || s.ownsMoreThan(present, brokerPID) {
			owners[key] = s
		}
	}
	for key, s := range owners {
		r := rows[key]
		r.service = cmp.Or(s.labels["service_name"], s.labels["process_executable_name"])
		r.pid = s.labels["process_pid"]
		r.clientID = s.labels["client_id"]
	}

	var all snapshot
	for _, r := range rows {
		all.rows = append(all.rows, *r)
	}
	slices.SortFunc(all.rows, func(a, b row) int { return a.compare(b.partitionKey) })
	return all, nil
}

func (r *row) aged(at time.Time) {
	if r.at.IsZero() || at.Before(r.at) {
		r.at = at
	}
}

// series is one sample with its labels.
type series struct {
	labels map[string]string
	value  float64
	at     time.Time
}

// key is false when the labels name no partition.
func (s series) key() (partitionKey, bool) {
	partition, err := strconv.ParseInt(s.labels["partition"], 10, 32)
	if err != nil || s.labels["topic"] == "" {
		return partitionKey{}, false
	}
	return partitionKey{group: s.labels["group"], topic: s.labels["topic"], partition: int32(partition)}, true
}

// ownsMoreThan chooses between two processes that show the same partition: a client rather than the broker that hears
// it, then the one that got further, then the greater pid so that the choice is stable.
func (s series) ownsMoreThan(other series, brokerPID int) bool {
	client := func(s series) int {
		if s.labels["process_pid"] == strconv.Itoa(brokerPID) {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(client(s), client(other)),
		cmp.Compare(s.value, other.value),
		cmp.Compare(s.labels["process_pid"], other.labels["process_pid"]),
	) > 0
}

// allSeries yields the samples of a metric, whether or not the exporter appended the unit to its name, that belong to
// the cluster or to one not yet known. Samples that name the cluster come last, so that they win.
func allSeries(families map[string]*dto.MetricFamily, clusterID, name string) func(func(series) bool) {
	return func(yield func(series) bool) {
		family := families[name]
		if family == nil {
			family = families[name+"_seconds"]
		}
		var unnamed, named []series
		for _, metric := range family.GetMetric() {
			s := series{labels: map[string]string{}, at: time.UnixMilli(metric.GetTimestampMs())}
			for _, pair := range metric.GetLabel() {
				s.labels[pair.GetName()] = pair.GetValue()
			}
			switch {
			case metric.Gauge != nil:
				s.value = metric.GetGauge().GetValue()
			case metric.Counter != nil:
				s.value = metric.GetCounter().GetValue()
			default:
				s.value = metric.GetUntyped().GetValue()
			}
			switch s.labels["kafka_cluster_id"] {
			case clusterID:
				named = append(named, s)
			case "":
				unnamed = append(unnamed, s)
			}
		}
		for _, s := range slices.Concat(unnamed, named) {
			if !yield(s) {
				return
			}
		}
	}
}
