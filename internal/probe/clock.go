// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probe

import "golang.org/x/sys/unix"

// monotonic is CLOCK_MONOTONIC in nanoseconds, the clock of bpf_ktime_get_ns.
func monotonic() uint64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // the clock always exists
	}
	return uint64(t.Nano())
}
