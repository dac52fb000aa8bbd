// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"errors"
	"maps"
	"slices"
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
	off    bool // proc is not the host's: its pids are not those of links
	logger *zap.Logger
	looked time.Time
	found  chan brokerFiles // of the look-up that is going on, nil while there is none
	warned bool
}

// brokerFiles are what was found of each broker's process.
type brokerFiles struct {
	brokers map[uint32]logdirs.Broker
	err     error
}

// learn looks them up if some are wanting, and enters what was found: it is part of the next snapshot. The file system
// may be slow, or hang; that holds up nobody else.
func (n *brokerNames) learn(snapshot *state.Snapshot, topicsHeld bool) {
	if n.off {
		return
	}
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
	select {
	case files := <-n.found:
		n.found = nil
		n.enter(files, brokers)
	default:
	}
	if n.found != nil || len(brokers) == 0 || !(nameless || topicsHeld) || snapshot.Time.Sub(n.looked) < logDirsInterval {
		return
	}
	n.looked = snapshot.Time
	found := make(chan brokerFiles, 1)
	n.found = found
	proc, pids := n.proc, slices.Collect(maps.Keys(brokers))
	go func() { // ends by itself, but for a file system that hangs
		files := brokerFiles{brokers: make(map[uint32]logdirs.Broker)}
		for _, pid := range pids {
			b, err := logdirs.Read(proc, pid)
			files.brokers[pid] = b
			files.err = errors.Join(files.err, err)
		}
		found <- files
	}()
}

func (n *brokerNames) enter(files brokerFiles, links map[uint32][]state.LinkID) {
	unnamed, err := n.probe.Unnamed(), files.err
	for pid, b := range files.brokers {
		for id, name := range b.Topics {
			if unknown, ok := unnamed[id]; ok {
				err = errors.Join(err, n.probe.LearnTopic(unknown, name))
			}
		}
		if b.ClusterID == "" {
			continue
		}
		for _, link := range links[pid] {
			err = errors.Join(err, n.probe.LearnCluster(link, b.ClusterID))
		}
	}
	if err != nil && !n.warned {
		n.warned = true // once: the values stay held back, and counted, until Metadata tells the names
		n.logger.Warn("Reading names from brokers' log directories failed. They are learnt when a client asks for them",
			zap.Error(err))
	}
}
