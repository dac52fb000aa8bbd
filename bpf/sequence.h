// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// TCP numbers every byte. What a call has sent or received must join on to the call before it: if it does
// not, bytes have passed that no hook was called for, and how many is known.
#pragma once

#include "connection.h"

enum sequenced {
	SEQUENCE_UNKNOWN,
	SEQUENCE_FIRST,	 /* one call was seen */
	SEQUENCE_PROVEN, /* two calls have joined on to each other */
	SEQUENCE_OFF,	 /* the bytes are not those of the TCP stream: kernel TLS, a sockmap */
};

#ifdef BEFORE_6_3
static __always_inline __u32 sequence_read(struct sock *sk, __u32 direction)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;

	return direction == 0 ? BPF_CORE_READ(tp, write_seq) : BPF_CORE_READ(tp, copied_seq);
}
#else
/* Loaded, not copied by a helper: each call needs it. */
static __always_inline __u32 sequence_read(struct sock *sk, __u32 direction)
{
	const struct tcp_sock *tp = bpf_rdonly_cast(sk, bpf_core_type_id_kernel(struct tcp_sock));

	return direction == 0 ? tp->write_seq : tp->copied_seq;
}
#endif

/* One number more than bytes: the end of a stream has one of its own, and a byte of urgent data is not read
 * with the others.
 */
static __always_inline bool sequence_apart(struct sock *sk, __u32 direction, __u32 before, __u32 after, __u32 gap)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;

	if (gap != 1)
		return false;
	if (BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_ESTABLISHED)
		return true;
	return direction == 1 && (__u32)(BPF_CORE_READ(tp, urg_seq) - before) < after - before;
}

/* How many bytes passed unseen between the last call in that direction and this one, of `bytes` bytes. */
static __always_inline __u32 sequence_gap(struct connection *c, struct sock *sk, __u32 direction, __u32 bytes)
{
	__u32 d = masked(direction, 1);
	__u32 known = c->sequence[d], gap;
	__u8 state = c->sequenced[d];

	if (state == SEQUENCE_OFF)
		return 0;
	c->sequence[d] = sequence_read(sk, direction);
	if (state == SEQUENCE_UNKNOWN) {
		c->sequenced[d] = SEQUENCE_FIRST;
		return 0;
	}
	gap = c->sequence[d] - known - bytes;
	if (!gap) {
		c->sequenced[d] = SEQUENCE_PROVEN;
		return 0;
	}
	if (sequence_apart(sk, direction, known, c->sequence[d], gap))
		return 0;
	if (BPF_CORE_READ((struct inet_connection_sock *)sk, icsk_ulp_ops)) {
		c->sequenced[d] = SEQUENCE_OFF;
		return 0;
	}
	if ((__s32)gap > 0)
		return gap;
	/* less than this call alone: never so on this connection, or two threads at once */
	if (state == SEQUENCE_FIRST)
		c->sequenced[d] = SEQUENCE_OFF;
	else
		c->streams[d].lost = 1;
	return 0;
}

/* call_skipped, if the call joins on to the one before it. */
static __noinline bool socket_call_skipped(struct connection *c, struct sock *sk, __u32 direction, __u32 bytes,
					   __u64 now)
{
	__u32 d = masked(direction, 1);
	__u32 after = c->sequence[d] + bytes;
	__u8 state = c->sequenced[d];

	if (c->streams[d].skip <= bytes)
		return false;
	if (state != SEQUENCE_OFF && (state != SEQUENCE_PROVEN || sequence_read(sk, direction) != after))
		return false;
	return call_skipped(c, direction, bytes, after, now);
}

/* A call has moved bytes of a socket: its connection, if they are to be gone through. c is NULL for a socket that is
 * not known yet.
 */
static __always_inline struct connection *socket_call(struct connection *c, struct sock *sk,
						      const struct socket_key *key, __u32 direction, struct cursor *at,
						      __u32 bytes, __u64 now)
{
	if (!c)
		c = connection_new(sk, key, at, now);
	if (!c)
		return NULL;
	at->before = sequence_gap(c, sk, direction, bytes);
	return call_begins(c, direction, at, now) ? c : NULL;
}
