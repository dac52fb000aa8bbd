// SPDX-License-Identifier: Apache-2.0

package watermarks

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A Count is how often something of that name has happened.
type Count struct {
	Name  string
	Count uint64
}

// counts are the counters of a Poller. They are also the hook of its clients that sees each request, with those that
// the client makes by itself and those that it repeats.
type counts struct {
	mu       sync.Mutex
	requests map[string]uint64 // by API
	errors   map[string]uint64 // by kind
}

var _ kgo.HookBrokerWrite = (*counts)(nil)

// OnBrokerWrite is called by the client for each request that it has sent.
func (c *counts) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.requests == nil {
		c.requests = make(map[string]uint64)
	}
	c.requests[kmsg.NameForKey(key)]++
}

func (c *counts) fail(kind string, times int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.errors == nil {
		c.errors = make(map[string]uint64)
	}
	c.errors[kind] += uint64(times)
}

// Requests counts the requests that were sent, by API.
func (p *Poller) Requests() []Count {
	p.counts.mu.Lock()
	defer p.counts.mu.Unlock()
	return list(p.counts.requests)
}

// Errors counts, by kind, the requests that failed, and the partitions for which a broker answered with an error. A
// kind is the name of Kafka's error or one of this package.
func (p *Poller) Errors() []Count {
	p.counts.mu.Lock()
	defer p.counts.mu.Unlock()
	return list(p.counts.errors)
}

func list(m map[string]uint64) []Count {
	out := make([]Count, 0, len(m))
	for _, name := range slices.SortedFunc(maps.Keys(m), cmp.Compare[string]) {
		out = append(out, Count{name, m[name]})
	}
	return out
}
