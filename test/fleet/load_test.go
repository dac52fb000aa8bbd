// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
	"github.com/ebpfkafka/ebpfkafka/test/process"
	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

const (
	orders, payments, shipments          = "orders", "payments", "shipments"
	ordersPartitions, paymentsPartitions = 6, 3
	// Each round produces so many records to each partition.
	ordersRound, paymentsRound = 50, 8
	// The Java groups stop at these offsets of partition 0, within the first
	// round of orders and beyond all of payments.
	classicStop, classicStep = 30, 2
	nextStop, nextStep       = 25, 3
	// The Go group is set back to this offset of each partition of payments.
	resetTo = 3
	// Attached clients name topics and cluster this often, as the Java ones do.
	metadataAge = 3 * time.Second
)

// load is the clients on their host: two Java consumers, one with the classic
// protocol and one with KIP-848, and one of franz-go; producers of both; and a
// Java application that commits in transactions, whose end another broker than
// the group's may decide.
type load struct {
	cluster *kafka.Cluster
	oracle  *kafka.Oracle
	host    host

	classic, next, golang, transactional string // groups

	processes []*process.Process
	stopGo    func()
	rounds    int
	reset     bool
}

func (l *load) groups() []string { return []string{l.classic, l.next, l.golang, l.transactional} }

// start creates the topics and starts the consumers.
func (l *load) start(ctx context.Context) error {
	admin := l.oracle.Admin()
	err := errors.Join(createTopic(ctx, admin, orders, ordersPartitions),
		createTopic(ctx, admin, payments, paymentsPartitions), createTopic(ctx, admin, shipments, paymentsPartitions))
	if err != nil {
		return err
	}
	groups, err := spreadGroups(ctx, admin, "classic", "next", "go")
	if err != nil {
		return err
	}
	l.classic, l.next, l.golang, l.transactional = groups[0], groups[1], groups[2], "transactional"
	return errors.Join(l.startGo(), l.startJava(ctx, l.classicConsumer(), kafka.Consumer{
		Group: l.next, Topics: []string{orders}, Protocol: kafka.Next, Commit: kafka.Async,
		StopAt: nextStop, StopStep: nextStep,
	}))
}

func (l *load) classicConsumer() kafka.Consumer {
	return kafka.Consumer{Group: l.classic, Topics: []string{orders, payments}, StopAt: classicStop, StopStep: classicStep}
}

// startJava starts consumers and returns when each has partitions.
func (l *load) startJava(ctx context.Context, consumers ...kafka.Consumer) error {
	started := len(l.processes)
	for _, c := range consumers {
		c.Addr, c.Namespace = l.cluster.Addr(), l.host.namespace
		p, err := l.cluster.Brokers[0].StartConsumer(ctx, c)
		if err != nil {
			return err
		}
		l.processes = append(l.processes, p)
	}
	for _, p := range l.processes[started:] {
		if _, err := p.Await(ctx, assigned); err != nil {
			return err
		}
	}
	return nil
}

var (
	assigned  = regexp.MustCompile(`assigned \[.+\]`)
	committed = regexp.MustCompile(`committed ` + orders)
)

// replaceClassic ends the classic group's consumer and starts another, with
// another client id. It asks for the offset of each partition, and has nothing
// to commit of payments.
func (l *load) replaceClassic(ctx context.Context) error {
	if err := l.processes[0].Stop(20 * time.Second); err != nil {
		return err
	}
	l.processes = l.processes[1:]
	c := l.classicConsumer()
	c.ClientID = "another"
	if err := l.startJava(ctx, c); err != nil {
		return err
	}
	// It goes on where it may, and there is at once where it stops.
	_, err := l.processes[len(l.processes)-1].Await(ctx, committed)
	return errors.Join(err, l.awaitCommits(ctx))
}

// client makes a franz-go client on the host.
func (l *load) client(id string, options ...kgo.Opt) (*kgo.Client, error) {
	var seeds []string
	for _, b := range l.cluster.Brokers {
		seeds = append(seeds, b.Addr)
	}
	return kgo.NewClient(append(options, kgo.ClientID(id), kgo.SeedBrokers(seeds...), kgo.Dialer(l.host.dial),
		kgo.MetadataMaxAge(metadataAge), kgo.MetadataMinAge(metadataAge/10))...)
}

func (l *load) startGo() error {
	client, err := l.client("go-consumer", kgo.ConsumerGroup(l.golang), kgo.ConsumeTopics(payments),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.AutoCommitInterval(300*time.Millisecond))
	if err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !client.PollFetches(context.Background()).IsClientClosed() {
		}
	}()
	l.stopGo = func() {
		client.Close()
		<-done
		l.stopGo = func() {}
	}
	return nil
}

// round produces once more and returns when each group has committed as far as
// it will.
func (l *load) round(ctx context.Context) error {
	l.rounds++
	var errs [3]error
	var all sync.WaitGroup
	all.Go(func() {
		errs[0] = l.cluster.Brokers[0].Produce(ctx, kafka.Production{
			Topic: orders, Partitions: ordersPartitions, Count: ordersRound, Rounds: 3, PauseMillis: 100,
			Addr: l.cluster.Addr(), Namespace: l.host.namespace,
		})
	})
	all.Go(func() { errs[1] = l.produceGo(ctx) })
	all.Go(func() {
		errs[2] = l.cluster.Brokers[0].Transact(ctx, kafka.Transaction{Group: l.transactional, Input: orders, Output: shipments,
			Count: ordersPartitions * ordersRound, Aborts: 1, Addr: l.cluster.Addr(), Namespace: l.host.namespace})
	})
	all.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	return l.awaitCommits(ctx)
}

func (l *load) produceGo(ctx context.Context) error {
	client, err := l.client("go-producer", kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer client.Close()
	for range paymentsRound {
		for p := range int32(paymentsPartitions) {
			record := &kgo.Record{Topic: payments, Partition: p, Value: []byte("payment")}
			client.Produce(ctx, record, func(_ *kgo.Record, failed error) {
				err = errors.Join(err, failed) // promises are called one at a time
			})
		}
	}
	return errors.Join(client.Flush(ctx), err)
}

// want is what each group commits in the end.
func (l *load) want() map[kafka.GroupPartition]int64 {
	want := map[kafka.GroupPartition]int64{}
	for p := range int32(ordersPartitions) {
		want[kafka.GroupPartition{Group: l.classic, Topic: orders, Partition: p}] = classicStop + classicStep*int64(p)
		want[kafka.GroupPartition{Group: l.next, Topic: orders, Partition: p}] = nextStop + nextStep*int64(p)
		want[kafka.GroupPartition{Group: l.transactional, Topic: orders, Partition: p}] = int64(l.rounds * ordersRound)
	}
	for p := range int32(paymentsPartitions) {
		all := int64(l.rounds * paymentsRound)
		want[kafka.GroupPartition{Group: l.classic, Topic: payments, Partition: p}] = all
		if l.reset {
			all = resetTo
		}
		want[kafka.GroupPartition{Group: l.golang, Topic: payments, Partition: p}] = all
	}
	return want
}

func (l *load) awaitCommits(ctx context.Context) error {
	return wait.Until(ctx, func() error {
		for _, p := range l.processes {
			if !p.Running() {
				return p.Wait(ctx)
			}
		}
		truth, err := l.oracle.Ask(ctx, l.groups()...)
		if err != nil {
			return err
		}
		for k, offset := range l.want() {
			if got := truth.Committed[k]; got != offset {
				return fmt.Errorf("%v is committed at %d, not yet %d", k, got, offset)
			}
		}
		return nil
	})
}

// setBack stops the Go group and sets it back, as an operator does who wants
// messages to be read once more.
func (l *load) setBack(ctx context.Context) error {
	l.stopGo()
	l.reset = true
	client, err := l.client("operator")
	if err != nil {
		return err
	}
	defer client.Close()
	offsets := kadm.Offsets{}
	for p := range int32(paymentsPartitions) {
		offsets.AddOffset(payments, p, resetTo, -1)
	}
	if err := kadm.NewClient(client).CommitAllOffsets(ctx, l.golang, offsets); err != nil {
		return fmt.Errorf("set group %s back: %w", l.golang, err)
	}
	return l.awaitCommits(ctx)
}

// stop ends all clients.
func (l *load) stop() error {
	if l.stopGo != nil {
		l.stopGo()
	}
	var errs []error
	for _, p := range l.processes {
		errs = append(errs, p.Stop(20*time.Second))
	}
	return errors.Join(errs...)
}
