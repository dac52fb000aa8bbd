// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Backend `syscall`: sys_exit alone. At exit pt_regs still holds the call's arguments; the socket is
// found from the descriptor. Every system call of the host pays for it, so the number is tested first.
#pragma once

#include "user_buffers.h"

static __always_inline struct sock *socket_of(struct task_struct *task, __u32 fd)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files, *file = NULL;
	struct socket *socket;

	if (fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	files = BPF_CORE_READ(table, fd);
	if (bpf_probe_read_kernel(&file, sizeof(file), files + fd) || !file)
		return NULL;
	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
}

struct messages {
	struct connection *c;
	__u64 headers;
	__u64 now;
	__u32 direction;
	__u32 discarded;
	__u32 bytes;
};

/* One message of sendmmsg or recvmmsg: the kernel has written its length beside its header. */
static long each_message(__u32 i, struct messages *m)
{
	__u64 header = m->headers + i * sizeof(struct user_mmsghdr);
	struct cursor at = {};
	__u32 length = 0;

	if (bpf_probe_read_user(&length, sizeof(length), (void *)(header + sizeof(struct user_msghdr))) || !length)
		return STOP;
	at.left = length;
	if (!m->discarded)
		at_message(&at, header, length);
	m->bytes += length;
	feed(m->c, m->direction, &at, m->now);
	return GO_ON;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(syscall_exit, struct pt_regs *regs, long result)
{
	struct task_struct *task;
	struct connection *c;
	struct cursor at = {};
	struct call call = {};
	struct counters *n;
	__u32 direction, flags = 0;
	struct socket_key key = {};
	struct sock *sk;
	__u16 family;
	bool several;
	__u64 now;

	if (result <= 0)
		return 0;
	call.number = call_number(regs);
	if (!call_direction(call.number, &direction))
		return 0;
	call_read(regs, &call);
	task = (struct task_struct *)bpf_get_current_task();
	sk = socket_of(task, call.number == NR_splice ? (__u32)call.args[2] : call.fd);
	if (!sk)
		return 0;
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family != AF_INET && family != AF_INET6)
		return 0;
	if (call_is_compat(task)) {
		drop(DROP_COMPAT_SYSCALL);
		return 0;
	}
	if (call.number == NR_recvfrom || call.number == NR_recvmmsg)
		flags = call.args[3];
	else if (call.number == NR_recvmsg)
		flags = call.args[2];
	if (flags & MSG_NOT_CONSUMED)
		return 0;
	key.address = (__u64)(unsigned long)sk;
	key.local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	key.remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (given_up(&key))
		return 0;
	now = bpf_ktime_get_ns();
	several = call.number == NR_sendmmsg || call.number == NR_recvmmsg;
	at.left = result;
	if (!(flags & MSG_TRUNC))
		call_buffers(&call, direction, result, 0, &at);
	c = connection_known(&key);
	if (!c)
		c = connection_new(sk, &key, &at, now);
	if (!c)
		return 0;
	n = counters();
	if (n)
		n->calls[masked(direction, 1)]++;
	if (several) {
		struct messages m = {
			.c = c,
			.headers = call.args[1],
			.now = now,
			.direction = direction,
			.discarded = flags & MSG_TRUNC,
		};

		bpf_loop(result > IOV_MAX ? IOV_MAX : result, each_message, &m, 0);
		if (sequence_gap(c, sk, direction, m.bytes))
			c->streams[masked(direction, 1)].lost = 1; /* before one of them */
		return 0;
	}
	feed_unseen(c, sk, direction, result);
	feed(c, direction, &at, now);
	return 0;
}
