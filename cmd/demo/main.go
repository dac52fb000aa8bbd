// SPDX-License-Identifier: Apache-2.0

// Command demo shows the ebpf_kafka receiver at work on one machine, with nothing installed: it starts a Kafka broker,
// a producer and two consumer groups as processes of their own, attaches the collector to them, draws what the
// collector exports, and at the end checks every number against the broker's own answer.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == roleArgument {
		os.Exit(runRole(os.Args[2:]))
	}
	os.Exit(runDemo(os.Args[1:]))
}

// runDemo returns the exit code: 0 when lag was seen and every number was true, 1 when not, 2 for a wrong command
// line, 130 when it was interrupted before it could tell.
func runDemo(arguments []string) int {
	settings, err := parseSettings(arguments, os.Getenv("DURATION"))
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 2
	}
	if err := checkHost(runtime.GOOS, os.Geteuid()); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}

	// The first Ctrl-C ends the watching, and the comparison with the broker follows; a second one, SIGTERM or the
	// end of the terminal stop everything at once.
	ctx, abort := context.WithCancel(context.Background())
	defer abort()
	finish := make(chan struct{})
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		if <-signals == os.Interrupt {
			close(finish)
			<-signals
		}
		abort()
	}()

	switch err := run(ctx, finish, settings, os.Stdout); {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "demo: interrupted, everything was stopped")
		return 130
	default:
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
}

// settings is what the command line decides.
type settings struct {
	collector      string
	collectorFirst bool
	brokerPort     int
	duration       time.Duration // 0: until Ctrl-C
	rate           int
}

func parseSettings(arguments []string, durationVariable string) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&s.collector, "collector", "dist/otelcol-ebpfkafka", "path of the collector that has the ebpf_kafka receiver")
	flags.BoolVar(&s.collectorFirst, "collector-first", false, "start the collector before the clients instead of attaching it to running ones")
	flags.IntVar(&s.brokerPort, "broker-port", 0, "loopback port of the broker (0: a free one)")
	flags.DurationVar(&s.duration, "duration", 0, "how long to watch before the check (0: until Ctrl-C); the environment variable DURATION does the same")
	flags.IntVar(&s.rate, "rate", 200, "orders a second that the producer sends")
	if err := flags.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(os.Stdout)
			flags.Usage()
		}
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q; see -help", flags.Arg(0))
	}
	if s.duration == 0 && durationVariable != "" {
		d, err := time.ParseDuration(durationVariable)
		if err != nil {
			return s, fmt.Errorf("DURATION=%q is not a duration such as 20s or 2m", durationVariable)
		}
		s.duration = d
	}
	if s.duration < 0 {
		return s, fmt.Errorf("a duration of %s is negative", s.duration)
	}
	if s.rate < 1 || s.rate > maxRate {
		return s, fmt.Errorf("a rate of %d is outside 1 to %d", s.rate, maxRate)
	}
	return s, nil
}

// checkHost says in one message what the machine lacks.
func checkHost(system string, user int) error {
	if system != "linux" {
		return fmt.Errorf("eBPF is a part of the Linux kernel and this is %s: run the demo on Linux, or in a Linux virtual machine", system)
	}
	if user != 0 {
		return errors.New("loading eBPF programs needs root: run `sudo make demo`")
	}
	return nil
}
