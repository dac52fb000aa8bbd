// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/kafka"
	"github.com/ebpfkafka/ebpfkafka/test/page"
)

const (
	// freshCommand is what writes the figures, as the page says.
	freshCommand = "make bench-freshness"

	freshCommits = 1200
	// freshInterval is the time between two collections.
	freshInterval = time.Second
	// freshGap is the time between commits: a part of a second that no small
	// number of commits fills, so that they meet every phase of the interval.
	freshGap = 61_803 * time.Microsecond
	// freshPoll is the time between the end of a look at /metrics and the next:
	// enough to leave a processor to the others.
	freshPoll = time.Millisecond
	// freshest is what a collection interval of a second allows: the interval,
	// and what reading the maps and exporting take.
	freshest = 1100 * time.Millisecond
	group    = "freshness"
)

// A look is what one read of /metrics has shown.
type look struct {
	offset    int64
	collected time.Time // when the collection began, as the exporter says; to the millisecond
	seen      time.Time // when the whole answer had been read
}

// A freshReport has the times of all commits, the shortest first.
type freshReport struct {
	date      time.Time
	collected []time.Duration // from the acknowledgement until the collection began that had it
	visible   []time.Duration // from the acknowledgement until it was read
	shown     []time.Duration // from the collection until it was read
	looks     []time.Duration // from one look to the next
}

// BenchmarkFreshness is the time from a commit's acknowledgement, by Apache
// Kafka, until /metrics says so, with a collection interval of one second.
func BenchmarkFreshness(b *testing.B) {
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	broker, err := kafka.Start(ctx, kafka.Options{Dir: b.TempDir()})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, broker.Stop()) })
	require.NoError(b, broker.CreateTopic(ctx, group, 1))
	_, port, err := net.SplitHostPort(broker.Addr)
	require.NoError(b, err)
	c, err := collector.Start(ctx, collector.Options{Dir: filepath.Join(b.TempDir(), "collector"), Set: []string{
		"receivers::ebpf_kafka::collection_interval: " + freshInterval.String(),
		"receivers::ebpf_kafka::discovery::ports: [" + port + "]",
		"exporters::prometheus::send_timestamps: true",
	}})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, c.Stop()) })
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr), kgo.ClientID(group))
	require.NoError(b, err)
	defer client.Close()

	commit := func(offset int64) error {
		offsets := kadm.Offsets{}
		offsets.AddOffset(group, 0, offset, -1)
		committed, err := kadm.NewClient(client).CommitOffsets(ctx, group, offsets)
		return errors.Join(err, committed.Error())
	}
	require.NoError(b, commit(0)) // finds the coordinator

	acknowledged := make(chan time.Time, freshCommits) // of offsets 1, 2, …
	failed := make(chan error, 1)
	go func() {
		tick := time.NewTicker(freshGap)
		defer tick.Stop()
		for offset := int64(1); offset <= freshCommits; offset++ {
			<-tick.C
			if err := commit(offset); err != nil {
				failed <- err
				return
			}
			acknowledged <- time.Now()
		}
	}()
	found := freshReport{date: time.Now()}
	for last := (look{}); len(found.visible) < freshCommits; {
		select {
		case err := <-failed:
			require.NoError(b, err)
		case <-ctx.Done():
			b.Fatalf("%d of %d commits were visible: %v", len(found.visible), freshCommits, context.Cause(ctx))
		case <-time.After(freshPoll):
		}
		now, err := takeLook(ctx, c.Addr)
		require.NoError(b, err)
		if !last.seen.IsZero() {
			found.looks = append(found.looks, now.seen.Sub(last.seen))
		}
		for int64(len(found.visible)) < now.offset {
			at := <-acknowledged
			found.visible = append(found.visible, now.seen.Sub(at))
			found.collected = append(found.collected, now.collected.Sub(at))
		}
		if now.offset > last.offset {
			found.shown = append(found.shown, now.seen.Sub(now.collected))
		}
		last = now
	}
	for b.Loop() { // the figures are of one run
	}
	text := found.text()
	for i, name := range []string{"s-p50", "s-p90", "s-p99", "s-max"} {
		b.ReportMetric(freshShares(found.visible)[i].Seconds(), name)
	}
	fmt.Print("\n" + text)
	most := found.visible[freshCommits-1]
	require.LessOrEqual(b, most, freshest, "the longest until a commit was visible; is the machine busy?")
	if *writePage {
		require.NoError(b, page.Write(freshCommand, text))
	}
}

// takeLook reads /metrics and no more of it than the one value.
func takeLook(ctx context.Context, addr string) (look, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		return look{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return look{}, err
	}
	defer response.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(response.Body); err != nil {
		return look{}, err
	}
	out := look{seen: time.Now()}
	if response.StatusCode != http.StatusOK {
		return look{}, fmt.Errorf("%s answers %s", request.URL, response.Status)
	}
	for lines := bufio.NewScanner(&text); lines.Scan(); {
		line := lines.Text()
		if !strings.HasPrefix(line, "kafka_consumer_group_offset{") || !strings.Contains(line, `group="`+group+`"`) {
			continue
		}
		fields := strings.Fields(line[strings.LastIndexByte(line, '}')+1:])
		if len(fields) != 2 {
			return look{}, fmt.Errorf("%q is no value and time", line)
		}
		offset, errOffset := strconv.ParseFloat(fields[0], 64)
		at, errAt := strconv.ParseInt(fields[1], 10, 64)
		if err := errors.Join(errOffset, errAt); err != nil {
			return look{}, fmt.Errorf("%q: %w", line, err)
		}
		out.offset, out.collected = int64(offset), time.UnixMilli(at)
	}
	return out, nil
}

// freshShares are the time that half of all have taken at most, that of 90 % and of 99 %, and the longest.
func freshShares(sorted []time.Duration) (at [4]time.Duration) {
	for i, share := range []float64{0.5, 0.9, 0.99, 1} {
		at[i] = sorted[int(share*float64(len(sorted)-1))]
	}
	return at
}

func (r *freshReport) text() string {
	rows := [][]string{{"milliseconds", "half", "90 %", "99 %", "all"}}
	for _, x := range []struct {
		name  string
		times []time.Duration
	}{
		{"from the acknowledgement until the value is read from /metrics", r.visible},
		{"of it, until the collection begins that has it", r.collected},
		{"of it, from there until it is read", r.shown},
		{"between two reads", r.looks},
	} {
		slices.Sort(x.times)
		row := []string{x.name}
		for _, d := range freshShares(x.times) {
			row = append(row, milliseconds(d))
		}
		rows = append(rows, row)
	}
	return fmt.Sprintf("%s %s. %s commits.\n\n%s", page.Measured(r.date), page.Machine(), page.Number(freshCommits),
		page.Table(rows))
}
