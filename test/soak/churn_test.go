// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
	"github.com/ebpfkafka/ebpfkafka/test/process"
)

const (
	partitions = 6
	// recordsEach go to each partition in each round of the producer.
	recordsEach = 5
	produceEach = 50 * time.Millisecond
	// A member leaves, or is killed, so often; another joins in its place.
	goChurn   = 3 * time.Second
	javaChurn = 12 * time.Second
)

// The groups: a Go client's with cooperative rebalances, Java's with the classic
// protocol and with KIP-848.
const (
	goGroup      = "soak-go"
	classicGroup = "soak-classic"
	nextGroup    = "soak-next"
)

var (
	groups = []string{goGroup, classicGroup, nextGroup}
	topics = []string{"soak-orders", "soak-payments"}
)

// produce writes to all partitions until ctx ends.
func produce(ctx context.Context, broker *kafka.Broker) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr), kgo.ClientID("soak-producer"),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer client.Close()
	tick := time.NewTicker(produceEach)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		var records []*kgo.Record
		for _, topic := range topics {
			for p := range int32(partitions) {
				for range recordsEach {
					records = append(records, &kgo.Record{Topic: topic, Partition: p, Value: []byte("soak")})
				}
			}
		}
		if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil && ctx.Err() == nil {
			return fmt.Errorf("producing: %w", err)
		}
	}
}

// consume is one member of the Go group, until ctx ends. It commits what it has
// polled, now and then only, so that there is a lag.
func consume(ctx context.Context, broker *kafka.Broker, commits *atomic.Int64) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr), kgo.ClientID("soak"), kgo.ConsumerGroup(goGroup),
		kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(500*time.Millisecond))
	if err != nil {
		return err
	}
	defer client.Close()
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil && ctx.Err() == nil && !errors.Is(err, context.Canceled) {
			return fmt.Errorf("polling: %w", err)
		}
		if rand.IntN(3) > 0 {
			continue
		}
		// Refused while the group rebalances; the next one holds what this one would have.
		if err := client.CommitUncommittedOffsets(ctx); err == nil {
			commits.Add(1)
		}
	}
	return nil
}

// churnGo keeps three members of the Go group; the oldest leaves, another joins.
func churnGo(ctx context.Context, broker *kafka.Broker, commits, changes *atomic.Int64) error {
	failed := make(chan error, 1)
	join := func() (context.CancelFunc, chan struct{}) {
		member, leave := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := consume(member, broker, commits); err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		}()
		return leave, done
	}
	type member struct {
		leave context.CancelFunc
		done  chan struct{}
	}
	var members []member
	for range 3 {
		leave, done := join()
		members = append(members, member{leave, done})
	}
	tick := time.NewTicker(goChurn)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			for _, m := range members {
				<-m.done
			}
			return nil
		case err := <-failed:
			return err
		case <-tick.C:
		}
		members[0].leave()
		<-members[0].done
		leave, done := join()
		members = append(members[1:], member{leave, done})
		changes.Add(1)
	}
}

// churnJava has a second member join a Java group, which is then killed.
func churnJava(ctx context.Context, broker *kafka.Broker, consumer kafka.Consumer, changes *atomic.Int64) error {
	for ctx.Err() == nil {
		guest, err := broker.StartConsumer(ctx, consumer)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-ctx.Done():
			return guest.Stop(stopTimeout)
		case <-time.After(javaChurn): // how long it is a member, not a wait for anything
		}
		changes.Add(1)
		if err := kill(guest); err != nil {
			return err
		}
	}
	return nil
}

func kill(p *process.Process) error {
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		return fmt.Errorf("killing %s, process %d: %w; it printed:\n%s", p.Name, p.PID(), err, p.Output())
	}
	_ = p.Stop(stopTimeout) // it has ended by a signal, which is an error to Stop
	return nil
}
