// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Committed offsets.
//
// Time decides between two values of one thing. A value read from the broker was true at some moment
// between its request and its response; so an offset that another client fetched counts only if it was
// asked for after the known value had arrived.
#pragma once

#include "sinks_pending.h"

/* A broker that cannot store a commit within offsets.commit.timeout.ms, 5 s by default, refuses it: when it
 * was acknowledged, it was no older.
 */
#define COMMIT_MAX_NS 5000000000ull

/* A broker answers EndTxn before the markers are written: for so long an OffsetFetch may still tell the
 * offset from before. Markers take milliseconds; brokers that are busy, some hundred.
 */
#define TXN_MARKERS_NS 2000000000ull

static __always_inline void offset_key_fill(const struct stream *s, __u64 group, struct offset_key *k)
{
	k->link = s->request.link;
	k->group = group;
	k->topic = s->regs[REG_TOPIC];
	k->partition = s->regs[REG_PARTITION];
	k->pad = 0;
}

/* In place of what is known, if anything is. */
static __always_inline void offset_put(const struct offset_key *k, struct offset_value *v,
				       const struct offset_value *known)
{
	__u64 when = v->acked ? v->acked : v->time;

	if (known && known->committed > v->committed)
		v->committed = known->committed;
	if (!bpf_map_update_elem(&offsets, k, v, BPF_ANY))
		return;
	if (bpf_map_update_elem(&refused, k, &when, BPF_ANY))
		refuse(DROP_OFFSETS_FULL);
	else
		drop(DROP_OFFSETS_FULL);
}

static __always_inline void offset_put_newer(const struct offset_key *k, struct offset_value *v)
{
	struct offset_value *known = bpf_map_lookup_elem(&offsets, k);

	if (!known || (known->committed <= v->committed && known->time <= v->time))
		offset_put(k, v, known);
	else if (known->committed < v->committed)
		known->committed = v->committed;
}

/* A transaction's end may not have reached the group's coordinator yet, so that a look tells what was before. */
static __always_inline bool markers_pending(const struct offset_value *v, __u64 when)
{
	return (v->source == OFFSET_TXN || (v->source == OFFSET_UNKNOWN && v->ordered)) &&
	       v->acked + TXN_MARKERS_NS > when;
}

static __always_inline void count_commit(struct run *r, struct stream *s)
{
	struct commits_key k = {};
	struct commits_value *n, first = {};

	k.link = s->request.link;
	k.group = s->request.group;
	k.topic = s->regs[REG_TOPIC];
	k.error = s->regs[REG_ERROR];
	first.first = s->now;
	n = entry(&commits, &k, &first, DROP_COMMITS_FULL);
	if (n)
		__sync_fetch_and_add(&n->count, 1);
}

/* One partition's answer to a commit: counts it, and fills in where it belongs and what was asked for, if that is
 * known. False if there is nothing to be learnt from it.
 */
static __always_inline bool commit_acknowledged(struct run *r, struct stream *s, struct offset_key *k,
						struct pending_value *asked, bool *known)
{
	if (!usable(s->regs[REG_TOPIC]) || !usable(s->request.group))
		return false;
	*known = pending_take(r, s, asked);
	count_commit(r, s);
	if (s->regs[REG_ERROR])
		return false;
	offset_key_fill(s, s->request.group, k);
	return true;
}

static __noinline void sink_commit_answered(struct run *r, struct stream *s)
{
	struct pending_value asked = {};
	struct offset_value v = {};
	struct offset_key k;
	bool known;

	if (!commit_acknowledged(r, s, &k, &asked, &known))
		return;
	v.time = s->now;
	if (known && v.time > asked.time + COMMIT_MAX_NS)
		v.time = asked.time + COMMIT_MAX_NS; /* read late: somebody else may have committed since */
	v.acked = s->now;
	v.ordered = asked.time;
	v.committed = s->request.time;
	v.offset = asked.value;
	v.leader_epoch = asked.leader_epoch;
	v.source = OFFSET_COMMIT;
	if (!known || asked.value < 0) {
		/* the broker's value has changed to one that was not seen, or that is no offset */
		if (!known)
			drop(DROP_PENDING_MISSING);
		v.offset = OFFSET_NONE;
		v.ordered = 0;
		v.source = OFFSET_UNKNOWN;
	}
	offset_put_newer(&k, &v);
}

static __noinline void sink_offset_fetched(struct run *r, struct stream *s)
{
	__u64 group = s->regs[REG_GROUP] ? s->regs[REG_GROUP] : s->request.group;
	struct offset_value v = {}, *known;
	struct offset_key k;

	if (s->regs[REG_ERROR] || s->regs[REG_TOP_ERROR] || !usable(s->regs[REG_TOPIC]) || !usable(group))
		return;
	offset_key_fill(s, group, &k);
	known = bpf_map_lookup_elem(&offsets, &k);
	if (known && known->time > s->request.time)
		return;
	if (known && markers_pending(known, s->request.time))
		return;
	v.offset = s->regs[REG_OFFSET];
	if (known && (known->source == OFFSET_COMMIT || known->source == OFFSET_TXN) && known->offset == v.offset) {
		known->ordered = s->request.time;
		known->time = s->request.time; /* what this client committed is still what the broker has */
		return;
	}
	v.time = s->request.time;
	v.acked = s->now;
	v.leader_epoch = s->regs[REG_LEADER_EPOCH];
	v.source = v.offset < 0 ? OFFSET_DELETED : OFFSET_FETCH;
	offset_put(&k, &v, known);
}

/* OffsetDelete: the broker has none any more. */
static __noinline void sink_offset_deleted(struct stream *s)
{
	struct offset_value v = {};
	struct offset_key k;

	if (s->regs[REG_ERROR] || s->regs[REG_TOP_ERROR] || !usable(s->regs[REG_TOPIC]) || !usable(s->request.group))
		return;
	offset_key_fill(s, s->request.group, &k);
	v.offset = OFFSET_NONE;
	v.time = s->now;
	v.acked = s->now;
	v.leader_epoch = -1;
	v.source = OFFSET_DELETED;
	offset_put(&k, &v, bpf_map_lookup_elem(&offsets, &k));
}
