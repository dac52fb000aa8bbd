// SPDX-License-Identifier: Apache-2.0

//go:generate go tool mdatagen metadata.yaml
//go:generate go run ./internal/reserve internal/metadata/generated_metrics.go

// Package ebpfkafkareceiver is an OpenTelemetry Collector receiver that reports committed offsets, high watermarks and
// lag of Kafka consumer groups. It learns them from eBPF programs which decode Kafka's protocol on this host's sockets,
// so that it needs no connection to a broker and no change to a client.
//
// It runs on Linux. On other systems it builds, and its Start says so.
package ebpfkafkareceiver // import "github.com/ebpfkafka/ebpfkafka/receiver/ebpfkafkareceiver"
