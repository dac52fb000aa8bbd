// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Every map. Sizes are the defaults of the `limits` configuration; internal/probe sets the real ones
// before loading. Full maps refuse: nothing that is tracked is pushed out.
#pragma once

#include "types.h"
#include "drops.h"

#define MAP(name_, type_, key_, value_, max_)                                                                          \
	struct {                                                                                                       \
		__uint(type, type_);                                                                                   \
		__uint(max_entries, max_);                                                                             \
		__type(key, key_);                                                                                     \
		__type(value, value_);                                                                                 \
	} name_ SEC(".maps")

/* Made when needed: by far the largest entries, and each is made in a call of its own. If there is no
 * memory at that moment, the next call of the connection tries again.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct connection);
} connections SEC(".maps");

MAP(links, BPF_MAP_TYPE_HASH, __u64, struct link_value, 16384);
MAP(names, BPF_MAP_TYPE_HASH, __u64, struct name, 32768);
MAP(topic_ids, BPF_MAP_TYPE_HASH, __u64, struct topic_id_value, 16384);
MAP(requests, BPF_MAP_TYPE_HASH, struct request_key, struct request, 32768);
MAP(pending, BPF_MAP_TYPE_HASH, struct pending_key, struct pending_value, 32768);
MAP(offsets, BPF_MAP_TYPE_HASH, struct offset_key, struct offset_value, 131072);
/* Offsets for which there was no room, and when: what is known of them by another link is no longer true. */
MAP(refused, BPF_MAP_TYPE_HASH, struct offset_key, __u64, 4096);
MAP(watermarks, BPF_MAP_TYPE_HASH, struct partition_key, struct watermark_value, 131072);
MAP(times, BPF_MAP_TYPE_HASH, struct partition_key, struct times_value, 32768);
MAP(sessions, BPF_MAP_TYPE_HASH, struct session_key, struct session_value, 16384);
MAP(commits, BPF_MAP_TYPE_HASH, struct commits_key, struct commits_value, 16384);
MAP(txn_offsets, BPF_MAP_TYPE_HASH, __u64, struct txn_offset, 32768);
MAP(txn_producers, BPF_MAP_TYPE_HASH, __u64, struct txn_producer, 4096);
MAP(groups, BPF_MAP_TYPE_HASH, struct group_key, struct group_value, 16384);
MAP(assignments, BPF_MAP_TYPE_HASH, struct assignment_key, struct assignment_value, 65536);
MAP(gone, BPF_MAP_TYPE_HASH, struct gone_key, __u64, 4096);
MAP(shares, BPF_MAP_TYPE_HASH, struct share_key, struct share_value, 16384);
MAP(members, BPF_MAP_TYPE_HASH, struct member_key, struct member_value, 16384);
MAP(peers, BPF_MAP_TYPE_HASH, struct tuple, __u64, 16384);

/* Connections that do not speak Kafka: one of two maps that may forget. */
MAP(ignored, BPF_MAP_TYPE_LRU_HASH, __u64, struct ignored_value, 65536);
/* Those that were given up, and ends of connections that need not be gone through, each in the one place that it may
 * have: what a call on any other socket of the host costs is a look there, without calling a helper.
 */
#define STRANGERS 8192 /* power of two */
MAP(strangers, BPF_MAP_TYPE_ARRAY, __u32, struct stranger, STRANGERS);

/* Responses that overtook their request: a few at any time, each in flight for microseconds. */
MAP(parked, BPF_MAP_TYPE_HASH, struct request_key, struct parked_value, 256);

/* What each thread called last, of backend `kprobe`. One that is forgotten is noticed by its bytes. */
MAP(tcp_calls, BPF_MAP_TYPE_LRU_HASH, __u64, struct tcp_call, 16384);

MAP(stats, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct counters, 1);

/* Every report, for the differential test; unused unless trace_reports is set. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} trace SEC(".maps");

struct trace_record {
	__u64 connection;
	__u32 sink;
	__s16 api;
	__s16 version;
	__u64 regs[REG_NAMES];
};

/* All-zero values to insert from: too large for the 512-byte stack. */
MAP(blank_connection, BPF_MAP_TYPE_ARRAY, __u32, struct connection, 1);
MAP(blank_times, BPF_MAP_TYPE_ARRAY, __u32, struct times_value, 1);
MAP(blank_parked, BPF_MAP_TYPE_ARRAY, __u32, struct parked_value, 1);

/* For bpf2go: these are not values of any map. */
const struct trace_record *unused_trace_record __attribute__((unused));
const enum drop_reason *unused_drop_reason __attribute__((unused));
const enum op_code *unused_op_code __attribute__((unused));
const enum reg_name *unused_reg_name __attribute__((unused));
const enum sink *unused_sink __attribute__((unused));
const enum role *unused_role __attribute__((unused));
const enum offset_source *unused_offset_source __attribute__((unused));
const enum name_kind *unused_name_kind __attribute__((unused));

static __always_inline struct counters *counters(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&stats, &zero);
}

static __always_inline void drop(__u32 reason)
{
	struct counters *n = counters();

	if (n)
		n->drops[masked(reason, DROP_SLOTS - 1)]++;
}
