// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What two CPUs may do at once. Linux 5.12 is the first in which an atomic operation says what was there
// before; the object for older kernels does with what they have.
#pragma once

#include "config.h"

#ifdef BEFORE_6_3

/* Functions with pointers to memory cannot be global before 5.13 (and such memory not a map's value before
 * 6.2): they are gone through at every call.
 */
#define ONCE_VERIFIED static __noinline

/* Steps with frames of their own, so that the loop around them needs less of the stack: see run_steps for what stands
 * on it here already.
 */
#define STEP static __noinline

/* Whose turn it is with a stream: the insertion of one of two fails. */
struct turn {
	__u64 socket;
	__u64 direction;
};

MAP(turns, BPF_MAP_TYPE_HASH, struct turn, __u8, 4096); /* one a CPU at most, as long as it is in a call */

static __always_inline bool turn_take(struct connection *c, struct stream *s, __u32 direction)
{
	struct turn k = {.socket = c->socket, .direction = direction};
	__u8 v = 0;

	return !bpf_map_update_elem(&turns, &k, &v, BPF_NOEXIST);
}

static __always_inline void turn_give(__u64 socket, struct stream *s, __u32 direction)
{
	struct turn k = {.socket = socket, .direction = direction};

	bpf_map_delete_elem(&turns, &k);
}

/* The connection has ended within the call. */
static __always_inline void turn_leave(__u64 socket, __u32 direction)
{
	turn_give(socket, NULL, direction);
}

/* A new connection is in no call: what its predecessor at that address may have left is over. */
static __always_inline void turns_clear(__u64 socket)
{
	turn_give(socket, NULL, 0);
	turn_give(socket, NULL, 1);
}

/* Where these two are used, requests of one client follow on each other, or a response waits in vain if
 * both sides look at the same moment: it is swept, and what it leaves unknown is said to be so.
 */
static __always_inline __u64 exchange(__u64 *at, __u64 value)
{
	__u64 before = *(volatile __u64 *)at;

	*(volatile __u64 *)at = value;
	return before;
}

/* Whether no other CPU has exchanged at the same moment. */
static __always_inline bool exchange_holds(const __u64 *at, __u64 value)
{
	return *(const volatile __u64 *)at == value;
}

static __always_inline __u32 fetch_add(__u32 *at, __u32 value)
{
	__u32 before = *(volatile __u32 *)at;

	if (value)
		*(volatile __u32 *)at = before + value;
	return before;
}

#else

/* Global functions are gone through once by the verifier, from wherever they are called. */
#define ONCE_VERIFIED __noinline
#define STEP static __always_inline

static __always_inline bool turn_take(struct connection *c, struct stream *s, __u32 direction)
{
	return !__sync_lock_test_and_set(&s->busy, 1);
}

static __always_inline void turn_give(__u64 socket, struct stream *s, __u32 direction)
{
	__sync_lock_test_and_set(&s->busy, 0); /* the BPF target has no release store */
}

/* The turn ended with the connection that it stood in. */
static __always_inline void turn_leave(__u64 socket, __u32 direction)
{
}

static __always_inline void turns_clear(__u64 socket)
{
}

static __always_inline bool exchange_holds(const __u64 *at, __u64 value)
{
	return true;
}

static __always_inline __u64 exchange(__u64 *at, __u64 value)
{
	return __sync_lock_test_and_set(at, value);
}

static __always_inline __u32 fetch_add(__u32 *at, __u32 value)
{
	return __sync_fetch_and_add(at, value);
}

#endif
