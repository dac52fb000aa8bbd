// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What becomes of a report. Each sink takes the registers of one stream and changes one or two maps.
//
// Time decides between two values of one thing. A value read from the broker was true at some moment
// between its request and its response; so a lower watermark, or an offset that another client
// fetched, counts only if it was asked for after the known value had arrived.
#pragma once

#include "links.h"

#define LIST_LATEST (-1)
#define LIST_EARLIEST (-2)
#define READ_COMMITTED 1
#define ACKS_ALL (-1)

/* A broker that cannot store a commit within offsets.commit.timeout.ms, 5 s by default, refuses it: when it
 * was acknowledged, it was no older.
 */
#define COMMIT_MAX_NS 5000000000ull

/* Of a BPF_NOEXIST insertion: another CPU that was first is no failure. */
static __always_inline bool no_room(long error)
{
	return error && error != -EEXIST;
}

static __always_inline bool usable(__u64 name)
{
	return name > NAME_INVALID;
}

static __always_inline void pending_key_fill(const struct run *r, const struct stream *s, struct pending_key *k)
{
	k->connection = r->connection->id;
	k->topic = s->regs[REG_TOPIC];
	k->partition = s->regs[REG_PARTITION];
	k->correlation = s->correlation;
}

/* A request names a value for one partition; the response will say whether it holds. */
static __always_inline void pending_put(struct run *r, struct stream *s, __s64 value)
{
	struct pending_key k;
	struct pending_value v = {};

	if (!usable(s->regs[REG_TOPIC]))
		return;
	pending_key_fill(r, s, &k);
	v.group = s->regs[REG_GROUP];
	v.value = value;
	v.time = s->now;
	v.leader_epoch = s->regs[REG_LEADER_EPOCH];
	v.sequence = r->connection->requests;
	if (bpf_map_update_elem(&pending, &k, &v, BPF_ANY))
		drop(DROP_PENDING_FULL);
}

/* Takes out what the request asked; false if that was not seen. */
static __always_inline bool pending_take(struct run *r, struct stream *s, struct pending_value *v)
{
	struct pending_value *found;
	struct pending_key k;

	pending_key_fill(r, s, &k);
	found = bpf_map_lookup_elem(&pending, &k);
	if (!found)
		return false;
	*v = *found;
	bpf_map_delete_elem(&pending, &k);
	return v->sequence == s->request.sequence; /* else it is of a frame that was not understood to its end */
}

static __always_inline void offset_key_fill(const struct stream *s, __u64 group, struct offset_key *k)
{
	k->link = s->request.link;
	k->group = group;
	k->topic = s->regs[REG_TOPIC];
	k->partition = s->regs[REG_PARTITION];
	k->pad = 0;
}

static __always_inline void offset_put(const struct offset_key *k, const struct offset_value *v)
{
	if (bpf_map_update_elem(&offsets, k, v, BPF_ANY))
		drop(DROP_OFFSETS_FULL);
}

static __always_inline void count_commit(struct run *r, struct stream *s)
{
	struct commits_key k = {};
	struct commits_value *n, first = {};

	k.link = s->request.link;
	k.group = s->request.group;
	k.topic = s->regs[REG_TOPIC];
	k.error = s->regs[REG_ERROR];
	n = bpf_map_lookup_elem(&commits, &k);
	if (!n) {
		first.first = s->now;
		if (no_room(bpf_map_update_elem(&commits, &k, &first, BPF_NOEXIST))) {
			drop(DROP_COMMITS_FULL);
			return;
		}
		n = bpf_map_lookup_elem(&commits, &k);
		if (!n)
			return;
	}
	__sync_fetch_and_add(&n->count, 1);
}

static __always_inline void sink_commit_answered(struct run *r, struct stream *s)
{
	struct offset_value v = {}, *old;
	struct pending_value asked = {};
	struct offset_key k;
	bool known;

	if (!usable(s->regs[REG_TOPIC]) || !usable(s->request.group))
		return;
	known = pending_take(r, s, &asked);
	count_commit(r, s);
	if (s->regs[REG_ERROR])
		return;
	offset_key_fill(s, s->request.group, &k);
	v.time = s->now;
	if (known && v.time > asked.time + COMMIT_MAX_NS)
		v.time = asked.time + COMMIT_MAX_NS; /* read late: somebody else may have committed since */
	v.acked = s->now;
	v.offset = asked.value;
	v.leader_epoch = asked.leader_epoch;
	v.source = OFFSET_COMMIT;
	if (!known || asked.value < 0) {
		/* the broker's value has changed to one that was not seen, or that is no offset */
		if (!known)
			drop(DROP_PENDING_MISSING);
		v.offset = OFFSET_NONE;
		v.source = OFFSET_UNKNOWN;
	} else if (s->request.txn_commit) {
		/* in force only once the transaction ends; until that is followed, the value is not known */
		drop(DROP_TXN_LOST);
		v.offset = OFFSET_NONE;
		v.source = OFFSET_TXN;
	}
	old = bpf_map_lookup_elem(&offsets, &k);
	if (!old || old->time <= v.time)
		offset_put(&k, &v);
}

static __always_inline void sink_offset_fetched(struct run *r, struct stream *s)
{
	__u64 group = s->regs[REG_GROUP] ? s->regs[REG_GROUP] : s->request.group;
	struct offset_value v = {}, *known;
	struct offset_key k;

	if (s->regs[REG_ERROR] || s->regs[REG_TOP_ERROR] || !usable(s->regs[REG_TOPIC]) || !usable(group))
		return;
	offset_key_fill(s, group, &k);
	known = bpf_map_lookup_elem(&offsets, &k);
	if (known && (known->time > s->request.time || known->source == OFFSET_TXN))
		return; /* what a transaction left pending may replace what was fetched at any moment */
	v.offset = s->regs[REG_OFFSET];
	if (known && known->source == OFFSET_COMMIT && known->offset == v.offset) {
		known->time = s->request.time; /* what this client committed is still what the broker has */
		return;
	}
	v.time = s->request.time;
	v.acked = s->now;
	v.leader_epoch = s->regs[REG_LEADER_EPOCH];
	v.source = v.offset < 0 ? OFFSET_DELETED : OFFSET_FETCH;
	offset_put(&k, &v);
}

/* The entry of one partition, made when missing; NULL if there is no room. */
static __noinline struct watermark_value *watermark_entry(struct stream *s)
{
	struct watermark_value *v, blank = {};
	struct partition_key k = {};

	if (!s)
		return NULL;
	k.link = s->request.link;
	k.topic = s->regs[REG_TOPIC];
	k.partition = s->regs[REG_PARTITION];
	if (!usable(k.topic) || !k.link)
		return NULL;
	v = bpf_map_lookup_elem(&watermarks, &k);
	if (v)
		return v;
	blank.high_watermark = OFFSET_NONE;
	blank.last_stable = OFFSET_NONE;
	blank.log_start = OFFSET_NONE;
	blank.produced = OFFSET_NONE;
	blank.position = OFFSET_NONE;
	if (no_room(bpf_map_update_elem(&watermarks, &k, &blank, BPF_NOEXIST))) {
		drop(DROP_WATERMARKS_FULL);
		return NULL;
	}
	return bpf_map_lookup_elem(&watermarks, &k);
}

/* `asked`: when the request was sent. */
static __always_inline bool supersedes(__s64 offset, __u64 asked, __s64 known, __u64 known_time)
{
	return offset >= known || asked > known_time;
}

/* A session's answers say nothing of this partition any more. */
static __always_inline void leave_session(struct stream *s)
{
	struct partition_key k = {};
	struct watermark_value *v;

	k.link = s->request.link;
	k.topic = s->regs[REG_TOPIC];
	k.partition = s->regs[REG_PARTITION];
	v = bpf_map_lookup_elem(&watermarks, &k);
	if (v)
		v->session = 0;
}

static __always_inline void sink_watermark(struct run *r, struct stream *s)
{
	__s64 hw = s->regs[REG_HIGH_WATERMARK], start = s->regs[REG_LOG_START];
	struct watermark_value *v;

	if (s->regs[REG_ERROR] || hw < 0) {
		leave_session(s); /* what it leaves out from now on is the error, not the watermark */
		return;
	}
	v = watermark_entry(s);
	if (!v)
		return;
	if (supersedes(hw, s->request.time, v->high_watermark, v->time)) {
		v->high_watermark = hw;
		v->last_stable = s->regs[REG_LAST_STABLE];
		v->time = s->now;
	}
	if (start >= 0 && supersedes(start, s->request.time, v->log_start, v->log_start_time)) {
		v->log_start = start;
		v->log_start_time = s->now;
	}
	v->session = s->regs[REG_SESSION];
	v->follower = s->request.follower;
}

static __always_inline void sink_list_answered(struct run *r, struct stream *s)
{
	__s64 offset = s->regs[REG_OFFSET];
	struct pending_value asked = {};
	struct watermark_value *v;

	if (!usable(s->regs[REG_TOPIC]) || !pending_take(r, s, &asked))
		return; /* nothing was known, nothing became wrong */
	if (s->regs[REG_ERROR] || offset < 0 || (asked.value != LIST_LATEST && asked.value != LIST_EARLIEST))
		return;
	v = watermark_entry(s);
	if (!v)
		return;
	if (asked.value == LIST_EARLIEST) {
		if (supersedes(offset, s->request.time, v->log_start, v->log_start_time)) {
			v->log_start = offset;
			v->log_start_time = s->now;
		}
	} else if (s->request.isolation == READ_COMMITTED) {
		v->last_stable = offset;
	} else if (supersedes(offset, s->request.time, v->high_watermark, v->time)) {
		v->high_watermark = offset;
		v->time = s->now;
		v->session = 0;
	}
}

static __always_inline void sink_produce_answered(struct run *r, struct stream *s)
{
	__s64 base = s->regs[REG_OFFSET];
	struct pending_value asked = {};
	struct watermark_value *v;

	if (!usable(s->regs[REG_TOPIC]) || !pending_take(r, s, &asked))
		return;
	if (s->regs[REG_ERROR] || base < 0)
		return;
	v = watermark_entry(s);
	if (!v)
		return;
	if (supersedes(base + asked.value, s->request.time, v->produced, v->produced_time)) {
		v->produced = base + asked.value;
		v->produced_time = s->now;
	}
}

static __always_inline void sink_fetch_asked(struct run *r, struct stream *s)
{
	struct watermark_value *v;

	if (!track_positions)
		return;
	v = watermark_entry(s);
	if (!v)
		return;
	v->position = s->regs[REG_OFFSET];
	v->position_time = s->now;
}

/* What an incremental response leaves out is unchanged as of that response (KIP-227). A throttled
 * response leaves everything out and says nothing.
 */
static __always_inline void sink_fetch_session(struct run *r, struct stream *s)
{
	struct session_value v = {}, *known;
	struct session_key k = {};

	k.link = s->request.link;
	k.session = s->regs[REG_SESSION];
	if (!k.session || s->regs[REG_TOP_ERROR])
		return;
	known = bpf_map_lookup_elem(&sessions, &k);
	v.epoch = s->request.generation;
	/* An answer that was not seen may have told of changes that the next one leaves out. */
	v.since = known && v.epoch == known->epoch + 1 ? known->since : s->request.time;
	v.time = s->now;
	if ((__s64)s->regs[REG_THROTTLE] > 0) {
		if (!known)
			return;
		v.time = known->time;
	}
	if (bpf_map_update_elem(&sessions, &k, &v, BPF_ANY))
		drop(DROP_SESSIONS_FULL);
}

static __always_inline void sink_batch(struct run *r, struct stream *s)
{
	struct partition_key k = {};
	struct time_point *p;
	struct times_value *t;
	__u32 zero = 0;

	k.link = s->request.link;
	k.topic = s->regs[REG_TOPIC];
	k.partition = s->regs[REG_PARTITION];
	if (s->request.follower || !usable(k.topic))
		return;
	t = bpf_map_lookup_elem(&times, &k);
	if (!t) {
		void *blank = bpf_map_lookup_elem(&blank_times, &zero);

		if (!blank)
			return;
		if (no_room(bpf_map_update_elem(&times, &k, blank, BPF_NOEXIST))) {
			drop(DROP_TIMES_FULL);
			return;
		}
		t = bpf_map_lookup_elem(&times, &k);
		if (!t)
			return;
	}
	p = &t->points[t->next & (TIME_POINTS - 1)];
	t->next++;
	p->first_offset = s->regs[REG_BATCH_BASE];
	p->last_offset = s->regs[REG_BATCH_BASE] + s->regs[REG_BATCH_LAST];
	p->first_time = s->regs[REG_BATCH_TIME];
	p->max_time = s->regs[REG_BATCH_MAX_TIME];
}

static __always_inline void sink_topic_id(struct run *r, struct stream *s)
{
	struct topic_id_value v = {}, *known;
	__u64 id = s->regs[REG_TOPIC];

	v.name = s->regs[REG_TOPIC_NAME];
	v.time = s->now;
	if (s->regs[REG_ERROR] || !usable(id) || !usable(v.name))
		return;
	known = bpf_map_lookup_elem(&topic_ids, &id);
	if (known && known->name == v.name)
		return;
	if (bpf_map_update_elem(&topic_ids, &id, &v, BPF_ANY))
		drop(DROP_TOPIC_IDS_FULL);
}

static __always_inline void sink_cluster(struct stream *s)
{
	struct link_value *l;
	__u64 id = s->request.link;

	if (!usable(s->regs[REG_CLUSTER]))
		return;
	l = bpf_map_lookup_elem(&links, &id);
	if (l)
		l->cluster = s->regs[REG_CLUSTER];
}

static __always_inline void sink_member(struct run *r, struct stream *s)
{
	struct member_value v = {};
	struct member_key k = {};

	k.link = s->request.link;
	k.group = s->request.group;
	k.member = usable(s->regs[REG_MEMBER]) ? s->regs[REG_MEMBER] : s->request.member;
	if (!usable(k.group) || !usable(k.member))
		return;
	v.time = s->now;
	v.generation = (__s64)s->regs[REG_GENERATION] >= 0 ? s->regs[REG_GENERATION] : s->request.generation;
	v.error = s->regs[REG_TOP_ERROR];
	v.api = s->api;
	if (bpf_map_update_elem(&members, &k, &v, BPF_ANY))
		drop(DROP_MEMBERS_FULL);
}

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

static __always_inline void report(struct run *r, struct stream *s, __u32 sink)
{
	trace_report(r, s, sink);
	/* The same traffic is counted where it is sent from, and a link is where all is kept. What the response's
	 * sink would not take out of `pending` must not be put into it either: it would fill up for everyone.
	 */
	if (r->connection->local_peer || (!s->request.link && (s->kind == DIR_RESPONSE || r->connection->confirmed)))
		return;
	if (r->connection->id != r->id) /* it ended meanwhile, and its memory is another's */
		return;
	if (unanswered(r->connection))
		return;
	/* the end that is not wanted is about to be given up */
	if (role_wanted && r->connection->role != ROLE_UNKNOWN && r->connection->role != role_wanted)
		return;
	switch (sink) {
	case SINK_COMMIT_ASKED:
		if (usable(s->regs[REG_GROUP]))
			pending_put(r, s, s->regs[REG_OFFSET]);
		break;
	case SINK_COMMIT_ANSWERED:
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
	}
}
