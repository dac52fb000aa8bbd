// SPDX-License-Identifier: Apache-2.0

// Package clients builds and runs small consumers, one for each client
// library that applications use with Kafka, so that tests can say of which
// clients something holds.
//
// All do the same job (Job), which the environment tells them, in their own
// ways (All): subscribe to several topics in one group, read, and commit each
// record unless its value is Held. They ask for Metadata every 3 seconds. The
// first line that they print is "client VERSION".
//
// A Worker is another kind of client: it does what it is told line by line, as
// quickly as it can, for benchmarks.
//
// What is downloaded or built is kept in the cache folder of package kafka,
// under a name that changes with the sources. test/install.sh clients installs
// the compilers and interpreters.
package clients
