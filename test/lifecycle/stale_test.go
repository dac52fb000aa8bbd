// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

// ends are the ends that a partition has had, the newest last.
type ends []struct {
	at  time.Time // from when on the broker had it, or a little before
	end int64
}

// stale: consumers that stop in one way or another. A lag is right as of some
// moment within watermarkMaxAge, or it is not there.
func (s *scene) stale(t *testing.T) {
	const records = 20
	topic, name := named(t, "t"), named(t, "g")
	s.main.topic(t, topic, 1, records)
	m, err := s.main.StartMember(t.Context(), kafka.Consumer{Group: name, Topics: []string{topic}, ClientID: "member",
		Properties: map[string]string{
			"session.timeout.ms":    fmt.Sprint(sessionTimeout.Milliseconds()),
			"heartbeat.interval.ms": fmt.Sprint(heartbeat.Milliseconds()),
		}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Stop(0)) })
	begin := time.Now()
	was := ends{{begin, records}}
	more := func() {
		was = append(was, ends{{time.Now(), was[len(was)-1].end + records}}...)
		s.main.produce(t, topic, 1, records)
	}
	committed := func(offset int64) {
		within(t, func(context.Context) error {
			if got := s.main.truth(t, name).Committed[kafka.GroupPartition{Group: name, Topic: topic}]; got != offset {
				return fmt.Errorf("committed %d, not %d yet", got, offset)
			}
			return nil
		})
	}
	committed(records)
	s.agree(t, s.main, name, lagsKnown)

	// It polls and does not commit.
	tell(t, m, "commit off", "commits no more")
	more()
	s.agree(t, s.main, name, lagsKnown) // with a lag
	aged := time.Now()
	for _, v := range s.views() {
		v.await(t, aged.Add(3*time.Second), func(said snapshot) error {
			age, err := one(said.Samples, "kafka_consumer_group_commit_age_seconds", name)
			if err == nil && age < said.at.Sub(aged).Seconds() {
				err = fmt.Errorf("the commit's age is %v s", age)
			}
			if err == nil {
				err = watermarkAge(said.Samples, topic, watermarkMaxAge/2)
			}
			return err
		})
	}

	// It commits again, then stops polling. Its client goes on with heartbeats.
	tell(t, m, "commit on", "commits")
	more()
	committed(3 * records)
	s.agree(t, s.main, name, lagsKnown)
	tell(t, m, "sleep", "slept")
	more()
	s.gone(t, name, topic, 3*records)
	for _, v := range s.views() {
		v.await(t, time.Now(), equals("kafka_consumer_group_members", name, 1))
		v.await(t, time.Now(), inState(name, "stable"))
	}

	// It wakes up, and is killed.
	tell(t, m, "wake", "woke")
	committed(4 * records)
	s.agree(t, s.main, name, lagsKnown)
	require.NoError(t, m.Stop(0))
	more()
	killed := time.Now()
	for _, v := range s.views() {
		v.await(t, killed, equals("kafka_consumer_group_members", name, 0))
		v.await(t, killed, inState(name, "empty"))
		v.await(t, killed, noClients(name))
	}
	s.gone(t, name, topic, 4*records)
	for _, v := range s.views() {
		snapshots, _ := v.since(t, begin)
		requireLagsOfTheirTime(t, snapshots, name, was)
	}
}

// tell gives a command and awaits what it is answered with.
func tell(t *testing.T, m *kafka.Told, command, answer string) {
	t.Helper()
	require.NoError(t, m.Tell(command))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := m.Await(ctx, regexp.MustCompile(`(?m)^`+answer+`$`))
	require.NoError(t, err)
}

// watermarkAge finds a topic's watermark wrong that is older than that.
func watermarkAge(s collector.Samples, topic string, most time.Duration) error {
	found := s.Named("kafka_partition_watermark_age_seconds").With("topic", topic)
	if len(found) != 1 || found[0].Value > most.Seconds() {
		return fmt.Errorf("older than %v: %v", most, found)
	}
	return nil
}

// gone awaits that a group has its offset and no lag any more, since nobody
// fetches.
func (s *scene) gone(t *testing.T, group, topic string, offset float64) {
	t.Helper()
	for _, v := range s.views() {
		v.await(t, time.Now(), func(said snapshot) error {
			for _, name := range []string{"kafka_consumer_group_lag", "kafka_consumer_group_lag_sum",
				"kafka_consumer_group_lag_time_seconds", "kafka_consumer_lag"} {
				if left := said.Named(name).With("group", group); len(left) > 0 {
					return fmt.Errorf("still there: %v", left)
				}
			}
			if left := said.Named("kafka_partition_current_offset").With("topic", topic); len(left) > 0 {
				return fmt.Errorf("still there: %v", left)
			}
			if err := watermarkAge(said.Samples, topic, watermarkMaxAge); err == nil {
				return fmt.Errorf("the watermark of %s is not older than %v", topic, watermarkMaxAge)
			}
			return equals("kafka_consumer_group_offset", group, offset)(said)
		})
	}
}

// requireLagsOfTheirTime: each lag that was shown is to an end that the
// partition had no longer than watermarkMaxAge before.
func requireLagsOfTheirTime(t *testing.T, snapshots []snapshot, group string, was ends) {
	t.Helper()
	require.NotEmpty(t, snapshots)
	for _, s := range snapshots {
		for _, sample := range s.Named("kafka_consumer_group_lag").With("group", group) {
			offset, err := one(s.Samples, "kafka_consumer_group_offset", group)
			require.NoError(t, err)
			right := false
			for i, e := range was {
				until := s.at
				if i+1 < len(was) {
					until = was[i+1].at.Add(watermarkMaxAge + interval)
				}
				right = right || (e.end == int64(offset+sample.Value) && !e.at.After(s.at) && !s.at.After(until))
			}
			require.True(t, right, "%v: a lag of %v at offset %v; ends were %v", s.at, sample.Value, offset, was)
		}
	}
}
