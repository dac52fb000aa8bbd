// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Sample is one series and its value. Of a histogram or summary it is the
// count of observations.
type Sample struct {
	Name   string
	Labels map[string]string
	Value  float64
	// Time is when the value was measured; zero unless the exporter is told to
	// say so (send_timestamps).
	Time time.Time
}

func (s Sample) String() string {
	var labels []string
	for _, k := range slices.Sorted(maps.Keys(s.Labels)) {
		labels = append(labels, fmt.Sprintf("%s=%q", k, s.Labels[k]))
	}
	return fmt.Sprintf("%s{%s} %v", s.Name, strings.Join(labels, ","), s.Value)
}

// Samples are all series of one read.
type Samples []Sample

// Named returns the series of one metric.
func (s Samples) Named(name string) Samples {
	var out Samples
	for _, sample := range s {
		if sample.Name == name {
			out = append(out, sample)
		}
	}
	return out
}

// With returns the series that have that label value.
func (s Samples) With(label, value string) Samples {
	var out Samples
	for _, sample := range s {
		if sample.Labels[label] == value {
			out = append(out, sample)
		}
	}
	return out
}

func scrape(ctx context.Context, url string) (Samples, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", url, response.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	var out Samples
	for _, name := range slices.Sorted(maps.Keys(families)) {
		for _, m := range families[name].GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			sample := Sample{Name: name, Labels: labels, Value: value(m)}
			if m.TimestampMs != nil {
				sample.Time = time.UnixMilli(m.GetTimestampMs())
			}
			out = append(out, sample)
		}
	}
	return out, nil
}

func value(m *dto.Metric) float64 {
	switch {
	case m.Gauge != nil:
		return m.GetGauge().GetValue()
	case m.Counter != nil:
		return m.GetCounter().GetValue()
	case m.Histogram != nil:
		return float64(m.GetHistogram().GetSampleCount())
	case m.Summary != nil:
		return float64(m.GetSummary().GetSampleCount())
	default:
		return m.GetUntyped().GetValue()
	}
}
