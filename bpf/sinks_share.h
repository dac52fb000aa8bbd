// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Share groups (KIP-932): records acknowledged, by what became of them.
//
// A request names batches of offsets, and for each either one type for all of its records or a type for
// each. The three counts of a partition travel in one number until the answer is there.
#pragma once

#include "sinks_pending.h"

#define SHARE_ACCEPT 1
#define SHARE_RELEASE 2
#define SHARE_REJECT 3

/* Bits of each count: 2 million records of one partition in one request, where brokers hand out 2,000
 * (group.share.partition.max.record.locks) before they want an answer.
 */
#define SHARE_BITS 21
#define SHARE_MASK ((1ull << SHARE_BITS) - 1)

static __always_inline __u64 share_one(__s64 type)
{
	if (type < SHARE_ACCEPT || type > SHARE_REJECT)
		return 0; /* a gap, or an acquisition that is renewed */
	return 1ull << (SHARE_BITS * (type - SHARE_ACCEPT));
}

/* REG_RECORDS: of the partition; REG_SCRATCH: of the batch; REG_COUNT: types that the batch named */
static __noinline void sink_share_type(struct stream *s)
{
	s->regs[REG_SCRATCH] += share_one(s->regs[REG_ACK_TYPE]);
	s->regs[REG_COUNT]++;
}

static __noinline void sink_share_batch(struct stream *s)
{
	__s64 records = s->regs[REG_BATCH_LAST] - s->regs[REG_BATCH_BASE] + 1;

	if (s->regs[REG_COUNT] == 1 && records > 0 && records <= (__s64)SHARE_MASK)
		s->regs[REG_RECORDS] += s->regs[REG_SCRATCH] * records;
	else if (s->regs[REG_COUNT] == records)
		s->regs[REG_RECORDS] += s->regs[REG_SCRATCH];
	s->regs[REG_SCRATCH] = 0;
	s->regs[REG_COUNT] = 0;
}

static __noinline void sink_share_asked(struct run *r, struct stream *s)
{
	if (s->regs[REG_RECORDS] && usable(s->regs[REG_GROUP]))
		pending_put(r, s, s->regs[REG_RECORDS]);
	s->regs[REG_RECORDS] = 0;
}

static __noinline void sink_share_answered(struct run *r, struct stream *s)
{
	struct share_value *v, blank = {};
	struct pending_value asked = {};
	struct share_key k = {};

	if (!usable(s->regs[REG_TOPIC]) || !usable(s->request.group) || !pending_take(r, s, &asked))
		return;
	if (s->regs[REG_ERROR] || s->regs[REG_TOP_ERROR])
		return;
	k.link = s->request.link;
	k.group = s->request.group;
	k.topic = s->regs[REG_TOPIC];
	k.partition = s->regs[REG_PARTITION];
	blank.first = s->now;
	v = entry(&shares, &k, &blank, DROP_SHARES_FULL);
	if (!v)
		return;
	__sync_fetch_and_add(&v->accepted, asked.value & SHARE_MASK);
	__sync_fetch_and_add(&v->released, asked.value >> SHARE_BITS & SHARE_MASK);
	__sync_fetch_and_add(&v->rejected, asked.value >> (2 * SHARE_BITS) & SHARE_MASK);
}
