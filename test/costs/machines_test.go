// SPDX-License-Identifier: Apache-2.0

package costs

import "github.com/ebpfkafka/ebpfkafka/internal/probe"

// A kernel is one of those that test/kernels fetches.
type kernel struct {
	name, arch string
	backends   []probe.Backend
}

func (k kernel) String() string { return k.name + "-" + k.arch }

// machines are the kernels under which instructions are counted: the oldest, one before and one after Linux 6.3.
var machines = []kernel{
	{"5.10", "amd64", []probe.Backend{probe.Fentry, probe.Kprobe, probe.Syscall}},
	{"6.1", "amd64", []probe.Backend{probe.Fentry, probe.Kprobe, probe.Syscall}},
	{"6.12", "amd64", []probe.Backend{probe.Socket, probe.Fentry, probe.Kprobe, probe.Syscall}},
	{"6.12", "arm64", []probe.Backend{probe.Socket, probe.Fentry, probe.Kprobe, probe.Syscall}},
}
