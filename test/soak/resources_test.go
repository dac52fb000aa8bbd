// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
)

const (
	// sampleEach is the time between two looks at what the collector uses, or less if the soak is so short that a
	// quarter of it would have fewer than samplesLeast.
	sampleEach   = 10 * time.Second
	samplesLeast = 3

	// trendLeast is how long a soak has to be for its trend to mean something: much longer than idle, so that what
	// was used first has been forgotten before the second quarter begins.
	trendLeast = 5 * time.Minute

	// Go's garbage collector lets the heap grow to twice what lives before it looks.
	residentShare = 1.1
	residentMore  = 8 << 20

	// How many entries a map has is a matter of chance while clients come and go. Less than a client leaves in a
	// quarter of the shortest soak is not taken for a leak.
	entriesShare = 1.1
	entriesMore  = 5
	// descriptorsMore has room for a scrape's connection.
	descriptorsMore = 2
)

const (
	resident    = "resident memory, bytes"
	descriptors = "file descriptors"
	mapPrefix   = "entries of map "
)

// A use is what the collector used at some moment, by name.
type use map[string]float64

// uses are in the order in which they were taken: the first before anything went on, and the others during the soak.
type uses struct {
	start use
	all   []use
}

// keep looks until ctx ends.
func (u *uses) keep(ctx context.Context, c *collector.Collector, soak time.Duration) error {
	tick := time.NewTicker(min(sampleEach, soak/(4*samplesLeast)))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		one, err := look(ctx, c)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		u.all = append(u.all, one)
	}
}

// look reads what the kernel says of the process, and what the receiver says of its maps.
func look(ctx context.Context, c *collector.Collector) (use, error) {
	out := use{}
	kilobytes, err := residentOf(c.PID())
	if err != nil {
		return nil, err
	}
	out[resident] = kilobytes * 1024
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.PID()))
	if err != nil {
		return nil, err
	}
	out[descriptors] = float64(len(open))
	samples, err := c.Telemetry(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range samples.Named("otelcol_receiver_ebpf_kafka_map_entries") {
		out[mapPrefix+s.Labels["map"]] = s.Value
	}
	return out, nil
}

func residentOf(pid int) (kilobytes float64, err error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			_, err := fmt.Sscan(rest, &kilobytes)
			return kilobytes, err
		}
	}
	return 0, fmt.Errorf("%s says nothing of VmRSS", f.Name())
}

// A trend is how much was used of one thing.
type trend struct {
	name     string
	start    float64
	quarters [4]float64 // the median of each
	mosts    [4]float64 // the largest of each
}

// trends are of all that was ever used, in the order of their names, with what is the process's first.
func (u *uses) trends() (all []trend, err error) {
	if len(u.all) < 4*samplesLeast-1 { // the last one may be cut off
		return nil, fmt.Errorf("the collector was looked at %d times; soak for longer", len(u.all))
	}
	names := map[string]bool{}
	for _, one := range append([]use{u.start}, u.all...) {
		for name, value := range one {
			if value > 0 {
				names[name] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		x := trend{name: name, start: u.start[name]}
		for q := range x.quarters {
			var values []float64
			for _, one := range u.all[q*len(u.all)/4 : (q+1)*len(u.all)/4] {
				values = append(values, one[name])
			}
			slices.Sort(values)
			x.quarters[q], x.mosts[q] = values[len(values)/2], values[len(values)-1]
		}
		all = append(all, x)
	}
	slices.SortStableFunc(all, func(a, b trend) int {
		return strings.Compare(strings.TrimPrefix(rank(a.name), mapPrefix), strings.TrimPrefix(rank(b.name), mapPrefix))
	})
	return all, nil
}

// rank brings what is the process's before maps.
func rank(name string) string {
	if strings.HasPrefix(name, mapPrefix) {
		return "1" + name
	}
	return "0" + name
}

// flat tells whether no more is used in the last quarter than in the second. Of what comes and goes with clients, the
// median of the last quarter has to be within the second's range, or nearly so.
func (x trend) flat() error {
	var allowed float64
	switch x.name {
	case resident:
		allowed = x.quarters[1]*residentShare + residentMore
	case descriptors:
		allowed = x.mosts[1] + descriptorsMore
	default:
		allowed = x.mosts[1]*entriesShare + entriesMore
	}
	if x.quarters[3] > allowed {
		return fmt.Errorf("%s: a median of %.0f in the last quarter of the soak, and no more than %.0f are allowed after a "+
			"median of %.0f in the second", x.name, x.quarters[3], allowed, x.quarters[1])
	}
	return nil
}

// flat joins what is not.
func flat(all []trend) error {
	var errs []error
	for _, x := range all {
		errs = append(errs, x.flat())
	}
	return errors.Join(errs...)
}

func TestTrends(t *testing.T) {
	grow := func(name string, value func(i int) float64) []trend {
		u := uses{start: use{name: value(0)}}
		for i := range 40 {
			u.all = append(u.all, use{name: value(i)})
		}
		all, err := u.trends()
		require.NoError(t, err)
		require.Len(t, all, 1)
		return all
	}
	const offsets = mapPrefix + "offsets"
	assert.NoError(t, flat(grow(offsets, func(i int) float64 { return 100 + float64(i%3) })))
	assert.NoError(t, flat(grow(offsets, func(i int) float64 { return float64(100 * (i % 10)) })), "up and down again")
	assert.Error(t, flat(grow(offsets, func(i int) float64 { return 100 + 3*float64(i) })))
	assert.NoError(t, flat(grow(offsets, func(i int) float64 { return min(float64(i), 10) + 1 })), "at first only")
	assert.NoError(t, flat(grow(descriptors, func(i int) float64 { return 20 + float64(i/10) })))
	assert.Error(t, flat(grow(descriptors, func(i int) float64 { return 20 + float64(i/5) })))
	assert.NoError(t, flat(grow(resident, func(i int) float64 { return 100 << 20 * (1 + float64(i)/400) })))
	assert.Error(t, flat(grow(resident, func(i int) float64 { return 100 << 20 * (1 + float64(i)/40) })))
	_, err := (&uses{all: make([]use, 5)}).trends()
	assert.Error(t, err)
}
