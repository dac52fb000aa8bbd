// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Kafka's framing: heads of requests and responses, which response answers which request, and responses
// that are read before the hook of their request has run.
#pragma once

#include "sinks.h"

#define REQUEST_HEAD_BYTES 12
#define RESPONSE_HEAD_BYTES 8
/* Unknown responses in a row before the place is doubted: as many as one write can be overtaken by. */
#define ORPHANS_MAX REPLAYS_MAX
#define UNKNOWN_VERSION_MAX 1000 /* an API may grow past the tables, but not by hundreds of versions */

STEP long step_request_head(struct run *r, struct stream *s)
{
	const volatile struct api *known;
	__u16 api, version;
	enum taken t;
	__u32 size;

	if (!s->carried)
		s->frame_began = 1;
	t = take(r, s, REQUEST_HEAD_BYTES);
	if (t != TAKEN)
		return t == AGAIN ? GO_ON : STOP;
	size = be32(s->carry);
	api = be16(s->carry + 4);
	version = be16(s->carry + 6);
	s->correlation = be32(s->carry + 8);
	if (size < REQUEST_HEAD_BYTES - 4 || size > REQUEST_MAX_BYTES || api >= API_KEYS)
		return lose(s, DROP_BAD_HEADER);
	known = api_of(api);
	if (known->min > known->max || version < known->min || version > UNKNOWN_VERSION_MAX ||
	    (version > known->max && (!r->connection->confirmed || r->connection->role == ROLE_UNKNOWN)))
		return lose(s, DROP_BAD_HEADER);
	s->api = api;
	s->version = version;
	s->frame_left = size - (REQUEST_HEAD_BYTES - 4);
	s->in_frame = 1;
	s->pc++;
	return GO_ON;
}

static __always_inline bool changes_offsets(__s16 api)
{
	return api == API_OFFSET_COMMIT || api == API_TXN_OFFSET_COMMIT || api == API_END_TXN;
}

static __always_inline void enter_program(struct stream *s, __u32 direction)
{
	__u32 pc;

	if (s->version > api_of(s->api)->max) {
		drop(DROP_UNKNOWN_VERSION);
		pc = pc_skip_frame;
	} else {
		pc = program_of(s->api, direction, s->version);
	}
	s->pc = pc;
	s->looks = LOOKS_UNDECIDED;
	for (int i = REG_GROUP; i < REG_NAMES; i++)
		s->regs[i] = 0;
	s->regs[REG_GENERATION] = -1;
}

static __noinline long step_dispatch(struct run *r, struct stream *s)
{
	struct connection *c = r->connection;
	__u64 client = s->regs[REG_CLIENT];

	if (c->client != client || !c->link || !bpf_map_lookup_elem(&links, &c->link)) {
		c->client = client;
		c->link = 0;
		if (c->confirmed)
			link_enter(c, s->now);
	}
	s->request.link = c->link;
	/* before anything is reported that nobody would take the answer of */
	if (role_of(c, s) == ROLE_BROKER)
		peer_check(c, ROLE_BROKER);
	c->requests++; /* frames that turn out malformed count as well: what they said is not the next one's */
	enter_program(s, DIR_REQUEST);
	s->decoded = s->pc != pc_skip_frame;
	if (s->version > api_of(s->api)->max && changes_offsets(s->api))
		request_lost(c, s->now);
	return GO_ON;
}

/* Keeps a response whose request has not been seen yet: its hook may only be late. */
static __always_inline void park(struct run *r, struct stream *s)
{
	struct request_key k = {.connection = r->connection->id, .correlation = s->correlation};
	__u32 zero = 0;
	void *blank = bpf_map_lookup_elem(&blank_parked, &zero);
	struct parked_value *p;

	s->pc = pc_skip_frame;
	if (s->frame_left > PARK_BYTES) {
		drop(DROP_PARKED_TOO_LONG);
		return;
	}
	r->connection->parked = 1;
	if (!blank || bpf_map_update_elem(&parked, &k, blank, BPF_ANY)) {
		drop(DROP_PARKED_FULL);
		return;
	}
	p = bpf_map_lookup_elem(&parked, &k);
	if (!p)
		return;
	p->length = s->frame_left;
	p->time = s->now;
	p->link = r->connection->confirmed ? r->connection->link : 0;
	s->pc = pc_park;
}

static __noinline long step_response_head(struct run *r, struct stream *s)
{
	struct connection *c = r->connection;
	struct request_key k = {};
	struct request *asked;
	__u32 size;
	enum taken t;

	if (!s->carried)
		s->frame_began = 1;
	t = take(r, s, RESPONSE_HEAD_BYTES);
	if (t != TAKEN)
		return t == AGAIN ? GO_ON : STOP;
	size = be32(s->carry);
	s->correlation = be32(s->carry + 4);
	if (size < RESPONSE_HEAD_BYTES - 4 || size > RESPONSE_MAX_BYTES)
		return lose(s, DROP_BAD_HEADER);
	k.connection = c->id;
	k.correlation = s->correlation;
	asked = bpf_map_lookup_elem(&requests, &k);
	if (!asked && (!s->in_sync || s->orphans >= ORPHANS_MAX))
		return lose(s, s->in_sync ? DROP_ORPHAN_RESPONSE : DROP_BAD_HEADER);
	s->frame_left = size - (RESPONSE_HEAD_BYTES - 4);
	s->in_frame = 1;
	if (!asked) {
		s->orphans++;
		s->api = -1;
		park(r, s);
		return GO_ON;
	}
	s->orphans = 0;
	s->request = *asked;
	s->api = asked->api;
	s->version = asked->version;
	s->in_sync = 1;
	if (asked->ambiguous) {
		drop(DROP_AMBIGUOUS_REQUEST);
		if (changes_offsets(s->api))
			request_lost(c, s->now);
		s->pc = pc_skip_frame;
		return GO_ON;
	}
	if (!c->confirmed) {
		struct counters *n = counters();

		c->confirmed = 1;
		if (n)
			n->confirmed++;
	}
	peer_check(c, c->role);
	link_request(c, &s->request, s->now);
	enter_program(s, DIR_RESPONSE);
	return GO_ON;
}

static __noinline long step_park(struct run *r, struct stream *s)
{
	struct request_key k = {.connection = r->connection->id, .correlation = s->correlation};
	struct parked_value *p = bpf_map_lookup_elem(&parked, &k);
	__u32 at, n;

	if (!p) {
		s->pc = pc_skip_frame;
		return GO_ON;
	}
	if (!s->frame_left) {
		stream_rewind(s, s->kind);
		/* a full barrier: whoever comes second, this or the request's hook, sees the other */
		if (fetch_add(&p->ready, 1) || !bpf_map_lookup_elem(&requests, &k))
			return GO_ON;
		s->replay = k.correlation;
		s->replay_wanted = 1;
		return STOP;
	}
	switch (cursor_look(&s->at)) {
	case CURSOR_END:
		return STOP;
	case CURSOR_UNSEEN:
		bpf_map_delete_elem(&parked, &k);
		drop(DROP_UNSEEN_BYTES);
		s->pc = pc_skip_frame;
		return GO_ON;
	case CURSOR_BYTES:
		break;
	}
	reached(s);
	at = p->filled & (PARK_BYTES - 1);
	n = s->at.segment < s->frame_left ? s->at.segment : s->frame_left;
	if (!n)
		return GO_ON;
	if (n > PARK_BYTES)
		return lose(s, DROP_MALFORMED);
	if (cursor_read(&s->at, p->bytes + at, n))
		return lose(s, DROP_USER_COPY);
	p->filled += n;
	cursor_advance(&s->at, n);
	consume(s, n);
	return GO_ON;
}

/* What it says counts from here on: bytes that were no frame have left out no names either. */
STEP void count_frame(struct stream *s)
{
	struct counters *n = counters();

	if (!n)
		return;
	n->frames[masked(s->api * 2 + s->kind, API_KEYS * 2 - 1)]++;
	if (s->too_long)
		n->drops[DROP_NAME_TOO_LONG] += s->too_long;
}

/* A whole request has been sent: its response may be read from now on. */
static __noinline long end_request(struct run *r, struct stream *s)
{
	struct connection *c = r->connection;
	struct request_key k = {.connection = c->id, .correlation = s->correlation};
	struct parked_value *p;
	struct request v = {};
	bool skipped;

	if (c->role == ROLE_UNKNOWN) {
		/* A response may begin like a request of which only the head is looked at: its correlation id stands
		 * where api key and version do.
		 */
		if (!s->decoded)
			return GO_ON;
		c->role = s->direction == 0 ? ROLE_CLIENT : ROLE_BROKER;
		c->link = 0; /* a link has a role */
	}
	c->failures = 0;
	if (c->role == ROLE_CLIENT)
		peer_check(c, ROLE_CLIENT);
	s->in_sync = 1;
	count_frame(s);
	if (s->api == API_PRODUCE && s->regs[REG_ACKS] == 0 && s->version <= api_of(API_PRODUCE)->max)
		return GO_ON; /* acks=0 is never answered */
	skipped = unanswered(c);
	c->unanswered++;
	if (c->id != r->id)
		return GO_ON;
	if (skipped) {
		request_lost(c, s->now);
		return GO_ON;
	}
	v.link = c->link;
	v.group = s->regs[REG_GROUP];
	v.time = s->now;
	v.member = s->regs[REG_MEMBER];
	v.producer = s->regs[REG_PRODUCER];
	v.producer_epoch = s->regs[REG_PRODUCER_EPOCH];
	v.generation = s->regs[REG_GENERATION];
	v.sequence = c->requests;
	v.api = s->api;
	v.version = s->version;
	v.isolation = s->regs[REG_ISOLATION];
	v.follower = s->api == API_FETCH && (__s64)s->regs[REG_REPLICA] >= 0;
	v.committed = s->regs[REG_COMMITTED];
	if (s->api == API_END_TXN && c->role == ROLE_CLIENT)
		txn_ending(c, v.producer, s->now);
	v.ambiguous = bpf_map_lookup_elem(&requests, &k) != 0;
	if (bpf_map_update_elem(&requests, &k, &v, BPF_ANY)) {
		drop(DROP_REQUESTS_FULL);
		request_lost(c, s->now);
		return GO_ON;
	}
	/* read with a full barrier: see step_park */
	if (!fetch_add(&c->parked, 0))
		return GO_ON;
	p = bpf_map_lookup_elem(&parked, &k);
	if (!p || !p->ready)
		return GO_ON;
	s->replay = k.correlation;
	s->replay_wanted = 1;
	return STOP;
}

/* What a broker's end says counts nowhere if the other end is followed on this host (see report). Once it is known
 * whose it is, and no request is in flight, it need not be looked at any more: but for markers, which brokers send by
 * connections that they use for nothing else.
 */
static __always_inline bool dismissible(const struct connection *c, const struct stream *s)
{
	if (!c->local_peer || !c->link || s->request.sequence != c->requests)
		return false;
	return s->api != API_SASL_HANDSHAKE && s->api != API_API_VERSIONS && s->api != API_WRITE_TXN_MARKERS &&
	       s->api != API_SASL_AUTHENTICATE;
}

static __always_inline long step_end(struct run *r, struct stream *s)
{
	struct connection *c = r->connection;
	long go = GO_ON;

	if (s->frame_left)
		return lose(s, DROP_FRAME_TAIL);
	s->now++; /* of several frames in one call the later is the newer */
	if (s->kind == DIR_REQUEST) {
		go = end_request(r, s);
	} else {
		struct request_key k = {.connection = c->id, .correlation = s->correlation};

		bpf_map_delete_elem(&requests, &k);
		c->failures = 0;
		count_frame(s);
		c->dismissed = dismissible(c, s);
	}
	stream_rewind(s, s->kind);
	return go;
}
