//go:build ignore

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Entry points only; each header has one job. With BEFORE_6_3 it makes the object for kernels without the
// tracepoints of `socket`, which do without other things as well.
#ifndef BEFORE_6_3
#include "hooks_socket.h"
#endif
#include "hooks_syscall.h"
#include "hooks_tcp.h"
#include "hooks_lifecycle.h"
#include "hooks_test.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
