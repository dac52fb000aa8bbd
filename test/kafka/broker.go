// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ebpfkafka/ebpfkafka/test/ports"
	"github.com/ebpfkafka/ebpfkafka/test/process"
)

// Options say what broker to start. The zero value, with a Dir, is a broker of
// DefaultVersion on free ports.
type Options struct {
	// Version of Apache Kafka; empty: DefaultVersion. Before 3.3 it runs with
	// a ZooKeeper of its own.
	Version string
	// Dir holds the broker's configuration, log and data. Required.
	Dir string
	// Heap is the largest Java heap; empty: 384m.
	Heap string
	// PlainPort, SASLPort and TLSPort are listened on at 127.0.0.1; 0: a free port.
	PlainPort, SASLPort, TLSPort int
	// AdvertisedPlain and AdvertisedSASL are the addresses that the broker tells
	// clients to use, when a proxy stands before it. Empty: the listeners.
	AdvertisedPlain, AdvertisedSASL string
	// Properties are added to server.properties, over what this package sets.
	Properties map[string]string

	namespace string // to run in, as process.In takes it
}

// The releases that change what this package does.
const (
	firstKRaft = "3.3" // fit for production, as KIP-833 says
	firstNext  = "4.0" // group.protocol=consumer (KIP-848) without asking for it
)

// Broker is a running one-node Apache Kafka.
type Broker struct {
	// Version of Apache Kafka.
	Version string
	// Dir holds configuration, log and data.
	Dir string
	// ClusterID is what Metadata responses say.
	ClusterID string
	// Addr is the plaintext listener; SASLAddr asks for SASL PLAIN, unencrypted;
	// TLSAddr is encrypted: nothing on the host can read what passes there.
	Addr, SASLAddr, TLSAddr string

	certificate certificate
	process     *process.Process
	zookeeper   *process.Process // nil with KRaft
}

var started = regexp.MustCompile(`Kafka Server started|KafkaRaftServer.*started|KafkaServer id=1\] started`)

// Start formats a log folder, starts a broker and returns when it has said
// that it has started and answers an admin client.
func Start(ctx context.Context, o Options) (_ *Broker, err error) {
	if o.Dir == "" {
		return nil, errors.New("kafka: Options.Dir is empty")
	}
	if o.Version == "" {
		o.Version = DefaultVersion
	}
	if o.Heap == "" {
		o.Heap = "384m"
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	free, err := ports.Free(4)
	if err != nil {
		return nil, err
	}
	b := &Broker{
		Version: o.Version, Dir: o.Dir,
		Addr: loopback(cmp.Or(o.PlainPort, free[0])), SASLAddr: loopback(cmp.Or(o.SASLPort, free[1])),
		TLSAddr: loopback(cmp.Or(o.TLSPort, free[2])),
	}
	if b.certificate, err = newCertificate(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Stop())
		}
	}()
	if !AtLeast(o.Version, firstKRaft) {
		if err := b.startZooKeeper(ctx, free[3]); err != nil {
			return nil, err
		}
	}
	if err := b.launch(ctx, o, loopback(free[3])); err != nil {
		return nil, err
	}
	// An open port, and even the line that launch awaits, come before the first answer.
	return b, b.awaitAnswer(ctx)
}

// launch starts the broker's own process and returns when it has said that it
// has started. controller is the address of the controller, or of ZooKeeper.
func (b *Broker) launch(ctx context.Context, o Options, controller string) error {
	properties := filepath.Join(o.Dir, "server.properties")
	if err := writeProperties(properties, b.properties(o, controller)); err != nil {
		return err
	}
	if AtLeast(o.Version, firstKRaft) {
		if err := b.format(ctx, properties); err != nil {
			return err
		}
	}
	cmd, err := java(ctx, o.Version, []string{"-Xmx" + o.Heap}, "kafka.Kafka", properties)
	if err != nil {
		return err
	}
	b.process, err = process.Start("Apache Kafka "+o.Version, filepath.Join(o.Dir, "broker.log"), process.In(o.namespace, cmd))
	if err != nil {
		return err
	}
	_, err = b.process.Await(ctx, started)
	return err
}

// format prepares the log folder of a broker with KRaft, if it is not yet.
func (b *Broker) format(ctx context.Context, properties string) error {
	if b.ClusterID == "" {
		b.ClusterID = newClusterID()
	}
	format, err := client(ctx, b.Version, "kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", b.ClusterID, "-c", properties)
	if err != nil {
		return err
	}
	_, err = process.Run(ctx, "kafka-storage format", format)
	return err
}

func newClusterID() string {
	// 16 bytes in base64url; one that begins with '-' would be taken for an
	// option.
	id := make([]byte, 16)
	rand.Read(id)
	id[0] &= 0x7f
	return base64.RawURLEncoding.EncodeToString(id)
}

func (b *Broker) properties(o Options, controller string) map[string]string {
	advertised := func(address, override string) string {
		if override != "" {
			return override
		}
		return address
	}
	listeners := "PLAINTEXT://" + b.Addr + ",SASL_PLAINTEXT://" + b.SASLAddr + ",SSL://" + b.TLSAddr
	p := map[string]string{
		"listeners": listeners,
		"advertised.listeners": "PLAINTEXT://" + advertised(b.Addr, o.AdvertisedPlain) +
			",SASL_PLAINTEXT://" + advertised(b.SASLAddr, o.AdvertisedSASL) + ",SSL://" + b.TLSAddr,
		"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,CONTROLLER:PLAINTEXT",
		"inter.broker.listener.name":     "PLAINTEXT",
		"sasl.enabled.mechanisms":        "PLAIN",
		"listener.name.sasl_plaintext.plain.sasl.jaas.config": fmt.Sprintf(
			`org.apache.kafka.common.security.plain.PlainLoginModule required user_%s="%s";`, SASLUser, SASLPassword),
		"ssl.keystore.type":              "PEM",
		"ssl.keystore.certificate.chain": b.certificate.cert,
		"ssl.keystore.key":               b.certificate.key,
		"log.dirs":                       filepath.Join(o.Dir, "data"),
		// One node, one partition for each internal topic: quick to start.
		"offsets.topic.replication.factor":                 "1",
		"offsets.topic.num.partitions":                     "1",
		"transaction.state.log.replication.factor":         "1",
		"transaction.state.log.min.isr":                    "1",
		"transaction.state.log.num.partitions":             "1",
		"share.coordinator.state.topic.replication.factor": "1",
		"share.coordinator.state.topic.min.isr":            "1",
		"share.coordinator.state.topic.num.partitions":     "1",
		"group.initial.rebalance.delay.ms":                 "0",
		"auto.create.topics.enable":                        "false",
		"log.cleaner.dedupe.buffer.size":                   "2097152",
		"num.network.threads":                              "1",
		"num.io.threads":                                   "2",
		"background.threads":                               "2",
	}
	if AtLeast(o.Version, firstKRaft) {
		p["process.roles"] = "broker,controller"
		p["node.id"] = "1"
		p["controller.quorum.voters"] = "1@" + controller
		p["controller.listener.names"] = "CONTROLLER"
		p["listeners"] = listeners + ",CONTROLLER://" + controller
		if !AtLeast(o.Version, firstNext) {
			p["group.coordinator.rebalance.protocols"] = "classic,consumer"
		}
	} else {
		p["broker.id"] = "1"
		p["zookeeper.connect"] = controller
	}
	maps.Copy(p, o.Properties)
	return p
}

// PID returns the broker's process id.
func (b *Broker) PID() int { return b.process.PID() }

// Log returns what the broker has logged so far.
func (b *Broker) Log() string { return b.process.Output() }

// Stop ends the broker; a broker that does not shut down by itself within 20
// seconds is killed.
func (b *Broker) Stop() error {
	var errs []error
	for _, p := range []*process.Process{b.process, b.zookeeper} { // the broker needs ZooKeeper to shut down
		if p != nil {
			errs = append(errs, p.Stop(20*time.Second))
		}
	}
	return errors.Join(errs...)
}

// Kill ends the broker at once, as a machine does that loses its power.
func (b *Broker) Kill() error { return b.process.Stop(0) }

// writeProperties writes a Java properties file.
func writeProperties(path string, p map[string]string) error {
	escape := strings.NewReplacer("\\", "\\\\", "\n", "\\n\\\n  ")
	var s strings.Builder
	for _, k := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(&s, "%s=%s\n", k, escape.Replace(p[k]))
	}
	return os.WriteFile(path, []byte(s.String()), 0o600)
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
