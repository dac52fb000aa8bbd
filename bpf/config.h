// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Configuration, constant once the programs are loaded; and the one variable that user space moves.
#pragma once

#include "maps.h"

#define MAX_PORTS 16 /* more would cost every new connection a longer look */

const volatile __u32 port_count; /* 0: any port */
const volatile __u16 ports[MAX_PORTS];
const volatile __u32 role_wanted; /* ROLE_UNKNOWN: any */
const volatile __u32 trace_reports;
const volatile __u32 track_positions; /* kafka.consumer.position is wanted */

/* The receiver's own process, as the kernel numbers it (a container has numbers of its own): its
 * traffic is never inspected. Set by the program `whoami`.
 */
__u32 own_tgid;

/* Moved on by the receiver at each tick: connections that were given up get another chance. */
__u32 epoch;

/* When there was last no room for a connection, a link or the note of a refused offset; 0: never. What a group
 * has committed since by way of these is not known.
 */
__u64 refused_at;

/* Of a BPF_NOEXIST insertion: another CPU that was first is no failure. */
static __always_inline bool no_room(long error)
{
	return error && error != -EEXIST;
}

/* There was no room for something without which commits are not seen. */
static __always_inline void refuse(__u32 reason)
{
	drop(reason);
	refused_at = bpf_ktime_get_ns();
}

/* Failed headers before a connection is given up for the rest of a tick. A producer that is met in
 * the middle of a 1 MiB batch writes 16 and more times before its next header.
 */
#define FAILURES_TO_IGNORE 32
/* ... and before it is asked anew which end sends requests. */
#define FAILURES_TO_DOUBT_ROLE 8
/* ... the same of a recognised connection, of which not one frame has fitted since. */
#define FAILURES_TO_START_ANEW 64

/* Frames of requests are at most socket.request.max.bytes, 100 MiB by default. */
#define REQUEST_MAX_BYTES (100 * 1024 * 1024)
/* Responses have no limit but their type. */
#define RESPONSE_MAX_BYTES 0x7fffffff

/* Steps that one call may take: about 10 ms at 80 ns, 45 if each ends with a commit's answer in the maps. A commit of
 * 5,000 partitions takes 11,000, its answer 5,300.
 */
#define STEPS_MAX (1 << 17)

/* Batches of which the head is looked at, in each direction of a connection: on average one in so many nanoseconds. A
 * response that has more keeps the next ones from it for as long as it takes to make up for that; a pause of up to a
 * second is made up for beforehand. One takes about half a microsecond with cold caches: that is a fifth of a percent
 * of a client's time, however small its batches are.
 */
#define BATCH_NANOSECONDS (1 << 18)
#define BATCHES_NANOSECONDS 1000000000

/* Responses that may overtake one write: so many requests are pipelined in one call at most. */
#define REPLAYS_MAX 64
