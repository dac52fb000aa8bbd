// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Goes step by step through the bytes of a call, and through responses that had to wait for their request.
#pragma once

#include "interpreter.h"

#ifdef BEFORE_6_3
/* Without bpf_loop (Linux 5.17) the verifier goes through every turn of a loop. Global functions it goes
 * through once, wherever they are called; theirs can be loops over loops then. Their arguments are numbers:
 * pointers to memory came with 5.13.
 */
#define STEPS_A_ROUND 512
#define ROUNDS_MAX (STEPS_MAX / STEPS_A_ROUND)

#define PARKED 2 /* instead of a direction: the stream of a parked response */

static __noinline struct stream *parked_stream(__u64 id, __u32 correlation)
{
	struct request_key k = {.connection = id, .correlation = correlation};
	struct parked_value *p = bpf_map_lookup_elem(&parked, &k);

	return p ? &p->stream : NULL;
}

__noinline int one_step(__u64 socket, __u64 id, __u32 which, __u32 correlation)
{
	struct connection *c = bpf_map_lookup_elem(&connections, &socket);
	struct run r = {};

	if (!c || c->id != id) /* it ended meanwhile */
		return STOP;
	r.stream = which == PARKED ? parked_stream(id, correlation) : &c->streams[masked(which, 1)];
	if (!r.stream)
		return STOP;
	r.connection = c;
	r.id = id;
	return step(0, &r);
}

__noinline int a_round(__u64 socket, __u64 id, __u32 which, __u32 correlation)
{
	for (int i = 0; i < STEPS_A_ROUND; i++)
		if (one_step(socket, id, which, correlation))
			return STOP;
	return GO_ON;
}

/* False: there is more to do than one call may. */
static __always_inline bool run_steps(struct run *r, __u32 correlation)
{
	__u32 which = r->stream->parked ? PARKED : r->stream->direction;

	for (int i = 0; i < ROUNDS_MAX; i++)
		if (a_round(r->connection->socket, r->id, which, correlation))
			return true;
	return false;
}
#else
/* False: there is more to do than one call may. */
static __always_inline bool run_steps(struct run *r, __u32 correlation)
{
	return bpf_loop(STEPS_MAX, step, r, 0) < STEPS_MAX;
}
#endif

/* A response that overtook its request is understood now. Whoever takes the request out of the map
 * does it: the hooks of both may come here.
 */
static __always_inline void replay_parked(struct run *r)
{
	struct request_key k = {.connection = r->connection->id, .correlation = r->stream->replay};
	struct request *asked = bpf_map_lookup_elem(&requests, &k);
	struct parked_value *p = bpf_map_lookup_elem(&parked, &k);
	struct connection *c = r->connection;
	struct counters *n = counters();
	struct stream *s, *own = r->stream;

	if (!asked || !p)
		return;
	s = &p->stream;
	s->request = *asked;
	if (bpf_map_delete_elem(&requests, &k))
		return;
	if (s->request.ambiguous) {
		drop(DROP_AMBIGUOUS_REQUEST);
		if (changes_offsets(s->request.api))
			request_lost(c, own->now);
		bpf_map_delete_elem(&parked, &k);
		return;
	}
	c->confirmed = 1;
	/* it was late and no orphan: late ones in a row are no reason to doubt the place */
	c->streams[masked(c->role == ROLE_CLIENT, 1)].orphans = 0;
	link_request(c, &s->request, own->now);
	r->stream = s;
	s->parked = 1;
	stream_rewind(s, DIR_RESPONSE);
	s->now = own->now < p->time ? p->time : own->now;
	s->direction = c->role == ROLE_CLIENT;
	s->frame_began = 1;
	s->in_frame = 1;
	s->in_sync = 1;
	s->correlation = k.correlation;
	s->frame_left = p->length;
	s->api = s->request.api;
	s->version = s->request.version;
	s->at.kernel = 1;
	s->at.address = (__u64)(unsigned long)p->bytes;
	s->at.segment = p->length;
	enter_program(s, DIR_RESPONSE);
	run_steps(r, k.correlation);
	r->stream = own;
	if (n)
		n->late_requests++;
	bpf_map_delete_elem(&parked, &k);
}

/* Up to the end of the bytes, or to a response that can be understood now. */
static __always_inline long run_and_replay(struct run *r)
{
	bool ended = run_steps(r, 0);
	struct stream *s = r->stream;

	if (s->replay_wanted) {
		s->replay_wanted = 0;
		replay_parked(r);
		return GO_ON;
	}
	if (!ended) {
		s->frame_began = 1;
		lose(s, DROP_STEP_LIMIT);
		place_lost(r, s);
	}
	return STOP;
}

#ifdef BEFORE_6_3
__noinline int run_once(__u64 socket, __u64 id, __u32 direction)
{
	struct connection *c = bpf_map_lookup_elem(&connections, &socket);
	struct run r = {};

	if (!c || c->id != id)
		return STOP;
	r.connection = c;
	r.stream = &c->streams[masked(direction, 1)];
	r.id = id;
	return run_and_replay(&r);
}

static __always_inline void drive(struct run *r)
{
	for (int i = 0; i < REPLAYS_MAX; i++)
		if (run_once(r->connection->socket, r->id, r->stream->direction))
			break;
}
#else
static long once(__u32 i, struct run *r)
{
	return run_and_replay(r);
}

static __always_inline void drive(struct run *r)
{
	bpf_loop(REPLAYS_MAX, once, r, 0);
}
#endif
