// SPDX-License-Identifier: Apache-2.0

// Command crowd is what a busy host is made of: small, since there are hundreds of it at once. As "clients" it commits
// offsets on some connections; as "calls" it makes system calls that have nothing to do with Kafka.
package main

import (
	"fmt"
	"os"
)

func main() {
	roles := map[string]func(args []string) error{"clients": clients, "calls": calls}
	if len(os.Args) < 2 || roles[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "crowd: give clients or calls, and their flags")
		os.Exit(2)
	}
	if err := roles[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "crowd %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}
