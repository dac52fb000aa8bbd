// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/internal/identity"
	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
	"github.com/ebpfkafka/ebpfkafka/internal/watermarks"
)

// The same cap on both sides, checked by the compiler: the configuration is read on every system, the probe
// is built on Linux alone.
var _ = [1]struct{}{}[maxPorts-probe.MaxPorts]

// openSource loads the eBPF programs and attaches them.
func openSource(ctx context.Context, config *Config, settings receiver.Settings) (source, resolver, error) {
	groups, err := config.Groups.compile()
	if err != nil {
		return nil, nil, err
	}
	topics, err := config.Topics.compile()
	if err != nil {
		return nil, nil, err
	}
	poller, err := newPoller(ctx, config, settings.Logger)
	if err != nil {
		return nil, nil, err
	}
	netns, err := ownNetNS()
	if err != nil {
		return nil, nil, err
	}
	processes := identity.New(identity.Options{ProcRoot: config.ProcPath})
	selected := newSelection(&config.Discovery, config.ProcPath, processes)

	begin := time.Now()
	p, err := probe.Open(probeOptions(config))
	if err != nil {
		return nil, nil, fmt.Errorf("ebpf_kafka: %w", err)
	}
	backend, reasons := p.Backend()
	settings.Logger.Info("Watching Kafka traffic", zap.String("backend", string(backend)),
		zap.Strings("passed_over", reasons), zap.Duration("took", time.Since(begin)))
	foreign, err := checkProc(p, processes, config)
	if err != nil {
		return nil, nil, errors.Join(err, p.Close())
	}
	if foreign != nil {
		settings.Logger.Warn("Processes are published with no more than what the kernel says: pid and 15 bytes of their name",
			zap.Error(foreign))
	}
	if poller != nil {
		poller.Start()
	}
	return &kernelSource{
		probe:     p,
		processes: processes,
		selected:  selected,
		names:     brokerNames{probe: p, proc: config.ProcPath, off: foreign != nil, logger: settings.Logger},
		idle:      max(config.IdleTimeout, config.WatermarkMaxAge),
		logger:    settings.Logger,
		poller:    poller,
		netns:     netns,
		model: state.New(state.Options{
			WatermarkMaxAge: config.WatermarkMaxAge,
			IdleTimeout:     config.IdleTimeout,
			KeepGroup:       groups.Match,
			KeepTopic:       topics.Match,
			KeepLink:        selected.keep,
		}),
	}, processes, nil
}

// checkProc says whether the proc mount is of another pid namespace than the host's. What would be looked up there by a
// pid of the kernel's belongs to another process, so that a selection by cgroup is an error.
func checkProc(p *probe.Probe, processes *identity.Resolver, config *Config) (foreign, err error) {
	pid, err := p.OwnPID()
	if err != nil {
		return nil, fmt.Errorf("ebpf_kafka: %w", err)
	}
	foreign = processes.CheckNamespace(pid)
	if foreign != nil && len(config.Discovery.Include.Cgroups)+len(config.Discovery.Exclude.Cgroups) > 0 {
		return nil, fmt.Errorf("ebpf_kafka: discovery by cgroups needs the host's processes: %w", foreign)
	}
	return foreign, nil
}

func probeOptions(config *Config) probe.Options {
	o := probe.Options{
		Backend:        probe.Backend(config.Backend),
		Connections:    uint32(config.Limits.Connections),
		Offsets:        uint32(config.Limits.Offsets),
		Watermarks:     uint32(config.Limits.Watermarks),
		Names:          uint32(config.Limits.Names),
		Pending:        uint32(config.Limits.Pending),
		TrackPositions: config.Metrics.KafkaConsumerPosition.Enabled,
	}
	switch config.Discovery.Role {
	case RoleClient:
		o.Role = probe.Client
	case RoleBroker:
		o.Role = probe.Broker
	}
	for _, port := range config.Discovery.Ports {
		o.Ports = append(o.Ports, uint16(port))
	}
	return o
}

// kernelSource is the source on Linux: probe, then model.
type kernelSource struct {
	probe     *probe.Probe
	model     *state.Model
	processes *identity.Resolver
	selected  *selection
	names     brokerNames
	idle      time.Duration
	logger    *zap.Logger
	full      [probe.Reasons]bool // maps of which it has been said that they are full

	poller *watermarks.Poller // nil: brokers are not asked
	netns  uint32             // the collector's own network namespace
	asked  []state.Asked
}

func (s *kernelSource) Snapshot(context.Context) (state.View, Stats, error) {
	snapshot, err := s.probe.Snapshot()
	if err != nil {
		return state.View{}, Stats{}, fmt.Errorf("reading the BPF maps: %w", err)
	}
	if s.poller != nil {
		s.asked = s.poller.Answers(s.asked[:0], snapshot.Time, snapshot.Now)
		snapshot.Asked = s.asked
	}
	view := s.model.Update(snapshot)
	if s.poller != nil {
		wanted := wantedWatermarks(view)
		if s.poller.Observes() {
			addBrokers(wanted, snapshot, s.netns)
		}
		s.poller.Want(wanted)
	}
	s.names.learn(snapshot, s.model.Held().Topics > 0)
	errSweep := errors.Join(s.probe.Forget(s.model.Void()), s.probe.Sweep(s.idle))
	stats, errStats := s.stats()
	s.processes.Sweep(s.idle)
	s.selected.sweep(snapshot.Links)
	if err := errors.Join(errStats, errSweep); err != nil {
		// The metrics are right all the same.
		s.logger.Warn("Reading counters or removing what is over failed", zap.Error(err))
	}
	return *view, stats, nil
}

func (s *kernelSource) Close() error {
	if s.poller != nil {
		s.poller.Shutdown()
	}
	return s.probe.Close()
}

// ownNetNS is the number of the network namespace that connections of this process are made in, as links have it.
func ownNetNS() (uint32, error) {
	const path = "/proc/self/ns/net" // of this process, not of the host's /proc
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return 0, fmt.Errorf("finding the collector's network namespace: stat %s: %w; mount /proc", path, err)
	}
	return uint32(stat.Ino), nil
}

func (s *kernelSource) stats() (Stats, error) {
	k, err := s.probe.Stats()
	if err != nil {
		return Stats{}, err
	}
	out := Stats{
		BytesInspected:     k.Bytes[probe.Sent] + k.Bytes[probe.Received],
		OrphanResponses:    k.OrphanResponses + k.Drops[probe.OrphanResponse],
		Resynchronisations: k.Resynchronisations,
		LateRequests:       k.LateRequests,
	}
	if s.poller != nil {
		out.WatermarkRequests, out.WatermarkErrors = s.poller.Requests(), s.poller.Errors()
	}
	held := s.model.Held()
	out.Held = []HeldCount{
		{Reason: "topic_id_unknown", Count: int64(held.Topics)},
		{Reason: "cluster_unknown", Count: int64(held.Clusters)},
		{Reason: "offset_unconfirmed", Count: int64(held.Offsets)},
	}
	for kind, n := range s.probe.Connections() {
		c := ConnectionCount{Role: roleName(kind.Role), State: "candidate", Count: int64(n)}
		if kind.Recognised {
			c.State = "recognised"
		}
		out.Connections = append(out.Connections, c)
	}
	for api, n := range k.Frames {
		out.Frames = append(out.Frames, FrameCount{API: api, Count: n})
	}
	for i, n := range k.Drops {
		if n == 0 {
			continue
		}
		reason := probe.Reason(i)
		out.Drops = append(out.Drops, DropCount{Reason: reason.String(), Count: n})
		if reason.MapFull() && !s.full[i] {
			s.full[i] = true
			s.logger.Warn("A BPF map is full: new entries are refused and counted, what is tracked stays. "+
				"Raise the receiver's limits, or restrict what it watches", zap.String("reason", reason.String()))
		}
	}
	for _, m := range s.probe.Uses() {
		out.Maps = append(out.Maps, MapUse{Name: m.Name, Entries: int64(m.Entries), Capacity: int64(m.Capacity)})
	}
	return out, nil
}

func roleName(r probe.Role) string {
	switch r {
	case probe.Client:
		return "client"
	case probe.Broker:
		return "broker"
	default:
		return "unknown"
	}
}
