// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/stretchr/testify/require"
)

// largeRead is a read of which the hooks are to cost next to nothing.
const largeRead = 64 << 10

// reads are what a process has received from sockets.
type reads struct{ Calls, Bytes, Large uint64 }

// mean is that of a read, in KiB.
func (r reads) mean() float64 { return float64(r.Bytes) / float64(r.Calls) / 1024 }

// share is how much of all came by large reads, in percent.
func (r reads) share() float64 { return 100 * float64(r.Large) / float64(r.Bytes) }

// countReads returns what a process receives while f runs. It counts where the backend socket looks: sock_recv_length,
// which Linux has since 6.3.
func countReads(t *testing.T, pid int, f func()) (counted reads) {
	counts, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 24, MaxEntries: 1})
	require.NoError(t, err)
	defer counts.Close()
	spec := ebpf.ProgramSpec{Type: ebpf.RawTracepoint, License: "GPL", Instructions: asm.Instructions{
		asm.LoadMem(asm.R7, asm.R1, 8, asm.DWord), // the second argument: how many, or an error
		asm.LSh.Imm(asm.R7, 32),                   // an int
		asm.ArSh.Imm(asm.R7, 32),
		asm.JSLE.Imm(asm.R7, 0, "end"),
		asm.FnGetCurrentPidTgid.Call(),
		asm.RSh.Imm(asm.R0, 32),
		asm.JNE.Imm(asm.R0, int32(pid), "end"),
		asm.LoadMapValue(asm.R1, counts.FD(), 0),
		asm.Mov.Imm(asm.R2, 1),
		asm.AddAtomic.Mem(asm.R1, asm.R2, asm.DWord, 0),
		asm.AddAtomic.Mem(asm.R1, asm.R7, asm.DWord, 8),
		asm.JLT.Imm(asm.R7, largeRead, "end"),
		asm.AddAtomic.Mem(asm.R1, asm.R7, asm.DWord, 16),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("end"),
		asm.Return(),
	}}
	program, err := ebpf.NewProgram(&spec)
	require.NoError(t, err)
	defer program.Close()
	attached, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: "sock_recv_length", Program: program})
	require.NoError(t, err, "counting reads needs Linux 6.3")
	defer attached.Close()
	f()
	require.NoError(t, counts.Lookup(uint32(0), &counted))
	return counted
}
