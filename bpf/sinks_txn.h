// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Offsets committed within a transaction. They come into force when it is committed, and are gone when
// it is aborted; until then the group has the offset that it had before.
//
// The offsets that a producer has acknowledged within its open transaction form a list, which the end of
// the transaction walks. On a client that is EndTxn's answer; on a broker it is the marker that the
// transaction's coordinator sends to the group's (WriteTxnMarkers), since the two may be different
// brokers. A transaction whose end never comes was not committed by this producer, and nobody else can.
#pragma once

#include "sinks_offsets.h"

/* The producer of a request, whichever broker it talks to. Its id is unique in a cluster. */
static __always_inline __u64 producer_key(const struct connection *c, __u32 role, __s64 producer)
{
	__u64 a = HASH_3, b = HASH_1;

	hash_word(c->start_time, &a, &b);
	hash_word((__u64)c->tgid << 8 | role, &a, &b);
	/* markers come from another broker: what they have in common with the client is this process */
	hash_word(role == ROLE_CLIENT ? c->client : 0, &a, &b);
	hash_word(producer, &a, &b);
	return a;
}

static __always_inline __u64 txn_offset_id(const struct offset_key *k, __u64 producer)
{
	__u64 a = HASH_3, b = HASH_1;

	hash_word(k->link, &a, &b);
	hash_word(k->group, &a, &b);
	hash_word(k->topic, &a, &b);
	hash_word(k->partition, &a, &b);
	hash_word(producer, &a, &b);
	return a ? a : 1;
}

static __always_inline bool same_place(const struct offset_key *a, const struct offset_key *b)
{
	return a->link == b->link && a->group == b->group && a->topic == b->topic && a->partition == b->partition;
}

static __always_inline struct txn_producer *txn_producer(const struct connection *c, __u64 key, __s64 id, __u64 now)
{
	struct txn_producer first = {}, *p = bpf_map_lookup_elem(&txn_producers, &key);

	if (p)
		return p;
	first.producer = id;
	first.time = now;
	first.start_time = c->start_time;
	first.tgid = c->tgid;
	if (no_room(bpf_map_update_elem(&txn_producers, &key, &first, BPF_NOEXIST)))
		return NULL;
	return bpf_map_lookup_elem(&txn_producers, &key);
}

/* A function of its own: the stack of those below is large already. */
static __noinline void offset_unknown(const struct stream *s, const struct offset_key *k)
{
	struct offset_value v = {};

	v.offset = OFFSET_NONE;
	v.time = s->now;
	v.acked = s->now;
	v.ordered = s->request.time;
	v.committed = s->request.time;
	v.source = OFFSET_UNKNOWN;
	offset_put_newer(k, &v);
}

enum txn_put {
	TXN_NO_ROOM,
	TXN_PUT,
	TXN_PUT_UNSURE, /* in place of one that may have come into force */
};

static __noinline enum txn_put txn_put(struct run *r, struct stream *s, const struct offset_key *k, __s64 offset,
				       __s32 leader_epoch)
{
	__u64 key = producer_key(r->connection, r->connection->role, s->request.producer);
	struct txn_producer *p = txn_producer(r->connection, key, s->request.producer, s->now);
	struct txn_offset v = {}, *known;
	bool unsure;
	__u64 id;

	if (!p)
		return TXN_NO_ROOM;
	p->time = s->now;
	if (p->ending && p->ending < s->request.time) { /* the next transaction has begun */
		p->unsure = p->ending;
		p->ending = 0;
	}
	id = txn_offset_id(k, key);
	known = bpf_map_lookup_elem(&txn_offsets, &id);
	if (known && !p->first) { /* the walk that should have taken it off the list was cut short */
		bpf_map_delete_elem(&txn_offsets, &id);
		known = NULL;
	}
	if (known) { /* again within the transaction, or one that was fenced has left it */
		if (!same_place(&known->key, k) || known->producer_key != key)
			return TXN_NO_ROOM;
		unsure = known->asked < p->unsure;
		known->offset = offset;
		known->leader_epoch = leader_epoch;
		known->asked = s->request.time;
		known->producer_epoch = s->request.producer_epoch;
		return unsure ? TXN_PUT_UNSURE : TXN_PUT;
	}
	v.key = *k;
	v.producer_key = key;
	v.offset = offset;
	v.leader_epoch = leader_epoch;
	v.asked = s->request.time;
	v.first = s->now;
	v.producer_epoch = s->request.producer_epoch;
	if (bpf_map_update_elem(&txn_offsets, &id, &v, BPF_NOEXIST))
		return TXN_NO_ROOM;
	known = bpf_map_lookup_elem(&txn_offsets, &id);
	if (!known)
		return TXN_NO_ROOM;
	known->next = exchange(&p->first, id);
	if (exchange_holds(&p->first, id))
		return TXN_PUT;
	bpf_map_delete_elem(&txn_offsets, &id);
	return TXN_NO_ROOM;
}

static __noinline void sink_txn_commit_answered(struct run *r, struct stream *s)
{
	struct pending_value asked = {};
	struct offset_key k;
	bool known;

	if (!commit_acknowledged(r, s, &k, &asked, &known))
		return;
	if (!known) {
		drop(DROP_PENDING_MISSING);
		asked.value = OFFSET_NONE;
	}
	switch (txn_put(r, s, &k, asked.value, asked.leader_epoch)) {
	case TXN_PUT:
		return;
	case TXN_NO_ROOM: /* the transaction's end will change the offset to one that is not known */
		drop(DROP_TXN_FULL);
	case TXN_PUT_UNSURE:
		offset_unknown(s, &k);
	}
}

/* The same client id and producer id may exist in two clusters. */
static __always_inline bool clusters_differ(__u64 link, __u64 other)
{
	struct link_value *a, *b;

	if (link == other)
		return false;
	a = bpf_map_lookup_elem(&links, &link);
	b = bpf_map_lookup_elem(&links, &other);
	return a && b && usable(a->cluster) && usable(b->cluster) && a->cluster != b->cluster;
}

/* One offset of a committed transaction comes into force. */
static __noinline void txn_apply(struct stream *s, const struct txn_offset *o)
{
	struct offset_value v = {}, *known = bpf_map_lookup_elem(&offsets, &o->key);

	if (known && known->committed > o->asked)
		return;
	v.offset = o->offset;
	v.leader_epoch = o->leader_epoch;
	v.time = s->now;
	if (s->kind == DIR_RESPONSE && v.time > s->request.time + COMMIT_MAX_NS)
		v.time = s->request.time + COMMIT_MAX_NS; /* read late */
	v.acked = s->now;
	v.ordered = o->asked;
	v.committed = o->asked;
	v.source = OFFSET_TXN;
	if (clusters_differ(o->key.link, s->request.link)) {
		drop(DROP_TXN_LOST);
		v.offset = OFFSET_NONE;
	}
	if (v.offset < 0) {
		v.offset = OFFSET_NONE;
		v.source = OFFSET_UNKNOWN;
	}
	offset_put(&o->key, &v, known);
}

/* A producer has asked for the end of its transaction; or was told, at 0, that it has not ended. */
static __noinline void txn_ending(const struct connection *c, __s64 producer, __u64 now)
{
	__u64 key = producer_key(c, ROLE_CLIENT, producer);
	struct txn_producer *p = bpf_map_lookup_elem(&txn_producers, &key);

	if (p && !(p->ending && now))
		p->ending = now;
}

/* Takes one offset a call off the producer's list, which REG_TXN goes along; false at its end. */
static __always_inline bool txn_walk(struct run *r, struct stream *s, __s64 producer, __u16 epoch, bool committed,
				     bool marker)
{
	__u64 id = s->regs[REG_TXN], key = producer_key(r->connection, marker ? ROLE_BROKER : ROLE_CLIENT, producer);
	struct txn_producer *p = bpf_map_lookup_elem(&txn_producers, &key);
	struct txn_offset o, *found;
	bool ends;

	if (!p)
		return false;
	if (!id) {
		p->time = s->now;
		p->ending = 0;
		id = exchange(&p->first, 0);
	}
	found = bpf_map_lookup_elem(&txn_offsets, &id);
	if (!found) {
		s->regs[REG_TXN] = 0;
		return false;
	}
	o = *found;
	bpf_map_delete_elem(&txn_offsets, &id);
	/* Of an older epoch: its producer was fenced. A marker may have an epoch of its own (KIP-890). */
	ends = o.producer_epoch == epoch || (marker && (__u16)(o.producer_epoch + 1) == epoch);
	/* What another cluster's producer has open becomes unknown, however this one has ended. */
	if (o.asked < p->unsure)
		o.offset = OFFSET_NONE;
	if ((committed && ends) || o.asked < p->unsure || clusters_differ(o.key.link, s->request.link))
		txn_apply(s, &o);
	s->regs[REG_TXN] = o.next;
	return o.next != 0;
}

static __noinline bool sink_txn_end(struct run *r, struct stream *s)
{
	if (r->connection->role != ROLE_CLIENT)
		return false;
	if (s->regs[REG_TOP_ERROR]) {
		txn_ending(r->connection, s->request.producer, 0);
		return false;
	}
	return txn_walk(r, s, s->request.producer, s->request.producer_epoch, s->request.committed, false);
}

/* Where markers are seen, a transaction of which none has come is still open. */
static __noinline void markers_seen(const struct connection *c, __u64 now)
{
	struct txn_producer *p = txn_producer(c, producer_key(c, ROLE_BROKER, PRODUCER_MARKERS), PRODUCER_MARKERS, now);

	if (p)
		p->time = now;
}

/* Whether or not it is answered, what a marker says has been decided. */
static __noinline bool sink_txn_marker(struct run *r, struct stream *s)
{
	if (s->direction == 0 || r->connection->role == ROLE_CLIENT)
		return false;
	if (!s->regs[REG_TXN])
		markers_seen(r->connection, s->now);
	return txn_walk(r, s, s->regs[REG_PRODUCER], s->regs[REG_PRODUCER_EPOCH], s->regs[REG_COMMITTED], true);
}
