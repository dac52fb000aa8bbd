// SPDX-License-Identifier: Apache-2.0

// Package job is what the Go consumers have in common: what they are told by
// the environment, as ../../job.go writes it.
package job

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

const (
	// Refresh is how often clients ask for Metadata, so that who attaches
	// mid-stream soon sees topic names.
	Refresh = 3 * time.Second
	// Wait is the longest that the broker may hold a fetch back.
	Wait = 500 * time.Millisecond
	// Interval is that of commits by the client itself.
	Interval = time.Second
)

// Job says what to consume, and how.
type Job struct {
	Broker, Group string
	Topics        []string
	Commit        string // auto, sync or async
	Protocol      string // classic, or consumer: KIP-848
}

// Start reads the job, which has to be one of those that the program can do
// ("PROTOCOL COMMIT"), and prints which version of the library does it. The
// context ends with SIGTERM.
func Start(library string, can ...string) (context.Context, Job) {
	j := Job{
		Broker: os.Getenv("KAFKA_BROKER"), Group: os.Getenv("KAFKA_GROUP"),
		Topics: strings.Split(os.Getenv("KAFKA_TOPICS"), ","),
		Commit: os.Getenv("KAFKA_COMMIT"), Protocol: os.Getenv("KAFKA_PROTOCOL"),
	}
	possible := false
	for _, way := range can {
		possible = possible || way == j.Protocol+" "+j.Commit
	}
	if !possible {
		Fail(fmt.Errorf("KAFKA_PROTOCOL=%s KAFKA_COMMIT=%s is not one of %q", j.Protocol, j.Commit, can))
	}
	version := "?"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == library {
				version = strings.TrimPrefix(d.Version, "v")
			}
		}
	}
	fmt.Println("client", version)
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	return ctx, j
}

// Held tells whether a record is to be read, but not committed by itself.
func Held(value []byte) bool { return string(value) == "hold" }

// Fail ends the program.
func Fail(err error) {
	fmt.Fprintln(os.Stderr, "failed:", err)
	os.Exit(1)
}

// Check ends the program if there is an error.
func Check(err error) {
	if err != nil {
		Fail(err)
	}
}
