// SPDX-License-Identifier: Apache-2.0

package privilege

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The test starts itself again as what it observes: a process of another user,
// in which variables say what to be.
const (
	roleVariable      = "EBPFKAFKA_PRIVILEGE_ROLE"
	brokerVariable    = "EBPFKAFKA_PRIVILEGE_BROKER"
	workVariable      = "EBPFKAFKA_PRIVILEGE_WORK" // group and topic are both called so
	directoryVariable = "EBPFKAFKA_PRIVILEGE_LOG_DIRECTORY"
	errnoVariable     = "EBPFKAFKA_PRIVILEGE_ERRNO"
)

const (
	clusterID = "privileges"
	early     = "early" // consumed since before the collector's start
	late      = "late"  // consumed since after it
	records   = 10      // of each topic, in its only partition
	committed = 4
)

// never is how often names are asked for of the broker: not again while the test runs.
const never = time.Hour

func TestMain(m *testing.M) {
	var play func(context.Context) error
	switch role := os.Getenv(roleVariable); role {
	case "":
		os.Exit(m.Run())
	case "broker":
		play = playBroker
	case "consumer":
		play = playConsumer
	case "filter":
		play = playFilter
	default:
		fmt.Fprintln(os.Stderr, "no such role:", role)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := play(ctx); err != nil {
		fmt.Fprintln(os.Stderr, os.Getenv(roleVariable)+":", err)
		os.Exit(1)
	}
}

// playBroker is a broker of one node, with a log directory like Kafka's own.
func playBroker(ctx context.Context) error {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID(clusterID), kfake.SeedTopics(1, early, late))
	if err != nil {
		return err
	}
	defer cluster.Close()
	lock, err := writeLogDirectory(ctx, os.Getenv(directoryVariable), cluster.ListenAddrs()[0])
	if err != nil {
		return err
	}
	defer lock.Close()
	fmt.Println("ready", cluster.ListenAddrs()[0])
	<-ctx.Done()
	return nil
}

// writeLogDirectory writes what a broker keeps of its names, readable by its
// user alone, and returns the lock that a broker holds.
func writeLogDirectory(ctx context.Context, dir, addr string) (*os.File, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	topics, err := kadm.NewClient(client).ListTopics(ctx)
	if err != nil {
		return nil, err
	}
	files := map[string]string{"meta.properties": "version=1\ncluster.id=" + clusterID + "\nnode.id=0\n"}
	for name, topic := range topics {
		files[filepath.Join(name+"-0", "partition.metadata")] =
			"version: 0\ntopic_id: " + base64.RawURLEncoding.EncodeToString(topic.ID[:]) + "\n"
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(filepath.Join(dir, ".lock"), os.O_RDWR|os.O_CREATE, 0o600)
}

// playConsumer consumes and commits the same offset over and over.
func playConsumer(ctx context.Context) error {
	work := os.Getenv(workVariable)
	client, err := kgo.NewClient(kgo.SeedBrokers(os.Getenv(brokerVariable)), kgo.ConsumerGroup(work), kgo.ConsumeTopics(work),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		kgo.MetadataMaxAge(never), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		return err
	}
	defer client.Close()
	offsets := map[string]map[int32]kgo.EpochOffset{work: {0: {Epoch: -1, Offset: committed}}}
	for ctx.Err() == nil && client.PollFetches(ctx).NumRecords() == 0 { // from then on franz-go fetches by itself
	}
	for said := false; ctx.Err() == nil; {
		var err error
		client.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest,
			answer *kmsg.OffsetCommitResponse, failed error,
		) {
			if err = failed; err == nil {
				err = kerr.ErrorForCode(answer.Topics[0].Partitions[0].ErrorCode)
			}
		})
		if err != nil && ctx.Err() == nil {
			return err
		}
		if !said {
			said = true
			fmt.Println("committed")
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}
