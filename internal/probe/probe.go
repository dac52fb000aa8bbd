// SPDX-License-Identifier: Apache-2.0

// Package probe loads the eBPF programs, attaches them and reads their maps. It knows kernels and
// bytes; what they mean for Kafka is the business of package state.
package probe

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"

	"github.com/ebpfkafka/ebpfkafka/bpf"
	"github.com/ebpfkafka/ebpfkafka/internal/schema"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// A Probe is the loaded kernel side. Its methods are not safe for concurrent use, but for Close, which
// may follow anything.
type Probe struct {
	objects  bpf.KafkaObjects
	links    []link.Link
	attached []*ebpf.Program // those behind links
	reader   reader
	snapshot state.Snapshot

	backend Backend
	reasons []string
	lost    Losses
	fed     atomic.Uint64 // calls of a Detached probe

	// As of the last Snapshot: connection ids, when each link was last used, connections by kind, client ids, topic
	// ids without a name.
	alive    map[uint64]bool
	linkSeen map[uint64]uint64
	kinds    map[ConnectionKind]int
	clients  map[state.NameID]bool
	lastUsed map[uint64]uint64             // links, also those without a connection
	clusters map[state.LinkID]state.NameID // as learnt
	missed   map[uint64]uint64             // links of which an answer came whose request was not seen
	open     map[uint64]bool               // of txn_offsets: those in Snapshot.Open
	unnamed  map[[16]byte]state.NameID
	idle     []uint64 // keys of connections on which nothing has passed for idleConnection
}

// Open loads the programs and attaches a backend. On error nothing stays loaded. The error says what
// is missing and how to give it.
func Open(o Options) (*Probe, error) {
	_ = rlimit.RemoveMemlock() // needed before Linux 5.11; if it fails, what fails next says so
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return nil, refuse("reading the kernel's types", err)
	}
	load := bpf.LoadKafka
	if o.Old || isOld(kernel) {
		load = bpf.LoadKafkaOld
	}
	spec, err := load()
	if err != nil {
		return nil, fmt.Errorf("reading the embedded BPF object: %w", err)
	}
	if err := configure(spec, &o); err != nil {
		return nil, err
	}
	preallocate(spec, kernel)
	backend, reasons, err := choose(kernel, o.Backend)
	if err != nil {
		return nil, refuse("choosing a backend", err)
	}
	if backend == Fentry || backend == Kprobe {
		if err := configureFunctions(spec, kernel); err != nil {
			return nil, err
		}
	}
	p := &Probe{backend: backend, reasons: reasons}
	keepPrograms(spec, backend)
	if err := p.load(spec); err != nil {
		return nil, refuse("loading the BPF programs", err)
	}
	if err := p.attach(); err != nil {
		return nil, errors.Join(refuse("attaching backend "+string(backend), err), p.Close())
	}
	return p, nil
}

// Backend tells which backend is attached, and why those before it in Backends are not.
func (p *Probe) Backend() (Backend, []string) { return p.backend, p.reasons }

// OwnPID is the id of this process in the host's pid namespace, by which the programs report every other.
func (p *Probe) OwnPID() (uint32, error) {
	var pid uint32
	if err := p.objects.OwnTgid.Get(&pid); err != nil {
		return 0, fmt.Errorf("reading the number of this process from the BPF object: %w", err)
	}
	return pid, nil
}

// Close detaches and unloads everything. It may be called more than once.
func (p *Probe) Close() error {
	var errs []error
	for _, l := range p.links {
		errs = append(errs, l.Close())
	}
	p.links, p.attached = nil, nil
	errs = append(errs, p.objects.Close())
	p.objects = bpf.KafkaObjects{}
	return errors.Join(errs...)
}

// configure writes tables and options into the object before it is loaded.
func configure(spec *ebpf.CollectionSpec, o *Options) error {
	if len(o.Ports) > MaxPorts {
		return fmt.Errorf("%d ports given, at most %d are possible", len(o.Ports), MaxPorts)
	}
	t := schema.Compile()
	var ops [schema.MaxOps]schema.Op
	copy(ops[:], t.Ops)
	var ports [MaxPorts]uint16
	copy(ports[:], o.Ports)
	for name, value := range map[string]any{
		bpf.KafkaVarOps:            ops,
		bpf.KafkaVarPrograms:       t.Programs,
		bpf.KafkaVarApis:           t.APIs,
		bpf.KafkaVarPcRequest:      t.PCRequest,
		bpf.KafkaVarPcResponse:     t.PCResponse,
		bpf.KafkaVarPcSkipFrame:    t.PCSkipFrame,
		bpf.KafkaVarPcPark:         t.PCPark,
		bpf.KafkaVarPortCount:      uint32(len(o.Ports)),
		bpf.KafkaVarPorts:          ports,
		bpf.KafkaVarRoleWanted:     uint32(o.Role),
		bpf.KafkaVarTrackPositions: flag(o.TrackPositions),
		bpf.KafkaVarTraceReports:   flag(o.TraceReports),
	} {
		v, ok := spec.Variables[name]
		if !ok {
			return fmt.Errorf("the embedded BPF object has no variable %q: it does not belong to this build", name)
		}
		if err := v.Set(value); err != nil {
			return fmt.Errorf("setting %q of the BPF object: %w", name, err)
		}
	}
	for name, size := range sizes(o) {
		if size > 0 {
			spec.Maps[name].MaxEntries = size
		}
	}
	if o.TraceReports {
		spec.Maps[bpf.KafkaMapTrace].MaxEntries = traceBytes
	}
	return nil
}

// traceBytes holds the reports of the largest test frame: 8,000 of 272 bytes.
const traceBytes = 1 << 22

// sizes derives each map's size from the limits. Maps without a limit of their own follow the one whose
// entries bring theirs about.
func sizes(o *Options) map[string]uint32 {
	return map[string]uint32{
		bpf.KafkaMapConnections:  o.Connections,
		bpf.KafkaMapPeers:        o.Connections,
		bpf.KafkaMapLinks:        o.Connections,
		bpf.KafkaMapSessions:     o.Connections,
		bpf.KafkaMapMembers:      o.Connections,
		bpf.KafkaMapOffsets:      o.Offsets,
		bpf.KafkaMapCommits:      o.Offsets / 8,  // by topic, not by partition
		bpf.KafkaMapRefused:      o.Offsets / 32, // beyond it, everything older is doubted
		bpf.KafkaMapWatermarks:   o.Watermarks,
		bpf.KafkaMapTimes:        o.Watermarks / 4, // 300 bytes each: kept for the first ones only
		bpf.KafkaMapNames:        o.Names,
		bpf.KafkaMapTopicIds:     o.Names / 2, // an id and a name are two names
		bpf.KafkaMapPending:      o.Pending,
		bpf.KafkaMapTxnOffsets:   o.Pending,
		bpf.KafkaMapTxnProducers: o.Pending / 8,
		bpf.KafkaMapGroups:       o.Connections,
		bpf.KafkaMapAssignments:  o.Offsets / 2, // only of members that are seen to join
		bpf.KafkaMapShares:       o.Offsets / 8,
		bpf.KafkaMapGone:         o.Names / 8,
		bpf.KafkaMapRequests:     o.Pending,
	}
}

func flag(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

func (p *Probe) load(spec *ebpf.CollectionSpec) error {
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		return err
	}
	// Programs of other backends were taken out, so the objects are assigned as far as they go.
	if err := coll.Assign(&p.objects.KafkaMaps); err != nil {
		coll.Close()
		return err
	}
	if err := coll.Assign(&p.objects.KafkaVariables); err != nil {
		coll.Close()
		return errors.Join(err, p.objects.Close())
	}
	for name, to := range map[string]**ebpf.Program{
		bpf.KafkaProgEnterRecvmsg:   &p.objects.EnterRecvmsg,
		bpf.KafkaProgEnterSendmsg:   &p.objects.EnterSendmsg,
		bpf.KafkaProgFeedTest:       &p.objects.FeedTest,
		bpf.KafkaProgFexitRecvmsg:   &p.objects.FexitRecvmsg,
		bpf.KafkaProgFexitSendmsg:   &p.objects.FexitSendmsg,
		bpf.KafkaProgLeaveSocket:    &p.objects.LeaveSocket,
		bpf.KafkaProgSocketSent:     &p.objects.SocketSent,
		bpf.KafkaProgSocketReceived: &p.objects.SocketReceived,
		bpf.KafkaProgSocketState:    &p.objects.SocketState,
		bpf.KafkaProgSyscallExit:    &p.objects.SyscallExit,
		bpf.KafkaProgWhoami:         &p.objects.Whoami,
	} {
		*to = coll.DetachProgram(name)
	}
	coll.Close()
	return nil
}
