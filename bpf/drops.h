// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Every reason for which the kernel side leaves something out. One enum, shared with Go (generated
// type), the receiver's own metrics and the documentation: a new reason is added here and in
// internal/probe/drops.go, whose test compares the two.
#pragma once

enum drop_reason {
	/* recognition and synchronisation */
	DROP_BAD_HEADER = 0,	    /* in sync, but what followed a frame was not a header */
	DROP_MALFORMED = 1,	    /* a length or count that cannot fit its frame */
	DROP_FRAME_TAIL = 2,	    /* a frame longer than its message */
	DROP_UNSEEN_BYTES = 3,	    /* sendfile, splice, io_uring, MSG_ZEROCOPY inside a field */
	DROP_USER_COPY = 4,	    /* the application's buffer could not be read */
	DROP_ORPHAN_RESPONSE = 5,   /* a response whose request was not seen */
	DROP_AMBIGUOUS_REQUEST = 6, /* two requests in flight with one correlation id */
	DROP_UNKNOWN_VERSION = 7,   /* an API version newer than the tables */
	DROP_STEP_LIMIT = 8,	    /* one call held more work than one run may do */
	DROP_STREAM_BUSY = 9,	    /* two threads in one direction of one connection */
	DROP_NESTING = 10,	    /* arrays nested deeper than the loop stack */
	/* values left out */
	DROP_NAME_TOO_LONG = 11,   /* topic, group or client id beyond its cap */
	DROP_NAME_COLLISION = 12,  /* two names with one 64-bit id */
	DROP_LINK_COLLISION = 13,  /* two links with one 64-bit id */
	DROP_PENDING_MISSING = 14, /* acknowledged, but the value asked for is not known */
	/* maps full */
	DROP_CONNECTIONS_FULL = 15,
	DROP_LINKS_FULL = 16,
	DROP_NAMES_FULL = 17,
	DROP_REQUESTS_FULL = 18,
	DROP_PENDING_FULL = 19,
	DROP_OFFSETS_FULL = 20,
	DROP_WATERMARKS_FULL = 21,
	DROP_TIMES_FULL = 22,
	DROP_COMMITS_FULL = 23,
	DROP_TOPIC_IDS_FULL = 24,
	DROP_SESSIONS_FULL = 25,
	DROP_MEMBERS_FULL = 26,
	DROP_PARKED_FULL = 27,	   /* no room to keep a response that overtook its request */
	DROP_PARKED_TOO_LONG = 28, /* such a response was longer than a parking place */
	DROP_PEERS_FULL = 29,
	DROP_COMPAT_SYSCALL = 30, /* a 32-bit system call: its buffers are not looked up */
	DROP_TXN_FULL = 31,	  /* offsets within open transactions */
	DROP_TXN_LOST = 32,	  /* it is not known to which of two transactions an offset belongs */
	DROP_GROUPS_FULL = 33,
	DROP_ASSIGNMENTS_FULL = 34,
	DROP_GONE_TOPICS_FULL = 35,
	DROP_SHARES_FULL = 36,
	DROP_PROGRAM_SKIPPED = 37, /* counted by the kernel: another program was interrupted on that CPU */
	DROP_REASONS = 38,
};
