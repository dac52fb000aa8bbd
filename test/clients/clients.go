// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
	"github.com/ebpfkafka/ebpfkafka/test/process"
)

// Held is the value of a record that is read, but not committed before a later
// one is. Console and Streams cannot do that.
const Held = "hold"

// Job is what a client has to do.
type Job struct {
	Broker *kafka.Broker
	Group  string
	Topics []string
	// Output is where Streams copies the topics to.
	Output string
	// Dir is an empty folder of the client's own.
	Dir string
}

// Client is one library, used in one way.
type Client struct {
	// Name of the library, as people know it.
	Name string
	// Protocol is how it joins its group: classic, or consumer for KIP-848.
	Protocol kafka.Protocol
	// Commit is the way of committing that the program is told, Commits the
	// same in words.
	Commit, Commits string
	// Transactions: the client commits whatever it is given to read, so it has
	// a lag only where an open transaction keeps records from it.
	Transactions bool
	// Needs is the oldest release of the broker; empty: any. Because says why.
	Needs, Because string
	// Unpublished says why the receiver does not publish this client's offsets
	// yet; empty: it does.
	Unpublished string

	start func(context.Context, Client, Job) (*process.Process, error)
}

// Java's clients of this release are run against brokers of any.
const (
	javaVersion    = kafka.DefaultVersion
	oldJavaVersion = "2.8.2"
)

const (
	auto  = "auto"
	sync  = "sync"
	async = "async"
)

// All returns every client that is tested.
func All() []Client {
	next := func(c Client, needs string) Client {
		c.Protocol, c.Needs, c.Because = kafka.Next, needs, "this client needs a newer broker for KIP-848"
		return c
	}
	all := []Client{
		{Name: "Java", Commit: sync, Commits: "sync, each batch", start: consumer(javaVersion)},
		next(Client{Name: "Java", Commit: async, Commits: "async, each batch", start: consumer(javaVersion)}, "3.9"),
		{Name: "Java", Commit: auto, Commits: "auto, each second", start: consumer(oldJavaVersion)},
		{Name: "Java console consumer", Commit: auto, Commits: "auto, each second", Transactions: true, start: console},
		{Name: "Kafka Streams", Commit: "transaction", Commits: "in transactions (exactly once v2)", Transactions: true, start: streams},
		{Name: "confluent-kafka (Python)", Commit: async, Commits: "async, each record", start: python("confluent_kafka_consumer.py", current)},
		next(Client{Name: "confluent-kafka (Python)", Commit: auto, Commits: "auto, of stored offsets",
			start: python("confluent_kafka_consumer.py", current)}, "4.0"),
		{Name: "kafka-python", Commit: async, Commits: "async, each batch", start: python("kafka_python_consumer.py", current)},
		{Name: "kafka-python", Commit: sync, Commits: "sync, each record", start: python("kafka_python_consumer.py", old)},
		{Name: "aiokafka", Commit: auto, Commits: "auto, each second", start: python("aiokafka_consumer.py", current)},
		{Name: "kafkajs", Commit: auto, Commits: "auto, of resolved offsets", start: node},
		{Name: "rust-rdkafka", Commit: sync, Commits: "sync, each record", start: rust},
		{Name: "franz-go", Commit: auto, Commits: "auto, of marks", start: golang("franz")},
		next(Client{Name: "franz-go", Commit: async, Commits: "async, each record", start: golang("franz")}, "4.0"),
		{Name: "sarama", Commit: sync, Commits: "sync, each record, all partitions at once", start: golang("sarama")},
		{Name: "segmentio/kafka-go", Commit: async, Commits: "async, gathered for a second", start: golang("segmentio")},
		{Name: "confluent-kafka-go", Commit: sync, Commits: "sync, when idle", start: golang("confluent")},
	}
	for i := range all {
		if all[i].Protocol == "" {
			all[i].Protocol = kafka.Classic
		}
	}
	return all
}

// ID names the client and its way within file, topic and group names.
func (c Client) ID() string {
	words := unfit.ReplaceAllString(strings.ToLower(c.Name+" "+c.Commit), "-")
	return strings.Trim(words, "-")
}

var unfit = regexp.MustCompile(`[^a-z0-9]+`)

// Can tells whether the client can do its job with a broker of that release,
// or else why not.
func (c Client) Can(version string) (why string, ok bool) {
	if c.Needs != "" && !kafka.AtLeast(version, c.Needs) {
		return c.Because, false
	}
	return "", true
}

// Running is a client at work.
type Running struct {
	*process.Process
	// Version of the library, as it says itself.
	Version string
}

var (
	client     = regexp.MustCompile(`(?m)^client (.+)$`)
	librdkafka = regexp.MustCompile(`(?m)^librdkafka (.+)$`)
)

// Start builds the client if need be and starts it. It returns once the
// program has said which version it is; it may not have joined its group yet.
func (c Client) Start(ctx context.Context, j Job) (*Running, error) {
	p, err := c.start(ctx, c, j)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	r := &Running{Process: p, Version: javaVersion}
	if c.Name != "Java console consumer" { // which says nothing
		said, err := p.Await(ctx, client)
		if err != nil {
			return nil, err
		}
		r.Version = said[1]
	}
	return r, nil
}

// Library returns the version, and that of librdkafka if it is the client's core.
func (r *Running) Library() string {
	if said := librdkafka.FindStringSubmatch(r.Output()); said != nil {
		return r.Version + ", librdkafka " + said[1]
	}
	return r.Version
}

// run starts a program that takes its job from the environment.
func run(c Client, j Job, cmd *exec.Cmd, env ...string) (*process.Process, error) {
	cmd.Env = append(os.Environ(),
		"KAFKA_BROKER="+j.Broker.Addr, "KAFKA_GROUP="+j.Group, "KAFKA_TOPICS="+strings.Join(j.Topics, ","),
		"KAFKA_COMMIT="+c.Commit, "KAFKA_PROTOCOL="+string(c.Protocol), "KAFKA_OUTPUT="+j.Output, "KAFKA_DIR="+j.Dir)
	cmd.Env = append(cmd.Env, env...)
	return process.Start(c.ID(), filepath.Join(j.Dir, "output"), cmd)
}
