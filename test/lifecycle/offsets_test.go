// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
)

// byName are options of a client from before topic ids: 3.0 is the last release
// whose Fetch names topics.
func byName() kgo.Opt { return kgo.MaxVersions(kversion.V3_0_0()) }

// consumed makes a group with a consumer that has read and committed all, and
// returns its client.
func (s *scene) consumed(t *testing.T, topic, name string, partitions, records int,
	options ...kgo.Opt) *kgo.Client {
	t.Helper()
	s.main.topic(t, topic, partitions, records)
	client := startApp(t, "consumer of "+name).client(s.main.Addr, "consumer-"+name, append(consumerOf(name, topic), options...)...)
	consume(t, client, partitions*records)
	s.agree(t, s.main, name, lagsKnown)
	return client
}

// offsetsReset: an operator moves an empty group's offsets on, and back.
func (s *scene) offsetsReset(t *testing.T) {
	const partitions, records = 3, 60
	topic, name := named(t, "t"), named(t, "g")
	client := s.consumed(t, topic, name, partitions, records)
	client.Close() // which leaves the group
	for _, v := range s.views() {
		v.await(t, time.Now(), equals("kafka_consumer_group_members", name, 0))
		v.await(t, time.Now(), inState(name, "empty"))
		v.await(t, time.Now(), noClients(name))
	}
	s.agree(t, s.main, name, lagsMayLack)

	tool := startApp(t, "admin")
	admin := tool.client(s.main.Addr, "admin")
	commit(t, admin, name, topic, 7, 8, 9) // back
	s.agree(t, s.main, name, lagsMayLack)
	// Whose the last commit is stands beside it: nobody was assigned the partition.
	s.clients.await(t, time.Now(), func(said snapshot) error {
		want := []string{fmt.Sprintf("admin@%d", tool.PID())}
		found := owners(said.Samples, "kafka_consumer_offset", name)
		if len(found) != partitions || !slices.Equal(found[topic+"-0"], want) {
			return fmt.Errorf("want %v: %v", want, found)
		}
		return nil
	})
	commit(t, admin, name, topic, 50, 60, 40) // on
	s.agree(t, s.main, name, lagsMayLack)
	commit(t, admin, name, topic, 0)
	s.agree(t, s.main, name, lagsMayLack)

	// And a consumer goes on from there.
	again := startApp(t, "consumer").client(s.main.Addr, "again", consumerOf(name, topic)...)
	consume(t, again, records+20) // offsets are 0, 60 and 40: of 60 in each
	s.agree(t, s.main, name, lagsKnown)
}

// noClients finds any series of a group's clients wrong.
func noClients(group string) func(snapshot) error {
	return func(s snapshot) error {
		for _, name := range []string{"kafka_consumer_offset", "kafka_consumer_lag", "kafka_consumer_assignment"} {
			if left := s.Named(name).With("group", group); len(left) > 0 {
				return fmt.Errorf("still there: %v", left)
			}
		}
		return nil
	}
}

// offsetsDeleted: an operator deletes offsets of a group that is no more
// subscribed to the topic. It commits others meanwhile.
func (s *scene) offsetsDeleted(t *testing.T) {
	const partitions, records = 3, 30
	topic, name := named(t, "t"), named(t, "g")
	client := s.consumed(t, topic, name, partitions, records)
	client.Close()
	plain := startApp(t, "admin").client(s.main.Addr, "admin")
	within(t, func(ctx context.Context) error {
		deleted, err := kadm.NewClient(plain).DeleteOffsets(ctx, name, kadm.TopicsSet{topic: {0: {}, 2: {}}})
		if err == nil {
			err = deleted.Error()
		}
		return err
	})
	require.Len(t, s.main.truth(t, name).Committed, 1)
	s.agree(t, s.main, name, lagsMayLack)

	commit(t, plain, name, topic, 5) // made again
	require.Len(t, s.main.truth(t, name).Committed, 2)
	s.agree(t, s.main, name, lagsMayLack)
}

// groupDeleted: a group is deleted and made again, by a process that had
// nothing to do with it.
func (s *scene) groupDeleted(t *testing.T) {
	const partitions, records = 2, 30
	topic, name := named(t, "t"), named(t, "g")
	client := s.consumed(t, topic, name, partitions, records)
	client.Close()
	admin := startApp(t, "admin").client(s.main.Addr, "admin")
	within(t, func(ctx context.Context) error {
		deleted, err := kadm.NewClient(admin).DeleteGroups(ctx, name)
		if err == nil {
			err = deleted.Error()
		}
		return err
	})
	within(t, func(context.Context) error { // an unknown group has no offsets
		if left := s.main.truth(t, name).Committed; len(left) > 0 {
			return fmt.Errorf("the broker has %v", left)
		}
		return nil
	})
	s.agree(t, s.main, name, lagsMayLack)
	for _, v := range s.views() {
		v.await(t, time.Now(), noMembers(name))
	}

	again := startApp(t, "consumer").client(s.main.Addr, "again", consumerOf(name, topic)...)
	consume(t, again, partitions*records)
	s.agree(t, s.main, name, lagsKnown)
	for _, v := range s.views() {
		v.await(t, time.Now(), equals("kafka_consumer_group_members", name, 1))
	}
}

// noMembers finds a series of a group that was deleted wrong.
func noMembers(group string) func(snapshot) error {
	return func(s snapshot) error {
		for _, name := range []string{"kafka_consumer_group_members", "kafka_consumer_group_state"} {
			if left := s.Named(name).With("group", group); len(left) > 0 {
				return fmt.Errorf("still there: %v", left)
			}
		}
		return nil
	}
}
