// SPDX-License-Identifier: Apache-2.0

package situations

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// limit sets a quota of a client id.
func (s *scene) limit(t *testing.T, client, quota string, value float64) {
	t.Helper()
	altered, err := s.oracle.Admin().AlterClientQuotas(t.Context(), []kadm.AlterClientQuotaEntry{{
		Entity: kadm.ClientQuotaEntity{{Type: "client-id", Name: &client}},
		Ops:    []kadm.AlterClientQuotaOp{{Key: quota, Value: value}},
	}})
	require.NoError(t, err)
	for _, a := range altered {
		require.NoError(t, a.Err)
	}
}

// quotas: the broker answers at once that it is throttling, leaves out what was
// asked for, and does not read on for a while.
func (s *scene) quotas(t *testing.T) {
	const partitions, records = 2, 100
	s.topic(t, "quotas", partitions, records)
	clean := s.watch(t)

	s.limit(t, "many-bytes", "consumer_byte_rate", 2000)
	k := s.dial(t, s.broker.Addr, "many-bytes").greet("quotas")
	throttled := 0
	offset := int64(0)
	within(t, func() error {
		offset++
		// Commits wait behind the throttled answers, in one write with them.
		k.send(k.fetch("quotas", 0, 1), k.commit(9, "many-bytes", across("quotas", partitions, offset)...),
			k.fetch("quotas", 0, 1), k.commit(newestCommit, "many-bytes", across("quotas", partitions, offset+1)...))
		for range 4 {
			if r, ok := k.receive().(*kmsg.FetchResponse); ok && r.ThrottleMillis > 0 {
				throttled++
			}
		}
		if throttled < 3 {
			return fmt.Errorf("%d throttled answers to Fetch", throttled)
		}
		return nil
	})

	// In a session, a throttled answer leaves out what has changed.
	s.limit(t, "session", "consumer_byte_rate", 2000)
	session := s.dial(t, s.broker.Addr, "session").greet("quotas")
	q := session.fetch("quotas", 0, 1)
	q.SessionEpoch = 0
	first := session.ask(q).(*kmsg.FetchResponse)
	require.NotZero(t, first.SessionID)
	s.produce(t, "quotas", partitions, 7)
	epoch := int32(0)
	next := func() *kmsg.FetchResponse {
		epoch++
		q := session.fetch("quotas")
		q.Topics, q.SessionID, q.SessionEpoch = nil, first.SessionID, epoch
		r := session.ask(q).(*kmsg.FetchResponse)
		require.Zero(t, r.ErrorCode)
		return r
	}
	throttled = 0
	within(t, func() error {
		if r := next(); r.ThrottleMillis > 0 {
			throttled++
		} else if throttled > 0 && len(r.Topics) > 0 {
			return nil
		}
		return fmt.Errorf("%d throttled answers, then none with news", throttled)
	})
	session.committed(9, "session", across("quotas", partitions, 3)...)

	s.limit(t, "much-time", "request_percentage", 0.01)
	k = s.dial(t, s.broker.Addr, "much-time").greet("quotas")
	throttled = 0
	within(t, func() error {
		offset++
		r := k.ask(k.commit(newestCommit, "much-time", across("quotas", partitions, offset)...))
		k.requireAnswer(0, r)
		if r.(*kmsg.OffsetCommitResponse).ThrottleMillis > 0 {
			throttled++
		}
		if throttled < 3 {
			return fmt.Errorf("%d throttled answers to OffsetCommit", throttled)
		}
		return nil
	})
	s.agree(t, expectation{groups: []string{"many-bytes", "session", "much-time"}, lag: true})
	clean()
}
