// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"

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
