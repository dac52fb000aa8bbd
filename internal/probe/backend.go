// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"

	"github.com/ebpfkafka/ebpfkafka/bpf"
)

// A hooks is one backend: the programs it attaches, what they need, and whether the kernel lets them attach.
type hooks struct {
	backend     Backend
	programs    []string
	tracepoints []string
	functions   []string
	try         func() error // nil: what is there can be attached to
}

// lifecycle is beside every backend that is attached: the end of connections.
const lifecycle = "inet_sock_set_state"

// backends, best first.
var backends = []hooks{
	{
		backend:     Socket,
		programs:    []string{bpf.KafkaProgSocketSent, bpf.KafkaProgSocketReceived, bpf.KafkaProgSocketState, bpf.KafkaProgWhoami},
		tracepoints: []string{"sock_send_length", "sock_recv_length", lifecycle},
	},
	{
		backend:     Fentry,
		programs:    []string{bpf.KafkaProgFexitSendmsg, bpf.KafkaProgFexitRecvmsg, bpf.KafkaProgSocketState, bpf.KafkaProgWhoami},
		tracepoints: []string{lifecycle},
		functions:   []string{tcpSendmsg, tcpRecvmsg},
		try:         tryFexit,
	},
	{
		backend: Kprobe,
		programs: []string{bpf.KafkaProgEnterSendmsg, bpf.KafkaProgEnterRecvmsg, bpf.KafkaProgLeaveSocket, bpf.KafkaProgSocketState,
			bpf.KafkaProgWhoami},
		tracepoints: []string{lifecycle},
		functions:   []string{tcpSendmsg, tcpRecvmsg, releaseSock},
		try:         tryKprobe,
	},
	{
		backend:     Syscall,
		programs:    []string{bpf.KafkaProgSyscallExit, bpf.KafkaProgSocketState, bpf.KafkaProgWhoami},
		tracepoints: []string{"sys_exit", lifecycle},
	},
	{
		backend:  Detached,
		programs: []string{bpf.KafkaProgFeedTest},
	},
}

// isOld tells whether the kernel is older than 6.3, whose tracepoints for sockets came after all else that the newer
// object needs (bpf_loop, atomic operations with a result, memory of global functions as a map's value).
func isOld(kernel *btf.Spec) bool {
	return len(missing[btf.Typedef](kernel, "btf_trace_", []string{"sock_send_length"})) > 0
}

// choose finds the backend to use and says why better ones were passed over.
func choose(kernel *btf.Spec, wanted Backend) (Backend, []string, error) {
	if wanted == Detached {
		return Detached, nil, nil
	}
	var reasons []string
	var errs []error
	for _, b := range backends {
		if b.backend == Detached || (wanted != Auto && wanted != "" && wanted != b.backend) {
			continue
		}
		err := b.unfit(kernel)
		if err == nil {
			return b.backend, reasons, nil
		}
		err = fmt.Errorf("%s %w", b.backend, err)
		errs, reasons = append(errs, err), append(reasons, err.Error())
	}
	return "", nil, &refused{"no backend fits this kernel: " + strings.Join(reasons, "; "), errors.Join(errs...)}
}

// unfit says why the kernel does not have the backend; nil: it has.
func (h *hooks) unfit(kernel *btf.Spec) error {
	if missing := missing[btf.Typedef](kernel, "btf_trace_", h.tracepoints); len(missing) > 0 {
		return fmt.Errorf("needs the tracepoints %s, which this kernel does not have", strings.Join(missing, ", "))
	}
	if missing := missing[btf.Func](kernel, "", h.functions); len(missing) > 0 {
		return fmt.Errorf("needs the functions %s, which this kernel does not have", strings.Join(missing, ", "))
	}
	if h.try == nil {
		return nil
	}
	if err := h.try(); err != nil {
		return fmt.Errorf("cannot be attached on this kernel (%w)", err)
	}
	return nil
}

// missing are the names of which the kernel's BTF has no type of that kind.
func missing[T any](kernel *btf.Spec, prefix string, names []string) (missing []string) {
	for _, name := range names {
		var t *T
		if err := kernel.TypeByName(prefix+name, &t); err != nil {
			missing = append(missing, name)
		}
	}
	return missing
}

// keepPrograms takes the programs of other backends out of the object before it is loaded: a kernel
// without a tracepoint refuses the program for it.
func keepPrograms(spec *ebpf.CollectionSpec, backend Backend) {
	i := slices.IndexFunc(backends, func(h hooks) bool { return h.backend == backend })
	for name := range spec.Programs {
		if !slices.Contains(backends[i].programs, name) {
			delete(spec.Programs, name)
		}
	}
}

func (p *Probe) attach() error {
	if p.objects.Whoami != nil {
		if _, err := p.objects.Whoami.Run(&ebpf.RunOptions{}); err != nil {
			return fmt.Errorf("asking the kernel for the number of this process: %w", err)
		}
	}
	for _, program := range []*ebpf.Program{
		p.objects.SocketState, // first: a connection that is seen must be seen to end
		p.objects.SocketSent, p.objects.SocketReceived, p.objects.FexitSendmsg, p.objects.FexitRecvmsg, p.objects.SyscallExit,
	} {
		if program == nil {
			continue
		}
		l, err := link.AttachTracing(link.TracingOptions{Program: program})
		if err != nil {
			return err
		}
		p.links, p.attached = append(p.links, l), append(p.attached, program)
	}
	for _, k := range []struct {
		function string
		program  *ebpf.Program
	}{
		{releaseSock, p.objects.LeaveSocket}, {tcpSendmsg, p.objects.EnterSendmsg}, {tcpRecvmsg, p.objects.EnterRecvmsg},
	} {
		if k.program == nil {
			continue
		}
		l, err := link.Kprobe(k.function, k.program, nil)
		if err != nil {
			return fmt.Errorf("kprobe of %s: %w", k.function, err)
		}
		p.links, p.attached = append(p.links, l), append(p.attached, k.program)
	}
	return nil
}
