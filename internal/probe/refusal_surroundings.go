// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/rlimit"
)

// Bits of a capability set (capability.h).
const (
	capSysAdmin = 21
	capPerfmon  = 38
	capBPF      = 39
)

// seccompFilter is what "Seccomp:" of /proc/PID/status says of a process with a filter (seccomp(2)).
const seccompFilter = "2"

// surroundings are what, besides the programs themselves, decides whether the kernel takes them. A file that could not
// be read has left its field empty: not known.
type surroundings struct {
	uid          string // effective, as the process sees it
	capabilities string // the effective set, hexadecimal as the kernel writes it
	lastCap      string // the highest capability that the kernel knows
	seccomp      string
	uidMap       string // of the user namespace: "inside outside length" for each range
	lockdown     string // the mode
	// Settings of which users expect that they matter.
	unprivilegedBPFDisabled, perfEventParanoid string
	// typesMissing says why the kernel's types cannot be read.
	typesMissing error
	// memlock is set if a map could not be made without locked memory, as before Linux 5.11, and the limit of that may
	// not be raised. A filter that refuses bpf(2) looks the same.
	memlock bool
}

// observe reads the surroundings.
func observe() surroundings {
	s := surroundings{
		uidMap:                  ranges(readSmall("/proc/self/uid_map")),
		lastCap:                 readSmall("/proc/sys/kernel/cap_last_cap"),
		lockdown:                chosen(readSmall("/sys/kernel/security/lockdown")),
		unprivilegedBPFDisabled: readSmall("/proc/sys/kernel/unprivileged_bpf_disabled"),
		perfEventParanoid:       readSmall("/proc/sys/kernel/perf_event_paranoid"),
		// Where memory is accounted to cgroups this raises nothing and succeeds.
		memlock: errors.Is(rlimit.RemoveMemlock(), os.ErrPermission),
	}
	s.readStatus(readSmall("/proc/self/status"))
	types, err := os.Open(kernelTypes)
	if err == nil {
		err = types.Close()
	}
	s.typesMissing = err
	return s
}

// kernelTypes is where the kernel tells its types (BTF).
const kernelTypes = "/sys/kernel/btf/vmlinux"

// readSmall gives the text of a small file of the kernel's, empty if it cannot be read.
func readSmall(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// readStatus takes what counts out of /proc/PID/status (proc_pid_status(5)).
func (s *surroundings) readStatus(text string) {
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		words := strings.Fields(value)
		if len(words) == 0 {
			continue
		}
		switch {
		case name == "CapEff":
			s.capabilities = words[0]
		case name == "Seccomp":
			s.seccomp = words[0]
		case name == "Uid" && len(words) > 1: // real, effective, saved, file system
			s.uid = words[1]
		}
	}
}

// ranges brings the lines of a uid_map, whose columns are padded, into a form to be compared and shown.
func ranges(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, ", ")
}

// chosen is the word in brackets: "none [integrity] confidentiality".
func chosen(text string) string {
	_, rest, _ := strings.Cut(text, "[")
	word, _, _ := strings.Cut(rest, "]")
	return word
}

// hostUIDs is the uid_map of the host's user namespace: all numbers, as they are.
const hostUIDs = "0 0 4294967295"

func (s *surroundings) inUserNamespace() bool { return s.uidMap != "" && s.uidMap != hostUIDs }

func (s *surroundings) has(capability int) bool {
	set, err := strconv.ParseUint(s.capabilities, 16, 64)
	return err == nil && set&(1<<capability) != 0
}

// lacks names the capabilities that loading and attaching needs and the process has not. CAP_SYS_ADMIN stands for all
// of them, and is the only one before Linux 5.8.
func (s *surroundings) lacks() []string {
	if s.has(capSysAdmin) {
		return nil
	}
	if last, err := strconv.Atoi(s.lastCap); err == nil && last < capBPF {
		return []string{"CAP_SYS_ADMIN"}
	}
	var missing []string
	for _, c := range []struct {
		bit  int
		name string
	}{{capBPF, "CAP_BPF"}, {capPerfmon, "CAP_PERFMON"}} {
		if !s.has(c.bit) {
			missing = append(missing, c.name)
		}
	}
	return missing
}

// settings says how the settings stand that are often taken for the reason.
func (s *surroundings) settings() string {
	var known []string
	for _, setting := range []struct{ name, value string }{
		{"kernel.unprivileged_bpf_disabled", s.unprivilegedBPFDisabled},
		{"kernel.perf_event_paranoid", s.perfEventParanoid},
	} {
		if setting.value != "" {
			known = append(known, fmt.Sprintf("%s=%s", setting.name, setting.value))
		}
	}
	return strings.Join(known, " and ")
}

// readsKernelMemory are the helpers that the lockdown mode "confidentiality" takes away.
// (The last is what the BPF library puts in place of the first where that is refused.)
var readsKernelMemory = []string{"bpf_probe_read_kernel", "bpf_probe_read_compat", "bpf_probe_read#"}

// Debian's kernels know values above the 2 of others: perf_event_open(2) is for CAP_SYS_ADMIN then.
const paranoidOfAll = 2

func (s *surroundings) perfEventsForbidden() bool {
	paranoid, err := strconv.Atoi(s.perfEventParanoid)
	return err == nil && paranoid > paranoidOfAll && !s.has(capSysAdmin)
}

func (s *surroundings) lockedDown() bool { return s.lockdown == "confidentiality" }

// namesForbiddenHelper tells the verifier's complaint about a helper that lockdown takes away from its others.
func namesForbiddenHelper(text string) bool {
	return slices.ContainsFunc(readsKernelMemory, func(helper string) bool { return strings.Contains(text, helper) })
}
