// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// collectorConfig is all a collector needs to show lag. The timestamps let the final check tell a number from before
// the standstill from one after it; the expiry drops the series of a consumer that lost its partition.
const collectorConfig = `receivers:
  ebpf_kafka:
    collection_interval: 1s
exporters:
  prometheus:
    endpoint: %s
    send_timestamps: true
    metric_expiration: 5s
    without_scope_info: true
    resource_to_telemetry_conversion:
      enabled: true
service:
  telemetry:
    metrics:
      level: none
  pipelines:
    metrics:
      receivers: [ebpf_kafka]
      exporters: [prometheus]
`

// startCollector starts the collector on a free loopback port and returns the URL of its metrics.
func (c *cast) startCollector(path string) (*process, string, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, "", fmt.Errorf("no free port for the collector's metrics: %w", err)
	}
	config := filepath.Join(c.folder, "collector.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, collectorConfig, address), 0o600); err != nil {
		return nil, "", fmt.Errorf("the collector's configuration could not be written: %w", err)
	}
	p := &process{name: "collector", cmd: exec.Command(path, "--config", config)}
	if err := c.start(p, nil); err != nil {
		return nil, "", err
	}
	return p, "http://" + address + "/metrics", nil
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}
