// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/cilium/ebpf"
)

// A refused is an error of the kernel's with a text of our own: what the kernel's means is less clear.
type refused struct {
	text  string
	cause error
}

func (r *refused) Error() string { return r.text }
func (r *refused) Unwrap() error { return r.cause }

// refuse says in one line what was tried, what the kernel said, what was found to be the reason, and what to do.
func refuse(doing string, err error) error {
	s := observe()
	return &refused{doing + ": " + whyRefused(err, &s), err}
}

// isPermission tells refusals for want of permission. perf_event_open(2) refuses with EACCES, but so does the verifier.
func isPermission(err error) bool {
	verifier := (*ebpf.VerifierError)(nil)
	return errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) && !errors.As(err, &verifier)
}

// whyRefused finds in the surroundings why the kernel has refused with err. It asks nobody.
func whyRefused(err error, s *surroundings) string {
	said := kernelSaid(err)
	verifier := (*ebpf.VerifierError)(nil)
	switch {
	case s.typesMissing != nil && !errors.Is(s.typesMissing, syscall.ENOENT):
		return fmt.Sprintf("the kernel's types (BTF) cannot be read (%v): let this process read %s",
			s.typesMissing, kernelTypes)
	case errors.Is(err, syscall.ENOSYS):
		return fmt.Sprintf("the system call bpf(2) is not to be had (%s): %s", said, s.withoutSystemCall())
	case s.lockedDown() && errors.As(err, &verifier) && namesForbiddenHelper(said):
		return fmt.Sprintf("not permitted (%s): %s", said, lockdownAdvice+"; "+seePrivileges)
	case isPermission(err):
		return fmt.Sprintf("not permitted (%s): %s", said, s.notPermitted(err))
	case s.typesMissing != nil:
		return fmt.Sprintf("this kernel has no BTF (%s), or /sys is not mounted here (%s): it must be built with "+
			"CONFIG_DEBUG_INFO_BTF, as the kernels of all large distributions are", kernelTypes, said)
	case errors.Is(err, syscall.ENOMEM):
		return fmt.Sprintf("no memory for the maps (%s): lower the receiver's limits, or raise the memory limit of the "+
			"collector's cgroup", said)
	case errors.As(err, &verifier):
		return fmt.Sprintf("the kernel's verifier refused: Linux 5.10 or newer is needed; if it is, please report this with "+
			"the kernel version: %s", said)
	default:
		return said
	}
}

const (
	seePrivileges  = "see docs/privileges.md"
	lockdownAdvice = "the kernel is locked down (/sys/kernel/security/lockdown: confidentiality), which forbids every " +
		"BPF program to read kernel memory: start the kernel with lockdown=integrity or without"
)

// notPermitted names what stands in the way, and how to take it away. Where several things may, it names all: the
// kernel does not say which.
func (s *surroundings) notPermitted(err error) string {
	if s.inUserNamespace() {
		return fmt.Sprintf("the collector is in a user namespace (/proc/self/uid_map: %s), where capabilities do not "+
			"count for BPF: run it outside, not by a rootless container runtime; %s", s.uidMap, seePrivileges)
	}
	if s.capabilities == "" {
		return "run as root, or give CAP_BPF and CAP_PERFMON (CAP_SYS_ADMIN before Linux 5.8), and mount /proc, so that " +
			"this message can say more; " + seePrivileges
	}
	if missing := strings.Join(s.lacks(), " and "); missing != "" {
		return fmt.Sprintf("the collector runs as uid %s without %s (CapEff: %s): give it%s%s%s; %s",
			s.uid, missing, s.capabilities, s.orRoot(), s.noSetting(), s.alsoSeccomp(), seePrivileges)
	}
	var obstacles []string
	if s.lockedDown() {
		obstacles = append(obstacles, lockdownAdvice)
	}
	if s.seccomp == seccompFilter {
		obstacles = append(obstacles, "a seccomp filter is active (/proc/self/status: Seccomp: 2), as container runtimes "+
			"set it: let it allow bpf(2) and perf_event_open(2)")
	}
	if s.memlock {
		obstacles = append(obstacles, "locked memory is limited (RLIMIT_MEMLOCK), which counts for maps before Linux 5.11: "+
			"set it to unlimited (systemd: LimitMEMLOCK=infinity, docker: --ulimit memlock=-1), or give CAP_SYS_RESOURCE")
	}
	if errors.Is(err, syscall.EACCES) && s.perfEventsForbidden() { // bpf(2) says EPERM
		obstacles = append(obstacles, fmt.Sprintf("kernel.perf_event_paranoid=%s keeps perf_event_open(2), and with it the "+
			"backend kprobe, for CAP_SYS_ADMIN: set it to %d, or take another backend", s.perfEventParanoid, paranoidOfAll))
	}
	if !s.lockedDown() && s.seccomp != seccompFilter && len(obstacles) == 0 {
		obstacles = append(obstacles, "a security module denies it: look for AppArmor or SELinux in the kernel's log")
	}
	return "the collector has the capabilities, but " + strings.Join(obstacles, "; or ") + "; " + seePrivileges
}

// orRoot is no advice to root, whom a container runtime has taken the capabilities.
func (s *surroundings) orRoot() string {
	if s.uid == "0" {
		return ""
	}
	return ", or run as root"
}

// noSetting spares whoever lacks a capability the way by settings that only help others.
func (s *surroundings) noSetting() string {
	if settings := s.settings(); settings != "" {
		return "; no value of " + settings + " makes up for it"
	}
	return ""
}

func (s *surroundings) alsoSeccomp() string {
	if s.seccomp == seccompFilter {
		return "; the seccomp filter that is active has to allow bpf(2) too"
	}
	return ""
}

func (s *surroundings) withoutSystemCall() string {
	if s.seccomp == seccompFilter {
		return "a seccomp filter is active (/proc/self/status: Seccomp: 2), as container runtimes set it: let it allow " +
			"bpf(2), or take a kernel with CONFIG_BPF_SYSCALL; " + seePrivileges
	}
	return "the kernel must be built with CONFIG_BPF_SYSCALL"
}

// kernelSaid is the error in one line, without the guess at RLIMIT_MEMLOCK that the BPF library adds to every EPERM.
func kernelSaid(err error) string {
	said := strings.ReplaceAll(err.Error(), " (MEMLOCK may be too low, consider rlimit.RemoveMemlock)", "")
	return strings.Join(strings.Fields(said), " ")
}
