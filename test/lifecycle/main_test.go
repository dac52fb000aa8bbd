// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// situationsAtOnce is how many run side by side: they wait more than they compute.
const situationsAtOnce = "4"

func TestMain(m *testing.M) {
	socket := os.Getenv(relayVariable)
	if socket == "" {
		flag.Parse()
		if err := flag.Set("test.parallel", situationsAtOnce); err != nil {
			panic(err) // the testing package has no such flag any more
		}
		os.Exit(m.Run())
	}
	if err := serveRelay(socket); err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
}

// TestLifecycle runs every situation beside the same brokers and collectors.
// Each has topics and groups of its own.
func TestLifecycle(t *testing.T) {
	s := newScene(t)
	for _, situation := range []struct {
		name string
		run  func(*scene, *testing.T)
	}{
		{"rebalances, eager", (*scene).rebalancesEager},
		{"rebalances, cooperative", (*scene).rebalancesCooperative},
		{"rebalances, KIP-848", (*scene).rebalancesNext},
		{"rebalance held up", (*scene).rebalanceHeldUp},
		{"static member", (*scene).staticMember},
		{"members of one client id", (*scene).sameClientID},
		{"offsets reset", (*scene).offsetsReset},
		{"offsets deleted", (*scene).offsetsDeleted},
		{"group deleted", (*scene).groupDeleted},
		{"topics made anew", (*scene).topicsMadeAnew},
		{"partitions added", (*scene).partitionsAdded},
		{"records deleted", (*scene).recordsDeleted},
		{"log truncated", (*scene).logTruncated},
		{"transactions", (*scene).transactions},
		{"transactions, version 1", (*scene).transactionsOld},
		{"transactions beside commits", (*scene).transactionsBesideCommits},
		{"transactions of franz-go", (*scene).transactionsOfFranz},
		{"transactions in two clusters", (*scene).transactionsInTwoClusters},
		{"transactions whose end is not answered", (*scene).transactionsUnanswered},
		{"Kafka Streams", (*scene).streams},
		{"two clusters", (*scene).twoClusters},
		{"lag in time", (*scene).lagInTime},
		{"stale", (*scene).stale},
		{"share groups", (*scene).shareGroups},
	} {
		t.Run(situation.name, func(t *testing.T) {
			t.Parallel()
			situation.run(s, t)
		})
	}
}
