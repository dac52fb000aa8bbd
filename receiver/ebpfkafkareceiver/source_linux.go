// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"

	"github.com/ebpfkafka/ebpfkafka/internal/identity"
	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// The same cap on both sides, checked by the compiler: the configuration is read on every system, the probe
// is built on Linux alone.
var _ = [1]struct{}{}[maxPorts-probe.MaxPorts]

// openSource loads the eBPF programs and attaches them.
func openSource(_ context.Context, config *Config, settings receiver.Settings) (source, resolver, error) {
	groups, err := config.Groups.compile()
	if err != nil {
		return nil, nil, err
	}
	topics, err := config.Topics.compile()
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
	return &kernelSource{
		probe:     p,
		processes: processes,
		selected:  selected,
		idle:      max(config.IdleTimeout, config.WatermarkMaxAge),
		logger:    settings.Logger,
		model: state.New(state.Options{
			WatermarkMaxAge: config.WatermarkMaxAge,
			IdleTimeout:     config.IdleTimeout,
			KeepGroup:       groups.Match,
			KeepTopic:       topics.Match,
			KeepLink:        selected.keep,
		}),
	}, processes, nil
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
	idle      time.Duration
	logger    *zap.Logger
	full      [probe.Reasons]bool // maps of which it has been said that they are full
}

func (s *kernelSource) Snapshot(context.Context) (state.View, Stats, error) {
	snapshot, err := s.probe.Snapshot()
	if err != nil {
		return state.View{}, Stats{}, fmt.Errorf("reading the BPF maps: %w", err)
	}
	view := s.model.Update(snapshot)
	errSweep := s.probe.Sweep(s.idle)
	stats, errStats := s.stats()
	s.processes.Sweep(s.idle)
	s.selected.sweep(snapshot.Links)
	if err := errors.Join(errStats, errSweep); err != nil {
		// The metrics are right all the same.
		s.logger.Warn("Reading counters or removing what is over failed", zap.Error(err))
	}
	return *view, stats, nil
}

func (s *kernelSource) Close() error { return s.probe.Close() }

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
