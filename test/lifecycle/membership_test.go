// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

// membership is what a group's coordinator says of it.
type membership struct {
	generation int32
	owners     map[string]string // client ids, by TOPIC-PARTITION
	members    int
}

// membershipOf asks about a group that is stable; while it is not, that is an error.
func (c *cluster) membershipOf(ctx context.Context, group string, protocol kafka.Protocol) (membership, error) {
	if protocol == kafka.Next {
		return c.nextMembership(ctx, group)
	}
	m := membership{owners: map[string]string{}}
	described, err := c.admin.DescribeGroups(ctx, group)
	if err != nil {
		return m, err
	}
	d := described[group]
	if d.Err != nil || d.State != "Stable" {
		return m, errors.Join(fmt.Errorf("group %s is %s", group, d.State), d.Err)
	}
	m.members = len(d.Members)
	for _, member := range d.Members {
		assigned, ok := member.Assigned.AsConsumer()
		if !ok {
			return m, fmt.Errorf("the assignment of %s is no consumer's", member.MemberID)
		}
		for _, topic := range assigned.Topics {
			for _, p := range topic.Partitions {
				m.owners[fmt.Sprintf("%s-%d", topic.Topic, p)] = member.ClientID
			}
		}
	}
	m.generation, err = c.generation(ctx, group)
	return m, err
}

func (c *cluster) nextMembership(ctx context.Context, group string) (membership, error) {
	m := membership{owners: map[string]string{}}
	described, err := c.admin.DescribeConsumerGroups(ctx, group)
	if err != nil {
		return m, err
	}
	d := described[group]
	if d.Err != nil || d.State != "Stable" {
		return m, errors.Join(fmt.Errorf("group %s is %s", group, d.State), d.Err)
	}
	m.members, m.generation = len(d.Members), d.Epoch
	for _, member := range d.Members {
		for topic, partitions := range member.Assignment {
			for p := range partitions {
				m.owners[fmt.Sprintf("%s-%d", topic, p)] = member.ClientID
			}
		}
	}
	return m, nil
}

const offsetsTopic = "__consumer_offsets"

// generation is a classic group's, which no request tells: it stands in the
// coordinator's own topic.
func (c *cluster) generation(ctx context.Context, group string) (int32, error) {
	ends, err := c.admin.ListEndOffsets(ctx, offsetsTopic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return 0, err
	}
	end, _ := ends.Lookup(offsetsTopic, 0)
	config, err := c.TLSConfig()
	if err != nil {
		return 0, err
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(c.TLSAddr), kgo.DialTLSConfig(config),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{offsetsTopic: {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		return 0, err
	}
	defer reader.Close()
	generation := int32(-1)
	for at := int64(-1); at < end.Offset-1; {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return 0, err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			at = max(at, r.Offset)
			var key kmsg.GroupMetadataKey
			var value kmsg.GroupMetadataValue
			if key.ReadFrom(r.Key) != nil || key.Version != 2 || key.Group != group || r.Value == nil {
				return
			}
			if readErr := value.ReadFrom(r.Value); readErr != nil {
				err = readErr
			}
			generation = value.Generation
		})
		if err != nil {
			return 0, err
		}
	}
	if generation < 0 {
		return 0, fmt.Errorf("%s has no generation of %s", offsetsTopic, group)
	}
	return generation, nil
}

// shows finds everything of a group's members wrong that differs from what the
// coordinator says. pids are the processes by client id; nil: not known there.
func (m membership) shows(group string, pids map[string]int) func(snapshot) error {
	return func(s snapshot) error {
		var errs []error
		for _, name := range []string{"kafka_consumer_offset", "kafka_consumer_lag", "kafka_consumer_assignment"} {
			said := owners(s.Samples, name, group)
			for partition, client := range m.owners {
				want := client + "@"
				if pids != nil {
					want += strconv.Itoa(pids[client])
				}
				if !slices.Equal(said[partition], []string{want}) {
					errs = append(errs, fmt.Errorf("%s of %s is of %v, want %s", name, partition, said[partition], want))
				}
				delete(said, partition)
			}
			if len(said) > 0 {
				errs = append(errs, fmt.Errorf("%s of what nobody owns: %v", name, said))
			}
		}
		return errors.Join(append(errs,
			equals("kafka_consumer_group_members", group, float64(m.members))(s), inState(group, "stable")(s))...)
	}
}

// change is when a member's partitions changed, in milliseconds of Unix time, and what it had from then on.
type change struct {
	at    int64
	owned []string
}

// ownership reads off what a TestMember has printed what it owned when. Eager
// members give everything up while they rebalance; what they own changes only
// with the assignment that follows.
func ownership(p *kafka.Told, eager bool) []change {
	var changes []change
	owned := map[string]bool{}
	for line := range strings.Lines(p.Output()) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		at, _ := strconv.ParseInt(words[1], 10, 64)
		switch words[0] {
		case "assigned":
			if eager {
				clear(owned)
			}
			for _, partition := range words[2:] {
				owned[partition] = true
			}
		case "revoked", "lost":
			if eager {
				continue
			}
			for _, partition := range words[2:] {
				delete(owned, partition)
			}
		case "closed":
			clear(owned)
		default:
			continue
		}
		var now []string
		for partition := range owned {
			now = append(now, partition)
		}
		changes = append(changes, change{at, now})
	}
	return changes
}

// requireOwned holds every snapshot of a view against what each member says it
// owned: a series of a client's is of a partition that it owns, or had given up
// no longer than endsWithin ago, and no partition has two.
func requireOwned(t *testing.T, v *view, snapshots []snapshot, group string, changes map[string][]change) {
	t.Helper()
	require.NotEmpty(t, snapshots)
	late := map[string]time.Duration{} // the longest of each
	for _, s := range snapshots {
		for _, name := range []string{"kafka_consumer_offset", "kafka_consumer_lag", "kafka_consumer_assignment"} {
			for partition, clients := range owners(s.Samples, name, group) {
				if len(clients) > 1 {
					t.Errorf("%s, %v: %s of %s has several owners: %v", v.name, s.at, name, partition, clients)
				}
				client, _, _ := strings.Cut(clients[0], "@")
				ended := time.UnixMilli(heldUntil(changes[client], partition, s.at.UnixMilli()))
				if age := s.at.Sub(ended); age > endsWithin {
					what := fmt.Sprintf("%s: %s of %s was still %s's, who gave it up at %v,", v.name, name, partition, client, ended)
					late[what] = max(late[what], age)
				}
			}
		}
	}
	for what, age := range late {
		t.Errorf("%s %v later", what, age)
	}
}

// heldUntil is the latest moment, up to now, at which a partition was owned; 0
// if it never was.
func heldUntil(changes []change, partition string, now int64) int64 {
	last, owning := int64(0), false
	for _, c := range changes {
		if owning {
			last = min(c.at, now)
		}
		owning = slices.Contains(c.owned, partition)
		if c.at > now {
			// The answer with the assignment comes before the callback that tells of it.
			if owning && c.at-now < endsWithin.Milliseconds() {
				return now
			}
			return last
		}
	}
	if owning {
		return now
	}
	return last
}
