// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/ebpfkafka/ebpfkafka/receiver/ebpfkafkareceiver"
	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

// values are numbers by metric and partition.
type values map[string]int64

const (
	committed = "kafka.consumer_group.offset"
	lag       = "kafka.consumer_group.lag"
	end       = "kafka.partition.current_offset"
	oldest    = "kafka.partition.oldest_offset"
)

func key(metric string, partition int64) string { return fmt.Sprintf("%s of %d", metric, partition) }

var rounds = []round{{20, 5}, {50, 61}, {0, 66}}

// TestReceiver compares what the receiver publishes with what the broker answers.
func TestReceiver(t *testing.T) {
	if len(backends) == 0 {
		backends = []string{string(ebpfkafkareceiver.BackendAuto)}
	}
	for _, b := range backends {
		t.Run(b, func(t *testing.T) { compare(t, ebpfkafkareceiver.Backend(b)) })
	}
}

func compare(t *testing.T, backend ebpfkafkareceiver.Backend) {
	cluster := fmt.Sprintf("%s of %d", t.Name(), os.Getpid()) // whatever else the host runs
	broker, _ := start(t, "broker", cluster)
	m, err := broker.Await(within(t), regexp.MustCompile(`listening on (\S+)`))
	require.NoError(t, err)
	address := m[1]
	// Asked by this process, which the receiver does not hear.
	oracle, err := kgo.NewClient(kgo.SeedBrokers(address))
	require.NoError(t, err)
	defer oracle.Close()

	published := receive(t, backend, cluster)
	client, input := start(t, "client", address)
	known, all := 0, 0
	for _, r := range rounds {
		_, err := fmt.Fprintln(input, r)
		require.NoError(t, err)
		_, err = client.Await(within(t), regexp.MustCompile(fmt.Sprintf("done %s\n", r)))
		require.NoError(t, err)
		truth := ask(t, kadm.NewClient(oracle))
		for p := range int32(partitions) {
			require.Equal(t, r.of(p).commit, truth[key(committed, int64(p))], "the broker's offset of partition %d", p)
		}
		var right values
		require.NoError(t, wait.Until(within(t), func() (err error) {
			right, err = published.check(truth, *skips)
			return err
		}), "after round %s; the client printed %s", r, client.Output())
		if *skips {
			right = published.hold(t, truth)
		}
		known, all = known+len(right), all+len(truth)
	}
	if *skips {
		fmt.Printf("\nreceiver: skips: %d programs, %d of %d values, none wrong\n", published.skipped(t), known, all)
	}
}

// ask asks the broker for what the receiver should publish.
func ask(t *testing.T, admin *kadm.Client) values {
	t.Helper()
	v := make(values)
	offsets, err := admin.FetchOffsets(within(t), group)
	require.NoError(t, err)
	ends, err := admin.ListEndOffsets(within(t), topic)
	require.NoError(t, err)
	require.NoError(t, ends.Error())
	starts, err := admin.ListStartOffsets(within(t), topic)
	require.NoError(t, err)
	require.NoError(t, starts.Error())
	for p := range int32(partitions) {
		o, ok := offsets.Lookup(topic, p)
		require.True(t, ok)
		require.NoError(t, o.Err)
		v[key(committed, int64(p))] = o.At
		e, _ := ends.Lookup(topic, p)
		v[key(end, int64(p))] = e.Offset
		v[key(lag, int64(p))] = e.Offset - o.At
		s, _ := starts.Lookup(topic, p)
		v[key(oldest, int64(p))] = s.Offset
	}
	return v
}
