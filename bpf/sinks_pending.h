// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the sinks share: names that can be keys, and values that await their acknowledgement.
#pragma once

#include "links.h"

/* The entry of a key, made from `blank` when missing; NULL if there is no room, which is counted. */
static __always_inline void *entry(void *map, const void *key, const void *blank, __u32 full)
{
	void *v = bpf_map_lookup_elem(map, key);

	if (v)
		return v;
	if (no_room(bpf_map_update_elem(map, key, blank, BPF_NOEXIST))) {
		drop(full);
		return NULL;
	}
	return bpf_map_lookup_elem(map, key);
}

static __always_inline bool usable(__u64 name)
{
	return name > NAME_INVALID;
}

static __always_inline void pending_key_fill(const struct run *r, const struct stream *s, struct pending_key *k)
{
	k->connection = r->connection->id;
	k->topic = s->regs[REG_TOPIC];
	k->partition = s->regs[REG_PARTITION];
	k->correlation = s->correlation;
}

/* A request names a value for one partition; the response will say whether it holds. */
static __noinline void pending_put(struct run *r, struct stream *s, __s64 value)
{
	struct pending_key k;
	struct pending_value v = {};

	if (!usable(s->regs[REG_TOPIC]))
		return;
	pending_key_fill(r, s, &k);
	v.group = s->regs[REG_GROUP];
	v.value = value;
	v.time = s->now;
	v.leader_epoch = s->regs[REG_LEADER_EPOCH];
	v.sequence = r->connection->requests;
	if (bpf_map_update_elem(&pending, &k, &v, BPF_ANY))
		drop(DROP_PENDING_FULL);
}

/* Takes out what the request asked; false if that was not seen. */
static __always_inline bool pending_take(struct run *r, struct stream *s, struct pending_value *v)
{
	struct pending_value *found;
	struct pending_key k;

	pending_key_fill(r, s, &k);
	found = bpf_map_lookup_elem(&pending, &k);
	if (!found)
		return false;
	*v = *found;
	bpf_map_delete_elem(&pending, &k);
	return v->sequence == s->request.sequence; /* else it is of a frame that was not understood to its end */
}
