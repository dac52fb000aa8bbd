// SPDX-License-Identifier: Apache-2.0

// Command segmentio consumes with segmentio/kafka-go, which gathers what is
// to be committed and commits it in the background.
package main

import (
	"github.com/segmentio/kafka-go"

	"github.com/ebpfkafka/ebpfkafka/test/clients/go/job"
)

func main() {
	ctx, j := job.Start("github.com/segmentio/kafka-go", "classic async")
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{j.Broker}, GroupID: j.Group, GroupTopics: j.Topics, StartOffset: kafka.FirstOffset,
		MinBytes: 1, MaxBytes: 1 << 20, MaxWait: job.Wait, CommitInterval: job.Interval,
		WatchPartitionChanges: true, PartitionWatchInterval: job.Refresh,
	})
	for {
		message, err := reader.FetchMessage(ctx)
		if ctx.Err() != nil {
			break
		}
		job.Check(err)
		if !job.Held(message.Value) {
			job.Check(reader.CommitMessages(ctx, message))
		}
	}
	job.Check(reader.Close())
}
