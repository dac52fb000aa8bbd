// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// topicsMadeAnew: a topic is deleted and made again under its name, while its
// consumer stays. Brokers forget the offsets of what was deleted.
func (s *scene) topicsMadeAnew(t *testing.T) {
	for _, of := range []struct {
		name    string
		options []kgo.Opt
		seen    bool // the deletion is asked for in plaintext
	}{
		{"by name", []kgo.Opt{byName()}, true},
		{"by id", nil, true},
		{"by name, unseen", []kgo.Opt{byName()}, false},
		{"by id, unseen", nil, false},
	} {
		t.Run(of.name, func(t *testing.T) {
			t.Parallel()
			const records = 40
			topic, name := named(t, "t"), named(t, "g")
			client := s.consumed(t, topic, name, 1, records, of.options...)
			admin := s.main.admin
			if of.seen {
				admin = kadm.NewClient(startApp(t, "admin").client(s.main.Addr, "admin", of.options...))
			}
			within(t, func(ctx context.Context) error {
				r, err := admin.DeleteTopics(ctx, topic)
				if err == nil {
					err = r.Error()
				}
				if errors.Is(err, kerr.UnknownTopicOrPartition) {
					err = nil // was done at an earlier try
				}
				return err
			})
			within(t, func(context.Context) error {
				if left := s.main.truth(t, name).Committed; len(left) > 0 {
					return fmt.Errorf("the broker has %v", left)
				}
				return nil
			})
			s.agree(t, s.main, name, lagsMayLack)
			client.Close()

			require.NoError(t, s.main.CreateTopic(t.Context(), topic, 1))
			fresh := s.main.tls(t) // the one of all would go on with the old id
			produceBy(t, fresh, topic, 1, records/4)
			s.agree(t, s.main, name, lagsMayLack) // nothing of the first comes back
			again := startApp(t, "consumer").client(s.main.Addr, "again", append(consumerOf(name, topic), of.options...)...)
			consume(t, again, records/4)
			s.agree(t, s.main, name, lagsKnown)
			produceBy(t, fresh, topic, 1, 3)
			s.agree(t, s.main, name, lagsKnown)
		})
	}
}

// partitionsAdded: a topic gets more partitions while it is consumed.
func (s *scene) partitionsAdded(t *testing.T) {
	const partitions, added, records = 2, 3, 20
	topic, name := named(t, "t"), named(t, "g")
	client := s.consumed(t, topic, name, partitions, records)
	within(t, func(ctx context.Context) error {
		r, err := s.main.admin.UpdatePartitions(ctx, partitions+added, topic)
		if err == nil {
			err = r.Error()
		}
		if errors.Is(err, kerr.InvalidPartitions) {
			err = nil // was done at an earlier try
		}
		return err
	})
	s.agree(t, s.main, name, lagsKnown)                           // those without a commit have no series
	produceBy(t, s.main.tls(t), topic, partitions+added, records) // the one of all would not know them yet
	consume(t, client, (partitions+added)*records)
	require.Len(t, s.main.truth(t, name).Committed, partitions+added)
	s.agree(t, s.main, name, lagsKnown)
	for _, v := range s.views() {
		v.await(t, time.Now(), inState(name, "stable"))
	}
}

// recordsDeleted: retention removes what a group has not read.
func (s *scene) recordsDeleted(t *testing.T) {
	const records, committed, start = 100, 20, 50
	topic, name := named(t, "t"), named(t, "g")
	client := s.consumed(t, topic, name, 1, records)
	// What is committed is less than was read: the client goes on fetching at the end.
	within(t, func(ctx context.Context) error {
		return commitAt(ctx, client, topic, committed)
	})
	s.agree(t, s.main, name, lagsKnown)
	require.NoError(t, s.main.DeleteRecords(t.Context(), topic, 0, start))
	starts, err := s.main.admin.ListStartOffsets(t.Context(), topic)
	require.NoError(t, err)
	first, _ := starts.Lookup(topic, 0)
	require.EqualValues(t, start, first.Offset)
	for _, v := range s.views() {
		v.await(t, time.Now(), func(said snapshot) error {
			for metric, want := range map[string]float64{
				"kafka_partition_oldest_offset": start, "kafka_partition_current_offset": records,
			} {
				found := said.Named(metric).With("topic", topic)
				if len(found) != 1 || found[0].Value != want {
					return fmt.Errorf("want %v: %v", want, found)
				}
			}
			return nil
		})
	}
	s.agree(t, s.main, name, lagsKnown) // as brokers' tools: the end less the committed offset
}

// commitAt commits offsets of partitions 0 and up, as the member that the client is.
func commitAt(ctx context.Context, client *kgo.Client, topic string, offsets ...int64) error {
	partitions := map[int32]kgo.EpochOffset{}
	for p, offset := range offsets {
		partitions[int32(p)] = kgo.EpochOffset{Epoch: -1, Offset: offset}
	}
	var refused error
	client.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{topic: partitions},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, r *kmsg.OffsetCommitResponse, err error) {
			refused = err
			if err == nil {
				refused = kerr.ErrorForCode(r.Topics[0].Partitions[0].ErrorCode)
			}
		})
	return refused
}
