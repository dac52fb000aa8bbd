// SPDX-License-Identifier: Apache-2.0

// Package guest is what package vm and the init of its machines have to agree on.
package guest

// Where things are in the machine's file system.
const (
	Init    = "init"
	JobFile = "job.json"
	Binary  = "job"
)

// Markers are lines of their own on the console. What the job prints stands between them; what the kernel prints while
// it boots does not.
const (
	Begin = "@@ job begins"
	End   = "@@ job ended: " // an Ended in JSON follows
)

// Job is the one program that a machine runs.
type Job struct {
	Args []string // without the program's name
	Env  []string
}

// Ended is what became of the job.
type Ended struct {
	ExitCode int    // as a shell has it: 128 and the signal's number, if one ended the job
	Error    string // why the job could not be run, empty if it was

	// Complaints are the lines of the kernel's log that say that something is wrong with the kernel.
	Complaints []string
}
