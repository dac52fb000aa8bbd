// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The bytes of one call, as the application laid them out: one buffer, an array of iovecs, or a
// parked copy in the kernel. Knows nothing of Kafka.
#pragma once

#include "atomics.h"

#define IOV_MAX 1024 /* UIO_MAXIOV of the kernel */

struct user_iovec {
	__u64 base;
	__u64 length;
};

/* struct user_msghdr, 64-bit */
struct user_msghdr {
	__u64 name;
	__u32 name_length;
	__u32 pad1;
	__u64 iov;
	__u64 iov_length;
	__u64 control;
	__u64 control_length;
	__u32 flags;
	__u32 pad2;
};

struct user_mmsghdr {
	struct user_msghdr header;
	__u32 length;
	__u32 pad;
};

/* What stands at the cursor. */
enum cursor_state {
	CURSOR_BYTES,  /* `segment` bytes at `address` */
	CURSOR_UNSEEN, /* bytes that cannot be looked at: see cursor_unseen */
	CURSOR_END,
};

/* Goes on to the next message of a sendmmsg or recvmmsg; the kernel has written its length behind its header. */
static __noinline bool cursor_next(struct cursor *c)
{
	struct user_mmsghdr m;

	if (bpf_probe_read_user(&m, sizeof(m), (void *)c->message))
		return false;
	c->message += sizeof(m);
	c->messages--;
	c->vector = m.header.iov;
	c->vectors = m.header.iov_length > IOV_MAX ? IOV_MAX : m.header.iov_length;
	c->rest = m.length;
	return true;
}

/* Goes into the vector that comes next, no further than the call and the message go. */
static __always_inline void cursor_enter(struct cursor *c, const struct user_iovec *v)
{
	__u64 length = v->length;

	if (length > c->left)
		length = c->left;
	if (length > c->rest)
		length = c->rest;
	c->vector += sizeof(*v);
	c->vectors--;
	c->rest -= length;
	c->left -= length;
	c->address = v->base;
	c->segment = length;
}

/* Reads the vectors that come next. Where the call goes back from its end (hooks_tcp.h) nobody knows how many there
 * are: what is read may lie behind the array.
 */
static __always_inline long cursor_read_vectors(const struct cursor *c, void *to, __u32 bytes)
{
	if (c->kernel_vector)
		return bpf_probe_read_kernel(to, bytes, (void *)c->vector);
	return bpf_probe_read_user(to, bytes, (void *)c->vector);
}

static __always_inline enum cursor_state cursor_look(struct cursor *c)
{
	struct user_iovec v;

	if (c->before)
		return CURSOR_UNSEEN;
	if (c->segment)
		return CURSOR_BYTES;
	if (!c->left)
		return CURSOR_END;
	if (c->messages && (!c->vectors || !c->rest))
		return cursor_next(c) ? CURSOR_BYTES : CURSOR_UNSEEN;
	if (!c->vectors || cursor_read_vectors(c, &v, sizeof(v)))
		return CURSOR_UNSEEN;
	cursor_enter(c, &v);
	return CURSOR_BYTES; /* of a possibly empty segment: the caller looks again */
}

/* How many bytes are unseen here, to be lowered as they are passed over. */
static __always_inline __u64 *cursor_unseen(struct cursor *c)
{
	return c->before ? &c->before : &c->left;
}

/* Nothing more of the call is looked at. */
static __always_inline void cursor_end(struct cursor *c)
{
	c->segment = 0;
	c->left = 0;
}

static __always_inline void cursor_advance(struct cursor *c, __u64 n)
{
	c->address += n;
	c->segment -= n;
}

static __always_inline long cursor_read(struct cursor *c, void *to, __u32 n)
{
	if (c->kernel)
		return bpf_probe_read_kernel(to, n, (void *)c->address);
	return bpf_probe_read_user(to, n, (void *)c->address);
}
