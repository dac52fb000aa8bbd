// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

// ClusterOptions say what cluster to start.
type ClusterOptions struct {
	// Version of Apache Kafka, with KRaft; empty: DefaultVersion.
	Version string
	// Dir holds the brokers' folders. Required.
	Dir string
	// Heap is the largest Java heap of each broker; empty: as Options.Heap.
	Heap string
	// Nodes are the brokers, each a controller too.
	Nodes []Node
	// Properties are added to each server.properties, over what this package sets.
	Properties map[string]string
}

// Node is where a broker of a cluster runs.
type Node struct {
	// Namespace is the network namespace to run in, as process.In takes it, and
	// Host its address.
	Namespace, Host string
	// Port is what clients are to use. The three above it are for the other
	// brokers, for TLS and for the controllers. A port that no other broker
	// uses tells whose connections are whose.
	Port int
}

// Cluster is a running Apache Kafka of several brokers.
type Cluster struct {
	ID      string
	Brokers []*Broker // Brokers[i] has the node id i+1

	options ClusterOptions
}

// StartCluster starts all brokers and returns when each is known to the
// cluster. Topics, also Kafka's own, have as many replicas as there are nodes,
// but for what Properties say.
func StartCluster(ctx context.Context, o ClusterOptions) (_ *Cluster, err error) {
	if o.Dir == "" || len(o.Nodes) == 0 {
		return nil, errors.New("kafka: ClusterOptions.Dir or Nodes is empty")
	}
	certificate, err := newCertificate()
	if err != nil {
		return nil, err
	}
	c := &Cluster{ID: newClusterID(), options: o}
	for i, n := range o.Nodes {
		c.Brokers = append(c.Brokers, &Broker{
			Version: or(o.Version, DefaultVersion), ClusterID: c.ID, certificate: certificate,
			Dir: filepath.Join(o.Dir, fmt.Sprintf("broker-%d", i+1)), Addr: n.address(0), TLSAddr: n.address(2),
		})
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
	errs := make([]error, len(o.Nodes))
	var all sync.WaitGroup
	for i := range o.Nodes {
		all.Go(func() { errs[i] = c.Restart(ctx, i) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return c, c.awaitBrokers(ctx)
}

// Restart starts Brokers[i] where its data is, after Stop or Kill, and returns when it has said that it has started.
func (c *Cluster) Restart(ctx context.Context, i int) error {
	var voters []string
	for i, n := range c.options.Nodes {
		voters = append(voters, fmt.Sprintf("%d@%s", i+1, n.address(3)))
	}
	b, o, n := c.Brokers[i], c.options, c.options.Nodes[i]
	if err := os.MkdirAll(b.Dir, 0o755); err != nil {
		return err
	}
	listeners := "PLAINTEXT://" + n.address(0) + ",REPLICATION://" + n.address(1) + ",SSL://" + n.address(2)
	replicas := strconv.Itoa(len(o.Nodes))
	p := map[string]string{
		"node.id":                                  strconv.Itoa(i + 1),
		"controller.quorum.voters":                 strings.Join(voters, ","),
		"listeners":                                listeners + ",CONTROLLER://" + n.address(3),
		"advertised.listeners":                     listeners,
		"listener.security.protocol.map":           "PLAINTEXT:PLAINTEXT,REPLICATION:PLAINTEXT,SSL:SSL,CONTROLLER:PLAINTEXT",
		"inter.broker.listener.name":               "REPLICATION",
		"default.replication.factor":               replicas,
		"offsets.topic.replication.factor":         replicas,
		"transaction.state.log.replication.factor": replicas,
		"auto.leader.rebalance.enable":             "false",
	}
	maps.Copy(p, o.Properties)
	options := Options{Version: b.Version, Dir: b.Dir, Heap: or(o.Heap, "384m"), Properties: p, namespace: n.Namespace}
	return b.launch(ctx, options, n.address(3))
}

// address is that of the port so many above the first.
func (n Node) address(above int) string {
	return net.JoinHostPort(n.Host, strconv.Itoa(n.Port+above))
}

// Addr returns the brokers' plaintext addresses, as bootstrap.servers has them.
func (c *Cluster) Addr() string {
	var all []string
	for _, b := range c.Brokers {
		all = append(all, b.Addr)
	}
	return strings.Join(all, ",")
}

// Oracle connects an oracle to the cluster. Close it.
func (c *Cluster) Oracle() (*Oracle, error) {
	var all []string
	for _, b := range c.Brokers {
		all = append(all, b.TLSAddr)
	}
	return c.Brokers[0].oracle(all...)
}

// Stop ends all brokers.
func (c *Cluster) Stop() error {
	errs := make([]error, len(c.Brokers))
	var all sync.WaitGroup
	for i, b := range c.Brokers { // at once: the last one alone would wait for a quorum
		all.Go(func() { errs[i] = b.Stop() })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (c *Cluster) awaitBrokers(ctx context.Context) error {
	o, err := c.Oracle()
	if err != nil {
		return err
	}
	defer o.Close()
	return wait.Until(ctx, func() error {
		metadata, err := o.admin.BrokerMetadata(ctx)
		if err == nil && len(metadata.Brokers) < len(c.Brokers) {
			err = fmt.Errorf("the cluster has %d brokers of %d", len(metadata.Brokers), len(c.Brokers))
		}
		return err
	})
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
