// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Backend `socket`: the tracepoints sock_send_length and sock_recv_length (Linux 6.3, commit
// 6e6eda44b939) run in the system call that sends or receives, after its bytes have been copied.
#pragma once

#include "user_buffers.h"

struct length {
	__u64 vector;
	__u64 bytes;
};

static long add_length(__u32 i, struct length *l)
{
	struct user_iovec v;

	if (bpf_probe_read_user(&v, sizeof(v), (void *)(l->vector + i * sizeof(v))))
		return STOP;
	l->bytes += v.length;
	return GO_ON;
}

/* How many bytes one message of a sendmmsg or recvmmsg has room for. */
static __always_inline __u64 message_length(__u64 header)
{
	struct length l = {};
	struct user_msghdr h;

	if (bpf_probe_read_user(&h, sizeof(h), (void *)header))
		return 0;
	l.vector = h.iov;
	bpf_loop(h.iov_length > IOV_MAX ? IOV_MAX : h.iov_length, add_length, &l, 0);
	return l.bytes;
}

/* Which of a sendmmsg's or recvmmsg's messages a `socket` hook was called for: the hook runs once for
 * each. A message that is sent in part or refused is the last of its call.
 */
static __noinline __u32 mmsg_index(struct connection *c, __u32 direction, const struct call *call, __u64 bytes)
{
	__u32 *next = direction == 0 ? &c->mmsg_next : &c->mmsg_next_received;
	__u32 index = *next;

	if (index >= (__u32)call->args[2])
		index = 0;
	*next = index + 1 < (__u32)call->args[2] ? index + 1 : 0;
	if (direction == 0 && bytes < message_length(call->args[1] + index * sizeof(struct user_mmsghdr)))
		*next = 0;
	return index;
}

static __always_inline void mmsg_ends(struct sock *sk, __u32 direction)
{
	__u64 key = (__u64)(unsigned long)sk;
	struct connection *c = bpf_map_lookup_elem(&connections, &key);

	if (!c)
		return;
	if (direction == 0)
		c->mmsg_next = 0;
	else
		c->mmsg_next_received = 0;
}

/* sk is the tracepoint's own argument: its fields are loaded, not copied by a helper. */
static __noinline struct connection *on_socket(struct sock *sk, long result, __u32 flags, __u32 direction)
{
	__u16 family = sk->__sk_common.skc_family;
	struct socket_key key = {.address = (__u64)(unsigned long)sk};
	struct cursor at = {};
	struct call call = {};
	struct task_struct *task;
	struct connection *c;
	struct pt_regs *regs;
	__u32 message = 0;
	__u64 now;

	if (family != AF_INET && family != AF_INET6)
		return NULL;
	if (direction == 1 && flags & MSG_NOT_CONSUMED)
		return NULL;
	if (result <= 0) { /* sockets that do not block are read until there is nothing left */
		regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
		if (has_messages(call_number(regs)))
			mmsg_ends(sk, direction);
		return NULL;
	}
	key.local_port = sk->__sk_common.skc_num;
	key.remote_port = bpf_ntohs(sk->__sk_common.skc_dport);
	if (!socket_wanted(&key, &c))
		return NULL;
	now = bpf_ktime_get_ns();
	task = (struct task_struct *)bpf_get_current_task_btf();
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	call_read(regs, &call);
	if (c && has_messages(call.number))
		message = mmsg_index(c, direction, &call, result);
	if (c && socket_call_skipped(c, sk, direction, result, now))
		return NULL;
	at.left = result;
	if (call_is_compat(task))
		drop(DROP_COMPAT_SYSCALL);
	else if (!(direction == 1 && flags & MSG_TRUNC) && !call_is_over(regs))
		call_buffers(&call, direction, result, message, &at);
	if (!c) {
		c = connection_new(sk, &key, &at, now);
		if (!c)
			return NULL;
		if (has_messages(call.number))
			mmsg_index(c, direction, &call, result);
	}
	return socket_call(c, sk, &key, direction, &at, result, now);
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(socket_sent, struct sock *sk, int result, int flags)
{
	struct connection *c = on_socket(sk, result, 0, 0);

	if (c)
		feed(c, 0);
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(socket_received, struct sock *sk, int result, int flags)
{
	struct connection *c = on_socket(sk, result, flags, 1);

	if (c)
		feed(c, 1);
	return 0;
}
