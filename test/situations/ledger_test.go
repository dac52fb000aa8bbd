// SPDX-License-Identifier: Apache-2.0

package situations

import (
	"maps"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
)

// entry is what kafka_consumer_group_commits_total is counted by.
type entry struct{ group, topic, err string }

// ledger counts the commits that were answered to talkers, a partition each.
type ledger struct {
	mu    sync.Mutex
	count map[entry]int64
}

func newLedger() *ledger { return &ledger{count: map[entry]int64{}} }

func (l *ledger) add(group, topic string, code int16) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := ""
	if e := kerr.TypedErrorForCode(code); e != nil {
		name = e.Message
	}
	l.count[entry{group, topic, name}]++
}

// of returns the counts of those groups.
func (l *ledger) of(groups map[string]bool) map[entry]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := maps.Clone(l.count)
	maps.DeleteFunc(out, func(e entry, _ int64) bool { return !groups[e.group] })
	return out
}
