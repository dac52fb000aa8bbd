// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// askTimeout bounds the questions to the broker.
const askTimeout = 15 * time.Second

// truth is the broker's own answer for one partition of one group.
type truth struct {
	committed, end, lag int64
}

// verdict is the outcome of the comparison.
type verdict struct {
	partitions  int // that the broker knows a committed offset of
	equal       int
	differences []string
}

func (v verdict) ok() bool {
	return v.partitions > 0 && v.equal == v.partitions && len(v.differences) == 0
}

func (v verdict) String() string {
	line := fmt.Sprintf("%d of %d partitions equal to the broker's answer", v.equal, v.partitions)
	if len(v.differences) > 0 {
		line += "\n" + indent(strings.Join(v.differences, "\n"))
	}
	return line
}

func askAndCompare(ctx context.Context, broker string, shown snapshot) (verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answer, err := askBroker(ctx, broker)
	if err != nil {
		return verdict{}, fmt.Errorf("the broker did not answer, so the numbers could not be checked: %w", err)
	}
	return compare(answer, shown), nil
}

// askBroker asks what kafka-consumer-groups would: offsets and ends of the demo's groups.
func askBroker(ctx context.Context, broker string) (map[partitionKey]truth, error) {
	client, err := kgo.NewClient(clientOptions(broker, "demo-check")...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	lags, err := kadm.NewClient(client).Lag(ctx, checkoutGroup, billingGroup)
	if err != nil {
		return nil, err
	}
	if err := lags.Error(); err != nil {
		return nil, err
	}
	answer := map[partitionKey]truth{}
	for group, described := range lags {
		for topic, partitions := range described.Lag {
			for partition, lag := range partitions {
				if lag.Err != nil {
					return nil, fmt.Errorf("%s/%s/%d: %w", group, topic, partition, lag.Err)
				}
				if lag.Commit.At >= 0 { // -1: nothing was committed
					answer[partitionKey{group, topic, partition}] = truth{committed: lag.Commit.At, end: lag.End.Offset, lag: lag.Lag}
				}
			}
		}
	}
	return answer, nil
}

// compare demands that every partition with a committed offset is shown with that offset and lag, that the end is
// right where it is shown, and that the demo's groups are shown with nothing more.
func compare(answer map[partitionKey]truth, shown snapshot) verdict {
	v := verdict{partitions: len(answer)}
	seen := map[partitionKey]bool{}
	for _, r := range shown.rows {
		want, known := answer[r.partitionKey]
		if !known {
			if r.isOwn() {
				v.differences = append(v.differences, fmt.Sprintf("%s: shown, but the broker knows no offset of it", r.partitionKey))
			}
			continue
		}
		seen[r.partitionKey] = true
		var wrong []string
		check := func(what string, shown *int64, want int64, required bool) {
			switch {
			case shown == nil && required:
				wrong = append(wrong, fmt.Sprintf("%s not shown, broker %d", what, want))
			case shown != nil && *shown != want:
				wrong = append(wrong, fmt.Sprintf("%s %d, broker %d", what, *shown, want))
			}
		}
		check("committed", r.committed, want.committed, true)
		check("end", r.end, want.end, false)
		check("lag", r.lag, want.lag, true)
		if len(wrong) == 0 {
			v.equal++
		} else {
			v.differences = append(v.differences, fmt.Sprintf("%s: %s", r.partitionKey, strings.Join(wrong, "; ")))
		}
	}
	for _, key := range sortedKeys(answer) {
		if !seen[key] {
			v.differences = append(v.differences, fmt.Sprintf("%s: not shown, broker committed %d, lag %d", key, answer[key].committed, answer[key].lag))
		}
	}
	return v
}

func sortedKeys(answer map[partitionKey]truth) []partitionKey {
	return slices.SortedFunc(maps.Keys(answer), partitionKey.compare)
}
