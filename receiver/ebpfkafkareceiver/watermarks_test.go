// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ebpfkafka/ebpfkafka/internal/state"
	"github.com/ebpfkafka/ebpfkafka/internal/watermarks"
)

func TestWantedWatermarks(t *testing.T) {
	row := func(cluster, group, topic string, partition int32) state.GroupPartition {
		return state.GroupPartition{
			GroupTopic: &state.GroupTopic{Cluster: cluster, Group: group, Topic: topic}, Partition: partition,
		}
	}
	unknown := row("C", "g", "t", 9)
	unknown.Unknown = true
	got := wantedWatermarks(&state.View{Groups: []state.GroupPartition{
		row("C", "g", "t", 0), row("C", "h", "t", 0), row("C", "g", "t", 1), row("D", "g", "t", 0), row("C", "g", "u", 0),
		row("", "g", "t", 5), unknown,
	}})
	assert.Equal(t, []watermarks.Wanted{
		{Cluster: "C", Partitions: map[string][]int32{"t": {0, 1}, "u": {0}}},
		{Cluster: "D", Partitions: map[string][]int32{"t": {0}}},
	}, got)
}

func TestAddBrokers(t *testing.T) {
	const here, there = 7, 8
	s := &state.Snapshot{
		Names: map[state.NameID]string{100: "C", 101: "D", 102: "E"},
		Links: make(map[state.LinkID]state.Link),
	}
	link := func(broker string, netns uint32, cluster state.NameID, seen uint64) {
		s.Links[state.LinkID(len(s.Links))] = state.Link{
			Broker: netip.MustParseAddrPort(broker), NetNS: netns, Cluster: cluster, LastSeen: seen,
		}
	}
	link("10.0.0.2:9092", here, 100, 5)
	link("10.0.0.1:9092", here, 100, 4)
	link("10.0.0.1:9092", here, 100, 6) // another client
	link("10.0.0.3:9092", there, 100, 9)
	link("10.0.0.4:9092", here, 0, 9) // which cluster it is nobody has said
	link("[fd00::1]:9092", here, 101, 1)
	link("10.0.0.5:9092", here, 102, 9) // not wanted
	wanted := []watermarks.Wanted{{Cluster: "C"}, {Cluster: "D"}, {Cluster: "F"}}
	addBrokers(wanted, s, here)
	assert.Equal(t, []watermarks.Wanted{
		{Cluster: "C", Brokers: []string{"10.0.0.1:9092", "10.0.0.2:9092"}},
		{Cluster: "D", Brokers: []string{"[fd00::1]:9092"}},
		{Cluster: "F", Brokers: []string{}},
	}, wanted)

	// Of many, those used last.
	for i := range 2 * maxSeeds {
		link(fmt.Sprintf("10.0.1.%d:9092", i), here, 101, uint64(10+i))
	}
	addBrokers(wanted, s, here)
	assert.Len(t, wanted[1].Brokers, maxSeeds)
	assert.Contains(t, wanted[1].Brokers, fmt.Sprintf("10.0.1.%d:9092", 2*maxSeeds-1))
	assert.NotContains(t, wanted[1].Brokers, "[fd00::1]:9092")
}

// pollerOf makes the poller of a configuration, which is the YAML of the list clusters.
func pollerOf(t *testing.T, yaml string, logger *zap.Logger) *watermarks.Poller {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(path, []byte("watermarks: {clusters: ["+yaml+"]}"), 0o600))
	conf, err := confmaptest.LoadConf(path)
	require.NoError(t, err)
	config := createDefaultConfig().(*Config)
	require.NoError(t, conf.Unmarshal(config))
	require.NoError(t, confmap.Validate(config))
	p, err := newPoller(t.Context(), config, logger)
	require.NoError(t, err)
	p.Want([]watermarks.Wanted{{Cluster: "C", Partitions: map[string][]int32{"t": {0}}}})
	p.Start()
	t.Cleanup(p.Shutdown)
	return p
}

// await waits for a condition.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		}
	}
}

// answers waits for both ends that are asked for by default.
func answers(t *testing.T, p *watermarks.Poller) {
	t.Helper()
	await(t, "both ends of the partition", func() bool {
		rows := p.Answers(nil, time.Now(), uint64(time.Hour))
		return len(rows) == 2 && rows[0].Cluster == "C" && rows[0].Topic == "t" && rows[0].Offset == 0
	})
}

// failsWith waits for one kind of error, and makes sure that the log has no password.
func failsWith(t *testing.T, p *watermarks.Poller, logged *observer.ObservedLogs, kind, password string) {
	t.Helper()
	await(t, kind, func() bool {
		for _, e := range p.Errors() {
			if e.Name == kind {
				return true
			}
			t.Fatalf("failed with %q, want %q: %v", e.Name, kind, logged.All())
		}
		return false
	})
	await(t, "it is logged", func() bool { return logged.Len() > 0 })
	for _, entry := range logged.All() {
		assert.NotContains(t, fmt.Sprint(entry.Message, entry.ContextMap()), password)
	}
}

func TestWatermarksSASLAndTLS(t *testing.T) {
	const user, password = "ann", "s3cret: &"
	serverTLS, ca := certificate(t)
	for _, mechanism := range []SASLMechanism{"", SASLPlain, SASLScramSHA256, SASLScramSHA512} {
		for _, encrypted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s encrypted %v", mechanism, encrypted), func(t *testing.T) {
				t.Parallel()
				options := []kfake.Opt{kfake.ClusterID("C"), kfake.SeedTopics(1, "t"), kfake.NumBrokers(1)}
				if encrypted {
					options = append(options, kfake.TLS(serverTLS))
				}
				if mechanism != "" {
					options = append(options, kfake.EnableSASL(), kfake.Superuser(string(mechanism), user, password))
				}
				c, err := kfake.NewCluster(options...)
				require.NoError(t, err)
				t.Cleanup(c.Close)
				entry := func(useTLS bool, password string) string {
					s := fmt.Sprintf("{brokers: [%q]", c.ListenAddrs()[0])
					if useTLS {
						s += fmt.Sprintf(", tls: {ca_file: %q}", ca)
					}
					if mechanism != "" {
						s += fmt.Sprintf(", sasl: {mechanism: %s, username: %s, password: %q}", mechanism, user, password)
					}
					return s + "}"
				}
				answers(t, pollerOf(t, entry(encrypted, password), zap.NewNop()))

				if mechanism != "" {
					core, logged := observer.New(zap.WarnLevel)
					p := pollerOf(t, entry(encrypted, "wr0ng"), zap.New(core))
					// This cluster closes the connection. Apache Kafka says why.
					failsWith(t, p, logged, "connection", "wr0ng")
				}
			})
		}
	}
}

// A certificate that nobody vouches for ends the connection before any password is sent.
func TestWatermarksUntrustedCertificate(t *testing.T) {
	serverTLS, _ := certificate(t)
	c, err := kfake.NewCluster(kfake.ClusterID("C"), kfake.TLS(serverTLS))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	core, logged := observer.New(zap.WarnLevel)
	p := pollerOf(t, fmt.Sprintf("{brokers: [%q], tls: {}, sasl: {mechanism: PLAIN, username: a, password: wr0ng}}",
		c.ListenAddrs()[0]), zap.New(core))
	failsWith(t, p, logged, "tls", "wr0ng")
	assert.Contains(t, fmt.Sprint(logged.All()[0].ContextMap()), "certificate")
}

func TestWatermarksFilesAreReadAtTheStart(t *testing.T) {
	config, err := load(t, "good.yaml", "ebpf_kafka/watermarks")
	require.NoError(t, err)
	_, err = newPoller(t.Context(), config, zap.NewNop())
	require.ErrorContains(t, err, "watermarks::clusters::0::tls: ")
	require.ErrorContains(t, err, "/etc/kafka/ca.pem")
}

// certificate makes a server's configuration with a certificate of its own, and a file that vouches for it.
func certificate(t *testing.T) (*tls.Config, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	var text strings.Builder
	require.NoError(t, pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: der}))
	path := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o600))
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, path
}
