// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	lagBatches = 4
	lagRecords = 50 // of each batch
	lagApart   = 10 * time.Second
)

// lagInTime: the age of the first message that is not committed, for each codec
// and for timestamps of producers' and of the broker's.
func (s *scene) lagInTime(t *testing.T) {
	hour := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	even := func(batch, record int) time.Time {
		return hour.Add(time.Duration(batch) * lagApart).Add(time.Duration(record) * lagApart / lagRecords)
	}
	for _, of := range []struct {
		name   string
		codec  kgo.CompressionCodec
		append bool // timestamps are the broker's
		stamp  func(batch, record int) time.Time
	}{
		{"none", kgo.NoCompression(), false, even},
		{"gzip", kgo.GzipCompression(), false, even},
		{"snappy", kgo.SnappyCompression(), false, even},
		{"lz4", kgo.Lz4Compression(), false, even},
		{"zstd", kgo.ZstdCompression(), false, even},
		{"backwards", kgo.ZstdCompression(), false, func(batch, record int) time.Time {
			return even(batch, lagRecords-1-record)
		}},
		{"log append time", kgo.Lz4Compression(), true, even},
	} {
		t.Run(of.name, func(t *testing.T) {
			t.Parallel()
			topic, name := named(t, "t"), named(t, "g")
			kind := "CreateTime"
			if of.append {
				kind = "LogAppendTime"
			}
			r, err := s.main.admin.CreateTopic(t.Context(), 1, 1, map[string]*string{"message.timestamp.type": &kind}, topic)
			require.NoError(t, err)
			require.NoError(t, r.Err)
			producer := startApp(t, "producer").client(s.main.Addr, "producer-"+name, kgo.ProducerBatchCompression(of.codec))
			for batch := range lagBatches {
				var records []*kgo.Record
				for i := range lagRecords {
					records = append(records, &kgo.Record{Topic: topic, Value: make([]byte, 200), Timestamp: of.stamp(batch, i)})
				}
				within(t, func(ctx context.Context) error { return producer.ProduceSync(ctx, records...).FirstErr() })
			}
			consumer := startApp(t, "consumer").client(s.main.Addr, "consumer-"+name, consumerOf(name, topic)...)
			consume(t, consumer, lagBatches*lagRecords)
			for _, offset := range []int64{0, 1, 30, lagRecords - 1, lagRecords, 2*lagRecords + 17, lagBatches*lagRecords - 1} {
				within(t, func(ctx context.Context) error { return commitAt(ctx, consumer, topic, offset) })
				s.agree(t, s.main, name, lagsKnown)
				s.ages(t, topic, name, offset)
			}
			within(t, func(ctx context.Context) error { return commitAt(ctx, consumer, topic, lagBatches*lagRecords) })
			for _, v := range s.views() {
				v.await(t, time.Now(), equals("kafka_consumer_group_lag_time_seconds", name, 0))
			}
		})
	}
}

// ages holds the age of what is at an offset against the record that is there.
func (s *scene) ages(t *testing.T, topic, group string, offset int64) {
	t.Helper()
	batch := s.main.batchOf(t, topic, offset)
	first, last := batch[0], batch[0]
	for _, r := range batch {
		if r.Timestamp.Before(first.Timestamp) {
			first = r
		}
		if r.Timestamp.After(last.Timestamp) {
			last = r
		}
	}
	for _, v := range s.views() {
		v.await(t, time.Now(), func(said snapshot) error {
			const name = "kafka_consumer_group_lag_time_seconds"
			if v == s.broker && len(said.Named(name).With("group", group)) == 0 {
				return nil // a broker sends records by sendfile: batches are not seen there
			}
			age, err := one(said.Samples, name, group)
			if err != nil {
				return err
			}
			then := said.at.Add(-time.Duration(age * float64(time.Second)))
			if then.Before(first.Timestamp.Add(-time.Millisecond)) || then.After(last.Timestamp.Add(time.Millisecond)) {
				return fmt.Errorf("%s at offset %d: of %v, its batch is of %v to %v",
					v.name, offset, then, first.Timestamp, last.Timestamp)
			}
			return nil
		})
	}
}

// batchOf returns the records of the batch that holds an offset, as they were
// written: lagRecords each.
func (c *cluster) batchOf(t *testing.T, topic string, offset int64) []*kgo.Record {
	t.Helper()
	base := offset - offset%lagRecords
	reader := c.tls(t, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(base)}}))
	var batch []*kgo.Record
	for len(batch) < lagRecords {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		fetches := reader.PollRecords(ctx, lagRecords-len(batch))
		cancel()
		require.NoError(t, fetches.Err())
		batch = append(batch, fetches.Records()...)
	}
	reader.Close()
	require.Equal(t, base, batch[0].Offset)
	return batch
}
