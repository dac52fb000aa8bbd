// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Backend `socket`: the tracepoints sock_send_length and sock_recv_length (Linux 6.3, commit
// 6e6eda44b939) run in the system call that sends or receives, after its bytes have been copied.
#pragma once

#include "user_buffers.h"

/* sk is the tracepoint's own argument: its fields are loaded, not copied by a helper. */
static __always_inline int on_socket(struct sock *sk, long result, __u32 flags, __u32 direction)
{
	__u16 family = sk->__sk_common.skc_family;
	struct socket_key key = {.address = (__u64)(unsigned long)sk};
	struct cursor at = {};
	struct call call = {};
	struct task_struct *task;
	struct connection *c;
	struct pt_regs *regs;
	struct counters *n;
	__u32 message = 0;
	__u64 now;

	if (family != AF_INET && family != AF_INET6)
		return 0;
	if (direction == 1 && flags & MSG_NOT_CONSUMED)
		return 0;
	if (result <= 0) {
		mmsg_ends(sk, direction);
		return 0;
	}
	key.local_port = sk->__sk_common.skc_num;
	key.remote_port = bpf_ntohs(sk->__sk_common.skc_dport);
	if (given_up(&key))
		return 0;
	c = connection_known(&key);
	now = bpf_ktime_get_ns();
	task = (struct task_struct *)bpf_get_current_task_btf();
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	call_read(regs, &call);
	if (c && (call.number == NR_sendmmsg || call.number == NR_recvmmsg))
		message = mmsg_index(c, direction, &call, result);
	at.left = result;
	if (call_is_compat(task))
		drop(DROP_COMPAT_SYSCALL);
	else if (!(direction == 1 && flags & MSG_TRUNC) && !call_is_over(regs))
		call_buffers(&call, direction, result, message, &at);
	if (!c) {
		c = connection_new(sk, &key, &at, now);
		if (!c)
			return 0;
		if (call.number == NR_sendmmsg || call.number == NR_recvmmsg)
			mmsg_index(c, direction, &call, result);
	}
	n = counters();
	if (n)
		n->calls[masked(direction, 1)]++;
	feed_unseen(c, sk, direction, result);
	feed(c, direction, &at, now);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(socket_sent, struct sock *sk, int result, int flags)
{
	return on_socket(sk, result, 0, 0);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(socket_received, struct sock *sk, int result, int flags)
{
	return on_socket(sk, result, flags, 1);
}
