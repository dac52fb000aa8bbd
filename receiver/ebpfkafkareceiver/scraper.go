// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
)

// kafkaScraper turns a snapshot of the source into metrics on each tick. The controller calls its methods one after the
// other.
type kafkaScraper struct {
	config   *Config
	settings receiver.Settings
	open     openFunc

	source    source
	publisher *publisher
	telemetry *telemetry
}

func newKafkaScraper(config *Config, settings receiver.Settings, open openFunc) *kafkaScraper {
	return &kafkaScraper{config: config, settings: settings, open: open}
}

// start attaches to the kernel. If it fails it leaves nothing behind, since a collector does not shut down what did not
// start.
func (s *kafkaScraper) start(ctx context.Context, _ component.Host) error {
	src, processes, err := s.open(ctx, s.config, s.settings)
	if err != nil {
		return err
	}
	pub := newPublisher(s.config, s.settings, processes, time.Now())
	tel, err := newTelemetry(s.settings.TelemetrySettings)
	if err != nil {
		return errors.Join(err, src.Close())
	}
	s.source, s.publisher, s.telemetry = src, pub, tel
	return nil
}

func (s *kafkaScraper) scrape(ctx context.Context) (pmetric.Metrics, error) {
	begin := time.Now()
	view, stats, err := s.source.Snapshot(ctx)
	if err != nil {
		return pmetric.NewMetrics(), err
	}
	s.telemetry.observe(ctx, stats, time.Since(begin))
	return s.publisher.publish(&view), nil
}

// shutdown may be called without a start.
func (s *kafkaScraper) shutdown(context.Context) error {
	if s.source == nil {
		return nil
	}
	s.telemetry.shutdown()
	err := s.source.Close()
	s.source = nil
	return err
}
