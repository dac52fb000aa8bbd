// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// saying collects what a role says.
type saying chan string

func (s saying) Write(line []byte) (int, error) {
	s <- strings.TrimSpace(string(line))
	return len(line), nil
}

// TestSlowConsumer lets producer and slow consumer play against a broker that counts: the consumer must go on fetching
// and committing while its lag grows, and once quiet go on fetching while its offsets stand still.
func TestSlowConsumer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(ordersPartitions, ordersTopic), kfake.SeedTopics(paymentsPartitions, paymentsTopic))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	fetches, commits := make(chan time.Time, 10000), make(chan time.Time, 10000)
	for key, seen := range map[kmsg.Key]chan time.Time{kmsg.Fetch: fetches, kmsg.OffsetCommit: commits} {
		cluster.ControlKey(key.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			seen <- time.Now()
			return nil, nil, false
		})
	}
	broker := cluster.ListenAddrs()[0]
	admin, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	lag := func() (offsets map[int32]int64, total int64) {
		lags, err := kadm.NewClient(admin).Lag(ctx, checkoutGroup)
		if err != nil {
			t.Fatal(err)
		}
		offsets = map[int32]int64{}
		for _, l := range lags[checkoutGroup].Lag[ordersTopic] {
			offsets[l.Partition] = l.Commit.At
			total += l.Lag
		}
		return offsets, total
	}
	await := func(what string, events <-chan time.Time, count int) {
		t.Helper()
		for len(events) > 0 {
			<-events
		}
		for range count {
			select {
			case <-events:
			case <-ctx.Done():
				t.Fatalf("no more %s", what)
			}
		}
	}

	produced, consumed := make(saying, 2), make(saying, 2)
	quietProducer, quietConsumer := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 2)
	playing, stop := context.WithCancel(ctx)
	go func() { ended <- playProducer(playing, prompter{"storefront", produced, quietProducer}, broker, 400) }()
	hear(t, ctx, produced, sayReady)
	go func() {
		ended <- playConsumer(playing, prompter{"checkout-slow", consumed, quietConsumer}, broker, checkoutGroup, ordersTopic, slowWork)
	}()
	hear(t, ctx, consumed, sayReady)

	_, before := lag()
	await("commits", commits, 3)
	await("fetches", fetches, 3)
	if _, after := lag(); after <= before {
		t.Errorf("lag went from %d to %d, it should grow", before, after)
	}

	close(quietProducer)
	hear(t, ctx, produced, sayQuiet)
	close(quietConsumer)
	hear(t, ctx, consumed, sayQuiet)
	offsets, still := lag()
	await("fetches once quiet", fetches, 5)
	again, _ := lag()
	for partition, offset := range offsets {
		if offset != again[partition] {
			t.Errorf("partition %d went on from %d to %d", partition, offset, again[partition])
		}
	}
	if still == 0 {
		t.Error("no lag was left to compare")
	}

	stop()
	for range 2 {
		if err := <-ended; err != nil && playing.Err() == nil {
			t.Error(err)
		}
	}
}

func hear(t *testing.T, ctx context.Context, said saying, want string) {
	t.Helper()
	select {
	case got := <-said:
		if got != want {
			t.Fatalf("it said %q instead of %q", got, want)
		}
	case <-ctx.Done():
		t.Fatalf("it never said %q", want)
	}
}
