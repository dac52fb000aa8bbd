// SPDX-License-Identifier: Apache-2.0

// Command visitor is the smallest client: it sends the frames it is given, waits
// for an answer to each, and ends. With -stay it says that it is done, and ends
// with its input.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
)

func main() {
	stay := flag.Bool("stay", false, "")
	flag.Parse()
	if err := visit(flag.Arg(0), flag.Args()[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "visitor:", err)
		os.Exit(1)
	}
	os.Stdout.WriteString("done\n")
	if *stay {
		io.Copy(io.Discard, os.Stdin)
	}
}

// visit leaves the connection open: it ends with the process.
func visit(address string, frames []string) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	for _, text := range frames {
		frame, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return err
		}
		if _, err := c.Write(frame); err != nil {
			return err
		}
		size := make([]byte, 4)
		if _, err := io.ReadFull(c, size); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(size))); err != nil {
			return err
		}
	}
	return nil
}
