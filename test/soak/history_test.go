// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

// answer is what the broker said, at some moment between the two times.
type answer struct {
	asked, answered time.Time
	truth           kafka.Truth
}

// history is what the broker said over time.
type history struct {
	mutex   sync.Mutex
	answers []answer
}

// askEach is often enough that little happens between two answers, and leaves the broker to others.
const askEach = 50 * time.Millisecond

// keep asks the oracle until ctx ends.
func (h *history) keep(ctx context.Context, oracle *kafka.Oracle, groups []string) error {
	tick := time.NewTicker(askEach)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		a := answer{asked: time.Now()}
		var err error
		if a.truth, err = oracle.Ask(ctx, groups...); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			// On a busy machine a broker may be late to tell its controller that it lives. Until it has, there is no
			// answer: those around it are the bounds.
			if refused := (*kerr.Error)(nil); errors.As(err, &refused) && refused.Retriable {
				continue
			}
			return fmt.Errorf("asking the broker: %w", err)
		}
		a.answered = time.Now()
		h.mutex.Lock()
		h.answers = append(h.answers, a)
		h.mutex.Unlock()
	}
}

// bounds are the least and the largest of some values.
type bounds struct{ low, high int64 }

func (b bounds) has(v int64) bool { return v >= b.low && v <= b.high }

// around tells between which values something was from early to late: the last
// answer that had come by early, the first that was asked for after late, and all
// between them. False if there is none before, or none after.
func (h *history) around(early, late time.Time, value func(kafka.Truth) (int64, bool)) (bounds, bool) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	var b bounds
	// One is answered before the next is asked for.
	before := sort.Search(len(h.answers), func(i int) bool { return h.answers[i].answered.After(early) }) - 1
	after := sort.Search(len(h.answers), func(i int) bool { return !h.answers[i].asked.Before(late) })
	if before < 0 || after == len(h.answers) {
		return b, false
	}
	for i := before; i <= after; i++ {
		v, ok := value(h.answers[i].truth)
		if !ok {
			return b, false
		}
		if i == before {
			b = bounds{v, v}
		}
		b.low, b.high = min(b.low, v), max(b.high, v)
	}
	return b, true
}

func TestAround(t *testing.T) {
	start := time.Now()
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	k := kafka.GroupPartition{Group: "g", Topic: "t"}
	h := &history{}
	for i, offset := range []int64{10, 20, 15, 30} {
		h.answers = append(h.answers, answer{asked: at(100 * i), answered: at(100*i + 50), truth: kafka.Truth{
			Committed: map[kafka.GroupPartition]int64{k: offset},
		}})
	}
	committed := func(t kafka.Truth) (int64, bool) { v, ok := t.Committed[k]; return v, ok }
	for _, test := range []struct {
		early, late int
		want        bounds
		ok          bool
	}{
		{60, 70, bounds{10, 20}, true},
		{60, 110, bounds{10, 20}, true}, // asked at 200: 15
		{160, 170, bounds{15, 20}, true},
		{160, 210, bounds{15, 30}, true},
		{40, 70, bounds{}, false},   // no answer had come yet
		{360, 370, bounds{}, false}, // none was asked for after
	} {
		got, ok := h.around(at(test.early), at(test.late), committed)
		assert.Equal(t, test.ok, ok, test)
		if ok {
			assert.Equal(t, test.want, got, test)
		}
	}
}
