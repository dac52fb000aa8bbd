// SPDX-License-Identifier: Apache-2.0

package situations

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

// expectation says which groups a situation is about, and what else than the
// truth about them is right.
type expectation struct {
	groups []string
	// unknown: the broker has an offset, and no view may publish one.
	unknown map[kafka.GroupPartition]bool
	// perhaps: right or absent.
	perhaps map[kafka.GroupPartition]bool
	// hidden: groups of which no view may publish anything.
	hidden []string
	// uncounted: the ledger does not know all commits.
	uncounted bool
	// lag: every partition with an offset must have its lag.
	lag bool
	// unread: nobody has asked for the partitions' ends, and no lag is known.
	unread bool
}

// agree awaits that every view equals the broker, and the ledger.
func (s *scene) agree(t *testing.T, e expectation) {
	t.Helper()
	truth := s.committed(t, e.groups...)
	if !e.unread {
		s.addEnds(t, truth)
	}
	within(t, func() error {
		var errs []error
		for _, v := range s.views {
			errs = append(errs, s.compare(t, v, e, truth))
		}
		return errors.Join(errs...)
	})
}

// committed asks the broker, over TLS, for the offsets of groups.
func (s *scene) committed(t *testing.T, groups ...string) kafka.Truth {
	t.Helper()
	truth := kafka.Truth{Committed: map[kafka.GroupPartition]int64{}, Bounds: map[kafka.Partition]kafka.Bounds{}}
	within(t, func() error {
		for group, r := range s.oracle.Admin().FetchManyOffsets(t.Context(), groups...) {
			if r.Err != nil {
				return fmt.Errorf("offsets of %.20s: %w", group, r.Err)
			}
			r.Fetched.Each(func(o kadm.OffsetResponse) {
				if o.At >= 0 {
					truth.Committed[kafka.GroupPartition{Group: group, Topic: o.Topic, Partition: o.Partition}] = o.At
				}
			})
		}
		return nil
	})
	return truth
}

// addEnds asks for the ends of the partitions of all topics that were committed.
func (s *scene) addEnds(t *testing.T, truth kafka.Truth) {
	t.Helper()
	topics := map[string]bool{}
	for k := range truth.Committed {
		topics[k.Topic] = true
	}
	within(t, func() error {
		ends, err := s.oracle.Admin().ListEndOffsets(t.Context(), slices.Collect(maps.Keys(topics))...)
		if err := errors.Join(err, ends.Error()); err != nil {
			return err
		}
		ends.Each(func(end kadm.ListedOffset) {
			truth.Bounds[kafka.Partition{Topic: end.Topic, Partition: end.Partition}] = kafka.Bounds{End: end.Offset}
		})
		return nil
	})
}

func (s *scene) compare(t *testing.T, v *view, e expectation, truth kafka.Truth) error {
	samples, err := v.Metrics(t.Context())
	if err != nil {
		return err
	}
	ours := map[string]bool{}
	for _, group := range e.groups {
		ours[group] = true
	}
	p := problems{}
	offsets := s.values(&p, samples.Named("kafka_consumer_group_offset"), ours)
	for k, want := range truth.Committed {
		got, ok := offsets[k]
		switch {
		case e.unknown[k] && ok:
			p.add("%v: offset %d; it cannot be known here (broker: %d)", k, got, want)
		case !ok && !e.unknown[k] && !e.perhaps[k]:
			p.add("%v: no offset, broker has %d", k, want)
		case ok && got != want:
			p.add("%v: offset %d, broker has %d", k, got, want)
		}
	}
	for k, got := range offsets {
		if _, ok := truth.Committed[k]; !ok {
			p.add("%v: offset %d, broker has none", k, got)
		}
	}
	lags := s.values(&p, samples.Named("kafka_consumer_group_lag"), ours)
	for k, got := range lags {
		switch want, ok := truth.Lag(k); {
		case e.unread:
			p.add("%v: lag %d, and nobody has fetched it", k, got)
		case !ok || got != want:
			p.add("%v: lag %d, broker has %d", k, got, want)
		}
	}
	if e.lag {
		for k := range offsets {
			if _, ok := lags[k]; !ok {
				p.add("%v: no lag", k)
			}
		}
	}
	if !e.uncounted {
		s.compareCommits(&p, samples, ours)
	}
	for _, sample := range samples {
		if slices.Contains(e.hidden, sample.Labels["group"]) {
			p.add("must not be there: %s of group %.20s", sample.Name, sample.Labels["group"])
		}
	}
	return p.err(v.name)
}

// compareCommits holds the counters against what talkers were answered.
func (s *scene) compareCommits(p *problems, samples collector.Samples, ours map[string]bool) {
	counted := map[entry]int64{}
	for _, c := range samples.Named("kafka_consumer_group_commits_total") {
		if ours[c.Labels["group"]] {
			counted[entry{c.Labels["group"], c.Labels["topic"], c.Labels["error_type"]}] += int64(c.Value)
		}
	}
	want := s.ledger.of(ours)
	for k, n := range want {
		if counted[k] != n {
			p.add("%d commits counted of %v, %d were answered", counted[k], k, n)
		}
	}
	for k, n := range counted {
		if _, ok := want[k]; !ok {
			p.add("%d commits counted of %v, none was answered", n, k)
		}
	}
}

// values returns a metric of our groups by partition.
func (s *scene) values(p *problems, samples collector.Samples, ours map[string]bool) map[kafka.GroupPartition]int64 {
	values := map[kafka.GroupPartition]int64{}
	for _, sample := range samples {
		if !ours[sample.Labels["group"]] {
			continue
		}
		n, err := strconv.ParseInt(sample.Labels["partition"], 10, 32)
		if err != nil {
			p.add("no partition: %v", sample)
		}
		k := kafka.GroupPartition{Group: sample.Labels["group"], Topic: sample.Labels["topic"], Partition: int32(n)}
		if _, twice := values[k]; twice {
			p.add("twice: %v", sample)
		}
		if got := sample.Labels["kafka_cluster_id"]; got != s.broker.ClusterID {
			p.add("cluster is %s: %v", s.broker.ClusterID, sample)
		}
		values[k] = int64(sample.Value)
	}
	return values
}

// problems collects what differs.
type problems struct{ all []string }

func (p *problems) add(format string, args ...any) {
	p.all = append(p.all, fmt.Sprintf(format, args...))
}

// shown is how many problems an error spells out: 5,000 say no more than some.
const shown = 20

func (p *problems) err(view string) error {
	if len(p.all) == 0 {
		return nil
	}
	slices.SortFunc(p.all, cmp.Compare)
	return fmt.Errorf("%s: %d differences from the broker:\n%s", view, len(p.all),
		strings.Join(p.all[:min(len(p.all), shown)], "\n"))
}
