// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sound is a host on which nothing stands in the way of a process with the capabilities.
var sound = surroundings{
	uid: "61000", capabilities: "000000c000080000", lastCap: "40", seccomp: "0", uidMap: hostUIDs, lockdown: "none",
	unprivilegedBPFDisabled: "2", perfEventParanoid: "3",
}

// denied is how the BPF library reports what the kernel refuses.
func denied(errno syscall.Errno) error {
	return fmt.Errorf("program socket_sent: load program: %w (MEMLOCK may be too low, consider rlimit.RemoveMemlock)", errno)
}

// The error begins with where the log is from, which only the library can set, and a colon.
func verifierSays(cause error, line string) error {
	return fmt.Errorf("program socket_sent: load program%w", &ebpf.VerifierError{Cause: cause, Log: []string{line}})
}

func TestWhyRefused(t *testing.T) {
	eperm := denied(syscall.EPERM)
	said := "(program socket_sent: load program: operation not permitted)"
	with := func(change func(*surroundings)) surroundings {
		s := sound
		change(&s)
		return s
	}
	for name, c := range map[string]struct {
		err   error
		found surroundings
		want  string
	}{
		"no capability": {
			err: eperm, found: with(func(s *surroundings) { s.capabilities = "0000000000000000" }),
			want: "not permitted " + said + ": the collector runs as uid 61000 without CAP_BPF and CAP_PERFMON (CapEff: " +
				"0000000000000000): give it, or run as root; no value of kernel.unprivileged_bpf_disabled=2 and " +
				"kernel.perf_event_paranoid=3 makes up for it; see docs/privileges.md",
		},
		"no CAP_PERFMON, settings not readable": {
			err: eperm, found: with(func(s *surroundings) {
				s.capabilities, s.unprivilegedBPFDisabled, s.perfEventParanoid = "0000008000000000", "", ""
			}),
			want: "not permitted " + said + ": the collector runs as uid 61000 without CAP_PERFMON (CapEff: " +
				"0000008000000000): give it, or run as root; see docs/privileges.md",
		},
		"no CAP_BPF, perf_event_open's way to refuse": {
			err: fmt.Errorf("perf event: %w", syscall.EACCES), found: with(func(s *surroundings) {
				s.capabilities, s.unprivilegedBPFDisabled = "0000004000000000", ""
			}),
			want: "not permitted (perf event: permission denied): the collector runs as uid 61000 without CAP_BPF (CapEff: " +
				"0000004000000000): give it, or run as root; no value of kernel.perf_event_paranoid=3 makes up for it; " +
				"see docs/privileges.md",
		},
		"perf events are for CAP_SYS_ADMIN": {
			err: fmt.Errorf("perf event: %w", syscall.EACCES), found: sound,
			want: "not permitted (perf event: permission denied): the collector has the capabilities, but " +
				"kernel.perf_event_paranoid=3 keeps perf_event_open(2), and with it the backend kprobe, for CAP_SYS_ADMIN: " +
				"set it to 2, or take another backend; see docs/privileges.md",
		},
		"root of a container that has dropped all": {
			err: eperm, found: with(func(s *surroundings) {
				s.uid, s.capabilities, s.seccomp, s.perfEventParanoid = "0", "00000000a80425fb", "2", ""
			}),
			want: "not permitted " + said + ": the collector runs as uid 0 without CAP_BPF and CAP_PERFMON (CapEff: " +
				"00000000a80425fb): give it; no value of kernel.unprivileged_bpf_disabled=2 makes up for it; the seccomp " +
				"filter that is active has to allow bpf(2) too; see docs/privileges.md",
		},
		"before Linux 5.8": {
			err: eperm, found: with(func(s *surroundings) {
				s.lastCap, s.capabilities, s.unprivilegedBPFDisabled, s.perfEventParanoid = "37", "0000000000080000", "", ""
			}),
			want: "not permitted " + said + ": the collector runs as uid 61000 without CAP_SYS_ADMIN (CapEff: " +
				"0000000000080000): give it, or run as root; see docs/privileges.md",
		},
		"user namespace": {
			err: eperm, found: with(func(s *surroundings) { s.uid, s.capabilities, s.uidMap = "0", "000001ffffffffff", "0 1000 1" }),
			want: "not permitted " + said + ": the collector is in a user namespace (/proc/self/uid_map: 0 1000 1), where " +
				"capabilities do not count for BPF: run it outside, not by a rootless container runtime; see docs/privileges.md",
		},
		"seccomp": {
			err: eperm, found: with(func(s *surroundings) { s.seccomp = "2" }),
			want: "not permitted " + said + ": the collector has the capabilities, but a seccomp filter is active " +
				"(/proc/self/status: Seccomp: 2), as container runtimes set it: let it allow bpf(2) and perf_event_open(2); " +
				"see docs/privileges.md",
		},
		"seccomp that denies the system call exists": {
			err: denied(syscall.ENOSYS), found: with(func(s *surroundings) { s.seccomp = "2" }),
			want: "the system call bpf(2) is not to be had (program socket_sent: load program: function not implemented): a " +
				"seccomp filter is active (/proc/self/status: Seccomp: 2), as container runtimes set it: let it allow bpf(2), " +
				"or take a kernel with CONFIG_BPF_SYSCALL; see docs/privileges.md",
		},
		"no system call": {
			err: denied(syscall.ENOSYS), found: sound,
			want: "the system call bpf(2) is not to be had (program socket_sent: load program: function not implemented): " +
				"the kernel must be built with CONFIG_BPF_SYSCALL",
		},
		"locked memory": {
			err: eperm, found: with(func(s *surroundings) { s.memlock, s.seccomp = true, "2" }),
			want: "not permitted " + said + ": the collector has the capabilities, but a seccomp filter is active " +
				"(/proc/self/status: Seccomp: 2), as container runtimes set it: let it allow bpf(2) and perf_event_open(2); or " +
				"locked memory is limited (RLIMIT_MEMLOCK), which counts for maps before Linux 5.11: set it to unlimited " +
				"(systemd: LimitMEMLOCK=infinity, docker: --ulimit memlock=-1), or give CAP_SYS_RESOURCE; see docs/privileges.md",
		},
		"nothing found": {
			err: eperm, found: sound,
			want: "not permitted " + said + ": the collector has the capabilities, but a security module denies it: look for " +
				"AppArmor or SELinux in the kernel's log; see docs/privileges.md",
		},
		"nothing known": {
			err: eperm, found: surroundings{},
			want: "not permitted " + said + ": run as root, or give CAP_BPF and CAP_PERFMON (CAP_SYS_ADMIN before Linux 5.8), " +
				"and mount /proc, so that this message can say more; see docs/privileges.md",
		},
		"lockdown, EPERM": {
			err: eperm, found: with(func(s *surroundings) { s.lockdown = "confidentiality" }),
			want: "not permitted " + said + ": the collector has the capabilities, but the kernel is locked down " +
				"(/sys/kernel/security/lockdown: confidentiality), which forbids every BPF program to read kernel memory: " +
				"start the kernel with lockdown=integrity or without; see docs/privileges.md",
		},
		"lockdown, the verifier does not know the helper": {
			err:   verifierSays(syscall.EINVAL, "program of this type cannot use helper bpf_probe_read_kernel#113"),
			found: with(func(s *surroundings) { s.lockdown = "confidentiality" }),
			want: "not permitted (program socket_sent: load program: invalid argument: program of this type cannot use helper " +
				"bpf_probe_read_kernel#113): the kernel is locked down (/sys/kernel/security/lockdown: confidentiality), which " +
				"forbids every BPF program to read kernel memory: start the kernel with lockdown=integrity or without; " +
				"see docs/privileges.md",
		},
		"lockdown, the helper that the library takes instead": {
			err:   verifierSays(syscall.EINVAL, "unknown func bpf_probe_read#4"),
			found: with(func(s *surroundings) { s.lockdown = "confidentiality" }),
			want: "not permitted (program socket_sent: load program: invalid argument: unknown func bpf_probe_read#4): the " +
				"kernel is locked down (/sys/kernel/security/lockdown: confidentiality), which forbids every BPF program to " +
				"read kernel memory: start the kernel with lockdown=integrity or without; see docs/privileges.md",
		},
		"no BTF": {
			err: errors.New("btf: not supported"),
			found: with(func(s *surroundings) {
				s.typesMissing = &os.PathError{Op: "open", Path: kernelTypes, Err: syscall.ENOENT}
			}),
			want: "this kernel has no BTF (/sys/kernel/btf/vmlinux), or /sys is not mounted here (btf: not supported): it must " +
				"be built with CONFIG_DEBUG_INFO_BTF, as the kernels of all large distributions are",
		},
		"BTF not readable": {
			err: denied(syscall.EACCES),
			found: with(func(s *surroundings) {
				s.typesMissing = &os.PathError{Op: "open", Path: kernelTypes, Err: syscall.EACCES}
			}),
			want: "the kernel's types (BTF) cannot be read (open /sys/kernel/btf/vmlinux: permission denied): let this process " +
				"read /sys/kernel/btf/vmlinux",
		},
		"the verifier, whose EACCES is none of permission": {
			err: verifierSays(syscall.EACCES, "R1 invalid mem access 'scalar'"), found: sound,
			want: "the kernel's verifier refused: Linux 5.10 or newer is needed; if it is, please report this with the kernel " +
				"version: program socket_sent: load " +
				"program: permission denied: R1 invalid mem access 'scalar'",
		},
		"no memory": {
			err: fmt.Errorf("map offsets: map create: %w", syscall.ENOMEM), found: sound,
			want: "no memory for the maps (map offsets: map create: cannot allocate memory): lower the receiver's limits, or " +
				"raise the memory limit of the collector's cgroup",
		},
		"anything else": {
			err: fmt.Errorf("attach:\n  %w", syscall.EBUSY), found: sound,
			want: "attach: device or resource busy",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := whyRefused(c.err, &c.found)
			assert.Equal(t, c.want, got)
			assert.NotContains(t, got, "\n", "one message, one line")
		})
	}
}

func TestSurroundingsOfFiles(t *testing.T) {
	var s surroundings
	s.readStatus("Name:\todd\nUid:\t1000\t0\t0\t0\nCapEff:\t000000c000080000\nSeccomp:\t2\nSeccomp_filters:\t1\nEmpty:\n")
	assert.Equal(t, surroundings{uid: "0", capabilities: "000000c000080000", seccomp: "2"}, s)
	assert.Equal(t, "integrity", chosen("none [integrity] confidentiality\n"))
	assert.Empty(t, chosen(""))
	assert.Equal(t, hostUIDs, ranges("         0          0 4294967295\n"))
	assert.Equal(t, "0 1000 1, 1 100000 65536", ranges("  0 1000 1\n  1 100000 65536\n"))
	assert.Empty(t, ranges(""))
}

func TestCapabilitiesLacking(t *testing.T) {
	for set, want := range map[string]string{
		"0000000000000000": "CAP_BPF CAP_PERFMON",
		"0000008000000000": "CAP_PERFMON",
		"0000004000000000": "CAP_BPF",
		"000000c000000000": "",
		"0000000000200000": "", // CAP_SYS_ADMIN
		"":                 "CAP_BPF CAP_PERFMON",
	} {
		s := surroundings{capabilities: set, lastCap: "40"}
		assert.Equal(t, want, strings.Join(s.lacks(), " "), "CapEff %q", set)
	}
}

// What is read here must be there on every host that runs these tests.
func TestObserve(t *testing.T) {
	s := observe()
	assert.NotEmpty(t, s.uid)
	assert.Len(t, s.capabilities, 16)
	assert.NotEmpty(t, s.lastCap)
	assert.NotEmpty(t, s.seccomp)
	assert.NotEmpty(t, s.uidMap)
	assert.NotEmpty(t, s.perfEventParanoid)
	assert.NoError(t, s.typesMissing)
}

func TestRefuseKeepsTheCause(t *testing.T) {
	err := refuse("loading the BPF programs", denied(syscall.EBUSY))
	require.ErrorIs(t, err, syscall.EBUSY)
	assert.True(t, strings.HasPrefix(err.Error(), "loading the BPF programs: "), err)
}
