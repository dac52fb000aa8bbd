// SPDX-License-Identifier: Apache-2.0

package situations

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

// longNames: the longest topic that Kafka allows, and groups up to and beyond
// what the receiver keeps.
func (s *scene) longNames(t *testing.T) {
	const longestTopic, longestKept = 249, 255
	topic := strings.Repeat("t", longestTopic)
	s.topic(t, topic, 2, 5)
	name := func(n int) string { return strings.Repeat("g", n-5) + fmt.Sprintf("%05d", n) }
	clean := s.watch(t)

	k := s.dial(t, s.broker.Addr, "long-names").greet(topic)
	kept := []string{name(254), name(longestKept)}
	for i, group := range kept {
		k.committed(9, group, across(topic, 2, int64(i))...)
		k.committed(newestCommit, group, across(topic, 2, int64(10*i))...)
	}
	k.ask(k.fetch(topic, 0, 1))
	s.agree(t, expectation{groups: kept, lag: true})
	clean()

	left := []string{name(longestKept + 1), name(1000), name(32_000)}
	for i, group := range left {
		k.committed(9, group, across(topic, 2, int64(i))...)
		k.committed(newestCommit, group, across(topic, 2, int64(10*i))...)
	}
	k.committed(9, kept[0], across(topic, 2, 3)...) // and the next one is in its place
	s.agree(t, expectation{groups: kept, lag: true, hidden: append([]string{name(longestKept + 1)[:longestKept]}, left...)})
	for _, v := range s.views {
		require.GreaterOrEqual(t, losses(v.counters(t))["name_too_long"], float64(2*len(left)), v.name)
	}
	clean("name_too_long")
}

// longMetadata: commits with as much metadata as the broker takes, with more,
// and with more than a string of Kafka's can hold, which ends the connection.
func (s *scene) longMetadata(t *testing.T) {
	s.topic(t, "metadata", 3, 5)
	clean := s.watch(t)
	k := s.dial(t, s.broker.Addr, "metadata").greet("metadata")
	with := func(version int16, offset int64, lengths ...int) *kmsg.OffsetCommitRequest {
		q := k.commit(version, "metadata", across("metadata", len(lengths), offset)...)
		for i, n := range lengths {
			q.Topics[0].Partitions[i].Metadata = kmsg.StringPtr(strings.Repeat("m", n))
		}
		return q
	}
	for _, version := range []int16{2, 9, newestCommit} {
		k.answered(0, with(version, 10, metadataMax, 0, metadataMax-1))
		// The second is refused, its neighbours are not.
		r := k.ask(with(version, 20, 1, metadataMax+1, metadataMax)).(*kmsg.OffsetCommitResponse)
		got := r.Topics[0].Partitions
		require.Equal(t, []int16{0, kerr.OffsetMetadataTooLarge.Code, 0},
			[]int16{got[0].ErrorCode, got[1].ErrorCode, got[2].ErrorCode})
	}
	s.agree(t, expectation{groups: []string{"metadata"}})

	k.send(with(9, 900, 64<<10, 0, 0))
	_, err := k.Read(make([]byte, 1))
	require.True(t, errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET), "%v", err)
	// Nobody has said that it was refused.
	either := map[kafka.GroupPartition]bool{}
	for p := range int32(3) {
		either[kafka.GroupPartition{Group: "metadata", Topic: "metadata", Partition: p}] = true
	}
	s.agree(t, expectation{groups: []string{"metadata"}, perhaps: either})
	k = s.dial(t, s.broker.Addr, "metadata").greet("metadata")
	k.answered(0, with(9, 30, 1, 2, 3))
	s.agree(t, expectation{groups: []string{"metadata"}})
	clean()
}

// manyPartitions: one request commits 5,000 partitions of five topics.
func (s *scene) manyPartitions(t *testing.T) {
	const topics, partitions = 5, 1000
	var names []string
	for i := range topics {
		names = append(names, fmt.Sprintf("many-%d", i))
	}
	// Who commits need not wait until the broker has made so many logs.
	created, err := s.oracle.Admin().CreateTopics(t.Context(), partitions, 1, nil, names...)
	require.NoError(t, err)
	require.NoError(t, created.Error())
	clean := s.watch(t)
	within(t, func() error {
		listed, err := s.oracle.Admin().ListTopics(t.Context(), names...)
		if err == nil && len(listed.TopicsSet().Sorted()) < topics {
			err = errors.New("not all topics are there yet")
		}
		return err
	})
	k := s.dial(t, s.broker.Addr, "many").greet(names...)
	all := func(offset int64) []position {
		var all []position
		for i, name := range names {
			all = append(all, across(name, partitions, offset+int64(10_000*i))...)
		}
		return all
	}
	k.committed(9, "many", all(1)...)
	k.committed(newestCommit, "many", all(2)...)
	k.send(k.commit(2, "many", all(3)...), k.commit(8, "many", all(4)...), k.commit(9, "many", all(5)...))
	for range 3 {
		k.requireAnswer(0, k.receive())
	}
	s.agree(t, expectation{groups: []string{"many"}, unread: true})
	clean()
}
