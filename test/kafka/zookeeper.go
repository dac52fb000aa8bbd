// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"context"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/ebpfkafka/ebpfkafka/test/process"
)

// bound is what ZooKeeper logs once it listens; brokers connect again until it
// answers.
var bound = regexp.MustCompile(`binding to port`)

// startZooKeeper runs what a broker without KRaft keeps its metadata in. Its
// jars come with the broker's.
func (b *Broker) startZooKeeper(ctx context.Context, port int) error {
	path := filepath.Join(b.Dir, "zookeeper.properties")
	err := writeProperties(path, map[string]string{
		"dataDir": filepath.Join(b.Dir, "zookeeper"), "clientPort": strconv.Itoa(port), "clientPortAddress": "127.0.0.1",
		"admin.enableServer": "false", "maxClientCnxns": "0",
	})
	if err != nil {
		return err
	}
	cmd, err := java(ctx, b.Version, []string{"-Xmx128m"}, "org.apache.zookeeper.server.quorum.QuorumPeerMain", path)
	if err != nil {
		return err
	}
	b.zookeeper, err = process.Start("ZooKeeper", filepath.Join(b.Dir, "zookeeper.log"), cmd)
	if err != nil {
		return err
	}
	_, err = b.zookeeper.Await(ctx, bound)
	return err
}
