// SPDX-License-Identifier: Apache-2.0

// Package watermarks asks brokers where partitions begin and end, so that a lag stays known when nobody on the host
// fetches a partition any more. It asks each leader once an interval and question, and only for the partitions that it
// is told of.
package watermarks

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// ClientID is the client id of all requests, for whoever looks at the brokers' logs and quotas.
const ClientID = "ebpf-kafka-watermarks"

// MaxClusters bounds the clusters that are asked: each costs a connection to each of its brokers.
const MaxClusters = 16

// Options of a Poller.
type Options struct {
	// Interval is the time between two questions to a cluster.
	Interval time.Duration
	// Clusters are those to ask. If there are none, each wanted cluster is asked at the brokers that Wanted names.
	Clusters []Cluster
	// LogStart and LastStable say whether to ask for these beside the high watermark. Each is a request more.
	LogStart, LastStable bool
	Logger               *zap.Logger
}

// Wanted are the partitions of one cluster to ask for.
type Wanted struct {
	Cluster    string             // its id
	Partitions map[string][]int32 // by topic; each number once
	Brokers    []string           // addresses to begin with, if Options.Clusters is empty
}

// A Poller keeps what brokers last answered. All methods may be called from any goroutine, and none waits for a broker.
type Poller struct {
	options Options
	counts  counts

	ctx    context.Context
	cancel context.CancelFunc
	askers sync.WaitGroup

	mu         sync.Mutex
	wanted     map[string]Wanted
	configured []*asker
	observed   map[string]*asker // by cluster id
	answers    map[string][]answer
	tooMany    bool // it has been said
}

// answer is an offset that a broker told.
type answer struct {
	question
	offset          int64
	asked, answered time.Time
}

// question is one offset of one partition.
type question struct {
	topic     string
	partition int32
	end       state.End
}

// New makes a Poller that asks nobody before Start.
func New(o Options) *Poller {
	p := &Poller{options: o, observed: make(map[string]*asker), answers: make(map[string][]answer)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Start begins to ask the configured clusters.
func (p *Poller) Start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.options.Clusters {
		p.configured = append(p.configured, p.startAsker(c, ""))
	}
}

// Shutdown ends all requests and connections, and returns when they are gone.
func (p *Poller) Shutdown() {
	p.mu.Lock()
	p.cancel() // under the lock: no asker starts after it
	p.mu.Unlock()
	p.askers.Wait()
}

// Observes reports whether Want needs to name brokers.
func (p *Poller) Observes() bool { return len(p.options.Clusters) == 0 }

// startAsker needs the lock.
func (p *Poller) startAsker(c Cluster, id string) *asker {
	a := newAsker(p, c, id)
	if p.ctx.Err() == nil {
		p.askers.Go(a.run)
	}
	return a
}

// Want replaces what is asked for. Partitions that are new are asked for with their cluster's next request, clusters
// that are new at once.
func (p *Poller) Want(wanted []Wanted) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.wanted
	p.wanted = make(map[string]Wanted, len(wanted))
	for _, w := range wanted {
		p.wanted[w.Cluster] = w
	}
	for id := range p.answers {
		if _, still := p.wanted[id]; !still {
			delete(p.answers, id)
		}
	}
	for _, a := range p.configured {
		_, was := before[a.id]
		if _, is := p.wanted[a.id]; is && !was {
			a.wake()
		}
	}
	if p.Observes() {
		p.observe(wanted)
	}
}

// observe starts and stops askers as clusters come and go. It needs the lock.
func (p *Poller) observe(wanted []Wanted) {
	for id, a := range p.observed {
		if _, still := p.wanted[id]; !still {
			a.stop()
			delete(p.observed, id)
		}
	}
	wanted = slices.SortedFunc(slices.Values(wanted), func(a, b Wanted) int { return cmp.Compare(a.Cluster, b.Cluster) })
	for _, w := range wanted {
		if p.observed[w.Cluster] != nil || len(w.Brokers) == 0 || p.ctx.Err() != nil {
			continue
		}
		if len(p.observed) == MaxClusters {
			p.counts.fail(tooManyClusters, 1)
			if !p.tooMany {
				p.tooMany = true
				p.options.Logger.Warn("More clusters than are asked for watermarks: the others are left out and counted. "+
					"Name those to ask under watermarks::clusters", zap.Int("asked", MaxClusters), zap.String("left_out", w.Cluster))
			}
			continue
		}
		p.observed[w.Cluster] = p.startAsker(Cluster{Brokers: w.Brokers}, w.Cluster)
	}
}

// wantedOf is what is wanted of an asker's cluster, whose id may have become known just now.
func (p *Poller) wantedOf(a *asker, id string) Wanted {
	p.mu.Lock()
	defer p.mu.Unlock()
	a.id = id
	return p.wanted[id]
}

// take replaces a cluster's answers, unless nobody wants them any more.
func (p *Poller) take(id string, answers []answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, still := p.wanted[id]; still {
		p.answers[id] = answers
	}
}

// Answers appends all that is known to rows. Answers grow old: a broker that does not answer leaves its last ones. The
// two times are one moment, at a Time of this process and on CLOCK_MONOTONIC, by which those of answers are told.
func (p *Poller) Answers(rows []state.Asked, at time.Time, now uint64) []state.Asked {
	monotonic := func(t time.Time) uint64 { return uint64(int64(now) - int64(at.Sub(t))) }
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, answers := range p.answers {
		for i := range answers {
			a := &answers[i]
			rows = append(rows, state.Asked{
				Cluster: id, Topic: a.topic, Partition: a.partition, End: a.end, Offset: a.offset,
				Asked: monotonic(a.asked), Answered: monotonic(a.answered),
			})
		}
	}
	return rows
}
