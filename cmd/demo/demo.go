// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// The cast of the demo: one shop that writes two topics, one group with a member that cannot keep up, one that can.
const (
	ordersTopic        = "orders"
	ordersPartitions   = 6
	paymentsTopic      = "payments"
	paymentsPartitions = 3

	checkoutGroup = "checkout"
	billingGroup  = "billing"

	// slowWork is the time that checkout-slow spends on one record: 20 records a second, a fifth of what its half of
	// the orders brings at the default rate.
	slowWork = 50 * time.Millisecond
	fastWork = time.Millisecond
)

const (
	startTimeout   = 30 * time.Second // for a process of the demo to say that it is ready
	attachTimeout  = 60 * time.Second // for the collector to load, attach and answer; slow on a loaded machine
	firstRowsLimit = 30 * time.Second // for the first group to show up once the collector answers
	settleTimeout  = 20 * time.Second // for the numbers to stand still once the clients do
	scrapeInterval = time.Second
	settleInterval = 250 * time.Millisecond
)

// run plays the whole demo. It returns nil only if lag was seen and all numbers were the broker's. Cancelling ctx
// aborts; closing finish goes on to the check.
func run(ctx context.Context, finish <-chan struct{}, s settings, out *os.File) (err error) {
	// Children are killed with the thread that started them (PR_SET_PDEATHSIG): that must be one that stays.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	if err := checkCollector(s.collector); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "ebpfkafka-demo-")
	if err != nil {
		return fmt.Errorf("no temporary folder: %w", err)
	}
	defer os.RemoveAll(folder)

	cast := newCast(folder)
	defer cast.stopAll()
	display := newDisplay(out)
	defer display.close()

	p, err := startPlay(ctx, s, cast, out)
	if err != nil {
		return err
	}
	sawLag, err := p.watch(ctx, finish, s.duration, display)
	if err != nil {
		return err
	}
	display.status("stopping the clients' work, then asking the broker …")
	snapshot, err := p.settle(ctx)
	if err != nil {
		return err
	}
	// The broker is asked only now: its answers travel over this host's sockets too, and an agent that overheard them
	// before it gave its own numbers would have proven nothing.
	result, err := askAndCompare(ctx, p.brokerAddress, snapshot)
	if err != nil {
		return err
	}
	display.last = p.view(snapshot)
	display.close()
	fmt.Fprintln(out, result)
	if !result.ok() {
		return errors.New("the collector's numbers are not the broker's")
	}
	if !sawLag {
		return errors.New("all numbers were true, but no lag was ever seen; give it more time with DURATION=20s")
	}
	return nil
}

// play is the running demo.
type play struct {
	cast          *cast
	started       time.Time
	clusterID     string
	brokerAddress string
	broker        *process
	producer      *process
	consumers     []*process
	collector     *process
	metricsURL    string
}

func startPlay(ctx context.Context, s settings, c *cast, out io.Writer) (*play, error) {
	p := &play{cast: c, started: time.Now(), clusterID: fmt.Sprintf("demo-%d", os.Getpid())}
	steps := []func() error{
		func() error { return p.startBroker(ctx, s, out) },
		func() error { return p.startClients(ctx, s, out) },
	}
	collector := func() error { return p.startCollector(ctx, s, out) }
	if s.collectorFirst {
		steps = append([]func() error{collector}, steps...)
	} else {
		steps = append(steps, collector)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *play) startBroker(ctx context.Context, s settings, out io.Writer) error {
	broker, err := p.cast.startRole("kafka-broker", brokerRole, "-cluster", p.clusterID, "-port", fmt.Sprint(s.brokerPort))
	if err != nil {
		return err
	}
	p.broker = broker
	if p.brokerAddress, err = broker.await(ctx, sayReady, startTimeout); err != nil {
		return err
	}
	announce(out, broker, fmt.Sprintf("on %s, topics %s (%d partitions) and %s (%d)",
		p.brokerAddress, ordersTopic, ordersPartitions, paymentsTopic, paymentsPartitions))
	return nil
}

func (p *play) startClients(ctx context.Context, s settings, out io.Writer) error {
	producer, err := p.cast.startRole("storefront", producerRole, "-broker", p.brokerAddress, "-rate", fmt.Sprint(s.rate))
	if err != nil {
		return err
	}
	p.producer = producer
	if _, err := producer.await(ctx, sayReady, startTimeout); err != nil {
		return err
	}
	announce(out, producer, fmt.Sprintf("produces %d orders and %d payments a second", s.rate, paymentsRate(s.rate)))

	for _, consumer := range []struct {
		name, group, topic string
		work               time.Duration
		about              string
	}{
		{"checkout-fast", checkoutGroup, ordersTopic, fastWork, "keeps up"},
		{"checkout-slow", checkoutGroup, ordersTopic, slowWork, fmt.Sprintf("manages %d records a second", time.Second/slowWork)},
		{"billing", billingGroup, paymentsTopic, fastWork, "keeps up"},
	} {
		process, err := p.cast.startRole(consumer.name, consumerRole, "-broker", p.brokerAddress,
			"-group", consumer.group, "-topic", consumer.topic, "-work", consumer.work.String())
		if err != nil {
			return err
		}
		p.consumers = append(p.consumers, process)
		announce(out, process, fmt.Sprintf("consumes %s in group %s and %s", consumer.topic, consumer.group, consumer.about))
	}
	// Ready is said after the first acknowledged commit, so that both members of checkout have their partitions.
	for _, process := range p.consumers {
		if _, err := process.await(ctx, sayReady, startTimeout); err != nil {
			return err
		}
	}
	return nil
}

func (p *play) startCollector(ctx context.Context, s settings, out io.Writer) error {
	process, url, err := p.cast.startCollector(s.collector)
	if err != nil {
		return err
	}
	p.collector, p.metricsURL = process, url
	if err := p.awaitCollector(ctx); err != nil {
		return err
	}
	about := "attached to connections that existed before it"
	if s.collectorFirst {
		about = "waits for Kafka connections"
	}
	announce(out, process, about)
	return nil
}

func announce(out io.Writer, p *process, about string) {
	fmt.Fprintf(out, "%-14s pid %-7d %s\n", p.name, p.pid(), about)
}

// awaitCollector returns when /metrics answers.
func (p *play) awaitCollector(ctx context.Context) error {
	timeout := time.After(attachTimeout)
	tick := time.NewTicker(settleInterval)
	defer tick.Stop()
	for {
		if _, err := scrape(ctx, p.metricsURL, p.clusterID, 0); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case dead := <-p.cast.died:
			return dead.deathReport()
		case <-timeout:
			return fmt.Errorf("the collector did not answer on %s within %s; the end of its log:\n%s",
				p.metricsURL, attachTimeout, p.collector.log.tail(logTailLines))
		case <-tick.C:
		}
	}
}

// watch draws one scrape a second until the duration is over or finish is closed, and says whether lag was seen.
// The duration counts from the first row.
func (p *play) watch(ctx context.Context, finish <-chan struct{}, duration time.Duration, display *display) (sawLag bool, err error) {
	tick := time.NewTicker(scrapeInterval)
	defer tick.Stop()
	patience := time.After(firstRowsLimit)
	var end <-chan time.Time
	sawRows := false
	for {
		snapshot, err := scrape(ctx, p.metricsURL, p.clusterID, p.broker.pid())
		if err == nil {
			display.show(p.view(snapshot))
			sawLag = sawLag || snapshot.totalLag() > 0
			if !sawRows && len(snapshot.rows) > 0 {
				sawRows = true
				patience = nil
				if duration > 0 {
					end = time.After(duration)
				}
			}
		}
		select {
		case <-ctx.Done():
			return sawLag, ctx.Err()
		case dead := <-p.cast.died:
			return sawLag, dead.deathReport()
		case <-patience:
			return sawLag, fmt.Errorf("the collector runs, but showed no consumer group within %s; the end of its log:\n%s",
				firstRowsLimit, p.collector.log.tail(logTailLines))
		case <-finish:
			return sawLag, nil
		case <-end:
			return sawLag, nil
		case <-tick.C:
		}
	}
}

// settle makes the clients stand still and returns what the collector shows then: the first snapshot that was taken
// wholly after the standstill and agrees with the one before it. When that does not come it returns the last one and
// leaves the verdict to the comparison.
func (p *play) settle(ctx context.Context) (snapshot, error) {
	for _, process := range append([]*process{p.producer}, p.consumers...) {
		if err := process.say(askQuiesce); err != nil {
			return snapshot{}, err
		}
		if _, err := process.await(ctx, sayQuiet, startTimeout); err != nil {
			return snapshot{}, err
		}
	}
	quiet := time.Now()
	timeout := time.After(settleTimeout)
	tick := time.NewTicker(settleInterval)
	defer tick.Stop()
	var last snapshot
	var lastErr error
	for {
		now, err := scrape(ctx, p.metricsURL, p.clusterID, p.broker.pid())
		if lastErr = err; err == nil {
			now = now.own()
			if now.completeSince(quiet) && last.completeSince(quiet) && now.oldest().After(last.oldest()) && now.sameNumbers(last) {
				return now, nil
			}
			if !now.oldest().Equal(last.oldest()) || len(now.rows) != len(last.rows) {
				last = now
			}
		}
		select {
		case <-ctx.Done():
			return last, ctx.Err()
		case dead := <-p.cast.died:
			return last, dead.deathReport()
		case <-timeout:
			if lastErr != nil {
				return last, fmt.Errorf("the collector stopped answering: %w", lastErr)
			}
			return last, nil
		case <-tick.C:
		}
	}
}

func (p *play) view(s snapshot) view {
	return view{snapshot: s, elapsed: time.Since(p.started), broker: p.brokerAddress}
}

// checkCollector says how to get the collector when it is not there.
func checkCollector(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("there is no collector at %s: build it with `make build`, or name one with -collector", path)
	case err != nil:
		return fmt.Errorf("the collector cannot be used: %w", err)
	case info.IsDir() || info.Mode()&0o111 == 0:
		return fmt.Errorf("the collector %s is not an executable file", path)
	}
	return nil
}

// indent sets a block of text apart from the sentence before it.
func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ")
}
