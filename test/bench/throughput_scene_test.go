// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/test/clients"
	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/kafka"
	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

const (
	speedTopic      = "speed"
	speedPartitions = 4

	// speedRecords of speedRecordSize are read again and again: a GB, which the page cache of any machine has room for that
	// runs a broker. The Java producer writes them, in batches of 16 KiB, its default.
	speedRecords, speedRecordSize = 1_000_000, 1024
)

// javaOptions undo what makes a JVM of tests small: a broker at full speed has the optimising compiler and the garbage
// collector that Kafka's own script starts it with. This variable is the only one that wins over a command line.
const javaOptions = "-XX:TieredStopAtLevel=4 -XX:-UseSerialGC -XX:+UseG1GC"

// A speedScene is a broker, and clients that work as quickly as they can.
type speedScene struct {
	broker *kafka.Broker
	admin  *kadm.Client
	client *kgo.Client // that admin uses

	java, librdkafka *clients.Worker
	topics           int    // that producers have written to
	written          string // the one that is not deleted yet
}

func newSpeedScene(ctx context.Context, t *testing.T) *speedScene {
	t.Setenv("_JAVA_OPTIONS", javaOptions)
	broker, err := kafka.Start(ctx, kafka.Options{Dir: t.TempDir(), Heap: "1g", Properties: map[string]string{
		// The defaults of Kafka, which tests lower.
		"num.network.threads": "3", "num.io.threads": "8", "background.threads": "10",
		// What is deleted is gone before the kernel writes it to the disk.
		"log.segment.delete.delay.ms": "0",
	}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, broker.Stop()) })
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	s := &speedScene{broker: broker, client: client, admin: kadm.NewClient(client)}
	s.java = startWorker(ctx, t, "java", broker, clients.StartJavaWorker)
	s.librdkafka = startWorker(ctx, t, "librdkafka", broker, clients.StartLibrdkafkaWorker)

	require.NoError(t, broker.CreateTopic(ctx, speedTopic, speedPartitions))
	_, err = s.java.Produce(ctx, speedTopic, speedRecords, speedRecordSize)
	require.NoError(t, err)
	unix.Sync() // not while something is measured
	return s
}

func startWorker(ctx context.Context, t *testing.T, name string, b *kafka.Broker,
	start func(context.Context, clients.Job) (*clients.Worker, error)) *clients.Worker {
	w, err := start(ctx, clients.Job{Broker: b, Group: "speed-" + name, Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Stop()) })
	return w
}

// produce has a worker write to a topic of its own, and deletes that.
func (s *speedScene) produce(ctx context.Context, t *testing.T, w *clients.Worker, count int) clients.WorkDone {
	s.topics++
	s.written = fmt.Sprintf("written-%d", s.topics) // a deleted one's name would be used again before all know
	require.NoError(t, s.broker.CreateTopic(ctx, s.written, speedPartitions))
	done, err := w.Produce(ctx, s.written, count, speedRecordSize)
	require.NoError(t, err)
	return done
}

// clean deletes what producers have written, and waits until it is gone: what is not on the disk yet never gets there.
func (s *speedScene) clean(ctx context.Context, t *testing.T) {
	if s.written == "" {
		return
	}
	_, err := s.admin.DeleteTopic(ctx, s.written)
	require.NoError(t, err)
	s.written = ""
	require.NoError(t, wait.Until(ctx, func() error {
		left, err := filepath.Glob(filepath.Join(s.broker.Dir, "data", "written-*"))
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("not deleted yet: %s", left)
		}
		return err
	}))
}

// watch starts the collector as a user has it who takes the example, but for how often it collects.
func (s *speedScene) watch(ctx context.Context, t *testing.T, interval time.Duration) *collector.Collector {
	c, err := collector.Start(ctx, collector.Options{
		Dir: t.TempDir(), Configs: []string{filepath.Join("..", "..", "testdata", "config", "prometheus.yaml")},
		Set: []string{
			fmt.Sprintf("receivers::ebpf_kafka::collection_interval: %s", interval),
			"exporters::prometheus::endpoint: ${env:EBPFKAFKA_TEST_METRICS}",
			"service::telemetry::metrics::level: normal", // the default, which tests raise
			"service::extensions: []",
		},
	})
	require.NoError(t, err)
	return c
}
