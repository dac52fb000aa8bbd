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

// A hooks is one backend: the programs it attaches, and the tracepoints that they need.
type hooks struct {
	backend  Backend
	programs []string
	needs    []string
}

// backends, best first.
var backends = []hooks{
	{
		backend:  Socket,
		programs: []string{bpf.KafkaProgSocketSent, bpf.KafkaProgSocketReceived, bpf.KafkaProgSocketState, bpf.KafkaProgWhoami},
		needs:    []string{"sock_send_length", "sock_recv_length", "inet_sock_set_state"},
	},
	{
		backend:  Syscall,
		programs: []string{bpf.KafkaProgSyscallExit, bpf.KafkaProgSocketState, bpf.KafkaProgWhoami},
		needs:    []string{"sys_exit", "inet_sock_set_state"},
	},
	{
		backend:  Detached,
		programs: []string{bpf.KafkaProgFeedTest},
	},
}

// choose finds the backend to use and says why better ones were passed over.
func choose(wanted Backend) (Backend, []string, error) {
	if wanted == Detached {
		return Detached, nil, nil
	}
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return "", nil, fmt.Errorf("this kernel has no BTF (/sys/kernel/btf/vmlinux): it must be built with "+
			"CONFIG_DEBUG_INFO_BTF, as the kernels of all large distributions are: %w", err)
	}
	var reasons []string
	for _, b := range backends {
		if b.backend == Detached || (wanted != Auto && wanted != "" && wanted != b.backend) {
			continue
		}
		missing := missingTracepoints(kernel, b.needs)
		if len(missing) == 0 {
			return b.backend, reasons, nil
		}
		reasons = append(reasons, fmt.Sprintf("%s needs the tracepoints %s, which this kernel does not have",
			b.backend, strings.Join(missing, ", ")))
	}
	return "", nil, fmt.Errorf("no backend fits this kernel: %s", strings.Join(reasons, "; "))
}

func missingTracepoints(kernel *btf.Spec, names []string) []string {
	var missing []string
	for _, name := range names {
		var t *btf.Typedef
		if err := kernel.TypeByName("btf_trace_"+name, &t); err != nil {
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
		p.objects.SocketSent, p.objects.SocketReceived, p.objects.SyscallExit,
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
