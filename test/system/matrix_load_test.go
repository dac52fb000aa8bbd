// SPDX-License-Identifier: Apache-2.0

package system

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/ebpfkafka/ebpfkafka/test/clients"
	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

const (
	matrixOrders, matrixPayments = 8, 4 // partitions
	// So many records of each partition are taken in a round, one more in the
	// next partition; and so many at most are held then, so that there is a lag.
	matrixTaken, matrixHeld = 12, 3
	// openTransaction is longer than any round, shorter than what brokers allow.
	openTransaction = 10 * time.Minute
)

// place is one client with topics and a group of its own.
type place struct {
	clients.Client
	group, orders, payments, output string
	running                         *clients.Running
	// want is what the group has to commit.
	want map[kafka.Partition]int64
	// How it ended: with a collector that was there first, with one that came
	// while the client was idle, and with one that came while it was at work.
	watched, idle, busy verdict
}

func newPlace(c clients.Client) *place {
	id := c.ID()
	return &place{Client: c, group: "group-" + id, orders: "orders-" + id, payments: "payments-" + id, output: "copies-" + id,
		want: map[kafka.Partition]int64{}}
}

func (p *place) topics() map[string]int32 {
	return map[string]int32{p.orders: matrixOrders, p.payments: matrixPayments}
}

// producer writes to the topics of all places. It does so over TLS, so that
// what the collector knows of watermarks it knows from the clients.
type producer struct {
	plain, transactional *kgo.Client
	open                 bool // a transaction
}

func newProducer(b *kafka.Broker) (*producer, error) {
	config, err := b.TLSConfig()
	if err != nil {
		return nil, err
	}
	common := []kgo.Opt{kgo.SeedBrokers(b.TLSAddr), kgo.DialTLSConfig(config), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.NoCompression())} // which every client can read
	plain, err := kgo.NewClient(common...)
	if err != nil {
		return nil, err
	}
	transactional, err := kgo.NewClient(append(common, kgo.TransactionalID("holder"), kgo.TransactionTimeout(openTransaction))...)
	if err != nil {
		plain.Close()
		return nil, err
	}
	return &producer{plain: plain, transactional: transactional}, nil
}

func (p *producer) close() {
	p.plain.Close()
	p.transactional.Close()
}

// round produces to each partition of each place: first what is to be
// committed, then what is not. For clients that commit all they get, the
// latter is in a transaction that stays open until the next round.
func (p *producer) round(ctx context.Context, places []*place) error {
	if p.open {
		if err := p.transactional.EndTransaction(ctx, kgo.TryCommit); err != nil {
			return fmt.Errorf("end the transaction of the round before: %w", err)
		}
		p.open = false
	}
	var taken, held, locked []*kgo.Record
	at := map[*kgo.Record]*place{}
	for _, place := range places {
		for topic, partitions := range place.topics() {
			for n := range partitions {
				for range matrixTaken + n {
					r := &kgo.Record{Topic: topic, Partition: n, Value: []byte("take")}
					taken = append(taken, r)
					at[r] = place
				}
				for range n % (matrixHeld + 1) {
					r := &kgo.Record{Topic: topic, Partition: n, Value: []byte(clients.Held)}
					if place.Transactions {
						locked = append(locked, r)
					} else {
						held = append(held, r)
					}
				}
			}
		}
	}
	if err := p.plain.ProduceSync(ctx, taken...).FirstErr(); err != nil {
		return err
	}
	for _, r := range taken { // with transactions, see readable
		want := at[r].want
		k := kafka.Partition{Topic: r.Topic, Partition: r.Partition}
		want[k] = max(want[k], r.Offset+1)
	}
	err := p.plain.ProduceSync(ctx, held...).FirstErr()
	if err != nil || len(locked) == 0 {
		return err
	}
	if err := p.transactional.BeginTransaction(); err != nil {
		return err
	}
	p.open = true
	return p.transactional.ProduceSync(ctx, locked...).FirstErr()
}

// allCommitted tells whether the broker has all that the groups have to commit,
// and no more.
func allCommitted(truth kafka.Truth, places []*place) error {
	var errs []error
	for _, place := range places {
		if !place.running.Running() {
			errs = append(errs, fmt.Errorf("%s has ended; it printed:\n%s", place.ID(), place.running.Output()))
			continue
		}
		for k, want := range place.want {
			k := kafka.GroupPartition{Group: place.group, Topic: k.Topic, Partition: k.Partition}
			if got, ok := truth.Committed[k]; !ok || got != want {
				errs = append(errs, fmt.Errorf("%v: the broker has %v, the client has to commit %d", k, show(got, ok), want))
			}
		}
	}
	return errors.Join(errs...)
}
