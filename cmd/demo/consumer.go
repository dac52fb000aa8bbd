// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// commitInterval is how often a consumer commits what it has processed.
const commitInterval = 500 * time.Millisecond

// fetchPartitionBytes is small so that the slow consumer holds about a second of records and goes on fetching: a
// client with a full buffer of megabytes would not ask the broker for minutes.
const fetchPartitionBytes = 512

// playConsumer is a member of a group that spends work on every record and commits what it has processed. Asked to be
// quiet it commits a last time, then reads on without processing: a consumer that polls, whose offsets stand still.
func playConsumer(ctx context.Context, p prompter, broker, group, topic string, work time.Duration) error {
	client, err := kgo.NewClient(append(clientOptions(broker, p.name),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(), // partitions are lost between rounds only, after their commit
		kgo.FetchMaxPartitionBytes(fetchPartitionBytes),
		kgo.FetchMaxWait(commitInterval),
	)...)
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	defer client.CloseAllowingRebalance()

	for ready := false; ; {
		committed, err := consumeRound(ctx, client, work)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if committed && !ready {
			ready = true
			p.say(sayReady, "")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-p.quiesce:
			// One round more: what the producer sent last may have arrived after the last poll.
			if _, err := consumeRound(ctx, client, work); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			p.say(sayQuiet, "")
			for ctx.Err() == nil {
				client.PollFetches(ctx)
				client.AllowRebalance()
			}
			return nil
		default:
		}
	}
}

// consumeRound polls and works for one commitInterval, then commits.
func consumeRound(ctx context.Context, client *kgo.Client, work time.Duration) (committed bool, err error) {
	defer client.AllowRebalance()
	round, cancel := context.WithTimeout(ctx, commitInterval)
	defer cancel()
	atOnce := max(1, int(commitInterval/work)) // records that fit into a round
	var processed []*kgo.Record
	for round.Err() == nil && len(processed) < atOnce {
		fetches := client.PollRecords(round, atOnce-len(processed))
		for _, failed := range fetches.Errors() {
			if !errors.Is(failed.Err, context.DeadlineExceeded) && !errors.Is(failed.Err, context.Canceled) {
				return false, fmt.Errorf("fetching %s/%d: %w", failed.Topic, failed.Partition, failed.Err)
			}
		}
		for iterator := fetches.RecordIter(); !iterator.Done(); {
			time.Sleep(work) // the work that a real consumer would do
			processed = append(processed, iterator.Next())
		}
	}
	if len(processed) == 0 {
		return false, nil
	}
	if err := client.CommitRecords(ctx, processed...); err != nil {
		return false, fmt.Errorf("committing: %w", err)
	}
	return true, nil
}
