// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary is also the demo's role processes and, in the place of the real collector, one that knows the
// numbers from the broker.
const (
	fakeCollectorVariable = "DEMO_TEST_COLLECTOR" // what the fake does: honest, lying, dying
	fakeBrokerVariable    = "DEMO_TEST_BROKER"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case roleArgument:
			os.Exit(runRole(os.Args[2:]))
		case "--config":
			os.Exit(runFakeCollector(os.Args[2], os.Getenv(fakeCollectorVariable), os.Getenv(fakeBrokerVariable)))
		}
	}
	os.Exit(m.Run())
}

func runFakeCollector(config, manner, broker string) int {
	if manner == "dying" {
		fmt.Fprintln(os.Stderr, "Error: cannot start pipelines: the kernel has no BTF")
		return 1
	}
	content, err := os.ReadFile(config)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	address := regexp.MustCompile(`endpoint: (\S+)`).FindSubmatch(content)[1]
	http.HandleFunc("/metrics", func(w http.ResponseWriter, r *http.Request) {
		at := time.Now().UnixMilli()
		answer, err := askBroker(r.Context(), broker)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		for _, key := range sortedKeys(answer) {
			t := answer[key]
			if manner == "lying" && key.partition == 1 {
				t.committed++
			}
			labels := fmt.Sprintf(`topic=%q,partition="%d"`, key.topic, key.partition)
			fmt.Fprintf(w, "kafka_consumer_group_offset{group=%q,%s} %d %d\n", key.group, labels, t.committed, at)
			fmt.Fprintf(w, "kafka_consumer_group_lag{group=%q,%s} %d %d\n", key.group, labels, t.lag, at)
			fmt.Fprintf(w, "kafka_partition_current_offset{%s} %d %d\n", labels, t.end, at)
		}
	})
	go http.ListenAndServe(string(address), nil)
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	<-terminate
	return 0
}

// playWithFake runs the whole demo, all but eBPF real, and returns what it printed.
func playWithFake(t *testing.T, manner string, duration time.Duration, finish <-chan struct{}) (string, error) {
	t.Helper()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(address)
	var s settings
	fmt.Sscan(port, &s.brokerPort)
	s.rate = 200
	s.duration = duration
	if s.collector, err = os.Executable(); err != nil {
		t.Fatal(err)
	}
	t.Setenv(fakeCollectorVariable, manner)
	t.Setenv(fakeBrokerVariable, address)
	t.Setenv("TMPDIR", t.TempDir())
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	runErr := run(t.Context(), finish, s, out)
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s\nerror: %v", text, runErr)

	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
		t.Errorf("temporary files were left: %v", left)
	}
	for _, match := range regexp.MustCompile(`(?m)^\S+ +pid (\d+)`).FindAllSubmatch(text, -1) {
		var pid int
		fmt.Sscan(string(match[1]), &pid)
		if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
			t.Errorf("process %d is still there: %v", pid, err)
		}
	}
	return string(text), runErr
}

func TestDemoIsTrue(t *testing.T) {
	text, err := playWithFake(t, "honest", 3*time.Second, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := "9 of 9 partitions equal to the broker's answer\n"; !strings.HasSuffix(text, want) {
		t.Errorf("the last line is not %q", want)
	}
	for _, want := range []string{"checkout-slow", "attached to connections that existed", "GROUP", legend} {
		if !strings.Contains(text, want) {
			t.Errorf("%q was not printed", want)
		}
	}
}

func TestDemoEndsWhenAsked(t *testing.T) {
	finish := make(chan struct{})
	time.AfterFunc(6*time.Second, func() { close(finish) })
	if _, err := playWithFake(t, "honest", 0, finish); err != nil {
		t.Fatal(err)
	}
}

func TestDemoNoticesAWrongNumber(t *testing.T) {
	text, err := playWithFake(t, "lying", time.Second, nil)
	if err == nil || !strings.Contains(err.Error(), "not the broker's") {
		t.Errorf("error is %v", err)
	}
	if !strings.Contains(text, "7 of 9 partitions equal") || !strings.Contains(text, "checkout/orders/1: committed ") {
		t.Error("the wrong numbers are not named")
	}
}

func TestDemoSaysWhyTheCollectorDied(t *testing.T) {
	_, err := playWithFake(t, "dying", time.Second, nil)
	if err == nil || !strings.Contains(err.Error(), "collector ended unexpectedly (exit status 1)") || !strings.Contains(err.Error(), "the kernel has no BTF") {
		t.Errorf("error is %v", err)
	}
}

func TestDemoIsStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := newCast(t.TempDir())
	defer c.stopAll()
	p, err := c.startRole("kafka-broker", brokerRole, "-cluster", "c")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.await(ctx, sayReady, startTimeout); err != nil {
		t.Fatal(err)
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", p.pid()))
	if err == nil && strings.TrimSpace(string(name)) != "kafka-broker" {
		t.Errorf("the kernel calls the process %q", name)
	}
	cancel()
	if _, err := p.await(ctx, sayQuiet, startTimeout); err != context.Canceled {
		t.Errorf("await after cancel: %v", err)
	}
	c.stopAll()
	if p.err != nil {
		t.Errorf("the broker did not end by itself: %v", p.err)
	}
}

func TestProcessThatDiesIsReported(t *testing.T) {
	c := newCast(t.TempDir())
	defer c.stopAll()
	p := &process{name: "victim", cmd: exec.Command("sh", "-c", "echo out of luck >&2; exit 3")}
	if err := c.start(p, nil); err != nil {
		t.Fatal(err)
	}
	report := (<-c.died).deathReport().Error()
	if !strings.Contains(report, "victim ended unexpectedly (exit status 3)") || !strings.Contains(report, "out of luck") {
		t.Errorf("report: %s", report)
	}
}

func TestSettings(t *testing.T) {
	for _, test := range []struct {
		arguments []string
		variable  string
		duration  time.Duration
		wrong     string
	}{
		{},
		{variable: "20s", duration: 20 * time.Second},
		{arguments: []string{"-duration", "5s"}, variable: "20s", duration: 5 * time.Second},
		{variable: "20", wrong: `DURATION="20" is not a duration`},
		{arguments: []string{"-duration", "-1s"}, wrong: "negative"},
		{arguments: []string{"-rate", "0"}, wrong: "rate of 0"},
		{arguments: []string{"now"}, wrong: `unexpected argument "now"`},
	} {
		s, err := parseSettings(test.arguments, test.variable)
		if test.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("%v %q: error %v, want %q", test.arguments, test.variable, err, test.wrong)
			}
		} else if err != nil || s.duration != test.duration {
			t.Errorf("%v %q: %s, %v", test.arguments, test.variable, s.duration, err)
		}
	}
}

func TestCheckHost(t *testing.T) {
	if err := checkHost("linux", 0); err != nil {
		t.Error(err)
	}
	if err := checkHost("linux", 1000); err == nil || !strings.Contains(err.Error(), "sudo make demo") {
		t.Error(err)
	}
	if err := checkHost("darwin", 0); err == nil || !strings.Contains(err.Error(), "Linux") {
		t.Error(err)
	}
	if err := checkCollector(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "`make build`") {
		t.Error(err)
	}
}
