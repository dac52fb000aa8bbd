// SPDX-License-Identifier: Apache-2.0

package system

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/test/clients"
	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/kafka"
	"github.com/ebpfkafka/ebpfkafka/test/process"
)

var (
	onlyClients = flag.String("clients", "", "of the matrix, only clients whose ID contains this")
	onlyBroker  = flag.String("broker", "", "of the matrix, only this release of the broker")
)

// matrixBrokers are the newest release, the last with the old message formats,
// and one with ZooKeeper, as they are still in use.
var matrixBrokers = []string{kafka.DefaultVersion, "3.9.2", "2.8.2"}

// matrixTimeout bounds the run with one broker, building the clients included.
const matrixTimeout = 15 * time.Minute

// TestClientMatrix runs every client library in its own way of committing
// against several releases of the broker, all at once beside one collector,
// which is given no port. What it publishes of each group has to equal what
// the broker says: twice while it watches from the start, so that the second
// cannot be known from anything but commits, and after it was started anew
// beside the running clients, idle or at work. Differences do not end the run, so that the table is whole.
func TestClientMatrix(t *testing.T) {
	_, err := collector.Binary()
	require.NoError(t, err)
	m := newMatrix()
	for _, version := range matrixBrokers {
		if *onlyBroker != "" && version != *onlyBroker {
			continue
		}
		t.Run(version, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), matrixTimeout)
			defer cancel()
			m.run(ctx, t, version)
		})
	}
	t.Logf("the collector's values and the broker's, in three situations (see docs/clients.md):\n%s", m.text())
	if *writeMatrix {
		require.NoError(t, m.write())
	}
}

// scene is one broker with its clients.
type scene struct {
	broker    *kafka.Broker
	oracle    *kafka.Oracle
	producer  *producer
	collector *collector.Collector
	places    []*place
}

func (m *matrix) run(ctx context.Context, t *testing.T, version string) {
	broker, oracle := kafka.ForTest(ctx, t, kafka.Options{Version: version})
	producer, err := newProducer(broker)
	require.NoError(t, err)
	t.Cleanup(producer.close)

	s := &scene{broker: broker, oracle: oracle, producer: producer}
	for _, c := range clients.All() {
		if !strings.Contains(c.ID(), *onlyClients) {
			continue
		}
		if why, ok := c.Can(version); !ok {
			m.cannot(c, version, why)
			continue
		}
		s.places = append(s.places, newPlace(c))
	}
	s.startCollector(ctx, t)
	t.Cleanup(func() {
		if t.Failed() {
			logFailure(t, s.collector, s.processes())
		}
		require.NoError(t, s.collector.Stop())
	})
	t.Cleanup(func() {
		for _, p := range s.processes() {
			require.NoError(t, p.Stop(5*time.Second))
		}
	})
	s.startClients(ctx, t)

	s.round(ctx, t)
	s.requireProtocols(ctx, t)
	s.compare(ctx, t, func(p *place) *verdict { return &p.watched })
	s.round(ctx, t)
	s.compare(ctx, t, func(p *place) *verdict { return &p.watched })

	// The next one comes while the clients have nothing to do but to poll.
	require.NoError(t, s.collector.Stop())
	s.startCollector(ctx, t)
	s.joined(ctx, t)
	s.round(ctx, t)
	s.compare(ctx, t, func(p *place) *verdict { return &p.idle })

	// And another while they are at work: it joins conversations whose requests
	// it has not seen. What the answers to these say it cannot know, but then it
	// has to say nothing.
	require.NoError(t, s.collector.Stop())
	s.startCollector(ctx, t)
	s.round(ctx, t)
	s.nothingWrong(ctx, t)
	s.joined(ctx, t)
	s.round(ctx, t)
	s.compare(ctx, t, func(p *place) *verdict { return &p.busy })
	for _, p := range s.places {
		m.add(p, version)
	}
}

func (s *scene) startCollector(ctx context.Context, t *testing.T) {
	var err error
	s.collector, err = collector.Start(ctx, collector.Options{Dir: filepath.Join(t.TempDir(), "collector"),
		Set: []string{"receivers::ebpf_kafka::collection_interval: 1s"}})
	require.NoError(t, err)
}

func (s *scene) startClients(ctx context.Context, t *testing.T) {
	begin := time.Now()
	for _, p := range s.places {
		require.NoError(t, s.createTopics(ctx, p))
	}
	for _, p := range s.places {
		s.startClient(ctx, t, p)
	}
	t.Logf("%d clients started in %.0f s", len(s.places), time.Since(begin).Seconds())
}

func (s *scene) startClient(ctx context.Context, t *testing.T, p *place) {
	dir := filepath.Join(t.TempDir(), p.ID())
	require.NoError(t, os.MkdirAll(dir, 0o755))
	var err error
	p.running, err = p.Start(ctx, clients.Job{Broker: s.broker, Group: p.group,
		Topics: []string{p.orders, p.payments}, Output: p.output, Dir: dir})
	require.NoError(t, err)
}

// restartIdle starts clients anew that have not committed anything: kafka-python's group may never come about on a
// busy machine, while the client spins.
func (s *scene) restartIdle(ctx context.Context, t *testing.T) {
	truth, err := s.oracle.Ask(ctx, s.groups()...)
	require.NoError(t, err)
	began := map[string]bool{}
	for k := range truth.Committed {
		began[k.Group] = true
	}
	for _, p := range s.places {
		if !began[p.group] {
			t.Logf("%s has not committed anything within %v: started anew", p.ID(), firstCommit)
			_ = p.running.Process.Stop(10 * time.Second) // by force, if it spins
			s.startClient(ctx, t, p)
		}
	}
}

// firstCommit is how long a client may take to begin.
const firstCommit = 40 * time.Second

// requireProtocols fails if a client has not joined its group as its row of
// the table says: some fall back to the classic protocol in silence.
func (s *scene) requireProtocols(ctx context.Context, t *testing.T) {
	listed, err := kmsg.NewPtrListGroupsRequest().RequestWith(ctx, s.producer.plain)
	require.NoError(t, err)
	types := map[string]string{}
	for _, g := range listed.Groups {
		types[g.Group] = strings.ToLower(g.GroupType)
	}
	for _, p := range s.places {
		if p.Protocol == kafka.Next {
			require.EqualValues(t, p.Protocol, types[p.group], "protocol of %s", p.ID())
		}
	}
}

func (s *scene) createTopics(ctx context.Context, p *place) error {
	topics := p.topics()
	if p.Transactions {
		topics[p.output] = 1
	}
	for _, topic := range slices.Sorted(maps.Keys(topics)) {
		if err := s.broker.CreateTopic(ctx, topic, int(topics[topic])); err != nil {
			return err
		}
	}
	return nil
}

func (s *scene) processes() []*process.Process {
	var all []*process.Process
	for _, p := range s.places {
		if p.running != nil {
			all = append(all, p.running.Process)
		}
	}
	return all
}

// round produces, and returns when every group has committed what it has to.
func (s *scene) round(ctx context.Context, t *testing.T) {
	begin := time.Now()
	require.NoError(t, s.producer.round(ctx, s.places))
	require.NoError(t, s.readable(ctx))
	committed := func() error {
		truth, err := s.oracle.Ask(ctx, s.groups()...)
		return errors.Join(err, allCommitted(truth, s.places))
	}
	if within(ctx, firstCommit, committed) != nil {
		s.restartIdle(ctx, t)
	}
	require.NoError(t, within(ctx, 2*time.Minute, committed))
	t.Logf("all groups have committed after %.1f s", time.Since(begin).Seconds())
}

// readable sets what clients have to commit that commit all they get: up to
// the last stable offset. The end of a transaction takes an offset, too, before
// or after the first records of the next round.
func (s *scene) readable(ctx context.Context) error {
	for _, p := range s.places {
		if !p.Transactions {
			continue
		}
		ends, err := s.oracle.Admin().ListCommittedOffsets(ctx, p.orders, p.payments)
		if err == nil {
			err = ends.Error()
		}
		if err != nil {
			return err
		}
		ends.Each(func(end kadm.ListedOffset) {
			p.want[kafka.Partition{Topic: end.Topic, Partition: end.Partition}] = end.Offset
		})
	}
	return nil
}

func (s *scene) groups() []string {
	var groups []string
	for _, p := range s.places {
		groups = append(groups, p.group)
	}
	return groups
}

// compare holds /metrics against the broker until all is equal or the time
// is over, and keeps the verdicts.
func (s *scene) compare(ctx context.Context, t *testing.T, keep func(*place) *verdict) {
	truth, err := s.oracle.Ask(ctx, s.groups()...)
	require.NoError(t, err)
	begin := time.Now()
	equalAfter := map[string]string{}
	err = within(ctx, agreement, func() error {
		samples, err := s.collector.Metrics(ctx)
		if err != nil {
			return err
		}
		var errs []error
		for _, p := range s.places {
			v := p.judge(samples, truth, s.broker.ClusterID)
			*keep(p) = v
			switch err := v.err(); {
			case err == nil && equalAfter[p.ID()] == "":
				equalAfter[p.ID()] = fmt.Sprintf("%.1f s", time.Since(begin).Seconds())
			case err != nil && p.Unpublished == "":
				errs = append(errs, err)
			case err != nil: // what need not be there must not be wrong
				errs = append(errs, v.wrong.err())
			}
		}
		return errors.Join(errs...)
	})
	for _, p := range s.places {
		v := *keep(p)
		t.Logf("%-30s %v equal, %d lagging, after %s", p.ID(), v, v.lagging, equalAfter[p.ID()])
		if p.Unpublished != "" {
			t.Logf("%s: %s: %q", p.ID(), p.Unpublished, v.absent.all)
		}
		require.Positive(t, v.lagging, "%s has no lag anywhere: its test would prove nothing", p.ID())
	}
	s.logDrops(ctx, t)
	assert.NoError(t, err)
}

// logDrops logs what the receiver could not use, for who looks for the reason
// of a missing value.
func (s *scene) logDrops(ctx context.Context, t *testing.T) {
	telemetry, err := s.collector.Telemetry(ctx)
	require.NoError(t, err)
	for _, sample := range telemetry {
		if strings.Contains(sample.Name, "_drops") && sample.Value != 0 {
			t.Logf("dropped: %s %v", sample.Labels["reason"], sample.Value)
		}
	}
}

// nothingWrong waits until no value differs from the broker's, whether or not
// all are there.
func (s *scene) nothingWrong(ctx context.Context, t *testing.T) {
	truth, err := s.oracle.Ask(ctx, s.groups()...)
	require.NoError(t, err)
	first := map[string]verdict{}
	assert.NoError(t, within(ctx, agreement, func() error {
		samples, err := s.collector.Metrics(ctx)
		errs := []error{err}
		for _, p := range s.places {
			first[p.ID()] = p.judge(samples, truth, s.broker.ClusterID)
			errs = append(errs, first[p.ID()].wrong.err())
		}
		return errors.Join(errs...)
	}))
	for _, p := range s.places {
		v := first[p.ID()]
		t.Logf("%-30s %v equal right after the restart, absent: %q", p.ID(), v, v.absent.all)
	}
}

// joined waits until the collector has followed an exchange of each group's
// member with its coordinator.
func (s *scene) joined(ctx context.Context, t *testing.T) {
	begin := time.Now()
	assert.NoError(t, within(ctx, agreement, func() error {
		samples, err := s.collector.Metrics(ctx)
		errs := []error{err}
		for _, p := range s.places {
			members := samples.Named("kafka_consumer_group_members").With("group", p.group)
			if len(members) != 1 || members[0].Value != 1 {
				errs = append(errs, fmt.Errorf("members of %s: %v, want 1", p.group, members))
			}
		}
		return errors.Join(errs...)
	}))
	t.Logf("a member of each group was seen within %.1f s", time.Since(begin).Seconds())
}
