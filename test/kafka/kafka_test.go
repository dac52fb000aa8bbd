// SPDX-License-Identifier: Apache-2.0

package kafka_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
	"github.com/ebpfkafka/ebpfkafka/test/process"
	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

// TestClientsAndOracles proves the tools of this package against one another:
// each way to consume commits what it should, and kadm and
// kafka-consumer-groups agree on every committed offset and lag.
// KAFKA_VERSION chooses another release.
func TestClientsAndOracles(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	broker, oracle := kafka.ForTest(ctx, t, kafka.Options{Version: os.Getenv("KAFKA_VERSION")})

	const partitions, each = 3, 20
	require.NoError(t, broker.CreateTopic(ctx, "orders", partitions))
	require.NoError(t, broker.Produce(ctx, kafka.Production{Topic: "orders", Partitions: partitions, Count: each, Rounds: 2}))
	require.NoError(t, broker.DeleteRecords(ctx, "orders", 1, 4))

	var consumers []*process.Process
	start := func(p *process.Process, err error) {
		require.NoError(t, err)
		consumers = append(consumers, p)
	}
	topics := []string{"orders"}
	start(broker.StartConsumer(ctx, kafka.Consumer{Group: "sync", Topics: topics, StopAt: 5, StopStep: 3}))
	start(broker.StartConsumer(ctx, kafka.Consumer{Group: "async", Topics: topics, Protocol: kafka.Next, Commit: kafka.Async, StopAt: 7}))
	start(broker.StartConsumer(ctx, kafka.Consumer{Group: "auto", Topics: topics, Commit: kafka.Auto}))
	start(broker.StartConsoleConsumer(ctx, kafka.Consumer{Group: "console", Topics: topics}))

	want := kafka.Truth{Committed: map[kafka.GroupPartition]int64{}}
	for p := range int32(partitions) {
		want.Committed[kafka.GroupPartition{Group: "sync", Topic: "orders", Partition: p}] = 5 + 3*int64(p)
		want.Committed[kafka.GroupPartition{Group: "async", Topic: "orders", Partition: p}] = 7
		want.Committed[kafka.GroupPartition{Group: "auto", Topic: "orders", Partition: p}] = each
		want.Committed[kafka.GroupPartition{Group: "console", Topic: "orders", Partition: p}] = each
	}
	var truth kafka.Truth
	var err error
	err = wait.Until(ctx, func() error {
		if truth, err = oracle.Ask(ctx); err != nil {
			return err
		}
		for k, offset := range want.Committed {
			if got, ok := truth.Committed[k]; !ok || got != offset {
				return fmt.Errorf("%v: committed %d (%t), want %d", k, got, ok, offset)
			}
		}
		return nil
	})
	if err != nil {
		for _, c := range consumers {
			t.Logf("%s:\n%s", c.Name, c.Output())
		}
	}
	require.NoError(t, err)
	require.Equal(t, want.Committed, truth.Committed)
	require.Equal(t, kafka.Bounds{Start: 4, End: each}, truth.Bounds[kafka.Partition{Topic: "orders", Partition: 1}])
	_, err = consumers[0].Await(ctx, regexp.MustCompile(`committed orders 2 11`))
	require.NoError(t, err)

	rows, err := broker.Describe(ctx)
	require.NoError(t, err)
	require.Len(t, rows, len(truth.Committed))
	for _, r := range rows {
		k := kafka.GroupPartition{Group: r.Group, Topic: r.Topic, Partition: r.Partition}
		lag, ok := truth.Lag(k)
		require.True(t, ok, k)
		require.Equal(t, truth.Committed[k], r.Committed, k)
		require.Equal(t, lag, r.Lag, k)
		require.NotEmpty(t, r.Client, k)
	}
	require.NoError(t, broker.CreateTopic(ctx, "notes", 1))
	require.NoError(t, broker.CreateTopic(ctx, "copies", 2))
	require.NoError(t, broker.ConsoleProduce(ctx, "notes", "one", "two", "three"))
	require.NoError(t, broker.Transact(ctx, kafka.Transaction{Group: "copier", Input: "notes", Output: "copies", Count: 3, Aborts: 1}))
	truth, err = oracle.Ask(ctx, "copier")
	require.NoError(t, err)
	require.Equal(t, map[kafka.GroupPartition]int64{{Group: "copier", Topic: "notes"}: 3}, truth.Committed)

	for _, c := range consumers {
		require.NoError(t, c.Stop(20*time.Second))
	}
}
