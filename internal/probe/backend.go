// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
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

// choose finds the backend to use and says why better ones were passed over.
func choose(kernel *btf.Spec, wanted Backend) (Backend, []string, error) {
	if wanted == Detached {
		return Detached, nil, nil
	}
	var reasons []string
	for _, b := range backends {
		if b.backend == Detached || (wanted != Auto && wanted != "" && wanted != b.backend) {
			continue
		}
		reason := b.unfit(kernel)
		if reason == "" {
			return b.backend, reasons, nil
		}
		reasons = append(reasons, fmt.Sprintf("%s %s", b.backend, reason))
	}
	return "", nil, fmt.Errorf("no backend fits this kernel: %s", strings.Join(reasons, "; "))
}

// unfit says why the kernel does not have the backend; empty: it has.
func (h *hooks) unfit(kernel *btf.Spec) string {
	if missing := missing[btf.Typedef](kernel, "btf_trace_", h.tracepoints); len(missing) > 0 {
		return fmt.Sprintf("needs the tracepoints %s, which this kernel does not have", strings.Join(missing, ", "))
	}
	if missing := missing[btf.Func](kernel, "", h.functions); len(missing) > 0 {
		return fmt.Sprintf("needs the functions %s, which this kernel does not have", strings.Join(missing, ", "))
	}
	if h.try == nil {
		return ""
	}
	if err := h.try(); err != nil {
		return fmt.Sprintf("cannot be attached on this kernel (%v)", err)
	}
	return ""
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
		p.links = append(p.links, l)
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
		p.links = append(p.links, l)
	}
	return nil
}

// A refusal is an error of the kernel's with a text of our own: what the kernel's means is less clear.
type refusal struct {
	text  string
	cause error
}

func (r *refusal) Error() string { return r.text }
func (r *refusal) Unwrap() error { return r.cause }

// explain turns the kernel's refusals into what to do about them.
func explain(doing string, err error) error {
	if isPermission(err) {
		return &refusal{doing + ": not permitted: run as root, or give CAP_BPF and CAP_PERFMON (CAP_SYS_ADMIN before " +
			"Linux 5.8), and in a container a seccomp profile that allows bpf(2) and perf_event_open(2)", err}
	}
	if errors.Is(features.HaveProgramHelper(ebpf.RawTracepoint, asm.FnLoop), ebpf.ErrNotSupported) {
		return &refusal{doing + ": this kernel lacks the BPF helper bpf_loop: Linux 5.17 or newer is needed", err}
	}
	if verifier := (*ebpf.VerifierError)(nil); errors.As(err, &verifier) {
		return fmt.Errorf("%s: the kernel's verifier refused: please report this with the kernel version: %w", doing, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
