// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The few kernel types that the hooks read. Only named fields are used; CO-RE relocates every
// access against the running kernel's BTF, so the layouts written here do not matter.
#pragma once

typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u32 __wsum;
typedef _Bool bool;

#define true 1
#define false 0
#define NULL ((void *)0)

/* of uapi/linux/bpf.h, which would bring in headers of one architecture */
#define BPF_MAP_TYPE_HASH 1
#define BPF_MAP_TYPE_ARRAY 2
#define BPF_MAP_TYPE_PERCPU_ARRAY 6
#define BPF_MAP_TYPE_LRU_HASH 9
#define BPF_MAP_TYPE_RINGBUF 27
#define BPF_F_NO_PREALLOC 1
#define BPF_ANY 0
#define BPF_NOEXIST 1

struct bpf_raw_tracepoint_args {
	__u64 args[0];
};

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>

/* Takes an address for that of a type of the kernel's, to be read from (Linux 6.2, commit a35b9af4ec2c). */
extern void *bpf_rdonly_cast(const void *address, __u32 type) __ksym;

#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define TCP_ESTABLISHED 1
#define TCP_CLOSE 7
#define MSG_OOB 1
#define MSG_PEEK 2
#define MSG_TRUNC 0x20
#define MSG_ERRQUEUE 0x2000
#define ENOSYS 38
#define EEXIST 17
#define S_IFMT 0170000
#define S_IFSOCK 0140000

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
};

struct hlist_nulls_node {
	struct hlist_nulls_node **pprev;
};

struct sock_common {
	unsigned short skc_family;
	volatile unsigned char skc_state;
	struct hlist_nulls_node skc_nulls_node;
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct inode {
	unsigned short i_mode;
};

struct file {
	struct inode *f_inode;
	void *private_data;
};

struct socket {
	struct file *file;
	struct sock *sk;
};

struct sock {
	struct sock_common __sk_common;
	struct socket *sk_socket;
	__u16 sk_protocol;
};

/* of Linux 6.0 and newer, where there are single buffers */
struct iov_iter___single {
	void *ubuf;
};

/* 6.4 and newer */
struct iov_iter___renamed {
	const void *__iov;
};

/* 5.14 and newer */
struct iov_iter___named {
	__u8 iter_type;
};

/* older than each of these */
struct iov_iter___flags {
	unsigned int type;
	const void *iov;
};

struct iov_iter {
	unsigned long iov_offset;
	unsigned long count;
};

enum iter_type {
	ITER_IOVEC,
	ITER_UBUF,
};

struct msghdr {
	struct iov_iter msg_iter;
};

struct inet_connection_sock {
	const void *icsk_ulp_ops;
};

struct tcp_sock {
	__u32 copied_seq;
	__u32 write_seq;
	__u32 urg_seq;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct thread_info {
	unsigned long flags;
	__u32 status;
};

struct task_struct {
	struct thread_info thread_info;
	struct task_struct *group_leader;
	__u64 start_boottime;
	char comm[16];
	struct files_struct *files;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r10;
	unsigned long r8;
	unsigned long ax;
	unsigned long cx;
	unsigned long dx;
	unsigned long si;
	unsigned long di;
	unsigned long orig_ax;
};

/* of a function of the kernel's, as a kprobe finds them */
#define PARAMETER_1(ctx) ((ctx)->di)
#define PARAMETER_2(ctx) ((ctx)->si)
#define PARAMETER_4(ctx) ((ctx)->cx)
#define PARAMETER_5(ctx) ((ctx)->r8)
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	__u64 regs[31];
	__u64 orig_x0;
	__s32 syscallno;
};

#define PARAMETER_1(ctx) ((ctx)->regs[0])
#define PARAMETER_2(ctx) ((ctx)->regs[1])
#define PARAMETER_4(ctx) ((ctx)->regs[3])
#define PARAMETER_5(ctx) ((ctx)->regs[4])
#else
#error "only x86-64 and arm64"
#endif

#pragma clang attribute pop
