// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Strings become 64-bit ids: hashed, entered once into `names`, compared by a second hash ever after.
// The functions with loops are global, so that the verifier goes through each once, not at every call.
#pragma once

#include "atomics.h"

#define HASH_1 0x9e3779b97f4a7c15ull /* odd 64-bit constants with well mixed bits */
#define HASH_2 0xc2b2ae3d27d4eb4full
#define HASH_3 0x165667b19e3779f9ull

static __always_inline void hash_word(__u64 w, __u64 *a, __u64 *b)
{
	*a = (*a ^ w) * HASH_1;
	*a ^= *a >> 29;
	*b = (*b + w) * HASH_2;
	*b ^= *b >> 31;
}

/* Enters n->bytes (length, kind set, the rest zero up to the next 8 bytes) and returns its id. */
ONCE_VERIFIED __u64 name_intern(struct name *n)
{
	__u64 a, b, id;
	const __u64 *words;
	struct name *known;

	if (!n)
		return NAME_INVALID;
	a = HASH_3 + n->length;
	b = HASH_1 ^ n->kind;
	words = (const __u64 *)n->bytes;
	for (int i = 0; i < NAME_BYTES / 8; i++) {
		if (i * 8 >= n->length)
			break;
		hash_word(words[i], &a, &b);
	}
	hash_word(n->kind, &a, &b);
	id = a > NAME_INVALID ? a : NAME_INVALID + 1;
	n->check = b;
	for (int tries = 0; tries < 2; tries++) {
		known = bpf_map_lookup_elem(&names, &id);
		if (known) {
			if (known->check == b && known->length == n->length)
				return id;
			drop(DROP_NAME_COLLISION);
			return NAME_INVALID;
		}
		if (!bpf_map_update_elem(&names, &id, n, BPF_NOEXIST))
			return id;
	}
	drop(DROP_NAMES_FULL);
	return NAME_INVALID;
}

/* Client ids take part in recognition: no control characters (8 bytes at a time; bytes from 0x80
 * on, UTF-8, pass).
 */
ONCE_VERIFIED int name_is_text(struct name *n)
{
	const __u64 *words;

	if (!n)
		return 0;
	words = (const __u64 *)n->bytes;
	for (int i = 0; i < NAME_BYTES / 8; i++) {
		__u64 w;
		__u32 rest;

		if (i * 8 >= n->length)
			break;
		w = words[i];
		rest = n->length - i * 8;
		if (rest < 8)
			w |= 0x2020202020202020ull << (8 * rest); /* little endian: the bytes behind the end */
		if ((w - 0x2020202020202020ull) & ~w & 0x8080808080808080ull)
			return 0;
	}
	return 1;
}
