// SPDX-License-Identifier: Apache-2.0

package watermarks

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// Timestamps of ListOffsets with a meaning of their own.
const (
	latest   = -1
	earliest = -2
)

// Isolation levels of ListOffsets: the latest offset is the high watermark, or the last stable offset.
const (
	readUncommitted = 0
	readCommitted   = 1
)

// round asks once for all that is wanted of the cluster: its Metadata, then each leader. It reports whether anybody
// answered.
func (a *asker) round() (answered bool, p problems) {
	ctx, cancel := context.WithTimeout(a.ctx, a.poller.timeout())
	defer cancel()
	wanted := a.poller.wantedOf(a, a.id)
	metadata, err := a.identify(ctx, &wanted)
	if err != nil {
		p.addError(err)
		return false, p
	}
	if len(wanted.Partitions) == 0 {
		a.held = nil
		return true, p
	}
	leaders := a.assign(metadata, &wanted, &p)
	answers, answered := a.askLeaders(ctx, leaders, &p)
	a.keep(&wanted, answers)
	return answered || len(leaders) == 0, p
}

// identify asks for the Metadata of the wanted topics, and makes sure whose it is. If the cluster's id becomes known by
// it, it asks a second time, for what is wanted of that cluster.
func (a *asker) identify(ctx context.Context, wanted *Wanted) (*kmsg.MetadataResponse, error) {
	metadata, err := a.metadata(ctx, wanted)
	if err != nil {
		return nil, err
	}
	if id := *metadata.ClusterID; id != a.id {
		if !a.given {
			a.disconnect() // with all that it has learnt of the other cluster
			return nil, &clusterError{otherCluster, a.id, id}
		}
		a.logger.Info("Asking a cluster for watermarks", zap.String("cluster", id), zap.String("before", a.id))
		*wanted, a.held = a.poller.wantedOf(a, id), nil
		if len(wanted.Partitions) == 0 {
			return metadata, nil
		}
		if metadata, err = a.metadata(ctx, wanted); err != nil {
			return nil, err
		}
		if again := *metadata.ClusterID; again != id {
			return nil, &clusterError{otherCluster, id, again}
		}
	}
	return metadata, nil
}

// metadata always returns a response with a cluster id, or an error.
func (a *asker) metadata(ctx context.Context, wanted *Wanted) (*kmsg.MetadataResponse, error) {
	if err := a.ready(wanted); err != nil {
		return nil, err
	}
	request := kmsg.NewPtrMetadataRequest()
	request.Topics = []kmsg.MetadataRequestTopic{} // null would ask for all topics
	for name := range wanted.Partitions {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = kmsg.StringPtr(name)
		request.Topics = append(request.Topics, topic)
	}
	response, err := request.RequestWith(ctx, a.client)
	if err != nil {
		return nil, fmt.Errorf("asking for Metadata: %w", err)
	}
	if response.ClusterID == nil || *response.ClusterID == "" {
		return nil, &clusterError{kind: noClusterID}
	}
	return response, nil
}

// assign finds the leader of each wanted partition. What has none is left out.
func (a *asker) assign(
	metadata *kmsg.MetadataResponse, wanted *Wanted, p *problems,
) map[int32][]kmsg.ListOffsetsRequestTopic {
	leaders := make(map[int32][]kmsg.ListOffsetsRequestTopic)
	for i := range metadata.Topics {
		topic := &metadata.Topics[i]
		if topic.Topic == nil {
			continue
		}
		left := make(map[int32]bool, len(wanted.Partitions[*topic.Topic]))
		for _, number := range wanted.Partitions[*topic.Topic] {
			left[number] = true
		}
		byLeader := make(map[int32][]kmsg.ListOffsetsRequestTopicPartition)
		for j := range topic.Partitions {
			partition := &topic.Partitions[j]
			if !left[partition.Partition] || partition.Leader < 0 {
				continue
			}
			delete(left, partition.Partition)
			ask := kmsg.NewListOffsetsRequestTopicPartition()
			ask.Partition = partition.Partition
			ask.CurrentLeaderEpoch = partition.LeaderEpoch // who leads no more, or not yet, refuses
			byLeader[partition.Leader] = append(byLeader[partition.Leader], ask)
		}
		if len(left) > 0 {
			a.refused(*topic.Topic, left, topic.ErrorCode, p)
		}
		for leader, partitions := range byLeader {
			ask := kmsg.NewListOffsetsRequestTopic()
			ask.Topic, ask.Partitions = *topic.Topic, partitions
			leaders[leader] = append(leaders[leader], ask)
		}
	}
	return leaders
}

// refused notes the partitions of a topic that have no leader, or that the broker does not know or show.
func (a *asker) refused(topic string, partitions map[int32]bool, code int16, p *problems) {
	if code == 0 {
		code = kerr.LeaderNotAvailable.Code
	}
	a.forget(topic, partitions, code)
	p.add(state.ErrorName(code), len(partitions), fmt.Errorf("topic %s: %w", topic, kerr.ErrorForCode(code)))
}

// forget lets go of what was known of partitions that are gone. Other errors pass: what is known grows old meanwhile.
func (a *asker) forget(topic string, partitions map[int32]bool, code int16) {
	if code != kerr.UnknownTopicOrPartition.Code && code != kerr.UnknownTopicID.Code {
		return
	}
	for number := range partitions {
		for _, end := range a.poller.ends() {
			delete(a.held, question{topic, number, end})
		}
	}
}

// ends are what is asked for, the high watermark first.
func (p *Poller) ends() []state.End {
	ends := []state.End{state.HighWatermarkEnd}
	if p.options.LogStart {
		ends = append(ends, state.LogStartEnd)
	}
	if p.options.LastStable {
		ends = append(ends, state.LastStableEnd)
	}
	return ends
}

// askLeaders asks all leaders at once, and each for one thing after the other.
func (a *asker) askLeaders(
	ctx context.Context, leaders map[int32][]kmsg.ListOffsetsRequestTopic, p *problems,
) (answers []answer, answered bool) {
	var mu sync.Mutex
	var asking sync.WaitGroup
	for leader, topics := range leaders {
		asking.Go(func() {
			for _, end := range a.poller.ends() {
				asked := time.Now()
				response, err := a.listOffsets(ctx, leader, topics, end)
				now := time.Now()
				mu.Lock()
				if err != nil {
					p.addError(fmt.Errorf("asking broker %d for offsets: %w", leader, err))
				} else {
					answered = true
					answers = a.read(answers, response, end, asked, now, p)
				}
				mu.Unlock()
				if err != nil {
					return // nor will it answer the next question
				}
			}
		})
	}
	asking.Wait()
	return answers, answered
}

func (a *asker) listOffsets(
	ctx context.Context, leader int32, topics []kmsg.ListOffsetsRequestTopic, end state.End,
) (*kmsg.ListOffsetsResponse, error) {
	request := kmsg.NewPtrListOffsetsRequest()
	request.ReplicaID = -1 // a consumer
	request.IsolationLevel = readUncommitted
	timestamp := int64(latest)
	switch end {
	case state.LogStartEnd:
		timestamp = earliest
	case state.LastStableEnd:
		request.IsolationLevel = readCommitted
	}
	request.TimeoutMillis = int32(a.poller.timeout().Milliseconds()) / 2
	request.Topics = topics
	for i := range topics {
		for j := range topics[i].Partitions {
			topics[i].Partitions[j].Timestamp = timestamp
		}
	}
	response, err := a.client.Broker(int(leader)).RetriableRequest(ctx, request)
	if err != nil {
		return nil, err
	}
	offsets, ok := response.(*kmsg.ListOffsetsResponse)
	if !ok {
		return nil, errors.New("the answer is none to ListOffsets")
	}
	return offsets, nil
}

// read appends the offsets of a response to answers.
func (a *asker) read(
	answers []answer, response *kmsg.ListOffsetsResponse, end state.End, asked, answered time.Time, p *problems,
) []answer {
	for i := range response.Topics {
		topic := &response.Topics[i]
		for j := range topic.Partitions {
			partition := &topic.Partitions[j]
			if code := partition.ErrorCode; code != 0 {
				a.forget(topic.Topic, map[int32]bool{partition.Partition: true}, code)
				p.add(state.ErrorName(code), 1, fmt.Errorf("partition %d of topic %s: %w",
					partition.Partition, topic.Topic, kerr.ErrorForCode(code)))
				continue
			}
			if partition.Offset < 0 {
				continue // no offset
			}
			answers = append(answers, answer{
				question{topic.Topic, partition.Partition, end}, partition.Offset, asked, answered,
			})
		}
	}
	return answers
}

// keep remembers the new answers, and the last ones to what is still wanted and was not answered this time.
func (a *asker) keep(wanted *Wanted, answers []answer) {
	held := make(map[question]answer, len(answers))
	for i := range answers {
		held[answers[i].question] = answers[i]
	}
	all := answers
	for topic, partitions := range wanted.Partitions {
		for _, number := range partitions {
			for _, end := range a.poller.ends() {
				q := question{topic, number, end}
				if _, new := held[q]; new {
					continue
				}
				if old, known := a.held[q]; known {
					held[q] = old
					all = append(all, old)
				}
			}
		}
	}
	a.held = held
	a.poller.take(a.id, all)
}
