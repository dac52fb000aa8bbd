// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"context"

	"go.opentelemetry.io/collector/receiver"

	"github.com/ebpfkafka/ebpfkafka/internal/identity"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
	"github.com/ebpfkafka/ebpfkafka/internal/watermarks"
)

// A source knows what is true of Kafka on this host. The receiver calls its methods one after the other, never at once.
type source interface {
	// Snapshot gives the state of now. What it returns is the caller's, and does not change any more. An error means
	// that nothing could be read.
	Snapshot(ctx context.Context) (state.View, Stats, error)
	// Close detaches from the kernel. Nothing is called after it.
	Close() error
}

// A resolver finds out to whom a process on this host belongs. It is *identity.Resolver.
type resolver interface {
	Resolve(pid uint32, startTime uint64, comm string) identity.Process
}

var _ resolver = (*identity.Resolver)(nil)

// openFunc starts observation. On error nothing stays loaded or attached.
type openFunc func(ctx context.Context, config *Config, settings receiver.Settings) (source, resolver, error)

// Stats are the receiver's counters about itself, as of one snapshot.
type Stats struct {
	Connections        []ConnectionCount
	Frames             []FrameCount
	Drops              []DropCount
	Maps               []MapUse
	Held               []HeldCount
	BytesInspected     uint64
	OrphanResponses    uint64
	Resynchronisations uint64
	LateRequests       uint64
	// What the receiver asked brokers for watermarks, and what went wrong with it.
	WatermarkRequests, WatermarkErrors []watermarks.Count
}

// HeldCount is how many entries are left out of the last snapshot for one reason, until more is known.
type HeldCount struct {
	Reason string
	Count  int64
}

// ConnectionCount is the number of tracked connections of one role in one state.
type ConnectionCount struct {
	Role, State string
	Count       int64
}

// FrameCount counts the decoded requests and responses of one API since the start.
type FrameCount struct {
	API   string
	Count uint64
}

// DropCount counts what was dropped for one reason since the start.
type DropCount struct {
	Reason string
	Count  uint64
}

// MapUse tells how full a BPF map is.
type MapUse struct {
	Name              string
	Entries, Capacity int64
}
