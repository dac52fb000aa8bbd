// SPDX-License-Identifier: Apache-2.0

package collector

import "strings"

// Own is what the receiver says of itself in Telemetry, where it is not 0: by
// the metric's name without prefix, and the labels that tell its series apart.
func (s Samples) Own() map[string]float64 {
	out := map[string]float64{}
	for _, sample := range s {
		name, own := strings.CutPrefix(sample.Name, "otelcol_receiver_ebpf_kafka_")
		if !own || sample.Value == 0 {
			continue
		}
		for _, label := range []string{"reason", "api", "map", "role", "state"} {
			if value := sample.Labels[label]; value != "" {
				name += " " + value
			}
		}
		out[name] = sample.Value
	}
	return out
}
