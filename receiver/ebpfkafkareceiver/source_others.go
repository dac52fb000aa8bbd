// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package ebpfkafkareceiver

import (
	"context"
	"fmt"
	"runtime"

	"go.opentelemetry.io/collector/receiver"
)

// openSource says that there is no eBPF here. The component still builds, so that one collector configuration and one
// builder manifest serve all systems.
func openSource(context.Context, *Config, receiver.Settings) (source, resolver, error) {
	return nil, nil, fmt.Errorf("ebpf_kafka needs Linux: it observes Kafka by eBPF, which %s does not have; remove the"+
		" receiver from this collector's pipelines", runtime.GOOS)
}
