// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/ebpfkafka/ebpfkafka/receiver/ebpfkafkareceiver/internal/metadata"
)

// telemetry publishes the receiver's counters about itself among the collector's own. They are those of the last
// snapshot: reading the collector's metrics costs no system call here.
type telemetry struct {
	builder *metadata.TelemetryBuilder
	last    atomic.Pointer[Stats]
}

func newTelemetry(settings component.TelemetrySettings) (*telemetry, error) {
	builder, err := metadata.NewTelemetryBuilder(settings)
	if err != nil {
		return nil, err
	}
	t := &telemetry{builder: builder}
	t.last.Store(&Stats{})
	if err := t.register(); err != nil {
		builder.Shutdown()
		return nil, err
	}
	return t, nil
}

func (t *telemetry) register() error {
	b := t.builder
	return errors.Join(
		b.RegisterReceiverEbpfKafkaBytesInspectedCallback(t.callback(func(s *Stats, o metric.Int64Observer) {
			o.Observe(int64(s.BytesInspected))
		})),
		b.RegisterReceiverEbpfKafkaOrphanResponsesCallback(t.callback(func(s *Stats, o metric.Int64Observer) {
			o.Observe(int64(s.OrphanResponses))
		})),
		b.RegisterReceiverEbpfKafkaResynchronisationsCallback(t.callback(func(s *Stats, o metric.Int64Observer) {
			o.Observe(int64(s.Resynchronisations))
		})),
		b.RegisterReceiverEbpfKafkaLateRequestsCallback(t.callback(func(s *Stats, o metric.Int64Observer) {
			o.Observe(int64(s.LateRequests))
		})),
		b.RegisterReceiverEbpfKafkaHeldCallback(t.callback(func(s *Stats, o metric.Int64Observer) {
			for _, h := range s.Held {
				o.Observe(h.Count, metric.WithAttributes(attribute.String("reason", h.Reason)))
			}
		})),
		b.RegisterReceiverEbpfKafkaConnectionsCallback(t.callback(func(s *Stats, o metric.Int64Observer) {
			for _, c := range s.Connections {
				o.Observe(c.Count, metric.WithAttributes(attribute.String("role", c.Role), attribute.String("state", c.State)))
			}
		})),
		b.RegisterReceiverEbpfKafkaFramesCallback(t.callback(func(s *Stats, o metric.Int64Observer) {
			for _, f := range s.Frames {
				o.Observe(int64(f.Count), metric.WithAttributes(attribute.String("api", f.API)))
			}
		})),
		b.RegisterReceiverEbpfKafkaDropsCallback(t.callback(func(s *Stats, o metric.Int64Observer) {
			for _, d := range s.Drops {
				o.Observe(int64(d.Count), metric.WithAttributes(attribute.String("reason", d.Reason)))
			}
		})),
		b.RegisterReceiverEbpfKafkaMapEntriesCallback(t.callback(func(s *Stats, o metric.Int64Observer) {
			for _, m := range s.Maps {
				o.Observe(m.Entries, metric.WithAttributes(attribute.String("map", m.Name)))
			}
		})),
		b.RegisterReceiverEbpfKafkaMapCapacityCallback(t.callback(func(s *Stats, o metric.Int64Observer) {
			for _, m := range s.Maps {
				o.Observe(m.Capacity, metric.WithAttributes(attribute.String("map", m.Name)))
			}
		})),
		b.RegisterReceiverEbpfKafkaWatermarkRequestsCallback(t.callback(func(s *Stats, o metric.Int64Observer) {
			for _, r := range s.WatermarkRequests {
				o.Observe(int64(r.Count), metric.WithAttributes(attribute.String("api", r.Name)))
			}
		})),
		b.RegisterReceiverEbpfKafkaWatermarkErrorsCallback(t.callback(func(s *Stats, o metric.Int64Observer) {
			for _, e := range s.WatermarkErrors {
				o.Observe(int64(e.Count), metric.WithAttributes(attribute.String("error.type", e.Name)))
			}
		})),
	)
}

// callback makes a meter's callback that observes the last counters. The meter calls it from its own goroutine.
func (t *telemetry) callback(observe func(*Stats, metric.Int64Observer)) metric.Int64Callback {
	return func(_ context.Context, o metric.Int64Observer) error {
		observe(t.last.Load(), o)
		return nil
	}
}

// observe takes the counters of a snapshot, and how long it took.
func (t *telemetry) observe(ctx context.Context, stats Stats, took time.Duration) {
	t.last.Store(&stats)
	t.builder.ReceiverEbpfKafkaSnapshotDuration.Record(ctx, took.Seconds())
}

// failed counts a snapshot that could not be taken.
func (t *telemetry) failed(ctx context.Context) {
	t.builder.ReceiverEbpfKafkaSnapshotErrors.Add(ctx, 1)
}

func (t *telemetry) shutdown() {
	t.builder.Shutdown()
}
