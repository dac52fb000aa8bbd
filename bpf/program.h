// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The instruction set of the decoder. internal/schema compiles Kafka's message definitions to it;
// its Go constants are compared with these in bpf/program_test.go.
#pragma once

#include "kernel.h"

enum op_code {
	OP_REQUEST_HEAD = 0,  /* size, api key, version, correlation id */
	OP_RESPONSE_HEAD = 1, /* size, correlation id */
	OP_DISPATCH = 2,      /* after the client id: jump to the request's program */
	OP_END = 3,	      /* the frame must end here */
	OP_SKIP_FRAME = 4,    /* pass over what is left of the frame */
	OP_PARK = 5,	      /* keep a response whose request is not known yet */
	OP_SKIP = 6,	      /* arg bytes */
	OP_INT8 = 7,	      /* -> reg, sign extended */
	OP_INT16 = 8,
	OP_INT32 = 9,
	OP_INT64 = 10,
	OP_STRING = 11,	     /* -> reg (a name); flags: compact */
	OP_UUID = 12,	     /* -> reg (a name) */
	OP_SKIP_STRING = 13, /* flags: compact */
	OP_SKIP_BYTES = 14,  /* flags: compact */
	OP_SKIP_ARRAY = 15,  /* arg bytes an element; flags: compact */
	OP_ARRAY = 16,	     /* count; none: jump to arg; flags: compact */
	OP_LOOP = 17,	     /* next element of the innermost array */
	OP_TAGS = 18,	     /* skip; the tag numbered flags >> 8 starts with an int32 -> reg */
	OP_NULLABLE = 19,    /* int8 before a nullable struct; null: jump to arg */
	OP_SET = 20,	     /* reg = arg, sign extended */
	OP_RECORDS = 21,     /* length of record data; none: jump to arg; flags: compact */
	OP_BATCH = 22,	     /* one record batch; the last one: jump to where OP_RECORDS said */
	OP_REPORT = 23,	     /* hand the registers to the sink arg */
	OP_EMBED = 24,	   /* bytes that are a message; none: jump to arg; they end with OP_SKIP_FRAME, OP_EMBED_END */
	OP_EMBED_END = 25, /* just before the arg of OP_EMBED */
	OP_CODES = 26,
};

#define OP_FLAG_COMPACT 1   /* lengths and counts are unsigned varints plus one */
#define OP_FLAG_CLIENT_ID 2 /* part of recognition: no control characters */

/* 8 bytes: see op_code for what each field means. */
struct op {
	__u8 code;
	__u8 reg;
	__u16 flags;
	__u32 arg;
} __attribute__((aligned(8))); /* read as one word */

enum reg_name {
	REG_CLIENT = 0, /* names are 64-bit ids: NAME_NONE, NAME_INVALID or a key of `names` */
	REG_GROUP = 1,
	REG_TOPIC = 2,
	REG_PARTITION = 3,
	REG_OFFSET = 4,
	REG_LEADER_EPOCH = 5,
	REG_ERROR = 6,
	REG_HIGH_WATERMARK = 7,
	REG_LAST_STABLE = 8,
	REG_LOG_START = 9,
	REG_SESSION = 10,
	REG_THROTTLE = 11,
	REG_TIMESTAMP = 12,
	REG_RECORDS = 13, /* records counted in this partition's batches */
	REG_MEMBER = 14,
	REG_GENERATION = 15,
	REG_PRODUCER = 16,
	REG_PRODUCER_EPOCH = 17,
	REG_COMMITTED = 18,
	REG_REPLICA = 19,
	REG_ISOLATION = 20,
	REG_ACKS = 21,
	REG_CLUSTER = 22,
	REG_TOPIC_NAME = 23,
	REG_TOP_ERROR = 24,
	REG_BATCH_BASE = 25,
	REG_BATCH_LAST = 26,
	REG_BATCH_TIME = 27,
	REG_BATCH_MAX_TIME = 28,
	REG_TXN = 29, /* where the walk along a transaction's offsets is; 0: in none */
	REG_SCRATCH = 30,
	REG_ASSIGNMENT = 31, /* an assignment came along */
	REG_NAMES = 32,
};

#define ASSIGNMENT_TOLD 1
#define ASSIGNMENT_UNKNOWN 2 /* bytes that are none of a consumer */

/* Share groups use registers that their messages have no other use for. */
#define REG_ACK_TYPE REG_TIMESTAMP
#define REG_COUNT REG_THROTTLE

enum sink {
	SINK_COMMIT_ASKED = 0,	    /* OffsetCommit, TxnOffsetCommit requests: one partition */
	SINK_COMMIT_ANSWERED = 1,   /* their responses: one partition */
	SINK_OFFSET_FETCHED = 2,    /* OffsetFetch response: one partition */
	SINK_FETCH_ASKED = 3,	    /* Fetch request: one partition and the position asked for */
	SINK_FETCH_FORGOTTEN = 4,   /* Fetch request: one partition leaves the session */
	SINK_FETCH_SESSION = 5,	    /* Fetch response: at its end */
	SINK_WATERMARK = 6,	    /* Fetch response: one partition */
	SINK_LIST_ASKED = 7,	    /* ListOffsets request: one partition and timestamp */
	SINK_LIST_ANSWERED = 8,	    /* ListOffsets response: one partition */
	SINK_PRODUCE_ASKED = 9,	    /* Produce request: one partition and its record count */
	SINK_PRODUCE_ANSWERED = 10, /* Produce response: one partition */
	SINK_BATCH = 11,	    /* one record batch of a Fetch response */
	SINK_TOPIC_ID = 12,	    /* Metadata: a topic's name and id */
	SINK_CLUSTER = 13,	    /* Metadata, DescribeCluster: the cluster id */
	SINK_MEMBER = 14,	    /* group membership: joined, heartbeat, left */
	SINK_TXN_END = 15,	    /* EndTxn response */
	SINK_TXN_MARKER = 16,	    /* WriteTxnMarkers request: one producer */
	SINK_OFFSET_DELETED = 17,   /* OffsetDelete response: one partition */
	SINK_GROUP_DELETED = 18,    /* DeleteGroups response: one group */
	SINK_TOPIC_DELETED = 19,    /* DeleteTopics response: one topic */
	SINK_JOIN_ASKED = 20,	    /* JoinGroup request */
	SINK_ASSIGNMENT = 21,	    /* SyncGroup, ConsumerGroupHeartbeat responses: an assignment begins */
	SINK_ASSIGNED = 22,	    /* ... one partition of it */
	SINK_SHARE_TYPE = 23,	    /* ShareFetch, ShareAcknowledge requests: one type of a batch */
	SINK_SHARE_BATCH = 24,	    /* ... the end of the batch */
	SINK_SHARE_ASKED = 25,	    /* ... the end of the partition */
	SINK_SHARE_ANSWERED = 26,   /* their responses: one partition */
	SINKS = 27,
};

#define NAME_NONE 0    /* null: nothing was said */
#define NAME_INVALID 1 /* too long, or no room: counted when it happened */

#define OPS 8192	/* power of two; the tables need about 2,700 */
#define API_KEYS 128	/* power of two; Kafka 4.3 has keys up to 92 */
#define API_VERSIONS 32 /* power of two; the most is Fetch's 18 */

/* Keys of the APIs that are told apart other than by their programs. */
#define API_PRODUCE 0
#define API_FETCH 1
#define API_OFFSET_COMMIT 8
#define API_LEAVE_GROUP 13
#define API_SYNC_GROUP 14
#define API_SASL_HANDSHAKE 17
#define API_API_VERSIONS 18
#define API_END_TXN 26
#define API_WRITE_TXN_MARKERS 27
#define API_TXN_OFFSET_COMMIT 28
#define API_SASL_AUTHENTICATE 36

#define DIR_REQUEST 0
#define DIR_RESPONSE 1

struct api {
	__s16 min; /* min > max: no such key */
	__s16 max;
};

/* Filled by internal/probe before the programs are loaded, constant from then on. */
const volatile struct op ops[OPS];
const volatile __u16 programs[API_KEYS * 2 * API_VERSIONS];
const volatile struct api apis[API_KEYS];
const volatile __u32 pc_request;
const volatile __u32 pc_response;
const volatile __u32 pc_skip_frame;
const volatile __u32 pc_park;

/* x & mask, in a way that the compiler can neither drop nor move: the verifier must see it. */
static __always_inline __u64 masked(__u64 x, __u32 mask)
{
	asm volatile("%0 &= %1" : "+r"(x) : "i"(mask));
	return x;
}

static __always_inline const volatile struct api *api_of(__u32 key)
{
	return &apis[masked(key, API_KEYS - 1)];
}

static __always_inline bool version_known(__u16 key, __u16 version)
{
	const volatile struct api *api = api_of(key);

	return key < API_KEYS && version >= api->min && version <= api->max;
}

static __always_inline __u32 program_of(__u32 api, __u32 direction, __u32 version)
{
	__u32 i = ((api & (API_KEYS - 1)) * 2 + (direction & 1)) * API_VERSIONS + (version & (API_VERSIONS - 1));

	return programs[masked(i, API_KEYS * 2 * API_VERSIONS - 1)];
}
