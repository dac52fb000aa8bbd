// SPDX-License-Identifier: Apache-2.0

// Package system holds the test of the whole: the collector that users get,
// real Apache Kafka, real clients. What /metrics says must equal what the
// broker itself says, by two roads: kafka-consumer-groups --describe and
// franz-go's admin client.
//
// The oracles ask over TLS, so the receiver cannot learn the truth from the
// question. The test needs root, a JDK and Maven (test/install.sh) and the
// collector (make build), and takes about half a minute for each case.
//
//	make test-system
//	go test ./system -run 'TestLagEqualsBroker/socket_after' -v
package system
