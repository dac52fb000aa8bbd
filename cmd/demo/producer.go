// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// producerTick is how often the producer sends; small, so that the offsets grow steadily rather than in steps.
const producerTick = 50 * time.Millisecond

// maxRate is what checkout-fast keeps up with, and keeps the broker, which holds its records in memory, small.
const maxRate = 1_000

// paymentsRate is how many payments come with so many orders: every fourth.
func paymentsRate(orders int) int {
	return orders / 4
}

// playProducer sends rate orders a second and every fourth of them as a payment too, until it is asked to be quiet.
func playProducer(ctx context.Context, p prompter, broker string, rate int) error {
	client, err := kgo.NewClient(append(clientOptions(broker, p.name),
		kgo.ProducerLinger(0),
	)...)
	if err != nil {
		return fmt.Errorf("producer: %w", err)
	}
	defer client.Close()

	var failed atomic.Pointer[error]
	send := func(topic string, number int) {
		record := &kgo.Record{
			Topic: topic,
			Key:   fmt.Appendf(nil, "%08d", number),
			Value: fmt.Appendf(nil, `{"id":%d,"amount":"%d.%02d","currency":"EUR"}`, number, number%500, number%100),
		}
		client.Produce(ctx, record, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.CompareAndSwap(nil, &err)
			}
		})
	}
	number := 0
	sendUpTo := func(total int) {
		for ; number < total; number++ {
			send(ordersTopic, number)
			if number%4 == 0 {
				send(paymentsTopic, number)
			}
		}
	}

	sendUpTo(1)
	if err := client.Flush(ctx); err != nil {
		return fmt.Errorf("producer: the first record was not acknowledged: %w", err)
	}
	p.say(sayReady, "")

	start := time.Now()
	tick := time.NewTicker(producerTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			sendUpTo(int(time.Since(start).Seconds() * float64(rate)))
			if err := failed.Load(); err != nil {
				return fmt.Errorf("producer: a record was not acknowledged: %w", *err)
			}
		case <-p.quiesce:
			if err := client.Flush(ctx); err != nil {
				return fmt.Errorf("producer: the last records were not acknowledged: %w", err)
			}
			p.say(sayQuiet, "")
			<-ctx.Done()
			return nil
		}
	}
}
