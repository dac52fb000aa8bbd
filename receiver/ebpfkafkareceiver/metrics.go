// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"cmp"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"

	"github.com/ebpfkafka/ebpfkafka/internal/state"
	"github.com/ebpfkafka/ebpfkafka/receiver/ebpfkafkareceiver/internal/metadata"
)

// publisher turns views into metrics. There are two sorts of resource: a cluster, with what is true of its groups and
// partitions whoever reads them, and a process within a cluster, with what is true of its clients.
type publisher struct {
	config    metadata.MetricsBuilderConfig
	settings  receiver.Settings
	processes resolver
	start     time.Time
}

func newPublisher(config *Config, settings receiver.Settings, processes resolver, start time.Time) *publisher {
	return &publisher{
		config:    config.MetricsBuilderConfig,
		settings:  settings,
		processes: processes,
		start:     start,
	}
}

// pageRows is how many entries of a view go into one pmetric.Metrics. They are up to five data points each; where group
// and topic have names of 120 bytes that is 3 MB of OTLP, of the 4 MiB that a gRPC server takes at once by default.
// Smaller pages would save no more memory to speak of, and fill an exporter's queue, which counts them.
const pageRows = 2048

// publish gives the view's metrics to deliver, page by page. It takes time in proportion to the size of the view, and
// memory in proportion to that of a page.
func (p *publisher) publish(view *state.View, deliver func(page pmetric.Metrics)) {
	b := &batch{
		// A new builder for each scrape: an old one reserves, for each resource, as many points as the largest resource
		// ever had.
		MetricsBuilder: metadata.NewMetricsBuilder(p.config, p.settings,
			metadata.WithStartTime(pcommon.NewTimestampFromTime(p.start))),
		publisher: p,
		view:      view,
		deliver:   deliver,
		now:       pcommon.NewTimestampFromTime(view.Time),
	}
	b.clusters()
	b.processes()
	if b.rows > 0 {
		b.pass()
	}
}

// batch is the work on one view.
type batch struct {
	*metadata.MetricsBuilder
	publisher *publisher
	view      *state.View
	deliver   func(pmetric.Metrics)
	now       pcommon.Timestamp
	resource  pcommon.Resource // of the entry that is being made metrics of
	rows      int              // entries on the page
}

// row begins an entry. A page that is full by then is passed on; what is left of the resource follows on the next one.
func (b *batch) row() {
	if b.rows == pageRows {
		b.pass()
	}
	b.rows++
}

func (b *batch) pass() {
	page := b.Emit(metadata.WithResource(b.resource))
	b.rows = 0
	if page.ResourceMetrics().Len() > 0 { // not all entries have a value
		b.deliver(page)
	}
}

// clusterRows are the indices of the entries of one cluster in the view's slices.
type clusterRows struct {
	cluster                              string
	groups, partitions, commits, members []int32
	rebalances, shares                   []int32
}

func (r *clusterRows) len() int {
	return len(r.groups) + len(r.partitions) + len(r.commits) + len(r.members) + len(r.rebalances) + len(r.shares)
}

// clusters fills the group view.
func (b *batch) clusters() {
	index := newGrouping(func(cluster string) *clusterRows { return &clusterRows{cluster: cluster} })
	for i := range b.view.Groups {
		e := &b.view.Groups[i]
		rows := index.at(e.Cluster)
		rows.groups = append(rows.groups, int32(i))
	}
	for i := range b.view.Partitions {
		e := &b.view.Partitions[i]
		rows := index.at(e.Cluster)
		rows.partitions = append(rows.partitions, int32(i))
	}
	for i := range b.view.Commits {
		e := &b.view.Commits[i]
		rows := index.at(e.Cluster)
		rows.commits = append(rows.commits, int32(i))
	}
	for i := range b.view.Members {
		e := &b.view.Members[i]
		rows := index.at(e.Cluster)
		rows.members = append(rows.members, int32(i))
	}
	for i := range b.view.Rebalances {
		e := &b.view.Rebalances[i]
		rows := index.at(e.Cluster)
		rows.rebalances = append(rows.rebalances, int32(i))
	}
	for i := range b.view.Shares {
		e := &b.view.Shares[i]
		rows := index.at(e.Cluster)
		rows.shares = append(rows.shares, int32(i))
	}
	for _, rows := range index.smallestFirst((*clusterRows).len) {
		b.resource = b.clusterResource(rows.cluster)
		b.groupPartitions(rows.groups)
		b.partitions(rows.partitions)
		b.commits(rows.commits)
		b.members(rows.members)
		b.rebalances(rows.rebalances)
		b.shares(rows.shares)
		b.EmitForResource(metadata.WithResource(b.resource))
	}
}

func (b *batch) groupPartitions(rows []int32) {
	sums := newGrouping(newGroupSum)
	for _, i := range rows {
		b.row()
		e := &b.view.Groups[i]
		sum := sums.at(e.GroupTopic)
		sum.add(e)
		group, topic, partition := sum.group, sum.topic, int64(e.Partition)
		if !e.Since.IsZero() {
			b.RecordKafkaConsumerGroupOffsetTimeDataPoint(b.now, unixSeconds(e.Since), group, topic, partition)
		}
		if e.Unknown {
			continue
		}
		b.RecordKafkaConsumerGroupOffsetDataPoint(b.now, e.Committed, group, topic, partition)
		if e.HasLag {
			b.RecordKafkaConsumerGroupLagDataPoint(b.now, e.Lag, group, topic, partition)
		}
		if e.HasLagTime {
			b.RecordKafkaConsumerGroupLagTimeDataPoint(b.now, e.LagTime.Seconds(), group, topic, partition)
		}
		if !e.CommitTime.IsZero() {
			b.RecordKafkaConsumerGroupCommitAgeDataPoint(b.now, b.age(e.CommitTime), group, topic, partition)
		}
	}
	for _, sum := range sums.inOrder() {
		b.row()
		if !sum.offsetUnknown {
			b.RecordKafkaConsumerGroupOffsetSumDataPoint(b.now, sum.offset, sum.group, sum.topic)
		}
		if !sum.lagUnknown {
			b.RecordKafkaConsumerGroupLagSumDataPoint(b.now, sum.lag, sum.group, sum.topic)
		}
	}
}

func (b *batch) partitions(rows []int32) {
	for _, i := range rows {
		b.row()
		e := &b.view.Partitions[i]
		topic, partition := validName(e.Topic), int64(e.Partition)
		if e.HasCurrent {
			b.RecordKafkaPartitionCurrentOffsetDataPoint(b.now, e.Current, topic, partition)
		}
		if e.HasOldest {
			b.RecordKafkaPartitionOldestOffsetDataPoint(b.now, e.Oldest, topic, partition)
		}
		if e.HasLastStable {
			b.RecordKafkaPartitionLastStableOffsetDataPoint(b.now, e.LastStable, topic, partition)
		}
		if !e.WatermarkTime.IsZero() {
			b.RecordKafkaPartitionWatermarkAgeDataPoint(b.now, b.age(e.WatermarkTime), topic, partition)
		}
	}
}

// processOwner is the resource of the client view.
type processOwner struct {
	cluster string
	process state.ProcessKey
}

// processRows are the indices of the entries of one process in one cluster.
type processRows struct {
	processOwner
	clients []int32
}

func (r *processRows) len() int {
	return len(r.clients)
}

// clientLabels are those of a state.ClientTopic, and whose it is.
type clientLabels struct {
	owner                *processRows
	client, group, topic string
}

// processes fills the client view.
func (b *batch) processes() {
	index := newGrouping(func(owner processOwner) *processRows { return &processRows{processOwner: owner} })
	topics := newGrouping(func(t *state.ClientTopic) *clientLabels {
		return &clientLabels{
			owner:  index.at(processOwner{t.Cluster, t.Process}),
			client: validName(t.ClientID), group: validName(t.Group), topic: validName(t.Topic),
		}
	})
	for i := range b.view.Clients {
		rows := topics.at(b.view.Clients[i].ClientTopic).owner
		rows.clients = append(rows.clients, int32(i))
	}
	for _, rows := range index.smallestFirst((*processRows).len) {
		b.resource = b.processResource(rows.processOwner)
		b.clients(rows.clients, topics)
		b.EmitForResource(metadata.WithResource(b.resource))
	}
}

func (b *batch) clients(rows []int32, topics *grouping[*state.ClientTopic, clientLabels]) {
	for _, i := range rows {
		b.row()
		e := &b.view.Clients[i]
		t := topics.at(e.ClientTopic)
		client, group, topic, partition := t.client, t.group, t.topic, int64(e.Partition)
		if e.HasCommitted {
			b.RecordKafkaConsumerOffsetDataPoint(b.now, e.Committed, group, topic, partition, client)
		}
		if e.HasLag {
			b.RecordKafkaConsumerLagDataPoint(b.now, e.Lag, group, topic, partition, client)
		}
		if e.Assigned {
			b.RecordKafkaConsumerAssignmentDataPoint(b.now, 1, group, topic, partition, client)
		}
		if e.HasPosition {
			b.RecordKafkaConsumerPositionDataPoint(b.now, e.Position, topic, partition, client)
		}
	}
}

// unixSeconds is a moment as Prometheus writes it; a float64 holds microseconds until the year 2255.
func unixSeconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// age is the time from then to the view, in seconds. Clocks that disagree do not make it negative.
func (b *batch) age(then time.Time) float64 {
	return max(0, b.view.Time.Sub(then).Seconds())
}

// groupSum adds up the partitions of one group and topic. The whole is known only if each part is: a sum of lags that
// leaves partitions out would fall when a watermark grows old, and look like progress.
type groupSum struct {
	group, topic              string
	offset, lag               int64
	offsetUnknown, lagUnknown bool
}

func newGroupSum(t *state.GroupTopic) *groupSum {
	return &groupSum{group: validName(t.Group), topic: validName(t.Topic)}
}

func (s *groupSum) add(e *state.GroupPartition) {
	s.offset += e.Committed
	s.lag += e.Lag
	s.offsetUnknown = s.offsetUnknown || e.Unknown
	s.lagUnknown = s.lagUnknown || !e.HasLag
}

// grouping finds the group of a key, or makes it. It remembers the order in which the groups came.
type grouping[K comparable, G any] struct {
	newGroup func(K) *G
	groups   map[K]*G
	order    []*G

	// Entries of one group mostly follow each other.
	lastKey K
	last    *G
}

func newGrouping[K comparable, G any](newGroup func(K) *G) *grouping[K, G] {
	return &grouping[K, G]{newGroup: newGroup, groups: make(map[K]*G)}
}

func (g *grouping[K, G]) at(key K) *G {
	if g.last != nil && g.lastKey == key {
		return g.last
	}
	group, known := g.groups[key]
	if !known {
		group = g.newGroup(key)
		g.groups[key] = group
		g.order = append(g.order, group)
	}
	g.lastKey, g.last = key, group
	return group
}

func (g *grouping[K, G]) inOrder() []*G {
	return g.order
}

// smallestFirst sorts the groups by their length. The generated builder reserves for each resource as many points as
// the largest had that went before; in this order that never comes to more than there are.
func (g *grouping[K, G]) smallestFirst(length func(*G) int) []*G {
	slices.SortStableFunc(g.order, func(a, b *G) int { return cmp.Compare(length(a), length(b)) })
	return g.order
}
