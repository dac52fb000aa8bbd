// SPDX-License-Identifier: Apache-2.0

// Package fleet holds the test of several hosts: three Kafka brokers and their
// clients on four hosts, a collector ("agent") on each, and Prometheus, which
// joins what they publish by deploy/rules. The recorded lag must be what the
// cluster itself says, for each group, topic and partition.
//
// A host is a network namespace. They share a kernel, and the programs of each
// agent run for all of them, so each agent is confined by what it may look at:
// every broker has ports that no other has, clients and brokers have different
// ones, and discovery.ports and discovery.role take one end of a connection
// only. The kernel side then keeps nothing that the host would not have seen.
// One more agent sees all of it, as on a host with containers.
//
// The test needs root, a JDK, Maven, Prometheus and ip (test/install.sh) and
// the collector (make build). It takes a minute on two idle cores.
package fleet
