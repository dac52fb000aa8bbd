// SPDX-License-Identifier: Apache-2.0

package costs

// InstructionsATurn is how many instructions a turn of Loop takes, on every architecture.
const InstructionsATurn = 2

// Loop makes that many turns, at least one. It is in assembly, so that its length is known whatever the compiler does.
//
//go:noescape
func Loop(turns uint64)
