// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/kafka"
	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

const (
	// testTimeout bounds the test, which takes a minute on two idle cores.
	testTimeout = 6 * time.Minute
	// agreement is how long Prometheus may take to equal the cluster once all
	// is quiet: names come every 3 seconds, everything else every second.
	agreement = 45 * time.Second
)

// clientPort is where a broker listens for clients; for the other brokers it is
// one above. No other broker has these ports, nor has one of another test that
// runs at the same time, and Linux gives them to no client.
func clientPort(broker int) int { return 12000 + os.Getpid()%500*40 + broker*10 }

// fleet is the hosts: brokers first, the clients' last.
type fleet struct {
	hosts   []host
	cluster *kafka.Cluster
	oracle  *kafka.Oracle
	load    *load
	brokers []*collector.Collector // their agents
	clients *collector.Collector   // the agent on the clients' host
	all     *collector.Collector   // an agent for which all hosts are one
	dead    string                 // the address of the agent beside a broker that was killed
	views   []view
	joined  *prometheus
}

// TestRecordedLagEqualsCluster holds what Prometheus records against what the
// cluster says, when all is quiet: after the first records, after leaders and
// coordinators have moved and a group was set back, after a broker has died and
// after a consumer was replaced, for four sets of agents.
func TestRecordedLagEqualsCluster(t *testing.T) {
	_, err := collector.Binary()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	f := start(ctx, t)

	require.NoError(t, f.load.start(ctx))
	require.NoError(t, f.load.round(ctx))
	f.agree(ctx, t, "after the first records")

	admin := f.oracle.Admin()
	before, err := coordinators(ctx, admin, f.load.groups()...)
	require.NoError(t, err)
	require.NoError(t, moveLeaders(ctx, admin, orders, payments, shipments, offsetsTopic))
	require.NoError(t, f.load.round(ctx))
	after, err := coordinators(ctx, admin, f.load.groups()...)
	require.NoError(t, err)
	for group, broker := range before {
		require.NotEqual(t, broker, after[group], "the coordinator of %s has not moved", group)
	}
	require.NoError(t, f.load.setBack(ctx))
	f.agree(ctx, t, "after leaders and coordinators have moved, and a group was set back")

	victim := after[f.load.classic]
	f.dead = f.brokers[victim-1].Addr
	require.NoError(t, f.cluster.Brokers[victim-1].Kill())
	require.NoError(t, wait.Until(ctx, func() error {
		led, err := leaders(ctx, admin, orders, payments, shipments, offsetsTopic)
		for p, leader := range led {
			if leader == victim {
				err = fmt.Errorf("%v is still led by the dead broker %d", p, victim)
			}
		}
		return err
	}))
	require.NoError(t, f.load.round(ctx))
	f.agree(ctx, t, "after a broker has died")

	// The agent beside the dead broker still has an older commit. What the new
	// consumer has asked for is newer, and it has nothing to commit of payments.
	require.NoError(t, f.load.replaceClassic(ctx))
	f.agree(ctx, t, "after a consumer was replaced")
}

// start starts everything but the clients.
func start(ctx context.Context, t *testing.T) *fleet {
	f := &fleet{hosts: newNetwork(t, replicas+1), brokers: make([]*collector.Collector, replicas)}
	nodes := make([]kafka.Node, replicas)
	ports := make([][]string, replicas) // of each broker: for clients, for brokers
	var clientPorts []string
	for i := range nodes {
		nodes[i] = kafka.Node{Namespace: f.hosts[i].namespace, Host: f.hosts[i].address, Port: clientPort(i)}
		ports[i] = []string{strconv.Itoa(nodes[i].Port), strconv.Itoa(nodes[i].Port + 1)}
		clientPorts = append(clientPorts, ports[i][0])
	}
	dir := t.TempDir()
	var starting sync.WaitGroup
	errs := make([]error, replicas+3)
	starting.Go(func() {
		f.cluster, errs[replicas] = kafka.StartCluster(ctx, kafka.ClusterOptions{
			Version: os.Getenv("KAFKA_VERSION"), Dir: filepath.Join(dir, "kafka"), Heap: "256m", Nodes: nodes,
			Properties: map[string]string{
				"offsets.topic.num.partitions": "6", // so that each broker leads two
				// A dead broker is to lose its partitions in seconds, but not one that waits for a busy processor.
				"broker.session.timeout.ms": "6000",
			},
		})
	})
	for i, h := range f.hosts[:replicas] {
		starting.Go(func() {
			at := filepath.Join(dir, fmt.Sprintf("agent-%d", i+1))
			f.brokers[i], errs[i] = startAgent(ctx, at, h, "broker", ports[i]...)
		})
	}
	starting.Go(func() {
		at := filepath.Join(dir, "agent-clients")
		f.clients, errs[replicas+1] = startAgent(ctx, at, f.hosts[replicas], "client", clientPorts...)
	})
	starting.Go(func() {
		at := filepath.Join(dir, "agent-all")
		f.all, errs[replicas+2] = startAgent(ctx, at, host{}, "", slices.Concat(ports...)...)
	})
	starting.Wait()
	t.Cleanup(func() { f.stop(t) })
	require.NoError(t, errors.Join(errs...))
	var err error
	f.oracle, err = f.cluster.Oracle()
	require.NoError(t, err)
	t.Cleanup(f.oracle.Close)
	f.load = &load{cluster: f.cluster, oracle: f.oracle, host: f.hosts[replicas]}
	t.Cleanup(func() { require.NoError(t, f.load.stop()) })

	const all = "kafka_.+"
	f.views = []view{
		{"agents on brokers only", []scrape{{f.brokers, all}}},
		{"agents on brokers and client", []scrape{{append(f.brokers[:replicas:replicas], f.clients), all}}},
		// As on a node of Kubernetes: containers of clients and brokers, both ends of every connection, and the brokers
		// as each other's clients.
		{"one agent for all", []scrape{{[]*collector.Collector{f.all}, all}}},
		// Neither end of any lag from the agent that has the other.
		{"commits from the client's host and watermarks from the brokers'", []scrape{
			{[]*collector.Collector{f.clients}, "kafka_consumer_group_.+"}, {f.brokers, "kafka_partition_.+"}}},
	}
	f.joined = startPrometheus(ctx, t, f.views)
	return f
}

// startAgent starts a collector on a host that sees one end of the connections
// to these ports, or both if no role is given.
func startAgent(ctx context.Context, dir string, h host, role string, ports ...string) (*collector.Collector, error) {
	return collector.Start(ctx, collector.Options{
		Dir: dir, Namespace: h.namespace, Host: h.address, Role: role,
		Configs: []string{rulesFile("agent.yaml")},
		Set: []string{
			"receivers::ebpf_kafka::discovery::ports: [" + strings.Join(ports, ", ") + "]",
			"receivers::ebpf_kafka::limits: {connections: 1024, offsets: 1024, watermarks: 1024, names: 1024, pending: 1024}",
		},
	})
}

// stop ends brokers and agents, having logged what helps to find out why the
// test has failed.
func (f *fleet) stop(t *testing.T) {
	agents := append([]*collector.Collector{f.all, f.clients}, f.brokers...)
	errs := make([]error, len(agents)+1)
	var stopping sync.WaitGroup
	for i, c := range agents {
		if c == nil {
			continue
		}
		if t.Failed() {
			logAgent(t, fmt.Sprintf("agent %d", i), c)
		}
		stopping.Go(func() { errs[i] = c.Stop() })
	}
	if f.cluster != nil {
		stopping.Go(func() { errs[len(agents)] = f.cluster.Stop() })
	}
	stopping.Wait()
	require.NoError(t, errors.Join(errs...))
}

func logAgent(t *testing.T, name string, c *collector.Collector) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	metrics, err := c.Metrics(ctx)
	if err != nil {
		t.Logf("%s: %v", name, err)
	}
	telemetry, err := c.Telemetry(ctx)
	if err != nil {
		t.Logf("%s: %v", name, err)
	}
	for _, s := range append(metrics, telemetry...) {
		if s.Value != 0 && (strings.HasPrefix(s.Name, "kafka_") || strings.Contains(s.Name, "ebpf_kafka")) {
			t.Logf("%s: %v", name, s)
		}
	}
	t.Logf("%s logged:\n%s", name, c.Log())
}

// agree awaits that of every view is recorded what the cluster says, and that
// this stays so.
func (f *fleet) agree(ctx context.Context, t *testing.T, when string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, agreement)
	defer cancel()
	truth, err := f.oracle.Ask(ctx)
	require.NoError(t, err)
	check := func(v view) error {
		cluster := v.cluster(f.cluster.ID)
		samples, err := f.joined.query(ctx,
			fmt.Sprintf(`{__name__=~%q, kafka_cluster_id=%q}`, strings.Join(recorded, "|"), cluster))
		if err != nil {
			return err
		}
		return compare(expected(cluster, truth), samples)
	}
	begin := time.Now()
	require.NoError(t, f.eachView(func(v view) error {
		if err := f.joined.catchUp(ctx, v.cluster(f.cluster.ID), f.dead); err != nil {
			return err
		}
		return wait.Until(ctx, func() error { return check(v) })
	}), when)
	took := time.Since(begin)
	require.NoError(t, f.eachView(func(v view) error {
		return errors.Join(f.joined.catchUp(ctx, v.cluster(f.cluster.ID), f.dead), check(v))
	}), "%s: it has not stayed equal", when)
	again, err := f.oracle.Ask(ctx)
	require.NoError(t, err)
	want := expected(f.cluster.ID, truth)
	require.Equal(t, want, expected(f.cluster.ID, again), "the cluster was not quiet")
	t.Logf("%s: %d series equal in %d views after %.1f s", when, len(want), len(f.views), took.Seconds())
}

// eachView does something for all views at once.
func (f *fleet) eachView(do func(view) error) error {
	errs := make([]error, len(f.views))
	var all sync.WaitGroup
	for i, v := range f.views {
		all.Go(func() {
			if err := do(v); err != nil {
				errs[i] = fmt.Errorf("%s: %w", v.name, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
