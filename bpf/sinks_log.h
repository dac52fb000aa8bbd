// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Ends of partitions, ages of records, names of topics and clusters.
//
// Time decides here as in sinks_offsets.h: a lower watermark counts only if it was asked for after the
// known one had arrived.
#pragma once

#include "sinks_pending.h"

#define LIST_LATEST (-1)
#define LIST_EARLIEST (-2)
#define READ_COMMITTED 1

#define ERROR_UNKNOWN_TOPIC 3
#define ERROR_UNKNOWN_TOPIC_ID 100

/* The entry of one partition, made when missing; NULL if there is no room. */
static __noinline struct watermark_value *watermark_entry(struct stream *s)
{
	struct watermark_value blank = {};
	struct partition_key k = {};

	if (!s)
		return NULL;
	k.link = s->request.link;
	k.topic = s->regs[REG_TOPIC];
	k.partition = s->regs[REG_PARTITION];
	if (!usable(k.topic) || !k.link)
		return NULL;
	blank.high_watermark = OFFSET_NONE;
	blank.last_stable = OFFSET_NONE;
	blank.log_start = OFFSET_NONE;
	blank.produced = OFFSET_NONE;
	blank.position = OFFSET_NONE;
	return entry(&watermarks, &k, &blank, DROP_WATERMARKS_FULL);
}

/* `asked`: when the request was sent. */
static __always_inline bool supersedes(__s64 offset, __u64 asked, __s64 known, __u64 known_time)
{
	return offset >= known || asked > known_time;
}

/* A session's answers say nothing of this partition any more. */
static __noinline void leave_session(struct stream *s)
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

static __noinline void sink_watermark(struct run *r, struct stream *s)
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

static __noinline void sink_list_answered(struct run *r, struct stream *s)
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
		v->last_stable = OFFSET_NONE; /* was true before */
		v->time = s->now;
		v->session = 0;
	}
}

static __noinline void sink_produce_answered(struct run *r, struct stream *s)
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

static __noinline void sink_fetch_asked(struct run *r, struct stream *s)
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
static __noinline void sink_fetch_session(struct run *r, struct stream *s)
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

/* Whether the next batch of a Fetch response is worth a look. What a client at full speed fetches is of use for too
 * short a time: responses are looked at as a whole or not, so that no partition always comes off badly. More than so
 * many batches of a partition are not remembered, and brokers commit nothing.
 */
static __always_inline bool batch_wanted(struct stream *s)
{
	if (s->looks == LOOKS_UNDECIDED)
		s->looks = s->request.follower || s->batches > s->now ? LOOKS_AT_NONE : LOOKS_AT_BATCHES;
	return s->looks == LOOKS_AT_BATCHES && s->walked < TIME_POINTS;
}

static __always_inline void batch_looked_at(struct stream *s)
{
	s->walked++;
	if (s->batches + BATCHES_NANOSECONDS < s->now)
		s->batches = s->now - BATCHES_NANOSECONDS;
	s->batches += BATCH_NANOSECONDS;
}

static __noinline void sink_batch(struct run *r, struct stream *s)
{
	struct partition_key k = {};
	struct time_point *p;
	struct times_value *t;
	__u32 zero = 0;

	k.link = s->request.link;
	k.topic = s->regs[REG_TOPIC];
	k.partition = s->regs[REG_PARTITION];
	if (!usable(k.topic))
		return;
	t = bpf_map_lookup_elem(&times, &k);
	if (!t) {
		void *blank = bpf_map_lookup_elem(&blank_times, &zero);

		if (!blank)
			return;
		t = entry(&times, &k, blank, DROP_TIMES_FULL);
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

/* Topics that are not there, by name or by id. */
static __always_inline void topic_gone(struct stream *s, __u64 topic)
{
	struct gone_key k = {.link = s->request.link, .topic = topic};
	__u64 now = s->now;

	if (!k.link || !usable(topic))
		return;
	if (bpf_map_update_elem(&gone, &k, &now, BPF_ANY))
		drop(DROP_GONE_TOPICS_FULL);
}

static __noinline void sink_topic_deleted(struct stream *s)
{
	if (s->regs[REG_ERROR])
		return;
	topic_gone(s, s->regs[REG_TOPIC]);
	topic_gone(s, s->regs[REG_TOPIC_NAME]);
}

/* Metadata of one topic. A broker that does not know it has none of its offsets either. */
static __noinline void sink_topic_id(struct run *r, struct stream *s)
{
	struct topic_id_value v = {}, *known;
	__u64 id = s->regs[REG_TOPIC];

	if (s->regs[REG_ERROR] == ERROR_UNKNOWN_TOPIC || s->regs[REG_ERROR] == ERROR_UNKNOWN_TOPIC_ID) {
		topic_gone(s, id);
		topic_gone(s, s->regs[REG_TOPIC_NAME]);
		return;
	}
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

static __noinline void sink_cluster(struct stream *s)
{
	struct link_value *l;
	__u64 id = s->request.link;

	if (!usable(s->regs[REG_CLUSTER]))
		return;
	l = bpf_map_lookup_elem(&links, &id);
	if (l)
		l->cluster = s->regs[REG_CLUSTER];
}
