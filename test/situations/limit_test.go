// SPDX-License-Identifier: Apache-2.0

package situations

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

// limitReached: more commits are in flight than the receiver has room for.
// What it could not follow it counts, and has no offset for it until the next
// commit: the one from before is no longer true.
func (s *scene) limitReached(t *testing.T) {
	const topic, partitions, room = "limit", 100, 64 // room: the least that may be configured
	s.topic(t, topic, partitions, 1)
	small := *s
	small.views = []*view{startView(t.Context(), t, "small", "socket", "any", []string{portOf(t, s.broker.Addr)},
		"receivers::ebpf_kafka::limits::pending: 64")}
	clean := small.watch(t)
	perhaps := map[kafka.GroupPartition]bool{}
	for _, group := range []string{"many-requests", "one-request"} {
		for p := range int32(partitions) {
			perhaps[kafka.GroupPartition{Group: group, Topic: topic, Partition: p}] = true
		}
	}
	settled := func(k *talker, group string, offset int64) {
		t.Helper()
		for at := 0; at < partitions; at += room / 2 {
			k.committed(9, group, across(topic, partitions, offset)[at:min(at+room/2, partitions)]...)
		}
		small.agree(t, expectation{groups: []string{group}})
	}

	k := small.dial(t, s.broker.Addr, "many-requests").greet(topic)
	settled(k, "many-requests", 1000)
	var all []kmsg.Request
	for _, p := range across(topic, partitions, 2000) {
		all = append(all, k.commit(9, "many-requests", p))
	}
	k.send(all...)
	for range all {
		k.requireAnswer(0, k.receive())
	}
	small.agree(t, expectation{groups: []string{"many-requests"}, perhaps: perhaps, uncounted: true})

	k = small.dial(t, s.broker.Addr, "one-request").greet(topic)
	settled(k, "one-request", 1000)
	k.committed(9, "one-request", across(topic, partitions, 2000)...)
	small.agree(t, expectation{groups: []string{"one-request"}, perhaps: perhaps, uncounted: true})
	clean("requests_full", "pending_full", "pending_missing",
		"orphan_response", "orphan_responses", "parked_full", "resynchronisations")
}
