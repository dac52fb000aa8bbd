// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Connections and links: who talks to whom.
#pragma once

#include "stream.h"

static __always_inline void copy_addr(__u8 *to, const __u8 *from)
{
	((__u64 *)to)[0] = ((const __u64 *)from)[0];
	((__u64 *)to)[1] = ((const __u64 *)from)[1];
}

/* The process whose thread made this call; the group leader's start tells reused pids apart. */
static __always_inline void connection_owner(struct connection *c)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct task_struct *task;

	if (tgid == c->tgid)
		return;
	task = (struct task_struct *)bpf_get_current_task();
	c->tgid = tgid;
	c->start_time = BPF_CORE_READ(task, group_leader, start_boottime);
	c->link = 0;
}

/* Requests that a connection may leave in the maps before any response to it has been understood; of each
 * thousand, so that it is found when its responses come into sight. Without it a single connection whose
 * responses are not seen (io_uring) would fill the maps for all.
 */
#define UNANSWERED_MAX 64
#define UNANSWERED_OF 1024

static __always_inline bool unanswered(const struct connection *c)
{
	return !c->confirmed && c->unanswered % UNANSWERED_OF >= UNANSWERED_MAX;
}

static __always_inline bool is_loopback(const __u8 *addr)
{
	const __u64 *w = (const __u64 *)addr;

	if (w[0])
		return false;
	return (addr[10] == 0xff && addr[11] == 0xff && addr[12] == 127) || w[1] == bpf_cpu_to_be64(1);
}

/* The key under which both ends find each other: the client's end first. They may be in different
 * network namespaces, unless the address is a loopback's.
 */
static __always_inline void peer_key(const struct connection *c, __u32 role, struct tuple *key)
{
	bool client = role == ROLE_CLIENT;
	const struct tuple *t = &c->tuple;

	copy_addr(key->local_addr, client ? t->local_addr : t->remote_addr);
	copy_addr(key->remote_addr, client ? t->remote_addr : t->local_addr);
	key->local_port = client ? t->local_port : t->remote_port;
	key->remote_port = client ? t->remote_port : t->local_port;
	key->netns = is_loopback(t->local_addr) ? t->netns : 0;
}

/* Computes c->link and enters it. Called when the connection is known to speak Kafka. */
ONCE_VERIFIED long link_enter(struct connection *c, __u64 now)
{
	struct link_value v = {};
	struct link_value *known;
	struct task_struct *task;
	const __u64 *words;
	__u64 a = HASH_3, b = HASH_1, id;

	if (!c)
		return 0;
	v.key.start_time = c->start_time;
	v.key.client = c->client;
	v.key.tgid = c->tgid;
	v.key.netns = c->tuple.netns;
	v.key.role = c->role;
	if (c->role == ROLE_CLIENT) {
		copy_addr(v.key.broker_addr, c->tuple.remote_addr);
		v.key.broker_port = c->tuple.remote_port;
	} else {
		copy_addr(v.key.broker_addr, c->tuple.local_addr);
		copy_addr(v.key.client_addr, c->tuple.remote_addr);
		v.key.broker_port = c->tuple.local_port;
	}
	words = (const __u64 *)&v.key;
#pragma unroll
	for (int i = 0; i < sizeof(v.key) / 8; i++)
		hash_word(words[i], &a, &b);
	id = a > NAME_INVALID ? a : NAME_INVALID + 1;
	known = bpf_map_lookup_elem(&links, &id);
	if (known) {
		const __u64 *other = (const __u64 *)&known->key;
		__u64 difference = 0;

#pragma unroll
		for (int i = 0; i < sizeof(v.key) / 8; i++)
			difference |= words[i] ^ other[i];
		if (difference) {
			refuse(DROP_LINK_COLLISION);
			return 0;
		}
		known->last_seen = now;
		c->link = id;
		return 0;
	}
	task = (struct task_struct *)bpf_get_current_task();
	BPF_CORE_READ_INTO(&v.comm, task, group_leader, comm);
	v.first_seen = now;
	v.last_seen = now;
	if (bpf_map_update_elem(&links, &id, &v, BPF_ANY)) {
		refuse(DROP_LINKS_FULL);
		return 0;
	}
	c->link = id;
	return 0;
}

/* A request is of the link that its connection had; if that was not known then, of the one that it has by now. What
 * was lost meanwhile is noted there.
 */
static __always_inline void link_request(struct connection *c, struct request *asked, __u64 now)
{
	if (!c->link)
		link_enter(c, now);
	if (!asked->link)
		asked->link = c->link;
	if (c->lost)
		request_lost(c, c->lost);
}

/* Both ends on this host: the client's end counts. The client enters its connection before the broker
 * can answer, but its hook may run a little late: the broker's end looks a few times.
 */
#define PEER_CHECKS 8

static __noinline void peer_check(struct connection *c, __u32 role)
{
	struct tuple key;

	if (c->local_peer || c->peer_checks >= PEER_CHECKS)
		return;
	if (c->role != ROLE_UNKNOWN) /* else it is a guess */
		c->peer_checks++;
	peer_key(c, role, &key);
	if (role == ROLE_CLIENT) {
		if (role_wanted == ROLE_BROKER) /* this end is about to be given up */
			return;
		if (bpf_map_update_elem(&peers, &key, &c->id, BPF_ANY))
			drop(DROP_PEERS_FULL);
		c->peer_checks = PEER_CHECKS;
	} else if (bpf_map_lookup_elem(&peers, &key)) {
		c->local_peer = 1;
	}
}

static __always_inline void ignore_socket(__u64 address, __u16 local_port, __u16 remote_port)
{
	struct ignored_value v = {
		.local_port = local_port,
		.remote_port = remote_port,
		.epoch = epoch,
		.failures = FAILURES_TO_IGNORE + 1,
	};

	bpf_map_update_elem(&ignored, &address, &v, BPF_ANY);
}

static __always_inline void ignore_connection(struct connection *c)
{
	struct counters *n = counters();

	ignore_socket(c->socket, c->tuple.local_port, c->tuple.remote_port);
	if (n)
		n->ignored++;
}

static __always_inline void forget_connection(__u64 key)
{
	struct connection *c = bpf_map_lookup_elem(&connections, &key);

	if (!c)
		return;
	if (c->role == ROLE_CLIENT && c->peer_checks) {
		struct tuple peer;

		peer_key(c, ROLE_CLIENT, &peer);
		bpf_map_delete_elem(&peers, &peer);
	}
	bpf_map_delete_elem(&connections, &key);
}
