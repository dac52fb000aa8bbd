// SPDX-License-Identifier: Apache-2.0

package privileges

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/test/process"
)

var names = flag.String("backends", "fentry,kprobe", "backends to open, with commas")

// roleVariable makes this binary open a backend, or a map, and print why it could not.
const roleVariable = "EBPFKAFKA_TEST_OPEN"

// aMap is a role: it opens a map that is larger than the memory that any user may lock.
const aMap = "map"

func TestMain(m *testing.M) {
	role := os.Getenv(roleVariable)
	if role == "" {
		os.Exit(m.Run())
	}
	if err := open(role); err != nil {
		fmt.Print(err)
	}
}

func open(role string) error {
	if role == aMap {
		_ = rlimit.RemoveMemlock() // as Open does
		const large = 16 << 20
		m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4096, MaxEntries: large / 4096})
		if err != nil {
			return err
		}
		return m.Close()
	}
	p, err := probe.Open(probe.Options{Backend: probe.Backend(role)})
	if err != nil {
		return err
	}
	return p.Close()
}

// nobody is without a name and without anything else.
const nobody = 65534

// attempt plays a role as nobody with these capabilities, and returns why it was refused; empty: it was not.
func attempt(t *testing.T, role string, capabilities ...capability) string {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	for _, c := range capabilities {
		cmd.SysProcAttr.AmbientCaps = append(cmd.SysProcAttr.AmbientCaps, uintptr(c))
	}
	said, err := process.Run(t.Context(), role, cmd)
	require.NoError(t, err)
	result := said
	if result == "" {
		result = "starts"
	}
	level, err := os.ReadFile(perfParanoid)
	require.NoError(t, err)
	fmt.Printf("%s%s as uid %d with %v, perf_event_paranoid=%s: %s\n",
		Line, role, nobody, capabilities, strings.TrimSpace(string(level)), result)
	return said
}

// A capability has its number in the kernel.
type capability uintptr

const (
	sysAdmin    capability = unix.CAP_SYS_ADMIN
	sysResource capability = unix.CAP_SYS_RESOURCE
	perfmon     capability = unix.CAP_PERFMON
	bpf         capability = unix.CAP_BPF
)

func (c capability) String() string {
	return map[capability]string{
		sysAdmin: "CAP_SYS_ADMIN", sysResource: "CAP_SYS_RESOURCE", perfmon: "CAP_PERFMON", bpf: "CAP_BPF",
	}[c]
}

const (
	unprivilegedBPF = "/proc/sys/kernel/unprivileged_bpf_disabled"
	hiddenAddresses = "/proc/sys/kernel/kptr_restrict"
	perfParanoid    = "/proc/sys/kernel/perf_event_paranoid"
)

// The kernel's own values of perf_event_paranoid end at 2. Debian's kernels add 3, which is their default: then
// perf_event_open(2) is for CAP_SYS_ADMIN alone.
const (
	paranoid     = "2"
	moreParanoid = "3"
)

func set(t *testing.T, path, value string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(value), 0))
}

// usesPerfEvents tells which backend calls perf_event_open(2).
func usesPerfEvents(backend string) bool { return backend == string(probe.Kprobe) }

// TestPrivileges opens each backend as an ordinary user with the capabilities that docs/privileges.md names, and with
// each of them left out once, while the settings that are often thought to matter are as strict as they can be.
func TestPrivileges(t *testing.T) {
	set(t, unprivilegedBPF, "2")
	set(t, hiddenAddresses, "2")
	needed := []capability{bpf, perfmon}
	instead := []capability{sysAdmin}
	// Before Linux 5.11 maps count as locked memory.
	if attempt(t, aMap, needed...) != "" {
		needed, instead = append(needed, sysResource), append(instead, sysResource)
		require.Empty(t, attempt(t, aMap, needed...), "what else may be in the way?")
	}
	for name := range strings.SplitSeq(*names, ",") {
		t.Run(name, func(t *testing.T) {
			set(t, perfParanoid, moreParanoid)
			require.Empty(t, attempt(t, name, instead...))
			if usesPerfEvents(name) {
				require.NotEmpty(t, attempt(t, name, needed...), "this kernel is not Debian's")
				set(t, perfParanoid, paranoid)
			}
			require.Empty(t, attempt(t, name, needed...))
			for i, missing := range needed {
				said := attempt(t, name, slices.Delete(slices.Clone(needed), i, i+1)...)
				assert.Contains(t, said, "see docs/privileges.md")
				if missing == sysResource {
					assert.Contains(t, said, "RLIMIT_MEMLOCK")
				} else {
					assert.Contains(t, said, missing.String(), "what the refusal names")
				}
			}
			require.NotEmpty(t, attempt(t, name))
		})
	}
}

// TestLockdown is the last, since there is no way back: no backend may look as if it worked.
func TestLockdown(t *testing.T) {
	set(t, "/sys/kernel/security/lockdown", "confidentiality")
	for name := range strings.SplitSeq(*names, ",") {
		err := open(name)
		fmt.Printf("%s%s as root, locked down: %v\n", Line, name, err)
		assert.ErrorContains(t, err, "lockdown=integrity", name)
	}
}
