// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What becomes of a report. Each sink takes the registers of one stream and changes one or two maps.
#pragma once

#include "sinks_groups.h"
#include "sinks_log.h"
#include "sinks_share.h"
#include "sinks_txn.h"

#define ACKS_ALL (-1)

static __always_inline void trace_report(struct run *r, struct stream *s, __u32 sink)
{
	struct trace_record *t;

	if (!trace_reports)
		return;
	t = bpf_ringbuf_reserve(&trace, sizeof(*t), 0);
	if (!t)
		return;
	t->connection = r->connection->id;
	t->sink = sink;
	t->api = s->api;
	t->version = s->version;
	for (int i = 0; i < REG_NAMES; i++)
		t->regs[i] = s->regs[i];
	bpf_ringbuf_submit(t, 0);
}

/* What this end is, or will be once its first request has been understood. */
static __always_inline __u32 role_of(const struct connection *c, const struct stream *s)
{
	if (c->role != ROLE_UNKNOWN)
		return c->role;
	return (s->direction == 0) == (s->kind == DIR_REQUEST) ? ROLE_CLIENT : ROLE_BROKER;
}

/* True: once more, there is a list to go along. */
static __always_inline bool report(struct run *r, struct stream *s, __u32 sink)
{
	if (!s->regs[REG_TXN])
		trace_report(r, s, sink);
	/* The same traffic is counted where it is sent from, and a link is where all is kept. What the response's
	 * sink would not take out of `pending` must not be put into it either: it would fill up for everyone.
	 */
	if ((r->connection->local_peer && sink != SINK_TXN_MARKER) ||
	    (!s->request.link && (s->kind == DIR_RESPONSE || r->connection->confirmed) && sink != SINK_TXN_MARKER))
		return false;
	if (r->connection->id != r->id) /* it ended meanwhile, and its memory is another's */
		return false;
	if (unanswered(r->connection))
		return false;
	/* the end that is not wanted is about to be given up */
	if (role_wanted && role_of(r->connection, s) != role_wanted)
		return false;
	switch (sink) {
	case SINK_COMMIT_ASKED:
		if (usable(s->regs[REG_GROUP]))
			pending_put(r, s, s->regs[REG_OFFSET]);
		break;
	case SINK_COMMIT_ANSWERED:
		if (s->api == API_TXN_OFFSET_COMMIT)
			sink_txn_commit_answered(r, s);
		else
			sink_commit_answered(r, s);
		break;
	case SINK_OFFSET_FETCHED:
		sink_offset_fetched(r, s);
		break;
	case SINK_FETCH_ASKED:
		sink_fetch_asked(r, s);
		break;
	case SINK_FETCH_FORGOTTEN:
		leave_session(s);
		break;
	case SINK_FETCH_SESSION:
		sink_fetch_session(r, s);
		break;
	case SINK_WATERMARK:
		sink_watermark(r, s);
		break;
	case SINK_LIST_ASKED:
		/* version 0 is answered with a list, which is not reported; followers ask for the log's end */
		if (s->version > 0 && (__s64)s->regs[REG_REPLICA] < 0)
			pending_put(r, s, s->regs[REG_TIMESTAMP]);
		break;
	case SINK_LIST_ANSWERED:
		sink_list_answered(r, s);
		break;
	case SINK_PRODUCE_ASKED:
		/* only acks=all says that the high watermark has passed the records */
		if ((__s64)s->regs[REG_ACKS] == ACKS_ALL)
			pending_put(r, s, s->regs[REG_RECORDS]);
		break;
	case SINK_PRODUCE_ANSWERED:
		sink_produce_answered(r, s);
		break;
	case SINK_BATCH:
		sink_batch(r, s);
		break;
	case SINK_TOPIC_ID:
		sink_topic_id(r, s);
		break;
	case SINK_CLUSTER:
		sink_cluster(s);
		break;
	case SINK_MEMBER:
		sink_member(r, s);
		break;
	case SINK_TXN_END:
		return sink_txn_end(r, s);
	case SINK_TXN_MARKER:
		return sink_txn_marker(r, s);
	case SINK_OFFSET_DELETED:
		sink_offset_deleted(s);
		break;
	case SINK_GROUP_DELETED:
		sink_group_deleted(s);
		break;
	case SINK_TOPIC_DELETED:
		sink_topic_deleted(s);
		break;
	case SINK_JOIN_ASKED:
		rebalance_begins(r, s, s->regs[REG_GROUP]);
		break;
	case SINK_ASSIGNMENT:
		sink_assignment(s);
		break;
	case SINK_ASSIGNED:
		sink_assigned(s);
		break;
	case SINK_SHARE_TYPE:
		sink_share_type(s);
		break;
	case SINK_SHARE_BATCH:
		sink_share_batch(s);
		break;
	case SINK_SHARE_ASKED:
		sink_share_asked(r, s);
		break;
	case SINK_SHARE_ANSWERED:
		sink_share_answered(r, s);
		break;
	}
	return false;
}
