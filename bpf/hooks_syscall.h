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

/* How many bytes the messages of a sendmmsg or recvmmsg have carried. */
__noinline __u64 messages_length(__u64 headers, __u32 count)
{
	__u64 bytes = 0;
	__u32 length;

	for (int i = 0; i < IOV_MAX; i++) {
		if (i >= count)
			break;
		length = 0;
		bpf_probe_read_user(&length, sizeof(length),
				    (void *)(headers + i * sizeof(struct user_mmsghdr) + sizeof(struct user_msghdr)));
		bytes += length;
	}
	return bytes;
}

static __noinline struct connection *on_syscall(struct pt_regs *regs, long result, __u32 direction)
{
	struct task_struct *task;
	struct connection *c;
	struct cursor at = {};
	struct call call = {};
	__u32 flags = 0;
	struct socket_key key = {};
	struct sock *sk;
	__u16 family;
	bool several;
	__u64 bytes;
	__u64 now;

	call_read(regs, &call);
	task = (struct task_struct *)bpf_get_current_task();
	sk = socket_of(task, call.number == NR_splice ? (__u32)call.args[2] : call.fd);
	if (!sk)
		return NULL;
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family != AF_INET && family != AF_INET6)
		return NULL;
	if (call_is_compat(task)) {
		drop(DROP_COMPAT_SYSCALL);
		return NULL;
	}
	if (call.number == NR_recvfrom || call.number == NR_recvmmsg)
		flags = call.args[3];
	else if (call.number == NR_recvmsg)
		flags = call.args[2];
	if (flags & MSG_NOT_CONSUMED)
		return NULL;
	key.address = (__u64)(unsigned long)sk;
	key.local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	key.remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (!socket_wanted(&key, &c))
		return NULL;
	now = bpf_ktime_get_ns();
	several = has_messages(call.number);
	bytes = several ? messages_length(call.args[1], result) : result;
	if (c && socket_call_skipped(c, sk, direction, bytes, now))
		return NULL;
	at.left = bytes;
	if (several && !(flags & MSG_TRUNC)) {
		at.message = call.args[1];
		at.messages = result;
	} else if (!(flags & MSG_TRUNC)) {
		call_buffers(&call, direction, bytes, 0, &at);
	}
	return socket_call(c, sk, &key, direction, &at, bytes, now);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(syscall_exit, struct pt_regs *regs, long result)
{
	struct connection *c;
	__u32 direction;

	if (result <= 0 || !call_direction(call_number(regs), &direction))
		return 0;
	c = on_syscall(regs, result, direction);
	if (c)
		feed(c, direction);
	return 0;
}
