// SPDX-License-Identifier: Apache-2.0

package probe

// Backend names a set of hooks.
type Backend string

// The backends. Auto takes the first that this kernel has, in the order of Backends.
const (
	Auto    Backend = "auto"
	Socket  Backend = "socket"
	Fentry  Backend = "fentry"
	Kprobe  Backend = "kprobe"
	Syscall Backend = "syscall"
	// Detached attaches nothing: tests and benchmarks feed the decoder themselves.
	Detached Backend = "detached"
)

// Role limits what is looked at to connections in which this host has the role.
type Role uint32

// The roles, as enum role of bpf/types.h.
const (
	AnyRole Role = iota
	Client
	Broker
)

// MaxPorts is how many ports can be given (MAX_PORTS of bpf/config.h).
const MaxPorts = 16

// Options of a Probe. Limits that are 0 keep the defaults of bpf/maps.h.
type Options struct {
	Backend Backend
	Ports   []uint16 // none: any port, Kafka is recognised by what is said
	Role    Role

	// Sizes of the maps: connections tracked, committed offsets and partitions remembered, distinct
	// names, and values in flight.
	Connections, Offsets, Watermarks, Names, Pending uint32

	Old bool // the object for kernels before 6.3, wherever it runs: for tests

	TrackPositions bool // remember fetch offsets, for kafka.consumer.position
	TraceReports   bool // hand every report to Reports, for tests: slow
}
