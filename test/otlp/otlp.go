// SPDX-License-Identifier: Apache-2.0

// Package otlp reads what the collector sends by OTLP over HTTP.
package otlp

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// EachGauge calls f with each point of a gauge in a request's body, which is protobuf, compressed with gzip or not.
func EachGauge(body []byte, f func(metric string, p pmetric.NumberDataPoint)) error {
	if reader, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
		if body, err = io.ReadAll(reader); err != nil {
			return fmt.Errorf("decompress a request: %w", err)
		}
	}
	metrics, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(body) // a request is written as what it holds
	if err != nil {
		return fmt.Errorf("decode a request: %w", err)
	}
	for _, resource := range metrics.ResourceMetrics().All() {
		for _, scope := range resource.ScopeMetrics().All() {
			for _, m := range scope.Metrics().All() {
				if m.Type() != pmetric.MetricTypeGauge {
					continue
				}
				for _, p := range m.Gauge().DataPoints().All() {
					f(m.Name(), p)
				}
			}
		}
	}
	return nil
}
