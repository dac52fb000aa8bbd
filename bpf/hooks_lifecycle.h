// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Beside every backend: the end of connections, and who the receiver is.
#pragma once

#include "connection.h"

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(socket_state, struct sock *sk, int old_state, int new_state)
{
	__u64 key = (__u64)(unsigned long)sk;
	struct counters *n;

	if (new_state != TCP_CLOSE)
		return 0;
	stranger_ends(key);
	if (!bpf_map_lookup_elem(&connections, &key))
		return 0;
	forget_connection(key);
	n = counters();
	if (n)
		n->connections_closed++;
	return 0;
}

/* Run once by the receiver itself. */
SEC("raw_tp")
int whoami(void *ctx)
{
	own_tgid = bpf_get_current_pid_tgid() >> 32;
	return 0;
}
