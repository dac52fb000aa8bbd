// SPDX-License-Identifier: Apache-2.0

package state

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	testMaxAge = time.Minute
	testIdle   = 10 * time.Minute
)

// testTime is the moment of every snapshot that a test does not move, testNow the same on CLOCK_MONOTONIC.
var (
	testTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	testNow  = uint64(time.Hour)
)

// A world is a Snapshot that tests build up by name. Times are given as how long ago something was.
type world struct {
	*Snapshot
	ids map[string]NameID
}

func newWorld() *world {
	return &world{
		Snapshot: &Snapshot{
			Time:         testTime,
			Now:          testNow,
			Names:        make(map[NameID]string),
			TopicIDs:     make(map[NameID]NameID),
			TopicIDTimes: make(map[NameID]uint64),
			Links:        make(map[LinkID]Link),
			Sessions:     make(map[SessionKey]Session),
			Batches:      make(map[PartitionKey][]Batch),
		},
		ids: make(map[string]NameID),
	}
}

// later moves the snapshot on. What it holds grows older by it.
func (w *world) later(d time.Duration) {
	w.Time = w.Time.Add(d)
	w.Now += uint64(d)
}

func (w *world) ago(d time.Duration) uint64 { return w.Now - uint64(d) }

// name is the id of a string, "" is a name like any other.
func (w *world) name(s string) NameID {
	id, ok := w.ids[s]
	if !ok {
		id = NameID(100 + len(w.ids))
		w.ids[s] = id
		w.Names[id] = s
	}
	return id
}

// topicID is the id of a topic id; it has no name until learn is called.
func (w *world) topicID(s string) NameID {
	id, ok := w.ids["id "+s]
	if !ok {
		id = NameID(100 + len(w.ids))
		w.ids["id "+s] = id
	}
	return id
}

func (w *world) learn(id NameID, name string) { w.TopicIDs[id] = w.name(name) }

// client adds a link of a client, at a broker such as "10.0.0.1:9092", in the cluster that Metadata told,
// "" for none. Each client id has a process of its own.
func (w *world) client(id, broker, cluster string) LinkID {
	return w.link(Link{
		Process: ProcessKey{PID: uint32(w.name(id)), StartTime: 1, Comm: id},
		Role:    RoleClient,
		Client:  w.name(id),
		Broker:  netip.MustParseAddrPort(broker),
		Cluster: w.cluster(cluster),
		Open:    true,
	})
}

// broker adds the same seen by the broker of process pid.
func (w *world) broker(pid uint32, id, remote, broker, cluster string) LinkID {
	return w.link(Link{
		Process: ProcessKey{PID: pid, StartTime: 1, Comm: "java", Remote: remote},
		Role:    RoleBroker,
		Client:  w.name(id),
		Broker:  netip.MustParseAddrPort(broker),
		Cluster: w.cluster(cluster),
		Open:    true,
	})
}

func (w *world) cluster(name string) NameID {
	if name == "" {
		return NameNone
	}
	return w.name(name)
}

func (w *world) link(l Link) LinkID {
	id := LinkID(1000 + len(w.Links))
	w.Links[id] = l
	return id
}

// change changes a link.
func (w *world) change(id LinkID, f func(*Link)) {
	l := w.Links[id]
	f(&l)
	w.Links[id] = l
}

func (w *world) close(id LinkID) { w.change(id, func(l *Link) { l.Open = false }) }

// drop removes a link and all that was learnt on it, as the sweep does.
func (w *world) drop(id LinkID) {
	delete(w.Links, id)
	w.Offsets = slices.DeleteFunc(w.Offsets, func(o Offset) bool { return o.Link == id })
	w.Watermarks = slices.DeleteFunc(w.Watermarks, func(x Watermark) bool { return x.Link == id })
	w.Commits = slices.DeleteFunc(w.Commits, func(c CommitCounter) bool { return c.Link == id })
	w.Members = slices.DeleteFunc(w.Members, func(m Member) bool { return m.Link == id })
}

// offset enters a committed offset of group "g" in partition 0 of "t".
func (w *world) offset(link LinkID, source OffsetSource, offset int64, ago time.Duration) *Offset {
	w.Offsets = append(w.Offsets, Offset{
		Link: link, Group: w.name("g"), Topic: w.name("t"), Source: source,
		Offset: offset, Since: w.ago(ago), Acked: w.ago(ago),
	})
	o := &w.Offsets[len(w.Offsets)-1]
	if source == OffsetCommitted || source == OffsetTransaction {
		o.Ordered, o.Committed = o.Since, o.Since
	}
	return o
}

func (w *world) commit(link LinkID, offset int64, ago time.Duration) *Offset {
	return w.offset(link, OffsetCommitted, offset, ago)
}

// fetch enters the answer to an OffsetFetch that was asked for and answered so long ago.
func (w *world) fetch(link LinkID, offset int64, asked, answered time.Duration) *Offset {
	source := OffsetFetched
	if offset < 0 {
		source = OffsetDeleted
	}
	o := w.offset(link, source, offset, asked)
	o.Acked = w.ago(answered)
	return o
}

// sent changes when a commit was asked for.
func (w *world) sent(o *Offset, ago time.Duration) *Offset {
	o.Ordered, o.Committed = w.ago(ago), w.ago(ago)
	return o
}

// confirmed has the committer find its commit unchanged by a look that it sent so long ago.
func (w *world) confirmed(o *Offset, ago time.Duration) *Offset {
	o.Since, o.Ordered = w.ago(ago), w.ago(ago)
	return o
}

// blank enters partition 0 of "t" without any value.
func (w *world) blank(link LinkID) *Watermark {
	w.Watermarks = append(w.Watermarks, Watermark{
		PartitionKey:  PartitionKey{Link: link, Topic: w.name("t")},
		HighWatermark: -1, LastStable: -1, LogStart: -1, Produced: -1, Position: -1,
	})
	return &w.Watermarks[len(w.Watermarks)-1]
}

// high enters a high watermark of partition 0 of "t".
func (w *world) high(link LinkID, offset int64, ago time.Duration) *Watermark {
	x := w.blank(link)
	x.HighWatermark, x.Time = offset, w.ago(ago)
	return x
}

// batch enters a batch of partition 0 of "t", with timestamps by how long ago they were.
func (w *world) batch(link LinkID, first, last int64, firstAgo, lastAgo time.Duration) {
	key := PartitionKey{Link: link, Topic: w.name("t")}
	w.Batches[key] = append(w.Batches[key], Batch{
		First: first, Last: last,
		FirstTime: w.Time.Add(-firstAgo).UnixMilli(), MaxTime: w.Time.Add(-lastAgo).UnixMilli(),
	})
}

func newModel() *Model {
	return New(Options{WatermarkMaxAge: testMaxAge, IdleTimeout: testIdle})
}

func (w *world) view() *View { return newModel().Update(w.Snapshot) }

// group returns the one row of View.Groups, nil if there is none.
func (w *world) group(t *testing.T) *GroupPartition { return only(t, w.view().Groups) }

// partition returns the one row of View.Partitions, nil if there is none.
func (w *world) partition(t *testing.T) *Partition { return only(t, w.view().Partitions) }

func only[T any](t *testing.T, rows []T) *T {
	t.Helper()
	if len(rows) == 0 {
		return nil
	}
	require.Len(t, rows, 1)
	return &rows[0]
}
