// SPDX-License-Identifier: Apache-2.0

package system

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/kafka"
	"github.com/ebpfkafka/ebpfkafka/test/process"
)

const (
	stoppedPartitions = 3
	stoppedRecords    = 20 // to each partition, while the consumer still runs
	// stoppedMaxAge is the receiver's watermark_max_age.
	stoppedMaxAge = 4 * time.Second
	// stoppedRounds is for how many questions to the broker, a second apart, a
	// lag is watched: for several times the age at which it would be gone.
	stoppedRounds = 8
)

// TestStoppedConsumer stops a consumer (SIGSTOP) and lets others, whom the
// receiver does not see, produce on: over TLS. Without the block watermarks
// the lag goes. With it, it is what the broker says all the time, whichever
// way the broker is asked.
func TestStoppedConsumer(t *testing.T) {
	_, err := collector.Binary()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), caseTimeout)
	defer cancel()
	broker, oracle := kafka.ForTest(ctx, t, kafka.Options{Version: os.Getenv("KAFKA_VERSION")})

	_, port, err := net.SplitHostPort(broker.Addr)
	require.NoError(t, err)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, []byte(broker.TLSProperties()["ssl.truststore.certificates"]), 0o600))
	sasl := func(password string) string {
		return fmt.Sprintf("[{brokers: [%q], sasl: {mechanism: PLAIN, username: %s, password: %s}}]",
			broker.SASLAddr, kafka.SASLUser, password)
	}
	for _, test := range []struct {
		name     string
		role     string
		clusters string // of the block; empty: those observed; "-": no block
		failure  string // error.type with which the broker refuses
	}{
		{name: "off", role: "client", clusters: "-"},
		{name: "observed", role: "any"},
		{name: "observed by client", role: "client"},
		{name: "TLS", role: "client", clusters: fmt.Sprintf("[{brokers: [%q], tls: {ca_file: %q}}]", broker.TLSAddr, ca)},
		{name: "SASL", role: "client", clusters: sasl(kafka.SASLPassword)},
		{name: "wrong password", role: "client", clusters: sasl("wrong"), failure: "SASL_AUTHENTICATION_FAILED"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), caseTimeout)
			defer cancel()
			s := &stopped{broker: broker, oracle: oracle, topic: fmt.Sprintf("stopped-%d", time.Now().UnixNano())}
			s.group = "group-of-" + s.topic
			set := []string{
				"receivers::ebpf_kafka::discovery::ports: [" + port + "]", // whatever else is on this host
				"receivers::ebpf_kafka::watermark_max_age: " + stoppedMaxAge.String(),
				"receivers::ebpf_kafka::metrics::kafka.partition.watermark_age::enabled: true",
				"receivers::ebpf_kafka::groups::include: [^" + s.group + "$]",
			}
			if test.clusters != "-" {
				set = append(set, "receivers::ebpf_kafka::watermarks::interval: 1s")
				if test.clusters != "" {
					set = append(set, "receivers::ebpf_kafka::watermarks::clusters: "+test.clusters)
				}
			}
			s.start(ctx, t, test.role, set)
			if test.clusters == "-" || test.failure != "" {
				s.requireGone(ctx, t)
			} else {
				s.requireTrue(ctx, t)
			}
			if test.failure != "" {
				require.NotZero(t, s.telemetry(ctx, t, "watermark_errors", "error_type", test.failure))
			}
			s.requireBack(ctx, t)
		})
	}
}

// stopped is a consumer that is stopped, and a collector that has seen it.
type stopped struct {
	broker       *kafka.Broker
	oracle       *kafka.Oracle
	topic, group string
	consumer     *process.Process
	collector    *collector.Collector
}

// start has the consumer read all there is, makes sure that its lag of 0 is
// shown, stops it, and produces more.
func (s *stopped) start(ctx context.Context, t *testing.T, role string, set []string) {
	c, err := collector.Start(ctx, collector.Options{Dir: filepath.Join(t.TempDir(), "collector"), Role: role, Set: set})
	require.NoError(t, err)
	s.collector = c
	require.NoError(t, s.broker.CreateTopic(ctx, s.topic, stoppedPartitions))
	s.consumer, err = s.broker.StartConsumer(ctx, kafka.Consumer{Group: s.group, Topics: []string{s.topic}})
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			logFailure(t, c, []*process.Process{s.consumer})
		}
		require.NoError(t, s.signal(syscall.SIGCONT))
		require.NoError(t, s.consumer.Stop(20*time.Second))
		require.NoError(t, c.Stop())
	})
	s.produce(ctx, t, stoppedRecords)
	require.NoError(t, within(ctx, agreement, func() error { return s.same(ctx, stoppedPartitions) }))
	require.NoError(t, s.signal(syscall.SIGSTOP))
	s.produce(ctx, t, 7)
}

// produce sends so many records to each partition, unseen.
func (s *stopped) produce(ctx context.Context, t *testing.T, records int) {
	require.NoError(t, s.broker.Produce(ctx, kafka.Production{
		Topic: s.topic, Partitions: stoppedPartitions, Count: records,
		Addr: s.broker.TLSAddr, Properties: s.broker.TLSProperties(),
	}))
}

func (s *stopped) signal(signal syscall.Signal) error { return syscall.Kill(s.consumer.PID(), signal) }

// same compares lag, offsets and ends of partitions with the broker's, and
// fails unless there are as many lags as are expected, and all values equal.
func (s *stopped) same(ctx context.Context, lags int) error {
	truth, err := s.oracle.Ask(ctx, s.group)
	if err != nil {
		return err
	}
	samples, err := s.collector.Metrics(ctx)
	if err != nil {
		return err
	}
	var p problems
	shown := groupValues(&p, samples, "kafka_consumer_group_lag", s.broker.ClusterID)
	offsets := groupValues(&p, samples, "kafka_consumer_group_offset", s.broker.ClusterID)
	ends := partitionValues(&p, samples, "kafka_partition_current_offset", s.broker.ClusterID)
	starts := partitionValues(&p, samples, "kafka_partition_oldest_offset", s.broker.ClusterID)
	if len(shown) != lags || len(offsets) != stoppedPartitions || len(ends) != lags || len(starts) != lags {
		p.add("%d lags, %d offsets, %d ends and %d starts", len(shown), len(offsets), len(ends), len(starts))
	}
	for k, got := range shown {
		if want, ok := truth.Lag(k); !ok || got != want {
			p.add("%v: lag %d, broker has %s", k, got, show(want, ok))
		}
	}
	for k, got := range offsets {
		if want, ok := truth.Committed[k]; !ok || got != want {
			p.add("%v: offset %d, broker has %s", k, got, show(want, ok))
		}
	}
	for k, got := range ends {
		if want := truth.Bounds[k].End; got != want {
			p.add("%v: end %d, broker has %d", k, got, want)
		}
	}
	for k, got := range starts {
		if want := truth.Bounds[k].Start; got != want {
			p.add("%v: start %d, broker has %d", k, got, want)
		}
	}
	for _, sample := range samples {
		if sample.Labels["client_id"] == "ebpf-kafka-watermarks" {
			p.add("the receiver shows itself: %v", sample)
		}
	}
	return p.err()
}

// telemetry returns one of the receiver's own counters, 0 if it is not there.
func (s *stopped) telemetry(ctx context.Context, t *testing.T, name, label, value string) int {
	samples, err := s.collector.Telemetry(ctx)
	require.NoError(t, err)
	sum := 0
	for _, suffix := range []string{"", "_total"} {
		for _, sample := range samples.Named("otelcol_receiver_ebpf_kafka_"+name+suffix).With(label, value) {
			sum += int(sample.Value)
		}
	}
	return sum
}

// requireTrue watches the lag of the stopped consumer grow with the broker's.
func (s *stopped) requireTrue(ctx context.Context, t *testing.T) {
	for range 2 {
		require.NoError(t, within(ctx, agreement, func() error { return s.same(ctx, stoppedPartitions) }))
		// Nothing changes now: no scrape may differ, however long it goes on.
		begin := s.telemetry(ctx, t, "watermark_requests", "api", "ListOffsets")
		questions := 2 * stoppedRounds // each round asks for both ends
		require.NoError(t, within(ctx, caseTimeout, func() error {
			require.NoError(t, s.same(ctx, stoppedPartitions))
			if asked := s.telemetry(ctx, t, "watermark_requests", "api", "ListOffsets") - begin; asked < questions {
				return fmt.Errorf("asked %d times", asked)
			}
			return nil
		}))
		s.produce(ctx, t, 5)
		require.NoError(t, s.broker.DeleteRecords(ctx, s.topic, 1, stoppedRecords/2))
	}
	samples, err := s.collector.Telemetry(ctx)
	require.NoError(t, err)
	require.Empty(t, samples.Named("otelcol_receiver_ebpf_kafka_watermark_errors"))
	require.Empty(t, samples.Named("otelcol_receiver_ebpf_kafka_watermark_errors_total"))
}

// requireGone: the lag goes, and stays away. What is left is the offset, and
// the age that says why.
func (s *stopped) requireGone(ctx context.Context, t *testing.T) {
	require.NoError(t, within(ctx, agreement, func() error { return s.same(ctx, 0) }))
	require.NoError(t, within(ctx, agreement, func() error {
		require.NoError(t, s.same(ctx, 0))
		samples, err := s.collector.Metrics(ctx)
		if err != nil {
			return err
		}
		ages := samples.Named("kafka_partition_watermark_age_seconds").With("topic", s.topic)
		require.Len(t, ages, stoppedPartitions)
		for _, age := range ages {
			if age.Value <= 2*stoppedMaxAge.Seconds() {
				return errors.New(age.String())
			}
		}
		return nil
	}))
}

// requireBack lets the consumer go on.
func (s *stopped) requireBack(ctx context.Context, t *testing.T) {
	require.NoError(t, s.signal(syscall.SIGCONT))
	require.NoError(t, within(ctx, agreement, func() error {
		truth, err := s.oracle.Ask(ctx, s.group)
		if err != nil {
			return err
		}
		for k := range truth.Committed {
			if lag, _ := truth.Lag(k); lag != 0 {
				return fmt.Errorf("%v: the consumer still lags by %d", k, lag)
			}
		}
		return s.same(ctx, stoppedPartitions)
	}))
}
