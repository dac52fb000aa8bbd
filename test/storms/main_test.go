// SPDX-License-Identifier: Apache-2.0

package storms

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"
)

// storm is how long each storm lasts.
var storm = flag.Duration("storm", 10*time.Second, "how long each storm lasts")

// The roles that this binary plays besides the test's, by its first argument.
var roles = map[string]func(args []string) error{
	roleBroker:  playBroker,
	roleClients: playClients,
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
