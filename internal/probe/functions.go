// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"

	"github.com/ebpfkafka/ebpfkafka/bpf"
)

// The kernel's functions that the backends fentry and kprobe attach to.
const (
	tcpSendmsg  = "tcp_sendmsg"
	tcpRecvmsg  = "tcp_recvmsg"
	releaseSock = "release_sock"
)

// attachNothing attaches a program that does nothing for a moment, to see whether one can be.
func attachNothing(program ebpf.ProgramSpec, attach func(*ebpf.Program) (link.Link, error)) error {
	program.Name = "nothing"
	program.Instructions = asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}
	program.License = "Dual BSD/GPL"
	p, err := ebpf.NewProgram(&program)
	if err != nil {
		return err
	}
	defer p.Close()
	l, err := attach(p)
	if err != nil {
		return err
	}
	return l.Close()
}

// tryFexit attaches to the return of tcp_sendmsg: some architectures and hypervisors' kernels know the program type and
// refuse the attachment (arm64 before Linux 6.4 has no trampolines).
func tryFexit() error {
	return attachNothing(ebpf.ProgramSpec{Type: ebpf.Tracing, AttachType: ebpf.AttachTraceFExit, AttachTo: tcpSendmsg},
		func(p *ebpf.Program) (link.Link, error) { return link.AttachTracing(link.TracingOptions{Program: p}) })
}

// tryKprobe does the same with a kprobe: kernels may be built without.
func tryKprobe() error {
	return attachNothing(ebpf.ProgramSpec{Type: ebpf.Kprobe},
		func(p *ebpf.Program) (link.Link, error) { return link.Kprobe(tcpSendmsg, p, nil) })
}

// configureFunctions tells the programs how tcp_recvmsg is called on this kernel: Linux 5.19 (commit ec095263a965)
// took out an argument ahead of the flags, and Linux 7 the one behind them.
func configureFunctions(spec *ebpf.CollectionSpec, kernel *btf.Spec) error {
	var f *btf.Func
	if err := kernel.TypeByName(tcpRecvmsg, &f); err != nil {
		return fmt.Errorf("looking for %s in the kernel's BTF: %w", tcpRecvmsg, err)
	}
	prototype, ok := f.Type.(*btf.FuncProto)
	if !ok {
		return fmt.Errorf("%s has the type %v in the kernel's BTF", tcpRecvmsg, f.Type)
	}
	const least, most = 4, 6 // those that fexit_recvmsg of bpf/hooks_tcp.h knows
	for i, parameter := range prototype.Params {
		if n := len(prototype.Params); parameter.Name == "flags" && n >= least && n <= most {
			return errors.Join(spec.Variables[bpf.KafkaVarReceiveFlagsAt].Set(uint32(i)),
				spec.Variables[bpf.KafkaVarReceiveArguments].Set(uint32(len(prototype.Params))))
		}
	}
	return fmt.Errorf("%s is %v in the kernel's BTF: please report this with the kernel version, and use another backend",
		tcpRecvmsg, prototype)
}

// noPreallocation is BPF_F_NO_PREALLOC of linux/bpf.h.
const noPreallocation = 1

// preallocate takes the memory for all connections at once on kernels before 6.1. These would have to allocate it within
// a probe, by the allocator for all: they warn of it in their log, and with PREEMPT_RT refuse it. (Linux 6.1 got an
// allocator of BPF's own, struct bpf_mem_alloc.)
func preallocate(spec *ebpf.CollectionSpec, kernel *btf.Spec) {
	if len(missing[btf.Struct](kernel, "", []string{"bpf_mem_alloc"})) > 0 {
		spec.Maps[bpf.KafkaMapConnections].Flags &^= noPreallocation
	}
}
