// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Backends `fentry` and `kprobe`: TCP's own functions, for kernels without the tracepoints of `socket`.
// The iov_iter that tcp_sendmsg and tcp_recvmsg are given stands behind the bytes that they have taken or
// filled so far: where these begin is found by going back from there, as the kernel's own
// iov_iter_revert does. Bytes that pass by these two are noticed by TCP's sequence numbers (sequence.h).
#pragma once

#include "sequence.h"

/* tcp_recvmsg's arguments: before Linux 5.19 there was one more ahead of the flags, and the newest kernels
 * have none behind them.
 */
const volatile __u32 receive_flags_at = 3;
const volatile __u32 receive_arguments = 5;

/* Points `at` at the `bytes` bytes before the place at which a vector stands now. */
ONCE_VERIFIED long at_vector_end(struct cursor *at, __u64 vector, __u64 offset, __u64 bytes)
{
	__u64 done = offset, left = bytes;
	struct user_iovec v = {};

	if (!at)
		return 0;
	at->left = bytes; /* unseen, if the vector cannot be read */
	for (int i = 0; i < IOV_MAX; i++) {
		if (done >= left)
			break;
		left -= done;
		vector -= sizeof(v);
		if (bpf_probe_read_kernel(&v, sizeof(v), (void *)vector))
			return 0;
		done = v.length;
	}
	if (done < left || bpf_probe_read_kernel(&v, sizeof(v), (void *)vector))
		return 0;
	v.base += done - left;
	v.length -= done - left;
	at->address = v.base;
	at->segment = v.length < bytes ? v.length : bytes;
	at->left = bytes - at->segment;
	at->rest = at->left;
	at->vector = vector + sizeof(v);
	at->vectors = IOV_MAX; /* `left` ends it */
	at->kernel_vector = 1;
	return 0;
}

/* Buffers that are not the application's (sendfile, splice, registered buffers of io_uring, the kernel's
 * own messages) leave their bytes unseen.
 */
static __noinline void at_iterator_end(struct cursor *at, const struct iov_iter *it, __u64 bytes)
{
	const struct iov_iter___named *named = (const void *)it;
	const struct iov_iter___flags *flags = (const void *)it;
	__u64 offset = BPF_CORE_READ(it, iov_offset);
	__u32 kind;

	at->left = bytes;
	if (bpf_core_field_exists(named->iter_type))
		kind = BPF_CORE_READ(named, iter_type);
	else
		kind = BPF_CORE_READ(flags, type) & ~1u; /* the lowest bit was the direction */
	if (bpf_core_enum_value_exists(enum iter_type, ITER_UBUF) &&
	    kind == bpf_core_enum_value(enum iter_type, ITER_UBUF)) {
		const struct iov_iter___single *single = (const void *)it;

		at->left = 0;
		at->address = (__u64)BPF_CORE_READ(single, ubuf) + offset - bytes;
		at->segment = bytes;
	} else if (kind == bpf_core_enum_value(enum iter_type, ITER_IOVEC)) {
		const struct iov_iter___renamed *renamed = (const void *)it;
		const void *vector;

		if (bpf_core_field_exists(renamed->__iov))
			vector = BPF_CORE_READ(renamed, __iov);
		else
			vector = BPF_CORE_READ(flags, iov);
		at_vector_end(at, (__u64)vector, offset, bytes);
	}
}

/* `bytes` more have been sent or received by a call with that message. */
static __noinline struct connection *on_tcp(struct sock *sk, const struct msghdr *message, long bytes, __u32 flags,
					    __u32 direction)
{
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	struct socket_key key = {.address = (__u64)(unsigned long)sk};
	struct cursor at = {};
	struct connection *c;
	__u64 now;

	if (bytes <= 0 || (family != AF_INET && family != AF_INET6))
		return NULL;
	if (direction == 1 && flags & MSG_NOT_CONSUMED)
		return NULL;
	key.local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	key.remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (!socket_wanted(&key, &c))
		return NULL;
	now = bpf_ktime_get_ns();
	if (c && socket_call_skipped(c, sk, direction, bytes, now))
		return NULL;
	at.left = bytes;
	if (!(direction == 1 && flags & MSG_TRUNC))
		at_iterator_end(&at, &message->msg_iter, bytes);
	return socket_call(c, sk, &key, direction, &at, bytes, now);
}

/* The first look at a socket, by the kernel's own pointer: most are no Kafka's. */
static __always_inline bool tcp_stranger(struct sock *sk)
{
	return stranger((__u64)(unsigned long)sk, sk->__sk_common.skc_num, bpf_ntohs(sk->__sk_common.skc_dport));
}

SEC("fexit/tcp_sendmsg")
int BPF_PROG(fexit_sendmsg, struct sock *sk, struct msghdr *message, __u64 size, int result)
{
	struct connection *c;

	if (tcp_stranger(sk))
		return 0;
	c = on_tcp(sk, message, result, 0, 0);
	if (c)
		feed(c, 0);
	return 0;
}

/* The result stands behind the arguments. The comments keep the compiler from making one load of several, at an
 * offset that the verifier refuses.
 */
SEC("fexit/tcp_recvmsg")
int fexit_recvmsg(__u64 *ctx)
{
	struct connection *c;
	__u32 flags;
	int result;

	if (tcp_stranger((struct sock *)ctx[0]))
		return 0;
	if (receive_arguments == 4) {
		flags = ctx[3];
		result = ctx[4];
		asm volatile("# of four" : "+r"(flags), "+r"(result));
	} else if (receive_arguments == 5) {
		flags = ctx[3];
		result = ctx[5];
		asm volatile("# of five" : "+r"(flags), "+r"(result));
	} else {
		flags = ctx[4];
		result = ctx[6];
		asm volatile("# of six" : "+r"(flags), "+r"(result));
	}
	c = on_tcp((struct sock *)ctx[0], (struct msghdr *)ctx[1], result, flags, 1);
	if (c)
		feed(c, 1);
	return 0;
}

/* Kretprobes will not do for the returns. The kernel runs only so many at once (two a CPU), each call that
 * waits for data holds one, and what comes beyond is passed over in silence; more of them can only be had
 * by an event in tracefs, which would outlive a collector that is killed. But both functions lock the
 * socket, and what a call has taken from its iterator when it lets go of the lock has been sent or
 * received: at its end, and each time that it waits.
 */
static __always_inline int called(struct sock *sk, const struct msghdr *message, __u32 flags, __u32 direction)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct tcp_call v = {};

	if (stranger((__u64)(unsigned long)sk, BPF_CORE_READ(sk, __sk_common.skc_num),
		     bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport))))
		return 0;
	v.sk = (__u64)(unsigned long)sk;
	v.message = (__u64)(unsigned long)message;
	v.left = BPF_CORE_READ(message, msg_iter.count);
	v.sequence = sequence_read(sk, direction);
	v.flags = flags;
	v.direction = direction;
	bpf_map_update_elem(&tcp_calls, &thread, &v, BPF_ANY); /* if it fails, the sequence will tell */
	return 0;
}

SEC("kprobe/tcp_sendmsg")
int enter_sendmsg(struct pt_regs *ctx)
{
	return called((struct sock *)PARAMETER_1(ctx), (struct msghdr *)PARAMETER_2(ctx), 0, 0);
}

SEC("kprobe/tcp_recvmsg")
int enter_recvmsg(struct pt_regs *ctx)
{
	__u32 fourth = PARAMETER_4(ctx), fifth = PARAMETER_5(ctx);

	asm volatile("# both" : "+r"(fourth), "+r"(fifth)); /* see fexit_recvmsg */
	return called((struct sock *)PARAMETER_1(ctx), (struct msghdr *)PARAMETER_2(ctx),
		      receive_flags_at == 3 ? fourth : fifth, 1);
}

/* The call may be over and its message gone: then the sequence has not moved, or by what it cannot have
 * taken. What is not accounted for here, the next call's sequence will tell. (A function of its own, for the
 * stack: it is empty again when the bytes are looked for.)
 */
static __noinline struct tcp_call *released(struct sock *sk)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct tcp_call *v = bpf_map_lookup_elem(&tcp_calls, &thread);
	const struct msghdr *message;
	__u64 left, bytes;
	__u32 before;

	if (!v || v->sk != (__u64)(unsigned long)sk)
		return NULL;
	before = v->sequence;
	v->sequence = sequence_read(sk, v->direction);
	if (v->sequence == before)
		return NULL;
	message = (const struct msghdr *)(unsigned long)v->message;
	left = BPF_CORE_READ(message, msg_iter.count);
	bytes = v->left - left;
	v->left = left;
	if (v->sequence - before != bytes &&
	    !sequence_apart(sk, v->direction, before, v->sequence, v->sequence - before - bytes))
		return NULL;
	v->bytes = bytes;
	return v;
}

SEC("kprobe/release_sock")
int leave_socket(struct pt_regs *ctx)
{
	struct sock *sk = (struct sock *)PARAMETER_1(ctx);
	struct tcp_call *v = released(sk);
	struct connection *c;
	__u32 direction;

	if (!v)
		return 0;
	direction = v->direction;
	c = on_tcp(sk, (const struct msghdr *)(unsigned long)v->message, v->bytes, v->flags, direction);
	if (c)
		feed(c, direction);
	return 0;
}
