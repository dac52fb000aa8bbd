// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import "syscall"

// diesWithParent is never used: the demo stops at its first check on other systems.
func diesWithParent() *syscall.SysProcAttr {
	return nil
}
