// SPDX-License-Identifier: Apache-2.0

// Package verifier tells what a kernel's verifier says of each backend.
package verifier

import "time"

// Line is how each line of the test's output begins that holds a Loaded in JSON.
const Line = "verifier: "

// Loaded is what became of loading a backend.
type Loaded struct {
	Backend  string
	Refused  string        // why it was not, empty if it was
	Took     time.Duration // to open it, all in all
	Programs []Program
}

// Program is one that the kernel has accepted.
type Program struct {
	Name         string
	Instructions uint32 // that the verifier looked at; 0: this kernel does not tell (before 5.16)
	Took         time.Duration
}
