// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/ebpfkafka/ebpfkafka/internal/state"
	"github.com/ebpfkafka/ebpfkafka/receiver/ebpfkafkareceiver/internal/metadata"
)

// since makes the points that follow begin at start; the zero time is the receiver's own start. Each count has a
// beginning of its own: a group that expires and comes back counts from zero again.
func (b *batch) since(start time.Time) {
	if start.IsZero() {
		start = b.publisher.start
	}
	b.Reset(metadata.WithStartTime(pcommon.NewTimestampFromTime(start)))
}

func (b *batch) commits(rows []int32) {
	for _, i := range rows {
		b.row()
		e := &b.view.Commits[i]
		b.since(e.Start)
		group, topic := validName(e.Group), validName(e.Topic)
		if e.Error == 0 {
			b.RecordKafkaConsumerGroupCommitsDataPoint(b.now, int64(e.Count), group, topic)
		} else {
			b.RecordKafkaConsumerGroupCommitsDataPoint(b.now, int64(e.Count), group, topic,
				metadata.WithErrorTypeMetricAttribute(state.ErrorName(e.Error)))
		}
	}
	b.since(time.Time{})
}

// groupStates are the states of a group as attributes, by state.GroupState.
var groupStates = [...]metadata.AttributeGroupState{
	state.GroupEmpty:       metadata.AttributeGroupStateEmpty,
	state.GroupRebalancing: metadata.AttributeGroupStateRebalancing,
	state.GroupStable:      metadata.AttributeGroupStateStable,
}

func (b *batch) members(rows []int32) {
	for _, i := range rows {
		b.row()
		e := &b.view.Members[i]
		group := validName(e.Group)
		if e.Type == state.ShareGroup {
			b.RecordKafkaShareGroupMembersDataPoint(b.now, e.Members, group)
			continue
		}
		b.RecordKafkaConsumerGroupMembersDataPoint(b.now, e.Members, group)
		for s, attribute := range groupStates {
			is := int64(0)
			if e.State == state.GroupState(s) {
				is = 1
			}
			b.RecordKafkaConsumerGroupStateDataPoint(b.now, is, group, attribute)
		}
		b.since(e.Start)
		b.RecordKafkaConsumerGroupRebalancesDataPoint(b.now, int64(e.Rebalances), group)
		b.since(time.Time{})
	}
}

func (b *batch) rebalances(rows []int32) {
	for _, i := range rows {
		b.row()
		e := &b.view.Rebalances[i]
		b.since(e.Start)
		b.RecordKafkaConsumerGroupRebalanceTimeDataPoint(b.now, e.Time.Seconds(), validName(e.Group))
	}
	b.since(time.Time{})
}

// acknowledgements are what is done with messages as attributes, by state.Acknowledgement.
var acknowledgements = map[state.Acknowledgement]metadata.AttributeAcknowledgement{
	state.Accepted: metadata.AttributeAcknowledgementAccept,
	state.Released: metadata.AttributeAcknowledgementRelease,
	state.Rejected: metadata.AttributeAcknowledgementReject,
}

func (b *batch) shares(rows []int32) {
	for _, i := range rows {
		b.row()
		e := &b.view.Shares[i]
		b.since(e.Start)
		b.RecordKafkaShareGroupAcknowledgedDataPoint(b.now, int64(e.Count), validName(e.Group), validName(e.Topic),
			int64(e.Partition), acknowledgements[e.Type])
	}
	b.since(time.Time{})
}
