// SPDX-License-Identifier: Apache-2.0

// Package ports finds ports to listen on.
package ports

import "net"

// Free returns n different TCP ports at which nothing listens now on 127.0.0.1. Nothing keeps them free: listen there soon.
func Free(n int) ([]int, error) {
	var all []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // only at the end, so that no port is given twice
		all = append(all, l.Addr().(*net.TCPAddr).Port)
	}
	return all, nil
}
