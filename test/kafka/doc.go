// SPDX-License-Identifier: Apache-2.0

// Package kafka runs real Apache Kafka for tests: a one-node broker,
// Java clients, the command line tools, and an oracle that asks the broker
// what every committed offset and lag really is.
//
// It needs a JDK (17 or newer) and Maven; test/install.sh installs both. It
// needs no root. Everything listens on loopback only.
//
//	broker, err := kafka.Start(ctx, kafka.Options{Dir: t.TempDir()})
//	defer broker.Stop()
//	err = broker.CreateTopic(ctx, "orders", 12)
//	consumer, err := broker.StartConsumer(kafka.Consumer{Group: "billing", Topics: []string{"orders"}})
//	rows, err := broker.Describe(ctx, "billing")
//
// Jars and compiled classes are kept in the user's cache folder
// (os.UserCacheDir, or EBPFKAFKA_TEST_CACHE if set) and shared by all runs.
package kafka
