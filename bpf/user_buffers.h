// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Where a system call's bytes are in the application's memory: from its number and registers.
// Shared by the backends `socket` and `syscall`.
#pragma once

#include "sequence.h"

struct call {
	__u32 number;
	__u32 fd;
	__u64 args[4]; /* the 2nd to 4th argument in 1..3 */
};

/* The kernel's own pointers to the registers are loaded from, which costs no call of a helper. */
#if defined(__TARGET_ARCH_x86)
#define NR_read 0
#define NR_write 1
#define NR_readv 19
#define NR_writev 20
#define NR_sendfile 40
#define NR_sendto 44
#define NR_recvfrom 45
#define NR_sendmsg 46
#define NR_recvmsg 47
#define NR_splice 275
#define NR_recvmmsg 299
#define NR_sendmmsg 307
#define NR_preadv2 327
#define NR_pwritev2 328
#define TS_COMPAT 2

static __always_inline __u32 call_number(struct pt_regs *regs)
{
	return regs->orig_ax;
}

static __always_inline void call_read(struct pt_regs *regs, struct call *call)
{
	call->number = call_number(regs);
	call->fd = regs->di;
	call->args[1] = regs->si;
	call->args[2] = regs->dx;
	call->args[3] = regs->r10;
}

/* On its way out of a system call the kernel completes io_uring's operations: the registers are then
 * of a call that has its result, and say nothing of these.
 */
static __always_inline bool call_is_over(struct pt_regs *regs)
{
	return (long)regs->ax != -ENOSYS;
}

static __always_inline bool call_is_compat(struct task_struct *task)
{
	return BPF_CORE_READ(task, thread_info.status) & TS_COMPAT;
}
#else
#define NR_read 63
#define NR_write 64
#define NR_readv 65
#define NR_writev 66
#define NR_sendfile 71
#define NR_splice 76
#define NR_sendto 206
#define NR_recvfrom 207
#define NR_sendmsg 211
#define NR_recvmsg 212
#define NR_recvmmsg 243
#define NR_sendmmsg 269
#define NR_preadv2 286
#define NR_pwritev2 287
#define TIF_32BIT 22

static __always_inline __u32 call_number(struct pt_regs *regs)
{
	return regs->syscallno;
}

static __always_inline void call_read(struct pt_regs *regs, struct call *call)
{
	call->number = call_number(regs);
	call->fd = regs->orig_x0;
	call->args[1] = regs->regs[1];
	call->args[2] = regs->regs[2];
	call->args[3] = regs->regs[3];
}

static __always_inline bool call_is_over(struct pt_regs *regs)
{
	return regs->regs[0] != regs->orig_x0;
}

static __always_inline bool call_is_compat(struct task_struct *task)
{
	return BPF_CORE_READ(task, thread_info.flags) & (1ul << TIF_32BIT);
}
#endif

static __always_inline void at_buffer(struct cursor *at, __u64 address, __u64 bytes)
{
	at->address = address;
	at->segment = bytes;
}

static __always_inline void at_vector(struct cursor *at, __u64 vector, __u64 count, __u64 bytes)
{
	at->vector = vector;
	at->vectors = count > IOV_MAX ? IOV_MAX : count;
	at->left = bytes;
	at->rest = bytes;
}

static __always_inline void at_message(struct cursor *at, __u64 header, __u64 bytes)
{
	struct user_msghdr h;

	at->left = bytes; /* unseen, if the header cannot be read */
	if (!bpf_probe_read_user(&h, sizeof(h), (void *)header))
		at_vector(at, h.iov, h.iov_length, bytes);
}

/* The system calls of either direction; false: not one that carries a socket's bytes. */
static __always_inline bool call_direction(__u32 number, __u32 *direction)
{
	switch (number) {
	case NR_write:
	case NR_writev:
	case NR_pwritev2:
	case NR_sendto:
	case NR_sendmsg:
	case NR_sendmmsg:
	case NR_sendfile:
	case NR_splice:
		*direction = 0;
		return true;
	case NR_read:
	case NR_readv:
	case NR_preadv2:
	case NR_recvfrom:
	case NR_recvmsg:
	case NR_recvmmsg:
		*direction = 1;
		return true;
	}
	return false;
}

/* Whether a call has several messages. */
static __always_inline bool has_messages(__u32 number)
{
	return number == NR_sendmmsg || number == NR_recvmmsg;
}

/* Points `at` at `bytes` bytes of the call. Calls whose buffers are not the application's (sendfile,
 * splice, io_uring) leave them unseen.
 */
static __noinline void call_buffers(const struct call *call, __u32 direction, __u64 bytes, __u32 message,
				    struct cursor *at)
{
	__u32 named;

	at->left = bytes;
	if (!call_direction(call->number, &named) || named != direction)
		return;
	switch (call->number) {
	case NR_read:
	case NR_write:
	case NR_recvfrom:
	case NR_sendto:
		at->left = 0;
		at_buffer(at, call->args[1], bytes);
		break;
	case NR_readv:
	case NR_writev:
	case NR_preadv2:
	case NR_pwritev2:
		at_vector(at, call->args[1], call->args[2], bytes);
		break;
	case NR_sendmsg:
	case NR_recvmsg:
		at_message(at, call->args[1], bytes);
		break;
	case NR_sendmmsg:
	case NR_recvmmsg:
		at_message(at, call->args[1] + message * sizeof(struct user_mmsghdr), bytes);
		break;
	}
}
