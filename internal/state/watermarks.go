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

// notice takes note of the time of a sighting. Once all were noticed, settle takes the largest offset of
// those that may have crossed the newest: so the outcome does not depend on their order.
func (s *seen) notice(offset int64, time uint64) {
	if offset >= 0 {
		s.time = max(s.time, time)
	}
}

func (s *seen) settle(offset int64, time uint64) {
	if time > 0 && time+uint64(overlap) >= s.time {
		s.offset = max(s.offset, offset)
	}
}

// End is one of the offsets that say where a partition begins and ends.
type End uint8

// The ends, as ListOffsets tells them.
const (
	HighWatermarkEnd End = iota
	LastStableEnd
	LogStartEnd
)

// Asked is an offset that a broker told the receiver itself, which unlike the hooks knows both times.
type Asked struct {
	Cluster, Topic  string
	Partition       int32
	End             End
	Offset          int64
	Asked, Answered uint64 // when the request was sent, and when its response had come
}

// tell takes an answer beside what was seen, once that is settled. A larger offset is taken as any other sighting is. A
// smaller one is right only if it was asked for after the larger one had come: no overlap is left to guess about. So is
// any, if the name's topic was made anew: what was answered earlier may be about the topic before.
func (s *seen) tell(a *Asked, anew bool) {
	switch {
	case a.Offset < 0 || a.Answered == 0:
	case anew && a.Asked <= s.time:
	case a.Offset >= s.offset:
		if a.Answered+uint64(overlap) >= s.time {
			s.offset, s.time = a.Offset, max(s.time, a.Answered)
		}
	case a.Asked > s.time:
		s.offset, s.time = a.Offset, a.Answered
	}
}

// partition is what all links together know of a partition.
type partition struct {
	topic, number                 int32
	high, start, stable, produced seen
	batches                       [][]Batch
	sighted                       bool // there is a Watermark
	wanted                        bool
	twice                         bool // as place.twice
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
	indices := make([]int32, len(u.Watermarks)) // -1: left out
	before := make([]uint64, len(u.Watermarks)) // what was said until then is not true any more
	for i, w := range u.Watermarks {
		indices[i] = -1
		link := u.links[w.Link]
		if link == nil {
			continue
		}
		topic, ok := u.topicOrHold(link.cluster, w.Topic)
		if !ok {
			continue
		}
		before[i] = u.topicSince(link.cluster, w.Topic)
		w.forget(before[i])
		indices[i] = u.partition(topic, w.Partition)
		p := &u.partitions[indices[i]]
		p.sighted = true
		p.wanted = p.wanted || link.wanted
		fresh := u.sessionTime(&w)
		p.high.notice(w.HighWatermark, refreshed(w.Time, fresh))
		p.start.notice(w.LogStart, refreshed(w.LogStartTime, fresh))
		p.stable.notice(w.LastStable, w.Time)
		p.produced.notice(w.Produced, w.ProducedTime)
		if len(u.Batches) > 0 {
			if batches := u.Batches[w.PartitionKey]; len(batches) > 0 {
				p.batches = append(p.batches, batches)
			}
		}
	}
	for i, at := range indices {
		if at < 0 {
			continue
		}
		w, p := u.Watermarks[i], &u.partitions[at]
		w.forget(before[i])
		fresh := u.sessionTime(&w)
		p.high.settle(w.HighWatermark, refreshed(w.Time, fresh))
		p.start.settle(w.LogStart, refreshed(w.LogStartTime, fresh))
		// A session is not told of a last stable offset that moves alone.
		p.stable.settle(w.LastStable, w.Time)
		p.produced.settle(w.Produced, w.ProducedTime)
	}
	u.joinAsked()
}

// joinAsked comes after all that was seen on links.
func (u *update) joinAsked() {
	if len(u.Asked) == 0 {
		return
	}
	clusters := make(map[string]clusterID, len(u.clusters.names))
	for id, name := range u.clusters.names {
		if name != NameNone {
			clusters[u.Names[name]] = clusterID(id)
		}
	}
	topics := make(map[string]NameID)
	for i := range u.Asked {
		topics[u.Asked[i].Topic] = NameNone
	}
	for id, text := range u.Names {
		if _, asked := topics[text]; asked {
			topics[text] = id
		}
	}
	for i := range u.Asked {
		a := &u.Asked[i]
		cluster, known := clusters[a.Cluster]
		if !known || topics[a.Topic] == NameNone {
			continue
		}
		topic := u.topic(cluster, topics[a.Topic])
		if !topic.wanted {
			continue
		}
		p := &u.partitions[u.partition(topic.index, a.Partition)]
		_, anew := u.recreated[topicKey{cluster, topics[a.Topic]}]
		p.wanted = true // it was asked for because of a group that is published
		switch a.End {
		case HighWatermarkEnd:
			p.high.tell(a, anew)
		case LastStableEnd:
			p.stable.tell(a, anew)
		case LogStartEnd:
			p.start.tell(a, anew)
		}
	}
}

// forget leaves out what was said before a moment.
func (w *Watermark) forget(before uint64) {
	if w.Time <= before {
		w.HighWatermark, w.LastStable, w.Time = -1, -1, 0
	}
	if w.LogStartTime <= before {
		w.LogStart, w.LogStartTime = -1, 0
	}
	if w.ProducedTime <= before {
		w.Produced, w.ProducedTime = -1, 0
	}
}

// partition gives the index of a partition, which it makes if need be.
func (u *update) partition(topic, number int32) int32 {
	key := pair(topic, number)
	at, ok := u.partitionIndex[key]
	if !ok {
		at = int32(len(u.partitions))
		u.partitionIndex[key] = at
		none := seen{offset: -1}
		u.partitions = append(u.partitions, partition{
			topic: topic, number: number, high: none, start: none, stable: none, produced: none,
		})
	}
	return at
}

// sessionTime is when a partition's fetch session was last answered: what an incremental fetch response
// leaves out is unchanged as of that response (KIP-227).
func (u *update) sessionTime(w *Watermark) uint64 {
	if w.Session == 0 {
		return 0
	}
	session := u.Sessions[SessionKey{Link: w.Link, Session: w.Session}]
	if w.Time < session.Since {
		return 0 // an answer between the two was not seen, and may have told of a change
	}
	return session.Time
}

func refreshed(time, fresh uint64) uint64 {
	if time == 0 {
		return 0
	}
	return max(time, fresh)
}

// timeOf is the timestamp of the record at an offset; false if no known batch holds it. Within a batch
// it is interpolated: a batch tells the timestamps of its first and of its latest record. If batches
// disagree, the log was truncated, or the topic made anew: the latest is the one that was written last.
func (p *partition) timeOf(offset int64) (time.Time, bool) {
	latest := int64(-1)
	for _, batches := range p.batches {
		for _, b := range batches {
			if offset < b.First || offset > b.Last || b.MaxTime < 0 || b.FirstTime < 0 {
				continue
			}
			then := b.MaxTime
			if offset < b.Last {
				passed := float64(offset-b.First) / float64(b.Last-b.First)
				then = b.FirstTime + int64(float64(b.MaxTime-b.FirstTime)*passed)
			}
			latest = max(latest, then)
		}
	}
	return time.UnixMilli(latest), latest >= 0
}
