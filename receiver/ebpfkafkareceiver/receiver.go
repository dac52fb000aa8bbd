// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"
	"go.uber.org/zap"

	"github.com/ebpfkafka/ebpfkafka/receiver/ebpfkafkareceiver/internal/metadata"
)

// kafkaReceiver turns a snapshot of the source into metrics on each tick. It runs on its own where others use
// scraperhelper: that holds all metrics of a collection before it passes on any, and they are several times larger than
// what they are made of. Here they go page by page, and a page's memory serves for the next.
type kafkaReceiver struct {
	config   *Config
	settings receiver.Settings
	next     consumer.Metrics
	open     openFunc
	ticks    <-chan time.Time // of tests; nil: each config.CollectionInterval
	report   *receiverhelper.ObsReport

	source    source
	publisher *publisher
	telemetry *telemetry
	stop      chan struct{}
	running   sync.WaitGroup
}

// errStopping is why what is left of a collection is not passed on.
var errStopping = errors.New("the receiver is shutting down")

func newReceiver(settings receiver.Settings, config *Config, next consumer.Metrics, open openFunc) (*kafkaReceiver, error) {
	report, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{
		ReceiverID: settings.ID, ReceiverCreateSettings: settings,
	})
	if err != nil {
		return nil, fmt.Errorf("make the telemetry of %s: %w", settings.ID, err)
	}
	return &kafkaReceiver{config: config, settings: settings, next: next, open: open, report: report}, nil
}

// Start attaches to the kernel. If it fails it leaves nothing behind, since a collector does not shut down what did not
// start.
func (r *kafkaReceiver) Start(ctx context.Context, _ component.Host) error {
	src, processes, err := r.open(ctx, r.config, r.settings)
	if err != nil {
		return err
	}
	tel, err := newTelemetry(r.settings.TelemetrySettings)
	if err != nil {
		return errors.Join(err, src.Close())
	}
	r.source, r.telemetry = src, tel
	r.publisher = newPublisher(r.config, r.settings, processes, time.Now())
	r.stop = make(chan struct{})
	ctx = context.WithoutCancel(ctx) // it ends with the start
	r.running.Go(func() { r.run(ctx) })
	return nil
}

// Shutdown waits for a collection that has begun, but not for pages after one that was refused. It may be called without
// a start.
func (r *kafkaReceiver) Shutdown(context.Context) error {
	if r.source == nil {
		return nil
	}
	close(r.stop)
	r.running.Wait()
	r.telemetry.shutdown()
	err := r.source.Close()
	r.source = nil
	return err
}

// run collects after the initial delay, and then on each tick. A tick that comes while a collection is not over yet is
// kept; more are left out.
func (r *kafkaReceiver) run(ctx context.Context) {
	select {
	case <-time.After(r.config.InitialDelay):
	case <-r.stop:
		return
	}
	ticks := r.ticks
	if ticks == nil {
		ticker := time.NewTicker(r.config.CollectionInterval)
		defer ticker.Stop()
		ticks = ticker.C
	}
	for {
		r.collect(ctx)
		select {
		case <-ticks:
		case <-r.stop:
			return
		}
	}
}

// collect publishes what is known now. Nothing is published that could not be read, and the next tick tries again.
func (r *kafkaReceiver) collect(ctx context.Context) {
	if r.config.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.config.Timeout)
		defer cancel()
	}
	begin := time.Now()
	view, stats, err := r.source.Snapshot(ctx)
	if err != nil {
		r.telemetry.failed(ctx)
		r.settings.Logger.Error("Could not read what is known, so that nothing is published until the next interval",
			zap.Error(err))
		return
	}
	r.telemetry.observe(ctx, stats, time.Since(begin))
	var refused error
	r.publisher.publish(&view, func(page pmetric.Metrics) {
		points := page.DataPointCount() // before it is somebody else's
		ctx := r.report.StartMetricsOp(ctx)
		err := r.pass(ctx, page, refused)
		r.report.EndMetricsOp(ctx, metadata.Type.String(), points, err)
		refused = errors.Join(refused, err)
	})
}

// pass gives a page to the next component. What that does not take, it logs, and it is counted in
// otelcol_receiver_refused_metric_points. An exporter without a queue whose backend is down takes its time to refuse:
// a collector that is to stop waits for one page at most.
func (r *kafkaReceiver) pass(ctx context.Context, page pmetric.Metrics, refused error) error {
	if refused != nil {
		select {
		case <-r.stop:
			return errStopping
		default:
		}
	}
	return r.next.ConsumeMetrics(ctx, page)
}
