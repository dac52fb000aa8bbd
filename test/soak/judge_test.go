// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

const (
	scrapeEach = 250 * time.Millisecond
	// maxWrong is how many wrong values are listed one by one.
	maxWrong = 20
)

type sighting struct {
	key   kafka.GroupPartition
	lag   bool
	value int64
	time  time.Time // when the snapshot began
}

// A sighted value was read from the kernel between its time and then: on a busy machine a snapshot takes a while.
type sighted struct {
	sighting
	by time.Time
}

// sightings are the values that the collector has exposed, each once.
type sightings struct {
	mutex sync.Mutex
	all   []sighted
	wrong []string // of visitors, of which the broker is not asked
}

func (s *sightings) keep(ctx context.Context, c *collector.Collector) error {
	known := map[sighting]bool{}
	tick := time.NewTicker(scrapeEach)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		samples, err := c.Metrics(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		now := time.Now()
		for _, sample := range samples {
			lag := sample.Name == "kafka_consumer_group_lag"
			if !lag && sample.Name != "kafka_consumer_group_offset" {
				continue
			}
			k, err := groupPartition(sample)
			if err != nil {
				return err
			}
			if strings.HasPrefix(k.Topic, visitPrefix) {
				if err := visited(k, int64(sample.Value)); !lag && err != nil {
					s.wrong = append(s.wrong, err.Error())
				}
				continue
			}
			one := sighting{key: k, lag: lag, value: int64(sample.Value), time: sample.Time}
			if !known[one] {
				known[one] = true
				s.mutex.Lock()
				s.all = append(s.all, sighted{one, now})
				s.mutex.Unlock()
			}
		}
	}
}

// verdict is what became of all sightings.
type verdict struct {
	offsets, lags int // held against the broker's answers
	unjudged      int // before the broker's first answer, or after its last
	strict        int // of the offsets, those within the answers right before and after
	wrong         []string
	wrongs        int
}

func (v verdict) String() string {
	text := fmt.Sprintf("%d offsets (%d of them between the answers right before and after) and %d lags compared, %d wrong, %d not judged",
		v.offsets, v.strict, v.lags, v.wrongs, v.unjudged)
	return strings.Join(append([]string{text}, v.wrong...), "\n")
}

// judge holds every sighting against the broker's answers around it.
func judge(h *history, all *sightings) verdict {
	v := verdict{wrongs: len(all.wrong), wrong: all.wrong[:min(len(all.wrong), maxWrong)]}
	for _, s := range all.all {
		committed := func(t kafka.Truth) (int64, bool) { n, ok := t.Committed[s.key]; return n, ok }
		end := func(t kafka.Truth) (int64, bool) {
			b, ok := t.Bounds[kafka.Partition{Topic: s.key.Topic, Partition: s.key.Partition}]
			return b.End, ok
		}
		offsets, ok := h.around(s.time.Add(-acknowledged), s.by, committed)
		if !ok {
			v.unjudged++
			continue
		}
		want := offsets
		if s.lag {
			v.lags++
			ends, ok := h.around(s.time.Add(-fetched), s.by, end)
			if !ok {
				v.lags--
				v.unjudged++
				continue
			}
			want = bounds{max(0, ends.low-offsets.high), max(0, ends.high-offsets.low)}
		} else {
			v.offsets++
			if exact, ok := h.around(s.time, s.by, committed); ok && exact.has(s.value) {
				v.strict++
			}
		}
		if want.has(s.value) {
			continue
		}
		v.wrongs++
		if len(v.wrong) < maxWrong {
			what := "offset"
			if s.lag {
				what = "lag"
			}
			v.wrong = append(v.wrong, fmt.Sprintf("%v: %s %d at %s, the broker had %d to %d",
				s.key, what, s.value, s.time.Format("15:04:05.000"), want.low, want.high))
		}
	}
	return v
}

func TestJudge(t *testing.T) {
	k := kafka.GroupPartition{Group: "g", Topic: "t"}
	at := func(seconds float64) time.Time {
		return time.Unix(1000, 0).Add(time.Duration(seconds * float64(time.Second)))
	}
	h := &history{}
	for i := range 10 {
		h.answers = append(h.answers, answer{asked: at(float64(i)), answered: at(float64(i) + 0.1), truth: kafka.Truth{
			Committed: map[kafka.GroupPartition]int64{k: int64(10 * i)},
			Bounds:    map[kafka.Partition]kafka.Bounds{{Topic: "t"}: {End: int64(100 + 10*i)}},
		}})
	}
	for _, test := range []struct {
		s     sighting
		wrong bool
	}{
		{sighting{key: k, value: 52, time: at(5.5)}, false},
		{sighting{key: k, value: 40, time: at(5.5)}, false}, // the acknowledgement had not been read yet
		{sighting{key: k, value: 39, time: at(5.5)}, true},
		{sighting{key: k, value: 61, time: at(5.5)}, true},  // ahead of the broker
		{sighting{key: k, value: 61, time: at(5.9)}, false}, // read while it was committed
		{sighting{key: k, lag: true, value: 100, time: at(5.5)}, false},
		{sighting{key: k, lag: true, value: 69, time: at(5.5)}, true},
		{sighting{key: k, lag: true, value: 121, time: at(5.5)}, true},
	} {
		v := judge(h, &sightings{all: []sighted{{test.s, test.s.time.Add(250 * time.Millisecond)}}})
		assert.Equal(t, test.wrong, len(v.wrong) == 1, "%+v: %v", test.s, v)
		assert.Zero(t, v.unjudged)
	}
	assert.Equal(t, 1, judge(h, &sightings{all: []sighted{{sighting{key: k, time: at(-1)}, at(-1)}}}).unjudged)
	assert.Equal(t, 1, judge(h, &sightings{all: []sighted{{sighting{key: k, time: at(100)}, at(100)}}}).unjudged)
}
