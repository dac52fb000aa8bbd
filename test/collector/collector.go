// SPDX-License-Identifier: Apache-2.0

// Package collector runs the built collector, otelcol-ebpfkafka, in tests and
// reads what it exposes.
package collector

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/ebpfkafka/ebpfkafka/test/ports"
	"github.com/ebpfkafka/ebpfkafka/test/process"
)

// BinaryEnv names the environment variable that chooses another binary than
// the one that make build leaves in dist.
const BinaryEnv = "OTELCOL"

//go:embed config.yaml
var config []byte

// Options say how to run the collector.
type Options struct {
	// Dir receives the configuration and the log. Required.
	Dir string
	// Backend is the receiver's backend; empty: auto.
	Backend string
	// Role is the receiver's discovery.role; empty: any.
	Role string
	// Namespace is the network namespace to run in, as process.In takes it, and
	// Host the address there to listen on; empty: this one, and 127.0.0.1.
	Namespace, Host string
	// Configs are files that are merged over the configuration of tests.
	Configs []string
	// Wrap changes how the collector is run, if not nil: in namespaces of its own, say.
	Wrap func(*exec.Cmd) *exec.Cmd
	// Set overrides single settings, each "path::to::key: value".
	Set []string
}

// Collector is a running collector.
type Collector struct {
	// Addr is where /metrics is to be had.
	Addr string

	metrics, telemetry string // URLs
	process            *process.Process
}

// ready is what the collector logs once every component has started: the
// receiver has attached its programs.
var ready = regexp.MustCompile(`Everything is ready`)

// Binary returns the path of the collector to test, or an error that says how
// to build it.
func Binary() (string, error) {
	path := os.Getenv(BinaryEnv)
	if path == "" {
		_, file, _, _ := runtime.Caller(0)
		path = filepath.Join(filepath.Dir(file), "..", "..", "dist", "otelcol-ebpfkafka")
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("no collector to test: %w; run make build in the project's root, or set %s", err, BinaryEnv)
	}
	return path, nil
}

// Start runs the collector and returns once its receiver has started.
func Start(ctx context.Context, o Options) (*Collector, error) {
	// A port that was free may be another's by the time that the collector listens.
	const attempts = 5
	var c *Collector
	var err error
	for range attempts {
		if c, err = start(ctx, o); err == nil || !strings.Contains(err.Error(), "address already in use") {
			break
		}
	}
	return c, err
}

func start(ctx context.Context, o Options) (*Collector, error) {
	binary, err := Binary()
	if err != nil {
		return nil, err
	}
	free, err := ports.Free(2)
	if err != nil {
		return nil, err
	}
	metrics, telemetry := free[0], free[1]
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(o.Dir, "collector.yaml")
	if err := os.WriteFile(path, config, 0o644); err != nil {
		return nil, err
	}
	args := []string{"--config", path}
	for _, file := range o.Configs {
		args = append(args, "--config", file)
	}
	for _, s := range o.Set {
		args = append(args, "--config", "yaml:"+s)
	}
	cmd := exec.Command(binary, args...)
	host := or(o.Host, "127.0.0.1")
	cmd.Env = append(os.Environ(),
		"EBPFKAFKA_TEST_BACKEND="+or(o.Backend, "auto"), "EBPFKAFKA_TEST_ROLE="+or(o.Role, "any"),
		fmt.Sprintf("EBPFKAFKA_TEST_METRICS=%s:%d", host, metrics),
		"EBPFKAFKA_TEST_TELEMETRY_HOST="+host, "EBPFKAFKA_TEST_TELEMETRY_PORT="+strconv.Itoa(telemetry))
	c := &Collector{
		Addr:      fmt.Sprintf("%s:%d", host, metrics),
		metrics:   fmt.Sprintf("http://%s:%d/metrics", host, metrics),
		telemetry: fmt.Sprintf("http://%s:%d/metrics", host, telemetry),
	}
	if o.Wrap != nil {
		cmd = o.Wrap(cmd)
	}
	c.process, err = process.Start("collector", filepath.Join(o.Dir, "collector.log"), process.In(o.Namespace, cmd))
	if err != nil {
		return nil, err
	}
	if _, err := c.process.Await(ctx, ready); err != nil {
		return nil, fmt.Errorf("the collector does not start: %w", errors.Join(err, c.process.Stop(0)))
	}
	return c, nil
}

// PID returns the collector's process id.
func (c *Collector) PID() int { return c.process.PID() }

// Log returns what the collector has logged so far.
func (c *Collector) Log() string { return c.process.Output() }

// Stop shuts the collector down.
func (c *Collector) Stop() error { return c.process.Stop(15 * time.Second) }

// Metrics reads what the receiver measures, as a Prometheus server would.
func (c *Collector) Metrics(ctx context.Context) (Samples, error) { return scrape(ctx, c.metrics) }

// Telemetry reads what the collector and the receiver say of themselves.
func (c *Collector) Telemetry(ctx context.Context) (Samples, error) { return scrape(ctx, c.telemetry) }

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
