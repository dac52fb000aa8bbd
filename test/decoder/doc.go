// SPDX-License-Identifier: Apache-2.0

// Package decoder tests the kernel's decoder itself: the committed BPF object, run by BPF_PROG_TEST_RUN over
// the memory of the test, without a socket. What it must say is computed from franz-go's kmsg, an independent
// implementation of Kafka's protocol. The tests need root.
//
//   - Differential: every version of every message that is decoded, with random contents, fragmentation and
//     pipelining. Rerun a failure with the seed that it printed: go test ./decoder -run Differential -seed N
//   - Fuzz targets: garbage and mutated exchanges: never a wrong value, always resynchronised.
//     go test ./decoder -fuzz FuzzMutated -fuzztime 5m -fuzzminimizetime 1x (minimising is of no use: the kernel has no
//     coverage), or for a number of inputs: go test ./decoder -run "Garbage|Mutated" -damage 5m -v
//   - Interleaved: random messages of few groups and producers over several connections, against a model of the maps.
//   - Table tests: the situations of real connections, one by one.
//   - Replay: frames of real clients and brokers from testdata/frames.
package decoder
