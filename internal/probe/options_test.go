// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/bpf"
)

func load(t *testing.T) *ebpf.CollectionSpec {
	t.Helper()
	spec, err := bpf.LoadKafka()
	require.NoError(t, err)
	return spec
}

func TestConfigureSizes(t *testing.T) {
	limits := &Options{Connections: 11, Offsets: 1600, Watermarks: 400, Names: 60, Pending: 15}
	spec := load(t)
	require.NoError(t, configure(spec, limits))
	for name, want := range map[string]int{
		bpf.KafkaMapConnections: 11, bpf.KafkaMapPeers: 11, bpf.KafkaMapLinks: 11, bpf.KafkaMapSessions: 11,
		bpf.KafkaMapMembers: 11, bpf.KafkaMapOffsets: 1600, bpf.KafkaMapCommits: 200, bpf.KafkaMapWatermarks: 400,
		bpf.KafkaMapTimes: 100, bpf.KafkaMapNames: 60, bpf.KafkaMapTopicIds: 30, bpf.KafkaMapPending: 15,
		bpf.KafkaMapRequests: 15,
	} {
		assert.EqualValues(t, want, spec.Maps[name].MaxEntries, name)
	}
}

// Every map that fills up with traffic follows a limit, and no limit means the size of bpf/maps.h.
func TestConfigureDefaults(t *testing.T) {
	spec, defaults := load(t), load(t)
	require.NoError(t, configure(spec, &Options{}))
	sized := sizes(&Options{})
	for name, m := range defaults.Maps {
		if m.Type == ebpf.RingBuf {
			continue
		}
		assert.Equal(t, m.MaxEntries, spec.Maps[name].MaxEntries, name)
		if m.Type == ebpf.Hash && name != bpf.KafkaMapParked { // holds responses for microseconds
			assert.Contains(t, sized, name, "no limit")
		}
	}
	assert.Less(t, spec.Maps[bpf.KafkaMapTrace].MaxEntries, uint32(1<<16), "not used")
}

// A limit so small that what follows it would be none.
func TestConfigureTinyLimits(t *testing.T) {
	spec := load(t)
	require.NoError(t, configure(spec, &Options{Connections: 1, Offsets: 1, Watermarks: 1, Names: 1, Pending: 1}))
	for name, m := range spec.Maps {
		assert.NotZero(t, m.MaxEntries, name)
	}
}

func TestConfigureVariables(t *testing.T) {
	spec := load(t)
	require.NoError(t, configure(spec, &Options{Ports: []uint16{9092, 9093}, Role: Broker, TrackPositions: true}))
	number := func(name string) (n uint32) {
		require.NoError(t, spec.Variables[name].Get(&n))
		return n
	}
	assert.Equal(t, uint32(2), number(bpf.KafkaVarPortCount))
	assert.Equal(t, uint32(Broker), number(bpf.KafkaVarRoleWanted))
	assert.Equal(t, uint32(1), number(bpf.KafkaVarTrackPositions))
	assert.Equal(t, uint32(0), number(bpf.KafkaVarTraceReports))
	assert.NotZero(t, number(bpf.KafkaVarPcRequest))
	var ports [MaxPorts]uint16
	require.NoError(t, spec.Variables[bpf.KafkaVarPorts].Get(&ports))
	assert.Equal(t, [MaxPorts]uint16{9092, 9093}, ports)
}

func TestTooManyPorts(t *testing.T) {
	require.NoError(t, configure(load(t), &Options{Ports: make([]uint16, MaxPorts)}))
	assert.EqualError(t, configure(load(t), &Options{Ports: make([]uint16, MaxPorts+1)}),
		"17 ports given, at most 16 are possible")
}

func TestConfigureForeignObject(t *testing.T) {
	spec := load(t)
	delete(spec.Variables, bpf.KafkaVarRoleWanted)
	assert.ErrorContains(t, configure(spec, &Options{}), `no variable "role_wanted"`)
}

func TestKeepPrograms(t *testing.T) {
	all := load(t)
	kept := make(map[string]bool)
	for _, b := range backends {
		spec := load(t)
		keepPrograms(spec, b.backend)
		assert.Len(t, spec.Programs, len(b.programs), b.backend)
		for _, name := range b.programs {
			assert.Contains(t, spec.Programs, name)
			kept[name] = true
		}
	}
	assert.Len(t, kept, len(all.Programs), "a program that no backend uses")
}

// What each kept program attaches to is among what the backend is said to need.
func TestBackendsNeedWhatTheyAttach(t *testing.T) {
	spec := load(t)
	for _, b := range backends {
		var attached []string
		for _, name := range b.programs {
			if p := spec.Programs[name]; p.AttachTo != "" {
				attached = append(attached, p.AttachTo)
			}
		}
		assert.ElementsMatch(t, slices.Concat(b.tracepoints, b.functions), attached, b.backend)
	}
}

func TestChoose(t *testing.T) {
	kernel, err := btf.LoadKernelSpec()
	require.NoError(t, err)
	backend, reasons, err := choose(kernel, Detached)
	require.NoError(t, err)
	assert.Equal(t, Detached, backend)
	assert.Empty(t, reasons)

	saved := backends
	defer func() { backends = saved }()
	refuse := func() error { return errors.New("refused") }
	backends = []hooks{
		{backend: Socket, tracepoints: []string{"no_such_thing", "inet_sock_set_state", "nor_this"}},
		{backend: Fentry, functions: []string{tcpSendmsg, "no_such_function"}},
		{backend: Kprobe, functions: []string{tcpSendmsg}, try: refuse},
		{backend: Syscall, tracepoints: []string{"inet_sock_set_state"}, functions: []string{tcpRecvmsg}, try: func() error { return nil }},
		{backend: Detached},
	}
	const noTracepoints = "socket needs the tracepoints no_such_thing, nor_this, which this kernel does not have"
	for _, wanted := range []Backend{Auto, ""} {
		backend, reasons, err = choose(kernel, wanted)
		require.NoError(t, err)
		assert.Equal(t, Syscall, backend)
		assert.Equal(t, []string{noTracepoints,
			"fentry needs the functions no_such_function, which this kernel does not have",
			"kprobe cannot be attached on this kernel (refused)"}, reasons)
	}
	_, _, err = choose(kernel, Socket)
	assert.EqualError(t, err, "no backend fits this kernel: "+noTracepoints)
}

// tcp_recvmsg's flags are where this kernel has them: before Linux 5.19 one place later.
func TestConfigureFunctions(t *testing.T) {
	kernel, err := btf.LoadKernelSpec()
	require.NoError(t, err)
	spec := load(t)
	require.NoError(t, spec.Variables[bpf.KafkaVarReceiveFlagsAt].Set(uint32(99)))
	require.NoError(t, configureFunctions(spec, kernel))
	var at uint32
	require.NoError(t, spec.Variables[bpf.KafkaVarReceiveFlagsAt].Get(&at))
	assert.Equal(t, uint32(3), at)
	require.NoError(t, spec.Variables[bpf.KafkaVarReceiveArguments].Get(&at))
	assert.Contains(t, []uint32{4, 5}, at)
}

func TestExplain(t *testing.T) {
	require.Zero(t, os.Geteuid(), "asking the kernel for its features needs root")
	for _, test := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("program whoami: %w", unix.EPERM), "loading: not permitted (program whoami: operation not permitted): "},
		{fmt.Errorf("program whoami: %w", &ebpf.VerifierError{Cause: unix.EINVAL}), "loading: the kernel's verifier refused: " +
			"Linux 5.10 or newer is needed; if it is, please report this with the kernel version: program whoami: "},
		{errors.New("something else"), "loading: something else"},
	} {
		got := refuse("loading", test.err)
		assert.ErrorContains(t, got, test.want)
		assert.ErrorIs(t, got, test.err)
	}
}

func TestFeedNeedsDetached(t *testing.T) {
	p := &Probe{backend: Socket}
	assert.EqualError(t, p.FeedClose(&FeedConnection{}), `feeding needs the backend "detached", this is "socket"`)
}

func TestStrings(t *testing.T) {
	assert.Equal(t, "java", cString([]byte("java\x00\x00other")))
	assert.Equal(t, "sixteen-bytes-no", cString([]byte("sixteen-bytes-no")))
	assert.Empty(t, cString([]byte{0, 'a'}))
	assert.Empty(t, cString(nil))
}
