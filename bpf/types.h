// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the kernel side remembers. Go reads these structs byte for byte (bpf2go generates its side),
// so every padding is written out; layouts are asserted in bpf/layout_test.go.
// All times are nanoseconds of CLOCK_MONOTONIC (bpf_ktime_get_ns).
#pragma once

#include "program.h"

#define NAME_BYTES 256 /* Kafka's topic names have at most 249; longer group and client ids than 255 are left out */
#define NAME_MAX_LENGTH 255
#define CARRY_BYTES 32	     /* the longest fixed field that one op takes is 26 bytes */
#define WINDOW_BYTES 128     /* power of two; a small request */
#define WINDOW_NAME_BYTES 64 /* names up to this length are taken from it; most are */
#define LOOP_DEPTH 6	     /* groups, topics, partitions, records are 4 */
#define COMM_BYTES 16	     /* TASK_COMM_LEN */
#define PARK_BYTES 4096	     /* a response that overtook its request: about 500 partitions of a commit */
#define DROP_SLOTS 64	     /* power of two, DROP_REASONS and room */
#define TIME_POINTS 16	     /* batches remembered for each partition, to tell the age of an offset */

enum name_kind {
	NAME_TEXT = 0,
	NAME_UUID = 1,
};

/* A name or topic id that was seen on the wire. Key of `names`: 64 bits hashed from its bytes. */
struct name {
	__u64 check; /* an independent hash of the same bytes: two names never share an entry */
	__u16 length;
	__u8 kind;
	__u8 pad[5];
	__u8 bytes[NAME_BYTES];
};

enum role {
	ROLE_UNKNOWN = 0,
	ROLE_CLIENT = 1, /* this end sends requests */
	ROLE_BROKER = 2, /* this end answers them */
};

/* The two ends of a connection, IPv4 as v4-mapped. Ports in host byte order. */
struct tuple {
	__u8 local_addr[16];
	__u8 remote_addr[16];
	__u16 local_port;
	__u16 remote_port;
	__u32 netns;	       /* inode of the network namespace */
} __attribute__((aligned(8))); /* copied by words */

/* Where the same client talks to the same broker, over any number of connections.
 * Everything learnt is kept by link; which cluster and process a link is, is joined in user space.
 */
struct link {
	__u8 broker_addr[16];
	__u8 client_addr[16]; /* broker role only, else zero */
	__u64 start_time;     /* of the process, CLOCK_BOOTTIME */
	__u64 client;	      /* name of the client id */
	__u32 tgid;
	__u32 netns;
	__u16 broker_port;
	__u8 role;
	__u8 pad[5];
};

struct link_value {
	struct link key; /* what the 64-bit id was hashed from */
	__u8 comm[COMM_BYTES];
	__u64 cluster; /* name, as Metadata said it on this link; 0: not said yet */
	__u64 first_seen;
	__u64 last_seen;
	__u64 lost; /* when a request passed that was not understood: what was committed before may have changed */
};

struct loop {
	__u32 remaining;
	__u32 pc;
};

/* A request that awaits its response: what is needed to understand that. */
struct request {
	__u64 link;
	__u64 group;
	__u64 time;	/* when its last byte was sent */
	__s64 producer; /* transactions */
	__u64 member;
	__u32 sequence; /* order on the connection */
	__s16 api;
	__s16 version;
	__u16 producer_epoch;
	__s8 isolation;
	__u8 ambiguous;
	__u8 follower;	/* a Fetch of another broker */
	__u8 committed; /* EndTxn */
	__u8 pad[2];
	__s32 generation;
	__u32 pad2;
};

struct request_key {
	__u64 connection;
	__u32 correlation;
	__u32 pad;
};

/* The bytes of one call, as far as they have not been looked at. */
struct cursor {
	__u64 address;	     /* of the current segment */
	__u64 segment;	     /* bytes left in it */
	__u64 left;	     /* bytes of the call behind the current segment */
	__u64 vector;	     /* address of the next struct iovec */
	__u32 vectors;	     /* iovecs left */
	__u16 kernel;	     /* the bytes are in kernel memory */
	__u16 kernel_vector; /* the iovecs are */
	__u64 before;	     /* bytes that passed unseen before the call */
	__u64 rest;	     /* bytes of the message whose iovecs these are */
	__u64 message;	     /* address of the next struct mmsghdr */
	__u64 messages;	     /* messages left */
};

/* A thread's call to send or receive. */
struct tcp_call {
	__u64 sk;
	__u64 message;
	__u64 left; /* bytes that it had not yet taken or filled */
	__u32 sequence;
	__u32 flags;
	__u32 direction;
	__u32 bytes; /* taken or filled when it let go of the socket last */
};

/* Whether the batches of a response are looked at. */
enum looks {
	LOOKS_UNDECIDED,
	LOOKS_AT_BATCHES,
	LOOKS_AT_NONE,
};

/* One direction of a connection: the interpreter's whole state between two calls, and the call that it
 * is in. (All of it stands in a map and none on the stack: what the verifier cannot track it need not
 * tell apart, and the interpreter's loop is verified in one pass.)
 *
 * First what a call looks at whose bytes are passed over: it finds little else in the processor's caches.
 */
struct stream {
	__u64 skip;
	__u64 frame_left;
	__u64 region_left; /* record data */
	__u64 now;	   /* of the call whose bytes are looked at */
	__u64 called;	   /* of the last call: what passed unseen before it belongs to the one before */
	__u32 busy;
	__u8 kind;	  /* DIR_REQUEST or DIR_RESPONSE */
	__u8 lost;	  /* another thread wrote or read at the same time */
	__u8 direction;	  /* 0 sent, 1 received */
	__u8 walked;	  /* batches of this record data that were looked at */
	__u64 batches;	  /* until when those that were looked at keep others from it: see batch_wanted */
	struct name name; /* being collected; much is behind it, so that reads past a bound stay in the struct */
	__u64 regs[REG_NAMES];
	struct request request; /* responses: what was asked */
	struct loop loops[8];
	__u8 carry[2 * CARRY_BYTES];		       /* a fixed field cut by a read boundary */
	__u8 window[WINDOW_BYTES + WINDOW_NAME_BYTES]; /* bytes of the call, read ahead */
	__u64 window_at;			       /* their address */
	__u64 window_bytes;
	struct cursor at;
	struct cursor start; /* where the call's bytes begin: to try again from there */
	__u64 varint;
	__u64 outer_left; /* of the frame, behind the bytes that are decoded as a message of their own */
	__u32 region_end; /* pc behind either */
	__u32 pc;
	__u32 carried;
	__u32 name_got;
	__u32 correlation;
	__u32 replay; /* a parked response can be understood now: the one with this correlation id, if ... */
	__s16 api;
	__s16 version;
	__u16 tags_left;
	__u16 orphans;
	__u8 phase;
	__u8 depth;
	__u8 shift;
	__u8 in_sync;
	__u8 in_frame;
	__u8 frame_began;   /* a frame's head began within this call */
	__u8 replay_wanted; /* ... this is set */
	__u8 decoded;	    /* requests: its body is gone through, not passed over */
	__u8 parked;	    /* it is a parked response's */
	__u8 embedded;	    /* 1 and the depth of the arrays around the embedded message; 0: in none */
	__u8 looks;	    /* enum looks */
	__u8 pad2[5];
	__u32 too_long; /* names of this frame that are left out */
	__u32 losing;	/* 1 and the reason for which the place has been lost */
};

/* Likewise in order of use. */
struct connection {
	struct tuple tuple;
	__u64 socket;	   /* address of its struct sock */
	__u64 id;	   /* unique: a reused struct sock is another connection */
	__u32 sequence[2]; /* TCP's number of the next byte, sent and received */
	__u8 sequenced[2]; /* enum sequenced */
	__u8 dismissed;	   /* nothing more of it is looked at: see dismissible */
	__u8 role;
	__u8 confirmed;	 /* a response fitted its request */
	__u8 local_peer; /* the other end is on this host and tracked: count there */
	__u8 peer_checks;
	__u8 pad;
	__u64 last_seen;
	struct stream streams[2]; /* sent, received */
	__u64 link;
	__u64 client;
	__u64 start_time;
	__u32 tgid;
	__u32 failures;
	__u32 requests; /* sequence of the last request */
	__u32 parked;
	__u32 mmsg_next; /* sendmmsg, recvmmsg: messages done of this call, by direction */
	__u32 mmsg_next_received;
	__u32 unanswered; /* requests before any response was understood */
	__u32 pad2;
	__u64 lost;    /* when a request was not understood while nothing was known of the link; 0: never */
	__u64 joining; /* its member rebalances since; 0: it does not */
};

/* Committed offsets. */
struct offset_key {
	__u64 link;
	__u64 group;
	__u64 topic;
	__s32 partition;
	__u32 pad;
};

enum offset_source {
	OFFSET_COMMIT = 0,
	OFFSET_FETCH = 1,
	OFFSET_TXN = 2,	    /* by a transaction that has ended */
	OFFSET_UNKNOWN = 3, /* changed, but to what was not seen: publish nothing */
	OFFSET_DELETED = 4, /* the broker has none */
};

struct offset_value {
	__s64 offset;
	__u64 time;	 /* from when on this is known to be true */
	__u64 acked;	 /* when the response came */
	__u64 ordered;	 /* OFFSET_COMMIT, OFFSET_TXN: when the commit was asked for, or what confirmed it.
			  * OFFSET_UNKNOWN:   not 0 if the end of a transaction has changed it. Else 0.
			  */
	__u64 committed; /* when the newest commit was asked for, also of an offset that is not known; 0: none was seen.
			  * A group's coordinator goes by the order of commits, not of the transactions' ends.
			  */
	__s32 leader_epoch;
	__u8 source;
	__u8 pad[3];
};

/* What is known of one partition's ends. */
struct partition_key {
	__u64 link;
	__u64 topic;
	__s32 partition;
	__u32 pad;
};

#define OFFSET_NONE (-1)

struct watermark_value {
	__s64 high_watermark; /* OFFSET_NONE: not known; likewise below */
	__s64 last_stable;
	__s64 log_start;
	__s64 produced; /* the log ended at least here when `produced_time` was */
	__s64 position; /* fetch offset asked for */
	__u64 time;
	__u64 log_start_time;
	__u64 produced_time;
	__u64 position_time;
	__s32 session; /* fetch session in which the partition is; 0: none */
	__u32 follower;
};

struct session_key {
	__u64 link;
	__s32 session;
	__u32 pad;
};

struct session_value {
	__u64 time;  /* when the broker last said that nothing else had changed */
	__u64 since; /* every answer from then on has been seen: older watermarks are not confirmed by it */
	__s32 epoch; /* of the last request; one more with each (KIP-227) */
	__u32 pad;
};

/* Batches of a partition: offset and timestamp (milliseconds of Unix time, as the record says). */
struct time_point {
	__s64 first_offset;
	__s64 last_offset;
	__s64 first_time;
	__s64 max_time;
};

struct times_value {
	struct time_point points[TIME_POINTS];
	__u32 next;
	__u32 pad;
};

/* A value that awaits its acknowledgement. */
struct pending_key {
	__u64 connection;
	__u64 topic;
	__s32 partition;
	__u32 correlation;
};

struct pending_value {
	__u64 group;
	__s64 value;
	__u64 time;
	__s32 leader_epoch;
	__u32 sequence;
};

/* An offset within an open transaction: in the list of its producer. Key: a hash of `key` and producer. */
struct txn_offset {
	struct offset_key key;
	__u64 producer_key;
	__u64 next; /* 0: the last one */
	__u64 asked;
	__u64 first;  /* when it came into the list */
	__s64 offset; /* less than nothing: not known */
	__s32 leader_epoch;
	__u16 producer_epoch;
	__u16 pad;
};

#define PRODUCER_MARKERS (-2) /* instead of a producer: this broker has been sent markers of transactions */

/* Key: a hash of process, client and producer id. */
struct txn_producer {
	__u64 first; /* of the list of its offsets */
	__u64 time;  /* when it was last heard of */
	__s64 producer;
	__u64 ending;	  /* when the end of its transaction was asked for, if that has not been answered; else 0 */
	__u64 unsure;	  /* what is in the list from before then is of a transaction of which the end was not seen; 0:
			     nothing */
	__u64 start_time; /* of the process */
	__u32 tgid;
	__u32 pad;
};

struct commits_key {
	__u64 link;
	__u64 group;
	__u64 topic;
	__s16 error;
	__u16 pad[3];
};

struct commits_value {
	__u64 count;
	__u64 first;
};

struct topic_id_value {
	__u64 name;
	__u64 time;
};

struct member_key {
	__u64 link;
	__u64 group;
	__u64 member;
};

struct member_value {
	__u64 time;	  /* of the last answered heartbeat ... */
	__u64 connection; /* ... and where */
	__u64 assigned;	  /* when the answer was asked for that last said what it owns; 0: never */
	__s32 generation;
	__s16 error;
	__s16 api;
};

/* Who owns a partition, as its coordinator told the member. Of old as soon as the member was told anew. */
struct assignment_key {
	__u64 link;
	__u64 group;
	__u64 topic;
	__s32 partition;
	__u32 pad;
};

struct assignment_value {
	__u64 member;
	__u64 assigned; /* as of the member */
};

/* What one link knows of a group as a whole. */
struct group_key {
	__u64 link;
	__u64 group;
};

struct group_value {
	__u64 first;	      /* when it was first heard of */
	__u64 deleted;	      /* when DeleteGroups was answered; 0: never; likewise below */
	__u64 joining;	      /* when a member last began to rebalance ... */
	__u64 joined;	      /* ... and had its new assignment */
	__u64 rebalancing_ns; /* spent between the two, by all members */
	__u64 rebalances;     /* so often, by all members */
};

/* A topic that a broker does not have (any more). */
struct gone_key {
	__u64 link;
	__u64 topic;
};

/* Records that members of a share group have acknowledged (KIP-932). */
struct share_key {
	__u64 link;
	__u64 group;
	__u64 topic;
	__s32 partition;
	__u32 pad;
};

struct share_value {
	__u64 first; /* when counting began */
	__u64 accepted;
	__u64 released;
	__u64 rejected;
};

struct parked_value {
	struct stream stream;
	__u32 length;
	__u32 filled;
	__u32 ready;
	__u32 pad;
	__u64 time;
	__u64 link;		    /* if its request never comes to be seen, one of this client was missed */
	__u8 bytes[2 * PARK_BYTES]; /* the second half is never written: the verifier's slack */
};

/* A socket within one tick. */
struct stranger {
	__u64 address;
	__u64 when; /* its ports and the epoch */
};

struct ignored_value {
	__u16 local_port;
	__u16 remote_port;
	__u32 failures; /* calls that began like nothing of Kafka's, in this epoch */
	__u32 epoch;
};

struct counters {
	__u64 calls[2];	      /* socket calls inspected, sent and received */
	__u64 bytes[2];	      /* of connections that speak Kafka */
	__u64 resynchronised; /* streams that lost and found their place */
	__u64 late_requests;  /* responses that overtook their request and were understood after it */
	__u64 confirmed;      /* connections recognised */
	__u64 ignored;	      /* connections given up, until the next tick */
	__u64 connections_closed;
	__u64 drops[DROP_SLOTS];
	__u64 frames[API_KEYS * 2]; /* requests and responses by api key; the last two: unknown */
};
