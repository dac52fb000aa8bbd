// SPDX-License-Identifier: Apache-2.0

package system

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
	"github.com/ebpfkafka/ebpfkafka/test/process"
	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

const (
	ordersPartitions   = 12
	paymentsPartitions = 3
	// So many records go to each partition of orders, and of payments, before
	// and after the moment at which a collector may attach.
	firstOrders, secondOrders     = 40, 60
	firstPayments, secondPayments = 20, 24
	// The lagging groups stop at these offsets of partition 0, beyond what the
	// first part produces, so that each partition is committed in both parts;
	// and beyond all of payments, which nobody else reads.
	classicStop, classicStep = 45, 2
	nextStop, nextStep       = 42, 1
)

// load is a set of clients with topics and groups of its own.
type load struct {
	broker *kafka.Broker
	oracle *kafka.Oracle

	orders, payments       string
	console, classic, next string // groups
	processes              []*process.Process
}

func newLoad(broker *kafka.Broker, oracle *kafka.Oracle, name string) *load {
	name = "-" + strings.ReplaceAll(name, " ", "-")
	return &load{
		broker: broker, oracle: oracle,
		orders: "orders" + name, payments: "payments" + name,
		console: "console" + name, classic: "classic" + name, next: "next" + name,
	}
}

func (l *load) groups() []string { return []string{l.console, l.classic, l.next} }
func (l *load) topics() []string { return []string{l.orders, l.payments} }

// start creates the topics and starts the consumers, and returns when the
// partitions of each group have found their owners.
func (l *load) start(ctx context.Context) error {
	err := errors.Join(l.broker.CreateTopic(ctx, l.orders, ordersPartitions),
		l.broker.CreateTopic(ctx, l.payments, paymentsPartitions))
	if err != nil {
		return err
	}
	keep := func(p *process.Process, err error) error {
		if p != nil {
			l.processes = append(l.processes, p)
		}
		return err
	}
	if err := keep(l.broker.StartConsoleConsumer(ctx, kafka.Consumer{Group: l.console, Topics: []string{l.orders}})); err != nil {
		return err
	}
	both := kafka.Consumer{Group: l.classic, Topics: l.topics(), StopAt: classicStop, StopStep: classicStep}
	for range 2 { // the same client id in two processes: Java's default
		if err := keep(l.broker.StartConsumer(ctx, both)); err != nil {
			return err
		}
	}
	err = keep(l.broker.StartConsumer(ctx, kafka.Consumer{Group: l.next, Topics: []string{l.orders}, Protocol: kafka.Next,
		Commit: kafka.Async, StopAt: nextStop, StopStep: nextStep}))
	if err != nil {
		return err
	}
	for _, p := range l.processes[1:] {
		if _, err := p.Await(ctx, assigned); err != nil {
			return err
		}
	}
	return nil
}

// first produces the first part and returns when every group has committed
// all of it.
func (l *load) first(ctx context.Context) error {
	if err := l.produce(ctx, firstOrders, firstPayments, 2); err != nil {
		return err
	}
	// A log that does not begin at 0.
	if err := l.broker.DeleteRecords(ctx, l.orders, 1, firstOrders/4); err != nil {
		return err
	}
	return l.awaitCommits(ctx, func(group, topic string, _ int64) int64 {
		if topic == l.payments {
			return firstPayments
		}
		return firstOrders
	})
}

// second produces the rest, not all at once, and returns when every group has
// committed as far as it will.
func (l *load) second(ctx context.Context) error {
	if err := l.produce(ctx, secondOrders, secondPayments, 6); err != nil {
		return err
	}
	return l.awaitCommits(ctx, func(group, topic string, partition int64) int64 {
		switch {
		case topic == l.payments:
			return firstPayments + secondPayments
		case group == l.classic:
			return classicStop + classicStep*partition
		case group == l.next:
			return nextStop + nextStep*partition
		default:
			return firstOrders + secondOrders
		}
	})
}

func (l *load) produce(ctx context.Context, orders, payments, rounds int) error {
	const pause = 200
	return errors.Join(
		l.broker.Produce(ctx, kafka.Production{Topic: l.orders, Partitions: ordersPartitions, Count: orders, Rounds: rounds, PauseMillis: pause}),
		l.broker.Produce(ctx, kafka.Production{Topic: l.payments, Partitions: paymentsPartitions, Count: payments, Rounds: rounds, PauseMillis: pause}))
}

func (l *load) awaitCommits(ctx context.Context, want func(group, topic string, partition int64) int64) error {
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
		for k := range l.committers() {
			if got, offset := truth.Committed[k], want(k.Group, k.Topic, int64(k.Partition)); got != offset {
				return fmt.Errorf("%v is committed at %d, not yet %d", k, got, offset)
			}
		}
		return nil
	})
}

// committers are all partitions that a group commits.
func (l *load) committers() map[kafka.GroupPartition]bool {
	all := map[kafka.GroupPartition]bool{}
	for _, group := range l.groups() {
		for n := range int32(ordersPartitions) {
			all[kafka.GroupPartition{Group: group, Topic: l.orders, Partition: n}] = true
		}
	}
	for n := range int32(paymentsPartitions) {
		all[kafka.GroupPartition{Group: l.classic, Topic: l.payments, Partition: n}] = true
	}
	return all
}

var (
	assigned  = regexp.MustCompile(`assigned \[.+\]`)
	committed = regexp.MustCompile(`(?m)^committed (\S+) (\d+) (\d+)$`)
)

// owners returns the process that owns each partition of a group: the one
// that has committed the most of it.
func (l *load) owners() map[kafka.GroupPartition]int {
	owners := map[kafka.GroupPartition]int{}
	for n := range int32(ordersPartitions) {
		owners[kafka.GroupPartition{Group: l.console, Topic: l.orders, Partition: n}] = l.processes[0].PID()
	}
	farthest := map[kafka.GroupPartition]int64{}
	groups := []string{l.classic, l.classic, l.next}
	for i, p := range l.processes[1:] {
		for _, m := range committed.FindAllStringSubmatch(p.Output(), -1) {
			// The pattern lets only digits through, and Kafka's fit.
			partition, _ := strconv.ParseInt(m[2], 10, 32)
			offset, _ := strconv.ParseInt(m[3], 10, 64)
			k := kafka.GroupPartition{Group: groups[i], Topic: m[1], Partition: int32(partition)}
			if offset > farthest[k] {
				farthest[k], owners[k] = offset, p.PID()
			}
		}
	}
	return owners
}

// stop ends all clients.
func (l *load) stop() error {
	var errs []error
	for _, p := range slices.Backward(l.processes) {
		errs = append(errs, p.Stop(20*time.Second))
	}
	return errors.Join(errs...)
}

// sorted returns the keys in the order of group, topic and partition.
func sorted[V any](m map[kafka.GroupPartition]V) []kafka.GroupPartition {
	return slices.SortedFunc(maps.Keys(m), func(a, b kafka.GroupPartition) int {
		if c := strings.Compare(a.Group, b.Group); c != 0 {
			return c
		}
		if c := strings.Compare(a.Topic, b.Topic); c != 0 {
			return c
		}
		return int(a.Partition) - int(b.Partition)
	})
}
