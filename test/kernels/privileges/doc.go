// SPDX-License-Identifier: Apache-2.0

// Package privileges tells which capabilities each backend needs on a kernel, and what is said where they are missing.
// It changes the kernel's settings: it runs in machines of package vm only.
package privileges

// Line is how each line of the test's output begins that says what became of one attempt.
const Line = "privileges: "
