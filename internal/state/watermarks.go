// SPDX-License-Identifier: Apache-2.0

package state

import (
	"time"
)

// overlap is how far apart two answers may be that crossed on their way: within it the larger offset is
// the newer. Beyond it the newer answer is right even if it is smaller: the log was truncated, or the
// topic was made anew.
const overlap = 5 * time.Second

// seen is an offset and when it was known to be true.
type seen struct {
	offset int64
	time   uint64
}

// merge takes the newer of two sightings of an offset that normally only grows.
func merge(a, b seen) seen {
	switch {
	case b.offset < 0 || b.time == 0:
		return a
	case a.offset < 0 || a.time == 0:
		return b
	case a.time > b.time+uint64(overlap):
		return a
	case b.time > a.time+uint64(overlap):
		return b
	}
	return seen{offset: max(a.offset, b.offset), time: max(a.time, b.time)}
}

// partition is what all links together know of a partition.
type partition struct {
	high, start, stable, produced seen
	batches                       [][]Batch
	wanted                        bool
}

// current is the high watermark: as last fetched, or where an acknowledged record (acks=all) has
// pushed it since. Its time is the fetch's: a record produced here says nothing of those produced
// elsewhere.
func (p *partition) current() seen {
	c := p.high
	if c.offset >= 0 && p.produced.offset > c.offset && p.produced.time+uint64(overlap) >= c.time {
		c.offset = p.produced.offset
	}
	return c
}

func (u *update) joinWatermarks() {
	u.partitions = make(map[partitionID]*partition, len(u.Watermarks))
	arena := make([]partition, len(u.Watermarks))
	for i := range u.Watermarks {
		w := &u.Watermarks[i]
		cluster, ok := u.clusters.of[w.Link]
		if !ok {
			continue
		}
		topic, ok := u.topic(w.Topic)
		if !ok || !u.wantTopic(topic) {
			continue
		}
		link := u.Links[w.Link]
		id := partitionID{cluster: cluster, topic: topic, partition: w.Partition}
		p := u.partitions[id]
		if p == nil {
			p = &arena[0]
			arena = arena[1:]
			p.high.offset, p.start.offset, p.stable.offset, p.produced.offset = -1, -1, -1, -1
			u.partitions[id] = p
		}
		p.wanted = p.wanted || u.wantLink(&link)
		// What an incremental fetch response leaves out is unchanged as of that response (KIP-227).
		fresh := uint64(0)
		if w.Session != 0 {
			fresh = u.Sessions[SessionKey{Link: w.Link, Session: w.Session}]
		}
		p.high = merge(p.high, seen{w.HighWatermark, refreshed(w.Time, fresh)})
		p.start = merge(p.start, seen{w.LogStart, refreshed(w.LogStartTime, fresh)})
		// A session is not told of a last stable offset that moves alone.
		p.stable = merge(p.stable, seen{w.LastStable, w.Time})
		p.produced = merge(p.produced, seen{w.Produced, w.ProducedTime})
		if batches := u.Batches[w.PartitionKey]; len(batches) > 0 {
			p.batches = append(p.batches, batches)
		}
	}
}

func refreshed(time, fresh uint64) uint64 {
	if time == 0 {
		return 0
	}
	return max(time, fresh)
}

// timeOf is the timestamp of the record at an offset; false if no known batch holds it. Within a batch
// it is interpolated: a batch tells the timestamps of its first and of its latest record.
func (p *partition) timeOf(offset int64) (time.Time, bool) {
	for _, batches := range p.batches {
		for _, b := range batches {
			if offset < b.First || offset > b.Last || b.MaxTime < 0 || b.FirstTime < 0 {
				continue
			}
			ms := float64(b.MaxTime)
			if b.Last > b.First {
				ms = float64(b.FirstTime) + float64(b.MaxTime-b.FirstTime)*float64(offset-b.First)/float64(b.Last-b.First)
			}
			return time.UnixMicro(int64(ms * 1000)), true
		}
	}
	return time.Time{}, false
}
