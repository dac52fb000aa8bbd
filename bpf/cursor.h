// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The bytes of one call, as the application laid them out: one buffer, an array of iovecs, or a
// parked copy in the kernel. Knows nothing of Kafka.
#pragma once

#include "config.h"

#define IOV_MAX 1024 /* UIO_MAXIOV of the kernel */

struct user_iovec {
	__u64 base;
	__u64 length;
};

/* What stands at the cursor. */
enum cursor_state {
	CURSOR_BYTES,  /* `segment` bytes at `address` */
	CURSOR_UNSEEN, /* `left` bytes that cannot be looked at */
	CURSOR_END,
};

static __always_inline enum cursor_state cursor_look(struct cursor *c)
{
	struct user_iovec v;

	if (c->segment)
		return CURSOR_BYTES;
	if (!c->left)
		return CURSOR_END;
	if (!c->vectors)
		return CURSOR_UNSEEN;
	if (c->kernel_vector ? bpf_probe_read_kernel(&v, sizeof(v), (void *)c->vector)
			     : bpf_probe_read_user(&v, sizeof(v), (void *)c->vector))
		return CURSOR_UNSEEN;
	c->vector += sizeof(v);
	c->vectors--;
	if (v.length > c->left)
		v.length = c->left;
	c->address = v.base;
	c->segment = v.length;
	c->left -= v.length;
	return CURSOR_BYTES; /* of a possibly empty segment: the caller looks again */
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
