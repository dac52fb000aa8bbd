// SPDX-License-Identifier: Apache-2.0

package watermarks

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
)

// maxBackOff bounds how long a cluster that does not answer is left alone, if the interval is not longer.
const maxBackOff = 5 * time.Minute

// An asker asks one cluster, in a goroutine of its own: a cluster that does not answer holds up no other.
type asker struct {
	poller  *Poller
	cluster Cluster
	given   bool // by the configuration: the cluster's id is what its brokers say it is
	logger  *zap.Logger
	ctx     context.Context // until stop
	stop    context.CancelFunc
	woken   chan struct{}

	// id is the cluster's; empty until its brokers have told. Written with the poller's lock by the goroutine alone.
	id string

	// Of the goroutine alone.
	client   *kgo.Client
	held     map[question]answer
	failures int    // rounds without any answer, in a row
	trouble  string // the kinds of problems of the last round
}

func newAsker(p *Poller, c Cluster, id string) *asker {
	a := &asker{
		poller: p, cluster: c, id: id, given: id == "",
		logger: p.options.Logger.With(zap.Strings("brokers", c.Brokers)),
		woken:  make(chan struct{}, 1),
	}
	a.ctx, a.stop = context.WithCancel(p.ctx)
	return a
}

// wake makes the asker begin a round, unless its cluster does not answer.
func (a *asker) wake() {
	select {
	case a.woken <- struct{}{}:
	default:
	}
}

func (a *asker) run() {
	defer a.stop()
	defer a.disconnect()
	for {
		begin := time.Now()
		answered, problems := a.round()
		if a.ctx.Err() != nil {
			return
		}
		a.note(answered, &problems)
		woken := a.woken
		if a.failures > 0 {
			woken = nil
		}
		timer := time.NewTimer(a.pause() - time.Since(begin))
		select {
		case <-a.ctx.Done():
			timer.Stop()
			return
		case <-woken:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// pause is the time from the beginning of one round to that of the next.
func (a *asker) pause() time.Duration {
	pause, most := a.poller.options.Interval, max(a.poller.options.Interval, maxBackOff)
	for range a.failures {
		pause = min(2*pause, most)
	}
	return pause
}

// note counts what went wrong, and logs it when it differs from the last round.
func (a *asker) note(answered bool, p *problems) {
	for kind, times := range p.times {
		a.poller.counts.fail(kind, times)
	}
	if answered {
		a.failures = 0
	} else {
		a.failures++
	}
	trouble := p.kinds()
	if trouble == a.trouble {
		return
	}
	if trouble != "" {
		a.logger.Warn("Asking brokers for watermarks failed, for some partitions or all: their lag is absent once what "+
			"is known grows old", zap.String("cluster", a.id), zap.String("kinds", trouble), zap.Error(p.first))
	} else {
		a.logger.Info("Brokers tell all watermarks again", zap.String("cluster", a.id))
	}
	a.trouble = trouble
}

// ready has a client that begins with the brokers that are known now.
func (a *asker) ready(w *Wanted) error {
	if !a.given && len(w.Brokers) > 0 && !slices.Equal(a.cluster.Brokers, w.Brokers) {
		a.cluster.Brokers = w.Brokers
		if a.client != nil {
			if err := a.client.UpdateSeedBrokers(w.Brokers...); err != nil {
				return err
			}
		}
	}
	if a.client != nil {
		return nil
	}
	client, err := a.poller.connect(a.ctx, &a.cluster)
	if err != nil {
		return err
	}
	a.client = client
	return nil
}

func (a *asker) disconnect() {
	if a.client != nil {
		a.client.Close()
		a.client = nil
	}
}
