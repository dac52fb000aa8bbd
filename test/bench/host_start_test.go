// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/test/collector"
)

const (
	// startPairs is how often each backend is started on a host with few processes, and on one with many.
	startPairs = 5
	// startPoll is the time between two looks for the first collection; a figure is too large by as much.
	startPoll = 2 * time.Millisecond
)

// A start is what one took.
type start struct {
	attach     time.Duration // loading the programs, with the kernel's verifier, and attaching them: as the log says
	attached   time.Duration // from the start of the process
	collection time.Duration // from the start of the process until the first is over
}

// starts are those of one backend, in the order in which they were measured.
type starts struct{ few, many []start }

// measureStarts starts collectors of each backend in turn, and many processes between them.
func measureStarts(ctx context.Context, t *testing.T, backends []probe.Backend) map[probe.Backend]*starts {
	all := map[probe.Backend]*starts{}
	for _, b := range backends {
		all[b] = &starts{}
	}
	for range startPairs {
		for _, b := range backends {
			all[b].few = append(all[b].few, measureStart(ctx, t, b))
		}
		end := waiters(ctx, t, hostProcesses)
		for _, b := range backends {
			all[b].many = append(all[b].many, measureStart(ctx, t, b))
		}
		end()
	}
	for _, b := range backends {
		t.Logf("%s: %+v", b, *all[b])
	}
	return all
}

// took is how long the log says that attaching took.
var took = regexp.MustCompile(`Watching Kafka traffic.*"took": ([0-9.e-]+)`)

func measureStart(ctx context.Context, t *testing.T, b probe.Backend) start {
	began := time.Now()
	c, err := collector.Start(ctx, collector.Options{
		Dir: filepath.Join(t.TempDir(), "collector"), Backend: string(b), Set: []string{
			"receivers::ebpf_kafka::initial_delay: 0s",
			"receivers::ebpf_kafka::collection_interval: 15s", // one only
			"service::telemetry::metrics::level: normal",
		}})
	require.NoError(t, err)
	out := start{attached: time.Since(began)}
	for {
		samples, err := c.Telemetry(ctx)
		require.NoError(t, err)
		if samples.Own()["snapshot_duration"] > 0 {
			break
		}
		time.Sleep(startPoll)
	}
	out.collection = time.Since(began)
	found := took.FindStringSubmatch(c.Log())
	require.NotNil(t, found, "no line of the log says how long attaching took:\n%s", c.Log())
	seconds, err := strconv.ParseFloat(found[1], 64)
	require.NoError(t, err)
	out.attach = time.Duration(seconds * float64(time.Second))
	require.NoError(t, c.Stop())
	http.DefaultClient.CloseIdleConnections()
	return out
}

// middle is the median of what f says of each, and the largest.
func middle(all []start, f func(start) time.Duration) (median, most time.Duration) {
	var d []time.Duration
	for _, x := range all {
		d = append(d, f(x))
	}
	slices.Sort(d)
	return d[len(d)/2], d[len(d)-1]
}
