// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// One direction of one connection: taking fields across read boundaries, losing and finding the
// place. What the fields mean is the business of interpreter.h.
#pragma once

#include "cursor.h"
#include "names.h"

/* One run of the interpreter: pointers only, see struct stream. */
struct run {
	struct connection *connection;
	struct stream *stream;
	__u64 id; /* the connection's, when the run began */
};

#define GO_ON 0
#define STOP 1

static __always_inline void stream_rewind(struct stream *s, __u32 kind)
{
	s->kind = kind;
	s->pc = kind == DIR_REQUEST ? pc_request : pc_response;
	s->in_frame = 0;
	s->carried = 0;
	s->skip = 0;
	s->region_left = 0;
	s->phase = 0;
	s->depth = 0;
	s->varint = 0;
	s->shift = 0;
	s->tags_left = 0;
	s->frame_left = 0;
	s->embedded = 0;
	s->too_long = 0;
}

/* Embedded bytes are not the message that they were taken for: pass over the rest of them. */
static __always_inline long embedded_lost(struct stream *s)
{
	s->regs[REG_ASSIGNMENT] = ASSIGNMENT_UNKNOWN;
	s->depth = s->embedded - 1;
	s->pc = s->region_end - 2; /* OP_SKIP_FRAME */
	s->carried = 0;
	s->skip = 0;
	s->phase = 0;
	s->varint = 0;
	s->shift = 0;
	return GO_ON;
}

/* A request has passed, or may have, that was not understood: it may have been a commit. */
static __always_inline void request_lost(struct connection *c, __u64 when)
{
	__u64 id = c->link;
	struct link_value *l;

	c->lost = when; /* until its link is known */
	if (!id || !c->confirmed)
		return;
	l = bpf_map_lookup_elem(&links, &id);
	if (!l)
		return;
	if (l->lost < when)
		l->lost = when;
	c->lost = 0;
}

/* When what was lost passed, at the latest: before the requests of this call. */
static __always_inline __u64 lost_when(const struct stream *s)
{
	return s->now < s->called ? s->called - 1 : s->now;
}

/* The place is lost: nothing more of this frame is believed. A frame that began in an earlier call
 * may have been no frame at all, so what this call begins with gets its own chance.
 */
static __always_inline long place_lost(struct run *r, struct stream *s)
{
	struct connection *c = r->connection;
	__u32 reason = s->losing - 1;

	s->losing = 0;
	if (s->embedded && (reason == DROP_MALFORMED || reason == DROP_NESTING))
		return embedded_lost(s);
	if (s->in_sync || (s->in_frame && c->confirmed)) /* what never was Kafka is no loss */
		drop(reason);
	if (s->in_sync) {
		struct counters *n = counters();

		if (n)
			n->resynchronised++;
		if (s->kind == DIR_REQUEST)
			request_lost(c, lost_when(s));
	}
	s->in_sync = 0;
	stream_rewind(s, s->kind);
	/* Responses that nobody was seen to ask for are no sign of anything: many may be in flight at the first look.
	 */
	if (s->kind == DIR_REQUEST) {
		c->failures++;
		if (c->failures % (c->confirmed ? FAILURES_TO_START_ANEW : FAILURES_TO_DOUBT_ROLE) == 0) {
			c->role = ROLE_UNKNOWN; /* it may have been read off something that was no request */
			request_lost(c, lost_when(s));
		}
	}
	if (!s->frame_began || s->now < s->called) { /* or it was lost before this call */
		s->frame_began = 1;
		s->now = s->called;
		s->at = s->start;
		return GO_ON;
	}
	return STOP;
}

/* What a step returns when the place is lost: see step. (What there is to do then is done in one place, so
 * that the verifier does not go through it at every length that may be wrong.)
 */
static __always_inline long lose(struct stream *s, __u32 reason)
{
	s->losing = reason + 1;
	return STOP;
}

/* Bytes of the frame (and of the record data) pass. */
static __always_inline void consume(struct stream *s, __u64 n)
{
	s->frame_left -= n;
	if (s->region_left)
		s->region_left -= n;
}

/* A frame that may have a part missing: another thread wrote or read at the same time. */
static __always_inline void stream_disturbed(struct connection *c, struct stream *s)
{
	if (!s->lost)
		return;
	if (s->kind == DIR_REQUEST)
		request_lost(c, lost_when(s));
	s->lost = 0;
	s->in_sync = 0;
	stream_rewind(s, s->kind);
}

enum taken {
	TAKEN,
	WAIT,  /* the call has no more bytes */
	AGAIN, /* the same op once more */
	LOST,  /* nothing more of this call is looked at */
};

static __always_inline enum taken lost(struct stream *s, __u32 reason)
{
	lose(s, reason);
	return LOST;
}

/* Bytes that passed unseen: harmless while skipping and inside record data, else the place is lost. */
static __always_inline enum taken pass_unseen(struct run *r, struct stream *s)
{
	__u64 *n = cursor_unseen(&s->at);
	__u64 k;

	if (s->skip) {
		k = s->skip < *n ? s->skip : *n;
		s->skip -= k;
		*n -= k;
		consume(s, k);
		return AGAIN;
	}
	if (s->region_left) {
		/* the batches cannot be walked: pass over all of them */
		s->skip = s->region_left;
		s->carried = 0;
		s->phase = 0;
		s->pc = s->region_end;
		return AGAIN;
	}
	*n = 0;
	return lost(s, DROP_UNSEEN_BYTES);
}

/* Bytes of the call itself are about to be taken. */
static __always_inline void reached(struct stream *s)
{
	if (s->now < s->called)
		s->now = s->called;
}

/* Where the next byte of the call stands in the window; beyond window_bytes: it does not. */
static __always_inline __u64 window_offset(const struct stream *s)
{
	return s->at.address - s->window_at;
}

static __always_inline bool in_window(const struct stream *s, __u64 offset, __u32 n)
{
	return offset < s->window_bytes && n <= s->window_bytes - offset && n <= s->at.segment;
}

/* n of at most `most` bytes, in whole words: behind them up to 7 more are written. */
static __always_inline void window_take(struct stream *s, __u64 offset, __u8 *to, __u32 most, __u32 n)
{
	const __u64 *from = (const __u64 *)(s->window + masked(offset, WINDOW_BYTES - 1));

	for (__u32 i = 0; i < most / 8; i++)
		if (i * 8 < n)
			((__u64 *)to)[i] = from[i];
	cursor_advance(&s->at, n);
}

/* Reads ahead what the segment has, for the window: one copy of the application's memory for many fields. */
static __always_inline long window_fill(struct stream *s)
{
	__u64 n = s->at.segment < WINDOW_BYTES ? s->at.segment : WINDOW_BYTES;

	s->window_bytes = 0;
	s->window_at = s->at.address;
	asm volatile("" : "+r"(n)); /* two checks of one number, or the verifier loses sight of it */
	if (n > WINDOW_BYTES || cursor_read(&s->at, s->window, n))
		return -1;
	s->window_bytes = n;
	return 0;
}

/* Saves take a step, which reads ahead by itself, and copes where that fails. */
static __always_inline void window_ahead(struct stream *s, __u32 n)
{
	if (s->carried || s->at.before || s->at.segment < n || in_window(s, window_offset(s), n))
		return;
	reached(s);
	window_fill(s);
}

/* take, where the bytes may not be in the window. */
static __noinline enum taken take_more(struct run *r, struct stream *s, __u32 n)
{
	__u32 have = s->carried & (CARRY_BYTES - 1);
	__u32 k;

	if (s->embedded && !have && n > s->frame_left) /* no byte will come that belongs to it */
		return lost(s, DROP_MALFORMED);
	switch (cursor_look(&s->at)) {
	case CURSOR_END:
		return WAIT;
	case CURSOR_UNSEEN:
		return pass_unseen(r, s);
	case CURSOR_BYTES:
		break;
	}
	if (!s->at.segment)
		return AGAIN;
	reached(s);
	if (s->in_frame && !have && n > s->frame_left)
		return lost(s, DROP_MALFORMED);
	if (!have && n <= s->at.segment && !window_fill(s)) /* all of it: from the window, next time */
		return AGAIN;
	k = n - have;
	if (k > s->at.segment)
		k = s->at.segment;
	if (!k)
		return LOST;
	asm volatile("" : "+r"(k));
	if (k > CARRY_BYTES)
		return LOST;
	if (cursor_read(&s->at, s->carry + have, k))
		return lost(s, DROP_USER_COPY);
	cursor_advance(&s->at, k);
	if (s->in_frame)
		consume(s, k);
	if (have + k < n) {
		s->carried = have + k;
		return AGAIN;
	}
	s->carried = 0;
	return TAKEN;
}

/* Collects the next n (1..CARRY_BYTES) bytes in s->carry. */
static __always_inline enum taken take(struct run *r, struct stream *s, __u32 n)
{
	__u64 offset = window_offset(s);

	if (s->carried || !in_window(s, offset, n) || (s->in_frame && n > s->frame_left))
		return take_more(r, s, n);
	window_take(s, offset, s->carry, CARRY_BYTES, n);
	if (s->in_frame)
		consume(s, n);
	return TAKEN;
}

/* An unsigned varint, a byte at a time; the value is in *value when TAKEN. */
static __always_inline enum taken take_varint(struct run *r, struct stream *s, __u64 *value)
{
	enum taken t = take(r, s, 1);
	__u8 b;

	if (t != TAKEN)
		return t;
	b = s->carry[0];
	if (s->shift > 28 || (s->shift == 28 && b & 0xf0)) /* 32 bits are the most that Kafka writes */
		return lost(s, DROP_MALFORMED);
	s->varint |= (__u64)(b & 0x7f) << s->shift;
	if (b & 0x80) {
		s->shift += 7;
		return AGAIN;
	}
	*value = s->varint;
	s->varint = 0;
	s->shift = 0;
	return TAKEN;
}

static __always_inline __u16 be16(const __u8 *p)
{
	return (__u16)p[0] << 8 | p[1];
}

static __always_inline __u32 be32(const __u8 *p)
{
	return (__u32)p[0] << 24 | (__u32)p[1] << 16 | (__u32)p[2] << 8 | p[3];
}

static __always_inline __u64 be64(const __u8 *p)
{
	return (__u64)be32(p) << 32 | be32(p + 4);
}

/* Length of a string, bytes or array: -1 null, as int16, int32 or compact. */
static __always_inline enum taken take_length(struct run *r, struct stream *s, bool compact, __u32 width, __s64 *length)
{
	enum taken t;
	__u64 v;

	if (compact) {
		t = take_varint(r, s, &v);
		if (t == TAKEN)
			*length = (__s64)v - 1;
		return t;
	}
	t = take(r, s, width);
	if (t != TAKEN)
		return t;
	*length = width == 2 ? (__s64)(__s16)be16(s->carry) : (__s64)(__s32)be32(s->carry);
	return t;
}
