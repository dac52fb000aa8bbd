// SPDX-License-Identifier: Apache-2.0

// Command franz consumes with franz-go: marks that are committed in the
// background, or commits of each record without waiting.
package main

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/test/clients/go/job"
)

func main() {
	ctx, j := job.Start("github.com/twmb/franz-go", "classic auto", "consumer async")
	options := []kgo.Opt{
		kgo.SeedBrokers(j.Broker), kgo.ConsumerGroup(j.Group), kgo.ConsumeTopics(j.Topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.MetadataMaxAge(job.Refresh), kgo.MetadataMinAge(job.Refresh / 10), kgo.FetchMaxWait(job.Wait),
	}
	if j.Commit == "auto" {
		options = append(options, kgo.AutoCommitMarks(), kgo.AutoCommitInterval(job.Interval))
	} else {
		options = append(options, kgo.DisableAutoCommit())
	}
	if j.Protocol == "consumer" {
		//lint:ignore SA1029 The library asks for this very key.
		options = append(options, kgo.WithContext(context.WithValue(context.Background(), "opt_in_kafka_next_gen_balancer_beta", true)))
	}
	client, err := kgo.NewClient(options...)
	job.Check(err)
	defer client.Close()
	for ctx.Err() == nil {
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			switch {
			case job.Held(r.Value):
			case j.Commit == "auto":
				client.MarkCommitRecords(r)
			default:
				commit(client, r)
			}
		})
	}
}

// commit does not wait. franz-go itself has one commit on its way at a time and gives up those that a later one
// overtakes.
func commit(client *kgo.Client, r *kgo.Record) {
	offsets := map[string]map[int32]kgo.EpochOffset{r.Topic: {r.Partition: {Epoch: r.LeaderEpoch, Offset: r.Offset + 1}}}
	client.CommitOffsets(context.Background(), offsets,
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, _ *kmsg.OffsetCommitResponse, _ error) {})
}
