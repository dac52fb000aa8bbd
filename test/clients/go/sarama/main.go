// SPDX-License-Identifier: Apache-2.0

// Command sarama consumes with IBM/sarama and commits each record.
package main

import (
	"context"

	"github.com/IBM/sarama"

	"github.com/ebpfkafka/ebpfkafka/test/clients/go/job"
)

func main() {
	ctx, j := job.Start("github.com/IBM/sarama", "classic sync")
	config := sarama.NewConfig()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.MaxWaitTime = job.Wait
	config.Metadata.RefreshFrequency = job.Refresh
	group, err := sarama.NewConsumerGroup([]string{j.Broker}, j.Group, config)
	job.Check(err)
	for ctx.Err() == nil {
		// Returns at each rebalance.
		if err := group.Consume(ctx, j.Topics, handler{}); err != nil && ctx.Err() == nil {
			job.Fail(err)
		}
	}
	job.Check(group.Close())
}

type handler struct{}

func (handler) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (handler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

// ConsumeClaim runs once for each partition, all at the same time.
func (handler) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			if !job.Held(message.Value) {
				session.MarkMessage(message, "")
				session.Commit()
			}
		case <-session.Context().Done():
			return context.Cause(session.Context())
		}
	}
}
