// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The same decoder without a socket: BPF_PROG_TEST_RUN feeds it a buffer of the calling process. Never
// attached. Tests and benchmarks run the shipped object through it.
#pragma once

#include "connection.h"

enum feed_flag {
	FEED_UNSEEN = 1, /* the bytes pass unseen */
	FEED_VECTOR = 2, /* the address is that of an iovec array of `vectors` */
	FEED_CLOSE = 4,	 /* the connection ends */
};

enum feed_result {
	FEED_DONE,
	FEED_REFUSED, /* no room, or given up */
};

/* args: 0 connection key, 1 direction, 2 address, 3 bytes, 4 flags, 5 vectors,
 *       6 local IPv4 (network order) << 16 | port, 7 remote likewise, 8 the call's number
 */
static __noinline struct connection *on_test(struct bpf_raw_tracepoint_args *ctx, enum feed_result *result)
{
	__u64 now = bpf_ktime_get_ns();
	__u64 key = ctx->args[0];
	__u32 direction = ctx->args[1] & 1;
	struct socket_key socket = {};
	struct connection *c;
	struct cursor at = {};
	struct tuple t = {};

	if (ctx->args[4] & FEED_CLOSE) {
		stranger_ends(key);
		forget_connection(key);
		return NULL;
	}
	socket.address = key;
	socket.local_port = ctx->args[6];
	socket.remote_port = ctx->args[7];
	if (!socket_wanted(&socket, &c)) {
		*result = FEED_REFUSED;
		return NULL;
	}
	if (c && call_skipped(c, direction, ctx->args[3], c->sequence[direction] + (__u32)ctx->args[3], now))
		return NULL;
	if (ctx->args[4] & FEED_UNSEEN) {
		at.left = ctx->args[3];
	} else if (ctx->args[4] & FEED_VECTOR) {
		at.left = ctx->args[3];
		at.vector = ctx->args[2];
		at.vectors = ctx->args[5];
		at.rest = at.left;
	} else {
		at.address = ctx->args[2];
		at.segment = ctx->args[3];
	}
	if (!c) {
		if (!promising(&socket, &at))
			return NULL;
		map_v4(t.local_addr, ctx->args[6] >> 16);
		map_v4(t.remote_addr, ctx->args[7] >> 16);
		t.local_port = ctx->args[6];
		t.remote_port = ctx->args[7];
		c = connection_create(key, &t, now);
		if (!c) {
			*result = FEED_REFUSED;
			return NULL;
		}
	}
	return call_begins(c, direction, &at, now) ? c : NULL;
}

/* The kernel skips a program that it finds running on this CPU, and says so to nobody. The call's number, returned
 * with the result, shows that it has run.
 */
SEC("raw_tp")
int feed_test(struct bpf_raw_tracepoint_args *ctx)
{
	enum feed_result result = FEED_DONE;
	struct connection *c = on_test(ctx, &result);

	if (c)
		feed(c, ctx->args[1] & 1);
	return (__u32)ctx->args[8] << 1 | result;
}
