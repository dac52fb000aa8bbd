// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"context"
	"fmt"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/scraper"
	"go.opentelemetry.io/collector/scraper/scraperhelper"

	"github.com/ebpfkafka/ebpfkafka/receiver/ebpfkafkareceiver/internal/metadata"
)

// NewFactory makes the factory of the receiver, for a collector's list of components.
func NewFactory() receiver.Factory {
	return newFactory(openSource)
}

// newFactory makes a factory whose receivers observe through open. Tests bring their own.
func newFactory(open openFunc) receiver.Factory {
	create := func(
		_ context.Context,
		settings receiver.Settings,
		config component.Config,
		next consumer.Metrics,
	) (receiver.Metrics, error) {
		return newReceiver(settings, config.(*Config), next, open)
	}
	return receiver.NewFactory(metadata.Type, createDefaultConfig, receiver.WithMetrics(create, metadata.MetricsStability))
}

func newReceiver(
	settings receiver.Settings,
	config *Config,
	next consumer.Metrics,
	open openFunc,
	options ...scraperhelper.ControllerOption,
) (receiver.Metrics, error) {
	s := newKafkaScraper(config, settings, open)
	metrics, err := scraper.NewMetrics(s.scrape, scraper.WithStart(s.start), scraper.WithShutdown(s.shutdown))
	if err != nil {
		return nil, fmt.Errorf("make the scraper of %s: %w", settings.ID, err)
	}
	options = append(options, scraperhelper.AddMetricsScraper(metadata.Type, metrics))
	return scraperhelper.NewMetricsController(&config.ControllerConfig, settings, next, options...)
}
