// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/kafka"
	"github.com/ebpfkafka/ebpfkafka/test/process"
	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

const (
	clientsTopic = "orders"
	// clientsEach is the time between two commits on a connection, which Java's consumers commit after by default.
	clientsEach = 5 * time.Second
	// clientsInterval is between two collections, and between two scrapes: the receiver's default.
	clientsInterval = 15 * time.Second
	// clientsCollections is over how many the collector is measured.
	clientsCollections = 2
	// clientsPatience is how long offsets may take to be right once nobody commits: some collections.
	clientsPatience = 4 * clientsInterval
)

// A memoryBroker is a broker in this process, which remembers what it was asked to commit.
type memoryBroker struct {
	address string

	mutex   sync.Mutex
	offsets map[kafka.GroupPartition]int64
	commits int64
}

func newMemoryBroker(t *testing.T, partitions int32) *memoryBroker {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID("host"),
		kfake.SeedTopics(partitions, clientsTopic))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	b := &memoryBroker{address: cluster.ListenAddrs()[0], offsets: map[kafka.GroupPartition]int64{}}
	cluster.ControlKey(int16(kmsg.OffsetCommit), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		b.remember(r.(*kmsg.OffsetCommitRequest))
		return nil, nil, false // the cluster answers
	})
	return b
}

func (b *memoryBroker) remember(r *kmsg.OffsetCommitRequest) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			b.offsets[kafka.GroupPartition{Group: r.Group, Topic: t.Topic, Partition: p.Partition}] = p.Offset
			b.commits++
		}
	}
}

func (b *memoryBroker) committed() int64 {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.commits
}

// clientCosts are what the collector is while many clients work.
type clientCosts struct {
	cpu            time.Duration // in a second
	resident, peak int64
	commits, calls float64 // in a second
	right          int     // group-partitions of which the offset was right at the end
	counted        float64 // commits, by the collector; as many as were made
	maps           []mapUse
	held           map[string]float64
}

type mapUse struct {
	name              string
	entries, capacity float64
}

// measureClients measures everything at once: clients, processes that wait, and calls that are not Kafka's.
func measureClients(ctx context.Context, t *testing.T, crowd string) clientCosts {
	const perClient = hostConnections / hostClients
	end := waiters(ctx, t, hostProcesses)
	defer end()
	b := newMemoryBroker(t, perClient)
	_, port, err := net.SplitHostPort(b.address)
	require.NoError(t, err)
	c, err := collector.Start(ctx, collector.Options{
		Dir: filepath.Join(t.TempDir(), "collector"), Role: "client", // as on a host with consumers
		Set: []string{
			"receivers::ebpf_kafka::discovery::ports: [" + port + "]",
			"receivers::ebpf_kafka::collection_interval: " + clientsInterval.String(),
			"exporters::prometheus::metric_expiration: 1m",
			"service::telemetry::metrics::level: normal",
		}})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Stop()) }()

	guests, quiet := startClients(ctx, t, crowd, b.address, perClient)
	settled := snapshots(t, c)
	require.NoError(t, wait.Until(ctx, func() error { // each has committed, and has been collected
		b.mutex.Lock()
		defer b.mutex.Unlock()
		if len(b.offsets) < hostConnections || snapshots(t, c) < settled+2 {
			return fmt.Errorf("%d of %d connections have committed", len(b.offsets), hostConnections)
		}
		return nil
	}))

	costs := measureWatching(ctx, t, crowd, c, b)
	require.NoError(t, quiet.Close())
	for _, g := range guests {
		_, err := g.Await(ctx, regexp.MustCompile("quiet"))
		require.NoError(t, err)
	}
	patient, cancel := context.WithTimeout(ctx, clientsPatience)
	defer cancel()
	require.NoError(t, wait.Until(patient, func() error {
		samples, err := c.Metrics(ctx)
		if err != nil {
			return err
		}
		costs.right, costs.counted, err = b.equal(samples)
		return err
	}))
	samples, err := c.Metrics(ctx)
	require.NoError(t, err)
	owners := map[string]bool{}
	for _, s := range samples.Named("kafka_consumer_offset") {
		owners[s.Labels["process_pid"]] = true
	}
	require.Len(t, owners, hostClients, "processes whose offsets are published")
	samples, err = c.Telemetry(ctx)
	require.NoError(t, err)
	costs.held = map[string]float64{}
	for name, value := range samples.Own() {
		require.False(t, strings.HasPrefix(name, "drops"), "%s: %v", name, value)
		if strings.HasPrefix(name, "held") {
			costs.held[name] = value
		}
	}
	t.Logf("%+v", costs)
	return costs
}

// startClients starts them, and returns what to close so that they no longer commit.
func startClients(ctx context.Context, t *testing.T, crowd, address string,
	connections int) ([]*process.Process, *os.File) {
	in, quiet, err := os.Pipe()
	require.NoError(t, err)
	defer in.Close()
	t.Cleanup(func() { quiet.Close() })
	began := time.Now()
	var guests []*process.Process
	for i := range hostClients {
		cmd := exec.Command(crowd, "clients", "-to", address, "-group", fmt.Sprintf("group-%03d", i), "-topic", clientsTopic,
			"-connections", strconv.Itoa(connections), "-each", clientsEach.String())
		cmd.Stdin = in
		p, err := process.Start(fmt.Sprintf("client %d", i), "", cmd)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, p.Stop(0)) })
		guests = append(guests, p)
	}
	for _, g := range guests {
		_, err := g.Await(ctx, regexp.MustCompile("ready"))
		require.NoError(t, err)
	}
	t.Logf("%d clients were ready after %v", len(guests), time.Since(began))
	return guests, quiet
}

// measureWatching takes the collector's CPU time over some collections, from a moment within an interval to the same
// moment of a later one.
func measureWatching(ctx context.Context, t *testing.T, crowd string, c *collector.Collector,
	b *memoryBroker) clientCosts {
	const window = clientsCollections * clientsInterval
	others := startCalls(t, crowd, window)
	var costs clientCosts
	seen, commits := snapshots(t, c), b.committed()
	began, before := time.Now(), cpu(t, c.PID())
	for i := range clientsCollections {
		_, _, err := scrapeWith("gzip")(ctx, c.Addr)
		require.NoError(t, err)
		time.Sleep(time.Until(began.Add(time.Duration(i+1) * clientsInterval))) // that much time is what is measured
	}
	took, lasted := cpu(t, c.PID())-before, time.Since(began).Seconds()
	require.InDelta(t, clientsCollections, snapshots(t, c)-seen, 1, "collections")
	costs.cpu = time.Duration(float64(took) / lasted)
	costs.commits = float64(b.committed()-commits) / lasted
	calls, err := others(ctx)
	require.NoError(t, err)
	costs.calls = calls.rate()
	status := fmt.Sprintf("/proc/%d/status", c.PID())
	costs.resident, costs.peak = field(t, status, "VmRSS:")*1024, field(t, status, "VmHWM:")*1024
	costs.maps = mapUses(ctx, t, c)
	return costs
}

// mapUses are the maps with anything in them, in the order in which the receiver tells of them.
func mapUses(ctx context.Context, t *testing.T, c *collector.Collector) (all []mapUse) {
	samples, err := c.Telemetry(ctx)
	require.NoError(t, err)
	own := samples.Own()
	for _, s := range samples.Named("otelcol_receiver_ebpf_kafka_map_capacity") {
		name := s.Labels["map"]
		if n := own["map_entries "+name]; n > 0 {
			all = append(all, mapUse{name: name, entries: n, capacity: s.Value})
		}
	}
	require.NotEmpty(t, all, "maps with entries")
	return all
}

// equal compares what the collector publishes with all that was committed: offsets, and the number of commits.
func (b *memoryBroker) equal(samples collector.Samples) (right int, counted float64, err error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for _, s := range samples.Named("kafka_consumer_group_commits_total") {
		counted += s.Value
	}
	for _, s := range samples.Named("kafka_consumer_group_offset") {
		partition, err := strconv.ParseInt(s.Labels["partition"], 10, 32)
		if err != nil {
			return 0, 0, fmt.Errorf("%v: %w", s, err)
		}
		of := kafka.GroupPartition{Group: s.Labels["group"], Topic: s.Labels["topic"], Partition: int32(partition)}
		if want, known := b.offsets[of]; !known || int64(s.Value) != want {
			return 0, 0, fmt.Errorf("%v, but %d was committed (%t)", s, want, known)
		}
		right++
	}
	switch {
	case len(b.offsets) == 0:
		return 0, 0, errors.New("nothing was committed")
	case right < len(b.offsets):
		return right, counted, fmt.Errorf("%d of %d offsets are published", right, len(b.offsets))
	case int64(counted) != b.commits:
		return right, counted, fmt.Errorf("%v commits are counted, %d were made", counted, b.commits)
	}
	return right, counted, nil
}
