// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kfake"
)

// playBroker is a Kafka cluster of one broker, in memory, on a loopback port (0: a free one).
func playBroker(ctx context.Context, p prompter, clusterID string, port int) error {
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.Ports(port),
		kfake.ClusterID(clusterID),
		kfake.SeedTopics(ordersPartitions, ordersTopic),
		kfake.SeedTopics(paymentsPartitions, paymentsTopic),
	)
	if err != nil {
		return fmt.Errorf("the broker could not listen on loopback port %d: %w", port, err)
	}
	defer cluster.Close()
	p.say(sayReady, cluster.ListenAddrs()[0])
	<-ctx.Done()
	return nil
}
