// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// From a socket to its connection, and one call's bytes through the interpreter.
#pragma once

#include "interpreter.h"

static __always_inline bool port_wanted(const struct tuple *t)
{
	if (!port_count)
		return true;
	for (int i = 0; i < MAX_PORTS; i++) {
		if (i >= port_count)
			break;
		if (ports[i] == t->local_port || ports[i] == t->remote_port)
			return true;
	}
	return false;
}

/* IPv4 in IPv6's clothes: ::ffff:a.b.c.d */
static __always_inline void map_v4(__u8 *to, __be32 addr)
{
	((__u64 *)to)[0] = 0;
	((__u32 *)to)[2] = bpf_htonl(0xffff);
	((__u32 *)to)[3] = addr;
}

static __always_inline void tuple_fill(struct sock *sk, struct tuple *t)
{
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	if (family == AF_INET) {
		map_v4(t->local_addr, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
		map_v4(t->remote_addr, BPF_CORE_READ(sk, __sk_common.skc_daddr));
	} else {
		BPF_CORE_READ_INTO(&t->local_addr, sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr8);
		BPF_CORE_READ_INTO(&t->remote_addr, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
	}
	t->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	t->remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	t->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
}

/* The ports tell a reused struct sock from the one that is known; the rest of the tuple is compared
 * when it is entered.
 */
static __always_inline bool same_socket(const struct tuple *t, __u16 local_port, __u16 remote_port)
{
	return t->local_port == local_port && t->remote_port == remote_port;
}

static __always_inline struct connection *connection_create(__u64 key, const struct tuple *t, __u64 now)
{
	struct connection *c;
	__u32 zero = 0;
	void *blank;

	if (!port_wanted(t))
		return NULL;
	blank = bpf_map_lookup_elem(&blank_connection, &zero);
	if (!blank)
		return NULL;
	if (bpf_map_update_elem(&connections, &key, blank, BPF_NOEXIST)) {
		c = bpf_map_lookup_elem(&connections, &key);
		if (!c)
			drop(DROP_CONNECTIONS_FULL);
		return c;
	}
	c = bpf_map_lookup_elem(&connections, &key);
	if (!c)
		return NULL;
	c->tuple = *t;
	c->id = now << 10 | (bpf_get_smp_processor_id() & 1023); /* one CPU makes one at a time */
	return c;
}

#define REPLAYS_MAX 64 /* responses that overtook one write: a pipeline of so many requests in one call */

/* One call's bytes. `at` says where they are; result > 0. */
static __noinline long feed(struct connection *c, __u64 key, __u32 direction, struct cursor *at, __u64 now)
{
	struct stream *s = &c->streams[masked(direction, 1)];
	struct run r = { .connection = c, .stream = s };
	struct counters *n;
	__u32 kind;

	if (__sync_lock_test_and_set(&s->busy, 1)) {
		/* Kafka clients take turns on a connection; this one does not, or a hook was overtaken */
		s->lost = 1;
		drop(DROP_STREAM_BUSY);
		return 0;
	}
	kind = c->role == ROLE_UNKNOWN || (c->role == ROLE_CLIENT) == (direction == 0) ? DIR_REQUEST : DIR_RESPONSE;
	if (s->pc == 0 || s->kind != kind)
		stream_rewind(s, kind);
	if (kind == DIR_REQUEST)
		connection_owner(c);
	s->at = *at;
	s->start = *at;
	s->now = now;
	s->direction = direction;
	s->frame_began = 0;
	s->replay_wanted = 0;
	c->last_seen = now;
	n = counters();
	if (n && c->confirmed)
		n->bytes[masked(direction, 1)] += at->segment + at->left;
	bpf_loop(REPLAYS_MAX, run_and_replay, &r, 0);
	if (s->lost) {
		s->lost = 0;
		s->in_sync = 0;
		stream_rewind(s, s->kind);
	}
	__sync_lock_test_and_set(&s->busy, 0); /* the BPF target has no release store */
	if (!c->confirmed && c->failures > FAILURES_TO_IGNORE) {
		ignore_connection(key, c);
		forget_connection(key);
	} else if (c->confirmed && role_wanted && c->role != role_wanted) {
		ignore_connection(key, c);
		forget_connection(key);
	}
	return 0;
}

/* The connection of a socket, made when it is new; NULL when it is not to be looked at. */
static __always_inline struct connection *connection_of(struct sock *sk, __u64 now)
{
	__u16 local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	__u16 remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	__u64 key = (__u64)(unsigned long)sk;
	struct ignored_value *given_up;
	struct connection *c;
	struct tuple t = {};

	given_up = bpf_map_lookup_elem(&ignored, &key);
	if (given_up) {
		if (given_up->epoch == epoch && same_socket(&given_up->tuple, local_port, remote_port))
			return NULL;
		bpf_map_delete_elem(&ignored, &key);
	}
	c = bpf_map_lookup_elem(&connections, &key);
	if (c) {
		if (same_socket(&c->tuple, local_port, remote_port))
			return c;
		forget_connection(key);
	}
	if (bpf_get_current_pid_tgid() >> 32 == own_tgid)
		return NULL;
	if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP || !BPF_CORE_READ(sk, sk_socket, file))
		return NULL;
	/* its end has been seen: what is still read must not bring it back, nobody would remove it */
	if (BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_CLOSE)
		return NULL;
	tuple_fill(sk, &t);
	return connection_create(key, &t, now);
}
