// SPDX-License-Identifier: Apache-2.0

package namespaces

import (
	"fmt"
	"os"
	"testing"
)

// The roles that this binary plays besides the test's, by its first argument.
var roles = map[string]func(args []string) error{
	roleEnter:    enter,
	roleWorld:    playWorld,
	roleBroker:   playBroker,
	roleConsumer: playConsumer,
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && roles[os.Args[1]] != nil {
		if err := roles[os.Args[1]](os.Args[2:]); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}
