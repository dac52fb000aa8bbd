// SPDX-License-Identifier: Apache-2.0

// Package situations puts the built collector into the situations that are
// hard for who reads a conversation along: authentication, throttling,
// pipelining, very large requests and names, refusals, connections that end
// in the middle of a word, and contention.
//
// All share one Apache Kafka and three collectors, one a view: each backend
// from wherever it sees a connection, and the broker's end alone. Most
// requests are made by hand (talker), byte by byte if need be. After each
// situation every view must equal what the broker answers over TLS, which no
// view can overhear; every commit that was answered must be counted under its
// error; and nothing may have been dropped but what the situation names.
//
//	make build && cd test && sudo env "PATH=$PATH" go test ./situations -v
//	go test ./situations -run 'TestSituations/refusals'
//	go test ./situations -run TestContention -commits 1000000
package situations
