// SPDX-License-Identifier: Apache-2.0

// Package bpf holds the kernel side (C, licensed GPL-2.0-only OR BSD-2-Clause), its compiled objects
// for x86-64 and arm64, and the Go types generated from them. Each architecture has two objects: KafkaOld is for
// kernels before 6.3. It has no logic: internal/probe loads it.
package bpf

//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target amd64,arm64 -go-package bpf -type trace_record -type drop_reason -type op_code -type reg_name -type sink -type role -type offset_source -type name_kind -type feed_result Kafka kafka.bpf.c -- -O2 -g -mcpu=v3 -Wall -Wno-unused-function -Werror
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target amd64,arm64 -go-package bpf -no-global-types KafkaOld kafka.bpf.c -- -O2 -g -mcpu=v3 -Wall -Wno-unused-function -Werror -DBEFORE_6_3
