// SPDX-License-Identifier: Apache-2.0

// Package lifecycle tests what becomes of groups, members, topics and
// transactions over time: the built collector beside real Apache Kafka, each
// series held against the broker's answer. docs/situations.md tells what it
// shows in words.
//
// Brokers, collectors and most of a test's clients are shared by all. What is
// not to be seen (the oracle, and whoever prepares topics) talks TLS.
package lifecycle
