// SPDX-License-Identifier: Apache-2.0

// Command confluent consumes with confluent-kafka-go, that is librdkafka, and
// commits what it has read whenever nothing more is there.
package main

import (
	"fmt"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/ebpfkafka/ebpfkafka/test/clients/go/job"
)

const pollMillis = 100

func main() {
	ctx, j := job.Start("github.com/confluentinc/confluent-kafka-go/v2", "classic sync")
	_, library := kafka.LibraryVersion()
	fmt.Println("librdkafka", library)
	consumer, err := kafka.NewConsumer(&kafka.ConfigMap{
		"bootstrap.servers": j.Broker, "group.id": j.Group, "auto.offset.reset": "earliest",
		"enable.auto.commit": false, "enable.auto.offset.store": false,
		"topic.metadata.refresh.interval.ms": int(job.Refresh.Milliseconds()),
	})
	job.Check(err)
	job.Check(consumer.SubscribeTopics(j.Topics, nil))
	stored := false
	for ctx.Err() == nil {
		switch event := consumer.Poll(pollMillis).(type) {
		case *kafka.Message:
			if !job.Held(event.Value) {
				_, err := consumer.StoreMessage(event)
				job.Check(err)
				stored = true
			}
		case kafka.Error:
			if event.IsFatal() {
				job.Fail(event)
			}
			fmt.Println(event)
		case nil:
			if stored {
				_, err := consumer.Commit()
				job.Check(err)
				stored = false
			}
		}
	}
	job.Check(consumer.Close())
}
