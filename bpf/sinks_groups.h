// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Members of groups: what they own, and when they rebalance.
#pragma once

#include "sinks_pending.h"

/* These say something of the coordinator, and nothing of the member. */
#define ERROR_COORDINATOR_LOAD_IN_PROGRESS 14
#define ERROR_COORDINATOR_NOT_AVAILABLE 15
#define ERROR_NOT_COORDINATOR 16
#define ERROR_REBALANCE_IN_PROGRESS 27

static __always_inline struct group_value *group_entry(__u64 link, __u64 group, __u64 now)
{
	struct group_value blank = {.first = now};
	struct group_key k = {.link = link, .group = group};

	if (!link || !usable(group))
		return NULL;
	return entry(&groups, &k, &blank, DROP_GROUPS_FULL);
}

/* A member of the classic protocol begins to rebalance: it was told so, or joins by itself. */
static __noinline void rebalance_begins(struct run *r, struct stream *s, __u64 group)
{
	struct group_value *g;

	if (r->connection->joining)
		return;
	g = group_entry(s->request.link, group, s->now);
	if (!g)
		return;
	r->connection->joining = s->now;
	g->joining = s->now;
}

static __noinline void rebalance_ends(struct run *r, struct stream *s)
{
	__u64 began = r->connection->joining;
	struct group_value *g;

	r->connection->joining = 0;
	if (!began || s->now <= began)
		return;
	g = group_entry(s->request.link, s->request.group, s->now);
	if (!g)
		return;
	g->joined = s->now;
	__sync_fetch_and_add(&g->rebalancing_ns, s->now - began);
	__sync_fetch_and_add(&g->rebalances, 1);
}

/* SyncGroup, and the heartbeats of KIP-848: the assignment that follows is the whole one. */
static __noinline void sink_assignment(struct stream *s)
{
	s->regs[REG_ASSIGNMENT] = ASSIGNMENT_TOLD;
}

static __always_inline __u64 member_of(struct stream *s)
{
	return usable(s->regs[REG_MEMBER]) ? s->regs[REG_MEMBER] : s->request.member;
}

static __noinline void sink_assigned(struct stream *s)
{
	struct assignment_key k = {};
	struct assignment_value v = {};

	k.link = s->request.link;
	k.group = s->request.group;
	k.topic = s->regs[REG_TOPIC];
	k.partition = s->regs[REG_PARTITION];
	v.member = member_of(s);
	v.assigned = s->request.time;
	if (s->regs[REG_TOP_ERROR] || !usable(k.topic) || !usable(k.group) || !usable(v.member))
		return;
	if (bpf_map_update_elem(&assignments, &k, &v, BPF_ANY))
		drop(DROP_ASSIGNMENTS_FULL);
}

/* A member of the classic protocol leaves. */
static __always_inline void rebalance_is_over(struct run *r, struct stream *s)
{
	struct group_value *g;

	if (!r->connection->joining)
		return;
	r->connection->joining = 0;
	g = group_entry(s->request.link, s->request.group, s->now);
	if (g)
		g->joined = s->now;
}

static __noinline void sink_member(struct run *r, struct stream *s)
{
	struct member_value v = {}, *known;
	struct member_key k = {};
	__s64 error = s->regs[REG_TOP_ERROR];

	if (error >= ERROR_COORDINATOR_LOAD_IN_PROGRESS && error <= ERROR_NOT_COORDINATOR)
		return;
	k.link = s->request.link;
	k.group = s->request.group;
	k.member = member_of(s);
	if (s->regs[REG_TOP_ERROR] == ERROR_REBALANCE_IN_PROGRESS)
		rebalance_begins(r, s, k.group);
	else if (s->api == API_LEAVE_GROUP)
		rebalance_is_over(r, s);
	else if (s->api == API_SYNC_GROUP && !s->regs[REG_TOP_ERROR])
		rebalance_ends(r, s);
	if (!usable(k.group) || !usable(k.member))
		return;
	known = bpf_map_lookup_elem(&members, &k);
	v.time = s->now;
	v.connection = r->connection->id;
	v.generation = (__s64)s->regs[REG_GENERATION] >= 0 ? s->regs[REG_GENERATION] : s->request.generation;
	v.error = s->regs[REG_TOP_ERROR];
	v.api = s->api;
	/* SyncGroup without any bytes: the leader has given it nothing. */
	if (!v.error &&
	    (s->regs[REG_ASSIGNMENT] == ASSIGNMENT_TOLD || (s->api == API_SYNC_GROUP && !s->regs[REG_ASSIGNMENT])))
		v.assigned = s->request.time;
	else if (known && s->regs[REG_ASSIGNMENT] != ASSIGNMENT_UNKNOWN)
		v.assigned = known->assigned;
	if (bpf_map_update_elem(&members, &k, &v, BPF_ANY))
		drop(DROP_MEMBERS_FULL);
}

static __noinline void sink_group_deleted(struct stream *s)
{
	struct group_value *g;

	if (s->regs[REG_ERROR])
		return;
	g = group_entry(s->request.link, s->regs[REG_GROUP], s->now);
	if (g)
		g->deleted = s->now;
}
