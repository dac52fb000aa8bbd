// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// From a socket to its connection, and one call's bytes through the interpreter.
#pragma once

#include "drive.h"

/* Received beside the stream or left in it: looked at, packets that were sent, urgent data. */
#define MSG_NOT_CONSUMED (MSG_PEEK | MSG_ERRQUEUE | MSG_OOB)

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

/* A socket by its address in the kernel. The ports tell a reused struct sock from the one that is known. */
struct socket_key {
	__u64 address;
	__u16 local_port;
	__u16 remote_port;
};

static __always_inline bool port_wanted(const struct socket_key *k)
{
	if (!port_count)
		return true;
	for (int i = 0; i < MAX_PORTS; i++) {
		if (i >= port_count)
			break;
		if (ports[i] == k->local_port || ports[i] == k->remote_port)
			return true;
	}
	return false;
}

static __noinline struct connection *connection_create(__u64 key, const struct tuple *t, __u64 now)
{
	long error;
	struct connection *c;
	__u32 zero = 0;
	void *blank;

	blank = bpf_map_lookup_elem(&blank_connection, &zero);
	if (!blank)
		return NULL;
	error = bpf_map_update_elem(&connections, &key, blank, BPF_NOEXIST);
	if (error) {
		c = bpf_map_lookup_elem(&connections, &key);
		if (!c && no_room(error))
			refuse(DROP_CONNECTIONS_FULL);
		return c;
	}
	turns_clear(key);
	c = bpf_map_lookup_elem(&connections, &key);
	if (!c)
		return NULL;
	exchange(&c->socket, key); /* before anything is read of the socket again: see connection_new */
	c->id = now << 10 | (bpf_get_smp_processor_id() & 1023); /* one CPU makes one at a time */
	asm volatile("" ::: "memory");				 /* the ports last: see connection_known */
	c->tuple = *t;
	return c;
}

static __noinline void give_up(struct connection *c)
{
	ignore_connection(c);
	forget_connection(c->socket);
}

static __always_inline void count_call(struct connection *c, __u32 direction, __u64 bytes)
{
	struct counters *n = counters();

	if (!n)
		return;
	n->calls[masked(direction, 1)]++;
	if (c->confirmed)
		n->bytes[masked(direction, 1)] += bytes;
}

/* What the bytes of a direction are. */
static __always_inline __u32 kind_of(const struct connection *c, __u32 direction)
{
	return c->role == ROLE_UNKNOWN || (c->role == ROLE_CLIENT) == (direction == 0) ? DIR_REQUEST : DIR_RESPONSE;
}

/* Most calls of a consumer at full speed have nothing but records, which are passed over: what feed would do with such
 * a call, and no more. `after` is TCP's number behind the call, if it joins on to the one before it. False: there is
 * more to do, and nothing has been done. (More is to be passed over behind the call, or the frame might end with it.)
 */
static __always_inline bool call_skipped(struct connection *c, __u32 direction, __u64 bytes, __u32 after, __u64 now)
{
	__u32 d = masked(direction, 1);
	struct stream *s = &c->streams[d];
	__u64 socket, id;
	bool skipped;

	if (!turn_take(c, s, direction))
		return false;
	socket = c->socket;
	id = c->id;
	skipped = s->skip > bytes && !s->lost && c->sequence[d] + (__u32)bytes == after &&
		  s->kind == kind_of(c, direction);
	if (skipped) {
		s->skip -= bytes;
		consume(s, bytes);
		s->called = now;
		reached(s);
		c->sequence[d] = after;
		c->last_seen = now;
		count_call(c, direction, bytes);
	}
	if (c->id == id)
		turn_give(socket, s, direction);
	else
		turn_leave(socket, direction);
	return skipped;
}

/* Takes the turn for one call's bytes; `at` says where they are, there is one at least. False: it is
 * another's.
 */
static __always_inline bool call_begins(struct connection *c, __u32 direction, const struct cursor *at, __u64 now)
{
	struct stream *s = &c->streams[masked(direction, 1)];

	if (!turn_take(c, s, direction)) {
		/* Kafka clients take turns on a connection; this one does not, or a hook was overtaken */
		s->lost = 1;
		drop(DROP_STREAM_BUSY);
		if (s->kind == DIR_REQUEST)
			request_lost(c, now);
		return false;
	}
	s->at = *at;
	s->start = *at;
	s->start.before = 0;
	s->window_bytes = 0;
	s->called = now;
	s->direction = direction;
	s->frame_began = 0;
	s->replay_wanted = 0;
	c->last_seen = now;
	count_call(c, direction, at->segment + at->left + at->before);
	return true;
}

/* Goes through the bytes of a call that has begun, and ends it. */
ONCE_VERIFIED long feed(struct connection *c, __u32 direction)
{
	struct run r = {};
	struct stream *s;
	__u64 socket;
	__u32 kind;

	if (!c)
		return 0;
	socket = c->socket;
	s = &c->streams[masked(direction, 1)];
	r.connection = c;
	r.stream = s;
	r.id = c->id;
	stream_disturbed(c, s); /* after the last call had looked */
	kind = kind_of(c, direction);
	if (s->pc == 0 || s->kind != kind)
		stream_rewind(s, kind);
	if (kind == DIR_REQUEST)
		connection_owner(c);
	if (!s->at.before)
		s->now = s->called;
	drive(&r);
	if (c->id != r.id) { /* it has ended, and its memory may be another's */
		turn_leave(socket, direction);
		return 0;
	}
	stream_disturbed(c, s);
	turn_give(socket, s, direction);
	if ((!c->confirmed && c->failures > FAILURES_TO_IGNORE) ||
	    (c->confirmed && role_wanted && c->role != role_wanted))
		give_up(c);
	return 0;
}

static __always_inline __u64 stranger_when(__u16 local_port, __u16 remote_port, __u32 when)
{
	return (__u64)local_port << 48 | (__u64)remote_port << 32 | when;
}

/* The verifier lets a kernel pointer be compared, and its lower half be taken for a number. */
static __always_inline struct stranger *stranger_place(__u64 address)
{
	__u32 low;

	asm volatile("" : "+r"(address));
	asm volatile("%0 = %1" : "=w"(low) : "w"((__u32)address));
	low = low * 0x9e3779b1u / (0x100000000ull / STRANGERS);
	return bpf_map_lookup_elem(&strangers, &low);
}

static __always_inline bool stranger(__u64 address, __u16 local_port, __u16 remote_port)
{
	struct stranger *at = stranger_place(address);

	return at && at->address == address && at->when == stranger_when(local_port, remote_port, epoch);
}

/* Until the tick is over, nothing of the socket is looked at: it is not Kafka's, or its other end is followed. */
static __always_inline void estrange(const struct socket_key *k, __u32 now)
{
	struct stranger *at = stranger_place(k->address);

	if (!at)
		return;
	at->address = k->address;
	at->when = stranger_when(k->local_port, k->remote_port, now);
}

/* Whether a socket has said too much that cannot be Kafka's, within this tick. */
static __always_inline bool given_up(const struct socket_key *k, __u32 now)
{
	__u64 key = k->address;
	struct ignored_value *v = bpf_map_lookup_elem(&ignored, &key);

	return v && v->failures > FAILURES_TO_IGNORE && v->epoch == now && v->local_port == k->local_port &&
	       v->remote_port == k->remote_port;
}

/* A socket has been closed: the next one at its address is another, be its ports the same. */
static __always_inline void stranger_ends(__u64 key)
{
	struct stranger *at = stranger_place(key);

	if (at && at->address == key)
		at->address = 0;
	bpf_map_delete_elem(&ignored, &key);
}

/* A new socket's bytes do not begin like a request. */
static __always_inline void doubt(const struct socket_key *k)
{
	struct ignored_value first = {.local_port = k->local_port, .remote_port = k->remote_port, .epoch = epoch};
	__u64 key = k->address;
	struct ignored_value *v = bpf_map_lookup_elem(&ignored, &key);
	struct counters *n;

	if (!v || v->epoch != epoch || v->local_port != k->local_port || v->remote_port != k->remote_port) {
		first.failures = 1;
		bpf_map_update_elem(&ignored, &key, &first, BPF_ANY);
		return;
	}
	if (++v->failures != FAILURES_TO_IGNORE + 1)
		return;
	n = counters();
	if (n)
		n->ignored++;
}

/* A call that may begin a request: as much of its head as there is fits. What does not is not worth an
 * entry in `connections`; the other direction, or the next call, will begin with a request if this is Kafka.
 */
static __always_inline bool plausible(const struct cursor *at)
{
	struct cursor c = *at;
	__u8 head[8] = {};
	__u32 size;

	if (cursor_look(&c) != CURSOR_BYTES)
		return false;
	if (c.segment < 4)
		return true;
	if (c.segment < sizeof(head) ? cursor_read(&c, head, 4) : cursor_read(&c, head, sizeof(head)))
		return false;
	size = be32(head);
	if (size < REQUEST_HEAD_BYTES - 4 || size > REQUEST_MAX_BYTES)
		return false;
	return c.segment < sizeof(head) || version_known(be16(head + 4), be16(head + 6));
}

/* Whether a new socket's call is a reason to make an entry of it. */
static __always_inline bool promising(const struct socket_key *k, const struct cursor *at)
{
	if (!port_wanted(k)) {
		ignore_socket(k->address, k->local_port, k->remote_port);
		return false;
	}
	if (plausible(at))
		return true;
	doubt(k);
	return false;
}

static __always_inline struct connection *connection_known(const struct socket_key *k)
{
	__u64 key = k->address;
	struct connection *c = bpf_map_lookup_elem(&connections, &key);

	if (!c || !c->tuple.local_port) /* another CPU is making it */
		return NULL;
	if (c->tuple.local_port == k->local_port && c->tuple.remote_port == k->remote_port)
		return c;
	forget_connection(key);
	return NULL;
}

/* Whether a socket's bytes are to be looked at now. *c becomes its connection, NULL if nothing is known of it. */
static __always_inline bool socket_wanted(const struct socket_key *k, struct connection **c)
{
	__u32 now = *(volatile __u32 *)&epoch; /* it may move on meanwhile */

	if (stranger(k->address, k->local_port, k->remote_port))
		return false;
	*c = connection_known(k);
	if (*c ? !(*c)->dismissed : !given_up(k, now))
		return true;
	estrange(k, now);
	return false;
}

/* Whether socket_state has seen the socket's end, or is about to: tcp_set_state takes a socket out of the kernel's
 * tables, then tells of TCP_CLOSE, and only then is that its state.
 */
static __always_inline bool has_ended(struct sock *sk)
{
	return !BPF_CORE_READ(sk, __sk_common.skc_nulls_node.pprev);
}

/* The connection of a socket of which nothing is known yet; NULL when it is not to be looked at. */
static __noinline struct connection *connection_new(struct sock *sk, const struct socket_key *k,
						    const struct cursor *at, __u64 now)
{
	struct connection *c;
	struct tuple t = {};

	if (bpf_get_current_pid_tgid() >> 32 == own_tgid)
		return NULL;
	if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP || !BPF_CORE_READ(sk, sk_socket, file))
		return NULL;
	if (has_ended(sk))
		return NULL;
	if (!promising(k, at))
		return NULL;
	tuple_fill(sk, &t);
	c = connection_create(k->address, &t, now);
	/* What a late hook makes of a socket that has ended meanwhile, nobody would remove, and the next socket at
	 * that address would be taken for it. If the end comes after this look, socket_state finds the entry.
	 */
	if (!c || !has_ended(sk))
		return c;
	forget_connection(k->address);
	return NULL;
}
