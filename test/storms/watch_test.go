// SPDX-License-Identifier: Apache-2.0

package storms

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

const (
	// patience bounds whatever should be quick but may not be on a busy machine.
	patience = time.Minute
	// clockStep is the precision of an exporter's timestamps.
	clockStep = time.Millisecond
	// idle is the collectors' idle_timeout and watermark_max_age: what was not used
	// for the longer of the two is removed.
	idle = 2 * time.Second
)

func newCollector(ctx context.Context, t *testing.T, b *broker, set ...string) *collector.Collector {
	t.Helper()
	c, err := collector.Start(ctx, collector.Options{Dir: t.TempDir(), Set: append([]string{
		b.onlyHere(),
		"receivers::ebpf_kafka::collection_interval: 200ms",
		"receivers::ebpf_kafka::initial_delay: 0s",
		"receivers::ebpf_kafka::idle_timeout: " + idle.String(),
		"receivers::ebpf_kafka::watermark_max_age: " + idle.String(),
		"exporters::prometheus::send_timestamps: true",
		"exporters::prometheus::metric_expiration: 1s",
	}, set...)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Stop()) })
	return c
}

// A watch holds what a collector publishes against a board while it changes.
type watch struct {
	c     *collector.Collector
	board *board
	past  []moment
	seen  int // values
	// missing counts the looks at which a partition with commits was absent.
	missing int
}

// A moment is what had been acknowledged then.
type moment struct {
	time         time.Time
	acknowledged [workers]int64
}

// look reads the collector once. No offset may be ahead of what was asked for by
// now, nor behind what had been acknowledged when it was measured.
func (w *watch) look(ctx context.Context) error {
	now := w.board.acknowledged() // before the time: at that time there were at least so many
	w.past = append(w.past, moment{time.Now(), now})
	samples, err := w.c.Metrics(ctx)
	if err != nil {
		return err
	}
	asked := w.board.asked()
	var errs []error
	published := samples.Named("kafka_consumer_group_offset").With("group", group)
	for _, s := range published {
		p, err := strconv.Atoi(s.Labels["partition"])
		if err != nil || p >= workers || s.Labels["topic"] != topic {
			errs = append(errs, fmt.Errorf("nobody has committed %v", s))
			continue
		}
		w.seen++
		if s.Value > float64(asked[p]) {
			errs = append(errs, fmt.Errorf("%v, but no more than %d was asked for", s, asked[p]))
		}
		if least := w.at(s.Time)[p]; s.Value < float64(least) {
			errs = append(errs, fmt.Errorf("%v of %s, but %d had been acknowledged by then", s, s.Time, least))
		}
	}
	for _, n := range now {
		if n > 0 {
			w.missing++
		}
	}
	w.missing -= min(w.missing, len(published))
	total := 0.0
	for _, s := range samples.Named("kafka_consumer_group_commits_total").With("group", group) {
		total += s.Value
	}
	if all := sum(asked); total > all {
		errs = append(errs, fmt.Errorf("%v commits are counted, but no more than %v were made", total, all))
	}
	return errors.Join(errs...)
}

// at is what had surely been acknowledged at a time.
func (w *watch) at(when time.Time) (acknowledged [workers]int64) {
	for _, m := range w.past {
		if m.time.Add(clockStep).After(when) {
			break
		}
		acknowledged = m.acknowledged
	}
	return acknowledged
}

// during looks again and again for a time.
func (w *watch) during(ctx context.Context, t *testing.T, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		require.NoError(t, w.look(ctx))
	}
	t.Logf("%d values looked at, %d absent", w.seen, w.missing)
	require.NotZero(t, w.seen)
}

func sum(n [workers]int64) (s float64) {
	for _, x := range n {
		s += float64(x)
	}
	return s
}

// byPartition are offsets as published gives them.
func byPartition(offsets [workers]int64) map[string]float64 {
	out := map[string]float64{}
	for p, n := range offsets {
		out[strconv.Itoa(p)] = float64(n)
	}
	return out
}

// published are the group's offsets by partition.
func published(samples collector.Samples) map[string]float64 {
	out := map[string]float64{}
	for _, s := range samples.Named("kafka_consumer_group_offset").With("group", group) {
		out[s.Labels["partition"]] = s.Value
	}
	return out
}

// awaitExact awaits that the collector publishes what the broker has acknowledged,
// and counts as many commits if it has seen all.
func awaitExact(ctx context.Context, t *testing.T, c *collector.Collector, b *board, counted bool) {
	t.Helper()
	acknowledged := b.acknowledged()
	want := byPartition(acknowledged)
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var first error // later there is nothing left to compare
	err := wait.Until(patient, func() (err error) {
		defer func() {
			if first == nil {
				first = err
			}
		}()
		samples, err := c.Metrics(ctx)
		if err != nil {
			return err
		}
		got := published(samples)
		if !maps.Equal(got, want) {
			return fmt.Errorf("published is %v, acknowledged was %v", got, want)
		}
		first = nil
		commits := samples.Named("kafka_consumer_group_commits_total").With("group", group)
		total := 0.0
		for _, s := range commits {
			total += s.Value
		}
		if counted && total != sum(acknowledged) {
			return fmt.Errorf("%v commits are counted, %v were made: %v", total, sum(acknowledged), commits)
		}
		return nil
	})
	if err != nil {
		own, _ := c.Telemetry(context.Background())
		t.Fatalf("%v\nAt first: %v\nThe receiver's own: %v", err, first, own.Own())
	}
}

// awaitEmpty awaits that nothing is left in any map but names, which go once
// their map is nearly full: there may be so many.
func awaitEmpty(ctx context.Context, t *testing.T, c *collector.Collector, names float64) {
	t.Helper()
	// Requests in flight outlive their connection by deadAge of internal/probe, 10 s.
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	require.NoError(t, wait.Until(patient, func() error {
		samples, err := c.Telemetry(ctx)
		if err != nil {
			return err
		}
		read := samples.Named("otelcol_receiver_ebpf_kafka_map_capacity")
		if len(read) == 0 {
			return errors.New("the receiver does not tell of its maps")
		}
		var errs []error
		for key, value := range samples.Own() {
			name, isMap := strings.CutPrefix(key, "map_entries ")
			if isMap && (name != "names" || value > names) {
				errs = append(errs, fmt.Errorf("%v entries are left in map %s", value, name))
			}
		}
		return errors.Join(errs...)
	}))
	samples, err := c.Telemetry(ctx)
	require.NoError(t, err)
	own := samples.Own()
	maps.DeleteFunc(own, func(key string, _ float64) bool { return strings.HasPrefix(key, "map_capacity") })
	t.Logf("afterwards: %v", own)
}
