// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"time"

	"go.uber.org/zap"

	"github.com/ebpfkafka/ebpfkafka/internal/logdirs"
	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// logDirsInterval is how often the log directories of brokers are looked into for names that nobody has asked Metadata
// for: one small file for each topic.
const logDirsInterval = 10 * time.Second

// topicNames finds the names of topic ids where brokers of this host keep them.
type topicNames struct {
	probe  *probe.Probe
	proc   string
	logger *zap.Logger
	looked time.Time
	warned bool
}

// learn is to be called when something is held back for want of a topic's name.
func (n *topicNames) learn(links map[state.LinkID]state.Link, now time.Time) {
	unnamed := n.probe.Unnamed()
	if len(unnamed) == 0 || now.Sub(n.looked) < logDirsInterval {
		return
	}
	n.looked = now
	brokers := make(map[uint32]bool)
	for _, l := range links {
		if l.Role == state.RoleBroker && l.Open {
			brokers[l.Process.PID] = true
		}
	}
	for pid := range brokers {
		names, err := logdirs.Names(n.proc, pid)
		for id, name := range names {
			if unknown, ok := unnamed[id]; ok && err == nil {
				err = n.probe.LearnTopic(unknown, name)
			}
		}
		if err != nil && !n.warned {
			n.warned = true // once: the values stay held back, and counted, until Metadata tells the names
			n.logger.Warn("Reading the names of topics from a broker's log directories failed. They are learnt when a "+
				"client asks for them", zap.Uint32("pid", pid), zap.Error(err))
		}
	}
}
