// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
	"github.com/ebpfkafka/ebpfkafka/test/process"
)

// Worker is a client that lives long and does one job after another as quickly as it can, so that what its start takes
// is no part of a job: of a JVM above all, which is slow until it has compiled what it does often.
type Worker struct {
	*process.Process
	// Library is what it says of itself.
	Library string

	jobs *os.File // the program's standard input
	runs int
}

// WorkDone is what a job did, and how long that took without what comes before and after: making the client, asking
// for metadata.
type WorkDone struct {
	Records, Bytes int64
	Took           time.Duration
}

// StartJavaWorker starts one that uses the broker's own release of the Java client, as java runs it by default.
func StartJavaWorker(ctx context.Context, j Job) (*Worker, error) {
	cmd, err := javaProgram(ctx, j.Broker.Version, "Throughput")
	if err != nil {
		return nil, err
	}
	return startWorker(ctx, "Java", j, cmd)
}

// StartLibrdkafkaWorker starts one that uses rust-rdkafka: librdkafka, without an interpreter between.
func StartLibrdkafkaWorker(ctx context.Context, j Job) (*Worker, error) {
	dir, err := built("rust", "throughput", "", func(source, dir string) error {
		target := filepath.Join(dir, "target")
		return each(ctx,
			[]string{source, "cargo", "build", "--quiet", "--locked", "--release", "--bin", "throughput",
				"--target-dir", target},
			[]string{source, "mv", filepath.Join(target, "release", "throughput"), dir},
			[]string{source, "rm", "-r", target})
	})
	if err != nil {
		return nil, err
	}
	cmd, err := command(j.Dir, filepath.Join(dir, "throughput"))
	if err != nil {
		return nil, err
	}
	return startWorker(ctx, "librdkafka", j, cmd)
}

func startWorker(ctx context.Context, name string, j Job, cmd *exec.Cmd) (*Worker, error) {
	in, jobs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close() // the program has its own
	cmd.Stdin = in
	p, err := run(Client{Name: name, Commit: "throughput"}, j, cmd)
	if err != nil {
		return nil, err
	}
	r := &Running{Process: p}
	pattern := client
	if name == "librdkafka" {
		pattern = librdkafka
	}
	said, err := p.Await(ctx, pattern)
	if err != nil {
		return nil, err
	}
	r.Version = said[1]
	return &Worker{Process: p, Library: name + " " + r.Version, jobs: jobs}, nil
}

// Consume reads all partitions of a topic from the beginning to the end, so many times.
func (w *Worker) Consume(ctx context.Context, topic string, partitions, rounds int) (WorkDone, error) {
	return w.do(ctx, fmt.Sprintf("consume %s %d %d", topic, partitions, rounds))
}

// Produce writes so many records of so many bytes, and waits until all are acknowledged.
func (w *Worker) Produce(ctx context.Context, topic string, count, size int) (WorkDone, error) {
	return w.do(ctx, fmt.Sprintf("produce %s %d %d", topic, count, size))
}

// Commit commits offsets 0, 1, … count of partition 0, each time waiting for the answer.
func (w *Worker) Commit(ctx context.Context, topic string, count int) (WorkDone, error) {
	return w.do(ctx, fmt.Sprintf("commit %s %d", topic, count))
}

func (w *Worker) do(ctx context.Context, job string) (WorkDone, error) {
	w.runs++
	if _, err := fmt.Fprintf(w.jobs, "%d %s\n", w.runs, job); err != nil {
		return WorkDone{}, fmt.Errorf("%s: %s: %w; it printed:\n%s", w.Name, job, err, w.Output())
	}
	said, err := w.Await(ctx, regexp.MustCompile(fmt.Sprintf(`(?m)^done %d (\d+) (\d+) (\d+)$`, w.runs)))
	if err != nil {
		return WorkDone{}, fmt.Errorf("%s: %w", job, err)
	}
	var n [3]int64
	for i := range n {
		if n[i], err = strconv.ParseInt(said[1+i], 10, 64); err != nil {
			return WorkDone{}, err
		}
	}
	return WorkDone{Records: n[0], Bytes: n[1], Took: time.Duration(n[2])}, nil
}

// Stop ends the program.
func (w *Worker) Stop() error {
	w.jobs.Close() // after its last job it ends by itself
	return w.Process.Stop(20 * time.Second)
}

// javaProgram is a class of the folder java, with the client library of a release.
func javaProgram(ctx context.Context, version, class string, args ...string) (*exec.Cmd, error) {
	libraries, err := kafka.Classpath(ctx, version)
	if err != nil {
		return nil, err
	}
	dir, err := built("java", "throughput", version, func(source, dir string) error {
		return each(ctx, []string{source, "javac", "-nowarn", "-d", dir, "-cp", libraries,
			"Throughput.java", "BrokerCounters.java"})
	})
	if err != nil {
		return nil, err
	}
	options := []string{"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", dir + ":" + libraries, class}
	return command("", "java", append(options, args...)...)
}

var counter = regexp.MustCompile(`(?m)^(request|connections) (\S+) (\d+)$`)

// BrokerCounters are the broker's own: "request API", of all versions, and "connections LISTENER".
func BrokerCounters(ctx context.Context, b *kafka.Broker) (map[string]int64, error) {
	cmd, err := javaProgram(ctx, b.Version, "BrokerCounters", strconv.Itoa(b.PID()))
	if err != nil {
		return nil, err
	}
	text, err := process.Run(ctx, "BrokerCounters", cmd)
	if err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	for _, line := range counter.FindAllStringSubmatch(text, -1) {
		n, err := strconv.ParseInt(line[3], 10, 64)
		if err != nil {
			return nil, err
		}
		counts[line[1]+" "+line[2]] += n
	}
	if len(counts) == 0 {
		return nil, fmt.Errorf("the broker counts nothing; BrokerCounters printed:\n%s", text)
	}
	return counts, nil
}
