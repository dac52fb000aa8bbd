// SPDX-License-Identifier: Apache-2.0

// Command trouble ends in the way that its argument says: what the harness must notice.
package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

func main() {
	fmt.Println("trouble:", os.Args[1])
	switch os.Args[1] {
	case "none":
	case "exit":
		os.Exit(3)
	case "signal":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "panic":
		_ = os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0) // of the kernel
	case "complaint":
		_ = os.WriteFile("/dev/kmsg", []byte("<4>WARNING: this is a test\n"), 0)
	case "hang":
		time.Sleep(time.Hour)
	}
}
