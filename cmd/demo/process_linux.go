// SPDX-License-Identifier: Apache-2.0

package main

import "syscall"

// diesWithParent makes the kernel kill the child when the demo dies, however it dies. The group of its own keeps the
// terminal's Ctrl-C from reaching the children: the demo ends them itself, in order.
func diesWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
