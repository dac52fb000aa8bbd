// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/ebpfkafka/ebpfkafka/internal/logdirs"
	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// logDirsInterval is how often the log directories of brokers are looked into for names that nobody has asked Metadata
// for: one small file for each topic.
const logDirsInterval = 10 * time.Second

// brokerNames finds the names of topic ids, and the ids of clusters, where brokers of this host keep them.
type brokerNames struct {
	probe  *probe.Probe
	proc   string
	logger *zap.Logger
	looked time.Time
	warned bool
}

// learn looks them up if some are wanting. They are part of the next snapshot.
func (n *brokerNames) learn(snapshot *state.Snapshot, topicsHeld bool) {
	brokers := make(map[uint32][]state.LinkID) // links whose cluster is not known, by process
	nameless := false
	for id, l := range snapshot.Links {
		if l.Role != state.RoleBroker || !l.Open {
			continue
		}
		links := brokers[l.Process.PID]
		if l.Cluster == state.NameNone {
			links = append(links, id)
			nameless = true
		}
		brokers[l.Process.PID] = links
	}
	if len(brokers) == 0 || !(nameless || topicsHeld) || snapshot.Time.Sub(n.looked) < logDirsInterval {
		return
	}
	n.looked = snapshot.Time
	unnamed := n.probe.Unnamed()
	for pid, links := range brokers {
		b, err := logdirs.Read(n.proc, pid)
		for id, name := range b.Topics {
			if unknown, ok := unnamed[id]; ok {
				err = errors.Join(err, n.probe.LearnTopic(unknown, name))
			}
		}
		if b.ClusterID != "" {
			for _, link := range links {
				err = errors.Join(err, n.probe.LearnCluster(link, b.ClusterID))
			}
		}
		if err != nil && !n.warned {
			n.warned = true // once: the values stay held back, and counted, until Metadata tells the names
			n.logger.Warn("Reading names from a broker's log directories failed. They are learnt when a client asks for "+
				"them", zap.Uint32("pid", pid), zap.Error(err))
		}
	}
}
