//go:build ignore

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Entry points only; each header has one job.
#include "hooks_socket.h"
#include "hooks_syscall.h"
#include "hooks_tcp.h"
#include "hooks_lifecycle.h"
#include "hooks_test.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
