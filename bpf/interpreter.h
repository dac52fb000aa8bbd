// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Runs the op programs over the bytes of a call. Knows Kafka's primitive types; framing is in frames.h,
// messages are data (program.h), what reports mean is in sinks.h.
#pragma once

#include "frames.h"

#define BATCH_HEAD_BYTES 17 /* up to and with the magic byte */
#define BATCH_REST_BYTES 26 /* crc .. max timestamp */
#define BATCH_LENGTH_FROM 12
#define BATCH_MAGIC 2
#define BATCH_LOG_APPEND_TIME 8 /* of the attributes */

#define VECTORS_AT_ONCE (sizeof(((struct stream *)0)->window) / sizeof(struct user_iovec))

static __always_inline void set_register(struct stream *s, struct op op, __u64 v)
{
	s->regs[masked(op.reg, REG_NAMES - 1)] = v;
}

/* Takes a name that is in the window as a whole, as those of a small request are; false if it is not. */
static __always_inline bool name_from_window(struct run *r, struct stream *s, __u32 n)
{
	__u64 offset = window_offset(s);

	if (n > WINDOW_NAME_BYTES || !in_window(s, offset, n))
		return false;
	window_take(s, offset, s->name.bytes, WINDOW_NAME_BYTES, n);
	if (n & 7)
		((__u64 *)s->name.bytes)[masked(n / 8, WINDOW_NAME_BYTES / 8 - 1)] &= ~0ull >> (64 - 8 * (n & 7));
	consume(s, n);
	return true;
}

static __noinline long step_string(struct run *r, struct stream *s, struct op op)
{
	enum taken t;
	__s64 length;
	__u32 got, n;
	__u64 id;

	if (s->phase == 0) {
		t = take_length(r, s, op.flags & OP_FLAG_COMPACT, 2, &length);
		if (t != TAKEN)
			return t == AGAIN ? GO_ON : STOP;
		if (length < -1 || length > (__s64)s->frame_left)
			return lose(s, DROP_MALFORMED);
		if (length < 0 || length > NAME_MAX_LENGTH) {
			if (length > NAME_MAX_LENGTH) {
				if (op.flags & OP_FLAG_CLIENT_ID && !r->connection->confirmed)
					return lose(s, DROP_BAD_HEADER);
				s->too_long++;
				s->skip = length;
			}
			set_register(s, op, length < 0 ? NAME_NONE : NAME_INVALID);
			s->pc++;
			return GO_ON;
		}
		s->name.length = length;
		s->name.kind = NAME_TEXT;
		s->name_got = 0;
		if (name_from_window(r, s, length))
			s->name_got = length;
		else /* its last word is hashed as a whole */
			*(__u64 *)(s->name.bytes + (length & 0xf8)) = 0;
		s->phase = 1;
	}
	got = s->name_got & 0xff;
	if (got < s->name.length) {
		switch (cursor_look(&s->at)) {
		case CURSOR_END:
			return STOP;
		case CURSOR_UNSEEN:
			return pass_unseen(r, s) == AGAIN ? GO_ON : STOP;
		case CURSOR_BYTES:
			break;
		}
		n = s->name.length - got;
		if (n > s->at.segment)
			n = s->at.segment;
		if (!n)
			return GO_ON;
		if (n > NAME_MAX_LENGTH)
			return STOP;
		reached(s);
		if (cursor_read(&s->at, s->name.bytes + got, n))
			return lose(s, DROP_USER_COPY);
		cursor_advance(&s->at, n);
		consume(s, n);
		s->name_got = got + n;
		if (s->name_got < s->name.length)
			return GO_ON;
	}
	s->phase = 0;
	if (op.flags & OP_FLAG_CLIENT_ID && !name_is_text(&s->name))
		return lose(s, DROP_BAD_HEADER);
	id = name_intern(&s->name);
	set_register(s, op, id);
	s->pc++;
	return GO_ON;
}

static __noinline long step_uuid(struct run *r, struct stream *s, struct op op)
{
	enum taken t = take(r, s, 16);
	__u64 *w;

	if (t != TAKEN)
		return t == AGAIN ? GO_ON : STOP;
	w = (__u64 *)s->carry;
	s->pc++;
	if (!w[0] && !w[1]) {
		set_register(s, op, NAME_NONE);
		return GO_ON;
	}
	s->name.length = 16;
	s->name.kind = NAME_UUID;
	((__u64 *)s->name.bytes)[0] = w[0];
	((__u64 *)s->name.bytes)[1] = w[1];
	set_register(s, op, name_intern(&s->name));
	return GO_ON;
}

STEP long step_array(struct run *r, struct stream *s, struct op op)
{
	enum taken t;
	struct loop *l;
	__s64 count;
	__u32 depth;

	t = take_length(r, s, op.flags & OP_FLAG_COMPACT, 4, &count);
	if (t != TAKEN)
		return t == AGAIN ? GO_ON : STOP;
	if (count < -1 || count > (__s64)s->frame_left) /* an element takes a byte at least */
		return lose(s, DROP_MALFORMED);
	if (count <= 0) {
		s->pc = op.arg;
		return GO_ON;
	}
	depth = s->depth;
	if (depth >= LOOP_DEPTH)
		return lose(s, DROP_NESTING);
	s->pc++;
	l = &s->loops[masked(depth, 7)];
	l->remaining = count;
	l->pc = s->pc;
	s->depth = depth + 1;
	return GO_ON;
}

static __always_inline void step_loop(struct stream *s)
{
	struct loop *l = &s->loops[masked(s->depth - 1, 7)];

	if (l->remaining > 1) {
		l->remaining--;
		s->pc = l->pc;
	} else {
		s->depth--;
		s->pc++;
	}
}

/* Tagged fields (KIP-482): count, then tag, size, bytes for each. One of them may be wanted: the
 * int32 that its struct begins with.
 */
STEP long step_tags(struct run *r, struct stream *s, struct op op)
{
	enum taken t;
	__u64 v;

	if (s->phase == 3) { /* the wanted int32 */
		t = take(r, s, 4);
		if (t != TAKEN)
			return t == AGAIN ? GO_ON : STOP;
		set_register(s, op, (__s64)(__s32)be32(s->carry));
		s->skip = s->name_got;
		s->phase = 1;
	} else {
		t = take_varint(r, s, &v);
		if (t != TAKEN)
			return t == AGAIN ? GO_ON : STOP;
		if (s->phase == 0) {
			if (v > s->frame_left || v > 0xffff) /* tags_left is an __u16 */
				return lose(s, DROP_MALFORMED);
			s->tags_left = v;
			s->phase = 1;
		} else if (s->phase == 1) {
			s->name.length = v == op.flags >> 8 && op.reg; /* wanted */
			s->phase = 2;
			return GO_ON;
		} else {
			if (v > s->frame_left)
				return lose(s, DROP_MALFORMED);
			s->tags_left--;
			s->phase = 1;
			if (s->name.length && v >= 4) {
				s->name_got = v - 4;
				s->phase = 3;
				return GO_ON;
			}
			s->skip = v;
		}
	}
	if (!s->tags_left) {
		s->phase = 0;
		s->pc++;
	}
	return GO_ON;
}

static __always_inline void skip_segment(struct stream *s)
{
	__u64 n = s->skip < s->at.segment ? s->skip : s->at.segment;

	s->skip -= n;
	cursor_advance(&s->at, n);
	consume(s, n);
}

/* The vectors that come next, several at once: librdkafka hands many records over as one or two of their own. They are
 * read to where the window is. Less is to be skipped than is left of the call: what was read from behind the array's
 * end is not gone into. False: not all of them can be read, and nothing has been done.
 */
static __always_inline bool skip_vectors(struct stream *s)
{
	const struct user_iovec *v = (const struct user_iovec *)s->window;
	__u32 n = s->at.vectors < VECTORS_AT_ONCE ? s->at.vectors : VECTORS_AT_ONCE;

	s->window_bytes = 0;
	asm volatile("" : "+r"(n));
	if (n > VECTORS_AT_ONCE || cursor_read_vectors(&s->at, s->window, n * sizeof(*v)))
		return false;
#pragma clang loop unroll(disable)
	for (int i = 0; i < VECTORS_AT_ONCE; i++) {
		if (i >= n || !s->skip)
			break;
		cursor_enter(&s->at, v + i);
		skip_segment(s);
	}
	return true;
}

static __noinline long step_skip(struct run *r, struct stream *s)
{
	__u64 n = s->at.segment + s->at.left;

	if (!s->at.before && n) {
		reached(s);
		if (s->skip >= n) { /* wherever they are: they are not looked at */
			s->skip -= n;
			consume(s, n);
			cursor_end(&s->at);
			return GO_ON;
		}
		if (!s->at.segment && s->at.rest && s->at.vectors > 1 && skip_vectors(s))
			return GO_ON;
	}
	switch (cursor_look(&s->at)) {
	case CURSOR_END:
		return STOP;
	case CURSOR_UNSEEN:
		return pass_unseen(r, s) == AGAIN ? GO_ON : STOP;
	case CURSOR_BYTES:
		break;
	}
	skip_segment(s);
	return GO_ON;
}

STEP long step_records(struct run *r, struct stream *s, struct op op)
{
	enum taken t;
	__s64 length;

	t = take_length(r, s, op.flags & OP_FLAG_COMPACT, 4, &length);
	if (t != TAKEN)
		return t == AGAIN ? GO_ON : STOP;
	if (length < -1 || length > (__s64)s->frame_left)
		return lose(s, DROP_MALFORMED);
	s->regs[REG_RECORDS] = 0;
	s->walked = 0;
	if (length <= 0) {
		s->pc = op.arg;
		return GO_ON;
	}
	s->region_left = length;
	s->region_end = op.arg;
	s->pc++;
	return GO_ON;
}

/* Record batches follow each other; the last one of a Fetch may be cut off. Messages of formats before magic 2 are
 * passed over, one by one: batches may be behind them.
 */
static __noinline long step_batch(struct run *r, struct stream *s)
{
	enum taken t;
	__s64 length;

	if (s->phase == 0) {
		if (!s->carried && (s->region_left < BATCH_HEAD_BYTES + BATCH_REST_BYTES ||
				    (s->kind == DIR_RESPONSE && !batch_wanted(s)))) {
			s->skip = s->region_left;
			s->pc = s->region_end;
			return GO_ON;
		}
		window_ahead(s, BATCH_HEAD_BYTES + BATCH_REST_BYTES);
		t = take(r, s, BATCH_HEAD_BYTES);
		if (t != TAKEN)
			return t == AGAIN ? GO_ON : STOP;
		length = (__s64)(__s32)be32(s->carry + 8) + BATCH_LENGTH_FROM - BATCH_HEAD_BYTES;
		if (s->kind == DIR_RESPONSE)
			batch_looked_at(s);
		if (s->carry[16] != BATCH_MAGIC || length < BATCH_REST_BYTES) {
			if (length < 0 || length > (__s64)s->region_left || s->carry[16] > BATCH_MAGIC) {
				s->skip = s->region_left;
				s->pc = s->region_end;
			} else {
				s->skip = length;
			}
			return GO_ON;
		}
		s->regs[REG_BATCH_BASE] = be64(s->carry);
		s->regs[REG_SCRATCH] = length - BATCH_REST_BYTES;
		s->phase = 1;
	}
	t = take(r, s, BATCH_REST_BYTES);
	if (t != TAKEN)
		return t == AGAIN ? GO_ON : STOP;
	s->phase = 0;
	s->regs[REG_BATCH_LAST] = (__s64)(__s32)be32(s->carry + 6);
	s->regs[REG_BATCH_MAX_TIME] = be64(s->carry + 18);
	if (be16(s->carry + 4) & BATCH_LOG_APPEND_TIME) /* all records have the broker's time */
		s->regs[REG_BATCH_TIME] = s->regs[REG_BATCH_MAX_TIME];
	else
		s->regs[REG_BATCH_TIME] = be64(s->carry + 10);
	s->regs[REG_RECORDS] += s->regs[REG_BATCH_LAST] + 1;
	s->skip = s->regs[REG_SCRATCH] < s->region_left ? s->regs[REG_SCRATCH] : s->region_left;
	if (s->kind == DIR_RESPONSE)
		report(r, s, SINK_BATCH);
	return s->skip && r->connection->id == r->id ? step_skip(r, s) : GO_ON;
}

/* Bytes that are a message of their own, which Kafka's brokers do not look into. Whatever it turns out to
 * be, the frame goes on behind it: see embedded_lost.
 */
static __noinline long step_embed(struct run *r, struct stream *s, struct op op)
{
	enum taken t;
	__s64 length;

	t = take_length(r, s, op.flags & OP_FLAG_COMPACT, 4, &length);
	if (t != TAKEN)
		return t == AGAIN ? GO_ON : STOP;
	if (length < -1 || length > (__s64)s->frame_left)
		return lose(s, DROP_MALFORMED);
	if (length <= 0) {
		s->pc = op.arg;
		return GO_ON;
	}
	s->outer_left = s->frame_left - length;
	s->frame_left = length;
	s->region_end = op.arg;
	s->embedded = s->depth + 1;
	s->pc++;
	return GO_ON;
}

static __always_inline struct op op_at(__u32 pc)
{
	union {
		__u64 word;
		struct op op;
	} u = {.word = *(const volatile __u64 *)&ops[masked(pc, OPS - 1)]};

	return u.op;
}

/* How many bytes an integer has: 1, 2, 4 or 8. */
static __always_inline __u32 integer_bytes(struct op op)
{
	return 1 << ((op.code - OP_INT8) & 3);
}

/* The first n of the bytes, sign extended. */
static __always_inline __s64 integer(const __u8 *bytes, __u32 n)
{
	return (__s64)__builtin_bswap64(*(const __u64 *)bytes) >> (64 - 8 * n);
}

/* No message has more than eight between two others, and then what a loop begins with; but for loops that have nothing
 * else.
 */
#define OPS_IN_A_ROW 12

/* Runs an op that needs no more than what stands in the window; false if it is none, with nothing done. */
static __always_inline bool run_simple(struct stream *s, struct op op)
{
	const __u8 *bytes = s->window + masked(window_offset(s), WINDOW_BYTES - 1);
	__u32 n;

	switch (op.code) {
	case OP_LOOP:
		step_loop(s);
		return true;
	case OP_SKIP:
		n = op.arg;
		break;
	case OP_TAGS: /* none, as nearly always */
		n = 1;
		break;
	case OP_INT8:
	case OP_INT16:
	case OP_INT32:
	case OP_INT64:
		n = integer_bytes(op);
		break;
	default:
		return false;
	}
	if (s->carried || !in_window(s, window_offset(s), n) || n > s->frame_left)
		return false;
	if (op.code == OP_TAGS) {
		if (s->phase || s->shift || *bytes)
			return false;
	} else if (op.code != OP_SKIP) {
		set_register(s, op, integer(bytes, n));
	}
	cursor_advance(&s->at, n);
	consume(s, n);
	s->pc++;
	return true;
}

/* Most of a message are integers and no tags. As many as follow on each other, and what comes behind them, are one
 * step: what a step costs is mostly to get to it. False: the step is full.
 */
STEP bool run_row(struct stream *s)
{
#pragma clang loop unroll(disable)
	for (int i = 0; i < OPS_IN_A_ROW; i++)
		if (!run_simple(s, op_at(s->pc)))
			return true;
	return false;
}

/* An integer that is not in the window as a whole, or does not fit the frame. */
STEP long step_integer(struct run *r, struct stream *s, struct op op)
{
	__u32 n = integer_bytes(op);
	enum taken t = take_more(r, s, n);

	if (t != TAKEN)
		return t == AGAIN ? GO_ON : STOP;
	set_register(s, op, integer(s->carry, n));
	s->pc++;
	return GO_ON;
}

STEP long step_skip_length(struct run *r, struct stream *s, struct op op)
{
	enum taken t;
	__s64 length;

	t = take_length(r, s, op.flags & OP_FLAG_COMPACT, op.code == OP_SKIP_STRING ? 2 : 4, &length);
	if (t != TAKEN)
		return t == AGAIN ? GO_ON : STOP;
	if (op.code == OP_SKIP_ARRAY && length > 0)
		length *= op.arg;
	if (length < -1 || length > (__s64)s->frame_left)
		return lose(s, DROP_MALFORMED);
	s->pc++;
	if (length <= 0)
		return GO_ON;
	s->skip = length;
	return step_skip(r, s);
}

STEP long step_nullable(struct run *r, struct stream *s, struct op op)
{
	enum taken t = take(r, s, 1);

	if (t != TAKEN)
		return t == AGAIN ? GO_ON : STOP;
	s->pc = (__s8)s->carry[0] < 0 ? op.arg : s->pc + 1;
	return GO_ON;
}

static __always_inline long take_step(struct run *r)
{
	struct stream *s = r->stream;
	struct op op;

	if (s->skip)
		return step_skip(r, s);
	if (!run_row(s))
		return GO_ON;
	op = op_at(s->pc);
	switch (op.code) {
	case OP_REQUEST_HEAD:
		return step_request_head(r, s);
	case OP_RESPONSE_HEAD:
		return step_response_head(r, s);
	case OP_DISPATCH:
		return step_dispatch(r, s);
	case OP_END:
		return step_end(r, s);
	case OP_SKIP_FRAME:
		s->skip = s->frame_left;
		s->pc++;
		return GO_ON;
	case OP_PARK:
		return step_park(r, s);
	case OP_SKIP:
		if (op.arg > s->frame_left)
			return lose(s, DROP_MALFORMED);
		s->skip = op.arg;
		s->pc++;
		return step_skip(r, s);
	case OP_INT8:
	case OP_INT16:
	case OP_INT32:
	case OP_INT64:
		return step_integer(r, s, op);
	case OP_STRING:
		return step_string(r, s, op);
	case OP_UUID:
		return step_uuid(r, s, op);
	case OP_SKIP_STRING:
	case OP_SKIP_BYTES:
	case OP_SKIP_ARRAY:
		return step_skip_length(r, s, op);
	case OP_ARRAY:
		return step_array(r, s, op);
	case OP_TAGS:
		return step_tags(r, s, op);
	case OP_NULLABLE:
		return step_nullable(r, s, op);
	case OP_SET:
		set_register(s, op, (__s64)(__s32)op.arg);
		s->pc++;
		return GO_ON;
	case OP_RECORDS:
		return step_records(r, s, op);
	case OP_BATCH:
		return step_batch(r, s);
	case OP_REPORT:
		if (!report(r, s, op.arg))
			s->pc++;
		return GO_ON;
	case OP_EMBED:
		return step_embed(r, s, op);
	case OP_EMBED_END:
		s->frame_left = s->outer_left;
		s->embedded = 0;
		s->pc++;
		return GO_ON;
	}
	return lose(s, DROP_MALFORMED);
}

static long step(__u32 i, struct run *r)
{
	long go;

	if (r->connection->id != r->id) /* it has ended, and its memory may be another's */
		return STOP;
	go = take_step(r);
	return r->stream->losing ? place_lost(r, r->stream) : go;
}
