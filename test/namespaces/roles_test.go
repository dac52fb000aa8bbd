// SPDX-License-Identifier: Apache-2.0

package namespaces

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	roleBroker   = "broker"
	roleConsumer = "consumer"

	group      = "shop"
	topic      = "orders"
	clientID   = "till"
	partitions = 3
)

// playBroker is a Kafka cluster of one broker, in memory.
func playBroker(args []string) error {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID(args[0]), kfake.SeedTopics(partitions, topic))
	if err != nil {
		return err
	}
	defer cluster.Close()
	fmt.Println(cluster.ListenAddrs()[0])
	select {} // until it is killed
}

// playConsumer produces as many records to each partition as a line of its input
// says, consumes and commits them, and says what it has committed.
func playConsumer(args []string) error {
	ctx := context.Background()
	client, err := kgo.NewClient(kgo.SeedBrokers(args[0]), kgo.ClientID(clientID),
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer client.Close()
	fmt.Println("consumer is", os.Getpid())

	ended := map[string]int64{} // by partition
	input := bufio.NewScanner(os.Stdin)
	for round := 1; input.Scan(); round++ {
		count, err := strconv.Atoi(input.Text())
		if err != nil {
			return err
		}
		wanted := 0
		for p := range int32(partitions) {
			for range count + int(p) {
				record := &kgo.Record{Topic: topic, Partition: p, Value: []byte("order")}
				if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
					return err
				}
				wanted++
			}
		}
		for wanted > 0 {
			fetches := client.PollFetches(ctx)
			if err := fetches.Err(); err != nil {
				return err
			}
			fetches.EachRecord(func(r *kgo.Record) {
				ended[strconv.Itoa(int(r.Partition))] = r.Offset + 1
				wanted--
			})
		}
		if err := client.CommitUncommittedOffsets(ctx); err != nil {
			return err
		}
		text, err := json.Marshal(ended)
		if err != nil {
			return err
		}
		fmt.Printf("round %d committed %s\n", round, text)
	}
	return input.Err()
}
