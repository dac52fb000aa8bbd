// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"encoding/binary"
	"errors"
	"maps"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/bpf"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

func TestOlder(t *testing.T) {
	const now = uint64(time.Hour)
	assert.False(t, older(now, now, 0))
	assert.True(t, older(now, now-1, 0))
	assert.False(t, older(now, now-uint64(time.Second), time.Second))
	assert.True(t, older(now, now-uint64(time.Second)-1, time.Second))
	assert.False(t, older(now, now+uint64(time.Minute), time.Second), "from after the clock was read")
	assert.True(t, older(now, 0, time.Second))
}

func TestStale(t *testing.T) {
	const now = uint64(time.Hour)
	ago := func(d time.Duration) uint64 { return now - uint64(d) }
	assert.False(t, stale(now, ago(deadAge+1), true), "the broker takes its time")
	assert.True(t, stale(now, ago(deadAge+1), false))
	assert.False(t, stale(now, ago(deadAge), false), "its last hook may still be running")
	assert.False(t, stale(now, ago(answerAge), true))
	assert.True(t, stale(now, ago(answerAge+1), true), "nobody waits so long")
}

func TestConnectionAge(t *testing.T) {
	for _, now := range []uint64{uint64(time.Hour), 1<<54 - 1, 1<<54 + 5, 1<<60 + 7} {
		id := func(d time.Duration) uint64 { return (now-uint64(d))<<10 | 3 }
		assert.Equal(t, time.Duration(0), connectionAge(now, now<<10))
		assert.InDelta(t, deadAge, connectionAge(now, id(deadAge)), 1)
		assert.InDelta(t, -time.Second, connectionAge(now, id(-time.Second)), 1, "made after the clock was read")
	}
}

func detached(t *testing.T) *Probe {
	t.Helper()
	require.Zero(t, os.Geteuid(), "loading eBPF programs needs root")
	p, err := Open(Options{Backend: Detached, TrackPositions: true})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return p
}

// frame adds the length that Kafka puts before a request or response.
func frame(fields ...any) []byte {
	var b []byte
	for _, f := range fields {
		switch v := f.(type) {
		case string:
			b = binary.BigEndian.AppendUint16(b, uint16(len(v)))
			b = append(b, v...)
		default:
			b, _ = binary.Append(b, binary.BigEndian, v)
		}
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// one is the count of an array of one element.
const one = int32(1)

func commitRequest(correlation int32, group, topic string, offset int64) []byte {
	return frame(int16(8), int16(2), correlation, "client", group, int32(1), "member", int64(-1),
		one, topic, one, int32(0), offset, "")
}

func commitResponse(correlation int32, topic string) []byte {
	return frame(correlation, one, topic, one, int32(0), int16(0))
}

func fetchRequest(correlation int32, topic string, offset int64) []byte {
	return frame(int16(1), int16(4), correlation, "client", int32(-1), int32(500), int32(1), int32(1<<20), int8(0),
		one, topic, one, int32(0), offset, int32(1<<20))
}

func fetchResponse(correlation int32, topic string, high int64) []byte {
	return frame(correlation, int32(0), one, topic, one, int32(0), int16(0), high, high, int32(0), int32(-1))
}

func heartbeatRequest(correlation int32, group string) []byte {
	return frame(int16(12), int16(0), correlation, "client", group, int32(1), "member")
}

// talk makes a connection that has committed, fetched and sent a heartbeat.
func talk(t *testing.T, p *Probe, key uint64, broker string) *FeedConnection {
	t.Helper()
	c := &FeedConnection{
		Key: key, Local: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.9"), uint16(40000+key)),
		Remote: netip.MustParseAddrPort(broker),
	}
	for _, exchange := range [][2][]byte{
		{heartbeatRequest(1, "g"), frame(int32(1), int16(0))},
		{commitRequest(2, "g", "t", 7), commitResponse(2, "t")},
		{fetchRequest(3, "t", 9), fetchResponse(3, "t", 10)},
	} {
		require.NoError(t, p.Feed(c, Sent, exchange[0]))
		require.NoError(t, p.Feed(c, Received, exchange[1]))
	}
	return c
}

func snapshot(t *testing.T, p *Probe) *state.Snapshot {
	t.Helper()
	s, err := p.Snapshot()
	require.NoError(t, err)
	return s
}

// learnt counts what the maps hold of links for as long as those live.
func learnt(s *state.Snapshot) map[string]int {
	return map[string]int{"links": len(s.Links), "offsets": len(s.Offsets), "commits": len(s.Commits)}
}

func times(n int) map[string]int {
	return map[string]int{"links": n, "offsets": n, "commits": n}
}

// fleeting counts what has to be said again from time to time.
func fleeting(s *state.Snapshot) map[string]int {
	return map[string]int{
		"watermarks": len(s.Watermarks), "sessions": len(s.Sessions), "members": len(s.Members), "batches": len(s.Batches),
	}
}

func TestSnapshot(t *testing.T) {
	p := detached(t)
	before := monotonic()
	talk(t, p, 1, "10.0.0.1:9092")
	s := snapshot(t, p)
	require.Equal(t, times(1), learnt(s))
	for id, l := range s.Links {
		assert.Equal(t, id, s.Offsets[0].Link)
		assert.Equal(t, state.RoleClient, l.Role)
		assert.True(t, l.Open)
		assert.Equal(t, netip.MustParseAddrPort("10.0.0.1:9092"), l.Broker)
		assert.Equal(t, "client", s.Names[l.Client])
		assert.EqualValues(t, os.Getpid(), l.Process.PID)
		assert.Empty(t, l.Process.Remote)
	}
	o := s.Offsets[0]
	assert.Equal(t, []any{"g", "t", int32(0), int64(7), state.OffsetCommitted},
		[]any{s.Names[o.Group], s.Names[o.Topic], o.Partition, o.Offset, o.Source})
	assert.Greater(t, o.Acked, before)
	assert.LessOrEqual(t, o.Acked, s.Now)
	x := s.Watermarks[0]
	assert.Equal(t, []int64{10, 10, -1, -1, 9}, []int64{x.HighWatermark, x.LastStable, x.LogStart, x.Produced, x.Position})
	assert.Equal(t, uint64(1), s.Commits[0].Count)
	assert.Equal(t, "member", s.Names[s.Members[0].Member])
	assert.Equal(t, map[ConnectionKind]int{{Role: Client, Recognised: true}: 1}, p.Connections())
}

func TestSweepForgetsLinksWithoutConnection(t *testing.T) {
	p := detached(t)
	first, second := talk(t, p, 1, "10.0.0.1:9092"), talk(t, p, 2, "10.0.0.2:9092")
	require.Equal(t, times(2), learnt(snapshot(t, p)))

	require.NoError(t, p.Sweep(0))
	require.Equal(t, times(2), learnt(snapshot(t, p)), "both are connected")

	require.NoError(t, p.FeedClose(first))
	require.NoError(t, p.Sweep(0))
	require.Equal(t, times(2), learnt(snapshot(t, p)), "as the last snapshot saw it, the first was connected")

	require.NoError(t, p.Sweep(time.Hour))
	s := snapshot(t, p)
	require.Equal(t, times(2), learnt(s), "it has not been idle for long")
	open := 0
	for _, l := range s.Links {
		if l.Open {
			open++
		}
	}
	require.Equal(t, 1, open)

	require.NoError(t, p.Sweep(0))
	s = snapshot(t, p)
	require.Equal(t, times(1), learnt(s))
	for _, l := range s.Links {
		assert.Equal(t, second.Remote, l.Broker)
	}

	// And once it is back, it is learnt anew.
	talk(t, p, 3, "10.0.0.1:9092")
	require.Equal(t, times(2), learnt(snapshot(t, p)))
}

// pause is longer than anything here takes, and what lies twice as far back is older.
const pause = 200 * time.Millisecond

func TestSweepForgetsWhatIsNotSaidAgain(t *testing.T) {
	p := detached(t)
	c := talk(t, p, 1, "10.0.0.1:9092")
	s := snapshot(t, p)
	key := bpf.KafkaPartitionKey{Link: uint64(s.Watermarks[0].Link), Topic: uint64(s.Watermarks[0].Topic)}
	require.NoError(t, p.objects.Times.Put(key, bpf.KafkaTimesValue{Next: 1}))
	session := bpf.KafkaSessionKey{Link: key.Link, Session: 7}
	require.NoError(t, p.objects.Sessions.Put(session, bpf.KafkaSessionValue{Time: monotonic()}))
	all := map[string]int{"watermarks": 1, "sessions": 1, "members": 1, "batches": 1}
	require.Equal(t, all, fleeting(snapshot(t, p)))

	require.NoError(t, p.Sweep(time.Hour))
	require.Equal(t, all, fleeting(snapshot(t, p)))

	time.Sleep(2 * pause)
	require.NoError(t, p.Feed(c, Sent, heartbeatRequest(5, "g")))
	require.NoError(t, p.Feed(c, Received, frame(int32(5), int16(0))))
	s = snapshot(t, p)
	require.NoError(t, p.Sweep(time.Duration(monotonic()-s.Members[0].Time)+pause))
	s = snapshot(t, p)
	assert.Equal(t, map[string]int{"watermarks": 0, "sessions": 0, "members": 1, "batches": 0}, fleeting(s))
	assert.Equal(t, times(1), learnt(s), "its link lives on")
}

// An incremental fetch does not repeat what has not changed (KIP-227).
func TestSweepKeepsPartitionsOfASession(t *testing.T) {
	p := detached(t)
	talk(t, p, 1, "10.0.0.1:9092")
	s := snapshot(t, p)
	key := bpf.KafkaPartitionKey{Link: uint64(s.Watermarks[0].Link), Topic: uint64(s.Watermarks[0].Topic)}
	var value bpf.KafkaWatermarkValue
	require.NoError(t, p.objects.Watermarks.Lookup(key, &value))
	value.Session = 7
	require.NoError(t, p.objects.Watermarks.Put(key, value))
	time.Sleep(2 * pause)
	answered := monotonic()
	require.NoError(t, p.objects.Sessions.Put(bpf.KafkaSessionKey{Link: key.Link, Session: 7}, bpf.KafkaSessionValue{Time: answered}))
	snapshot(t, p)
	require.NoError(t, p.Sweep(time.Duration(monotonic()-answered)+pause))
	got := fleeting(snapshot(t, p))
	assert.Equal(t, 1, got["watermarks"])
	assert.Equal(t, 1, got["sessions"])
	assert.Zero(t, got["members"])
}

func TestSweepForgetsNamesWhenTheirMapIsNearlyFull(t *testing.T) {
	p := detached(t)
	capacity := int(p.objects.Names.MaxEntries())
	talk(t, p, 1, "10.0.0.1:9092")
	used := maps.Clone(snapshot(t, p).Names)
	fill := func(n int) {
		keys, values := make([]uint64, n), make([]bpf.KafkaName, n)
		for i := range keys {
			keys[i] = uint64(1_000_000 + i)
		}
		_, err := p.objects.Names.BatchUpdate(keys, values, nil)
		require.NoError(t, err)
	}
	const id, idOfNothing = 1_000_000, 1_000_001
	require.NoError(t, p.objects.TopicIds.Put(uint64(idOfNothing), bpf.KafkaTopicIdValue{Name: 1_000_002}))

	fill(capacity / 2)
	snapshot(t, p)
	require.NoError(t, p.Sweep(time.Hour))
	require.Len(t, snapshot(t, p).Names, capacity/2+len(used), "there is room")

	fill(capacity * 3 / 4)
	x := snapshot(t, p).Watermarks[0]
	require.NoError(t, p.objects.Watermarks.Put(
		bpf.KafkaPartitionKey{Link: uint64(x.Link), Topic: id}, bpf.KafkaWatermarkValue{Time: monotonic()}))
	require.NoError(t, p.objects.TopicIds.Put(uint64(id), bpf.KafkaTopicIdValue{Name: 1_000_003}))
	snapshot(t, p)
	require.NoError(t, p.Sweep(time.Hour))
	s := snapshot(t, p)
	used[id], used[1_000_003] = "", "" // the topic id that is used, and its name
	assert.Equal(t, used, s.Names)
	assert.Equal(t, map[state.NameID]state.NameID{id: 1_000_003}, s.TopicIDs)
}

// An unfinished request waits for the rest of it, whatever is swept meanwhile.
func TestSweepHarmsNothingInFlight(t *testing.T) {
	p := detached(t)
	c := talk(t, p, 1, "10.0.0.1:9092")
	request := commitRequest(4, "g", "t", 8)
	sweep := func() {
		t.Helper()
		snapshot(t, p)
		require.NoError(t, p.Sweep(0))
	}
	require.NoError(t, p.Feed(c, Sent, request[:30]))
	sweep()
	require.NoError(t, p.Feed(c, Sent, request[30:]))
	sweep()
	require.NoError(t, p.Feed(c, Received, commitResponse(4, "t")))
	s := snapshot(t, p)
	require.Len(t, s.Offsets, 1)
	assert.Equal(t, int64(8), s.Offsets[0].Offset)
	assert.Equal(t, uint64(2), s.Commits[0].Count)
	stats, err := p.Stats()
	require.NoError(t, err)
	assert.Zero(t, stats.Losses)
	assert.Equal(t, [Reasons]uint64{}, stats.Drops)
}

func TestSweepRemovesValuesInFlight(t *testing.T) {
	p := detached(t)
	c := talk(t, p, 1, "10.0.0.1:9092")
	kept, err := p.FedConnection(c)
	require.NoError(t, err)
	alive, dead := kept.Id, kept.Id+1000
	now := monotonic()
	for i, test := range []struct {
		connection uint64
		age        time.Duration
		removed    bool
	}{
		{alive, time.Second, false},
		{alive, deadAge + time.Second, false},
		{alive, answerAge + time.Second, true},
		{dead, time.Second, false},
		{dead, deadAge + time.Second, true},
	} {
		if uint64(test.age) >= now {
			continue // this machine has just started
		}
		then, lost := now-uint64(test.age), p.lost
		key := bpf.KafkaRequestKey{Connection: test.connection, Correlation: 99}
		require.NoError(t, p.objects.Requests.Put(key, bpf.KafkaRequest{Time: then}))
		value := bpf.KafkaPendingKey{Connection: test.connection, Correlation: 99}
		require.NoError(t, p.objects.Pending.Put(value, bpf.KafkaPendingValue{Time: then}))
		snapshot(t, p)
		require.NoError(t, p.Sweep(time.Hour))
		assert.Equal(t, test.removed, p.objects.Requests.Lookup(key, &bpf.KafkaRequest{}) != nil, i)
		assert.Equal(t, test.removed, p.objects.Pending.Lookup(value, &bpf.KafkaPendingValue{}) != nil, i)
		want := lost
		if test.removed {
			want.Unanswered++
		} else {
			require.NoError(t, p.objects.Requests.Delete(key))
			require.NoError(t, p.objects.Pending.Delete(value))
		}
		assert.Equal(t, want, p.lost, i)
	}
}

func TestSweepRemovesResponsesThatNobodyAskedFor(t *testing.T) {
	p := detached(t)
	c := talk(t, p, 1, "10.0.0.1:9092")
	require.NoError(t, p.Feed(c, Received, commitResponse(77, "t")))
	snapshot(t, p)
	require.NoError(t, p.Sweep(time.Hour))
	requireLost := func(want bool) {
		t.Helper()
		for _, l := range snapshot(t, p).Links {
			assert.Equal(t, want, l.Lost > 0, "what was asked was missed, and may have been a commit")
		}
	}
	requireLost(false)
	assert.Zero(t, p.lost, "its request's hook may only be late")

	time.Sleep(parkedAge + 10*time.Millisecond)
	snapshot(t, p)
	require.NoError(t, p.Sweep(time.Hour))
	stats, err := p.Stats()
	require.NoError(t, err)
	assert.Equal(t, Losses{OrphanResponses: 1}, stats.Losses)

	require.NoError(t, p.Sweep(time.Hour))
	assert.Equal(t, uint64(1), p.lost.OrphanResponses)
	requireLost(true)
}

// A link is remembered for idle after its last connection, not after its first.
func TestLinkLivesOnAfterItsLastConnection(t *testing.T) {
	p := detached(t)
	c := talk(t, p, 1, "10.0.0.1:9092")
	var id uint64
	for link := range snapshot(t, p).Links {
		id = uint64(link)
	}
	var entered bpf.KafkaLinkValue
	require.NoError(t, p.objects.Links.Lookup(id, &entered))
	require.NoError(t, wait(func() bool { return monotonic()-entered.LastSeen > uint64(50*time.Millisecond) }))
	require.NoError(t, p.Feed(c, Sent, heartbeatRequest(5, "g")))
	snapshot(t, p)
	require.NoError(t, p.FeedClose(c))

	used := p.lastUsed[id]
	assert.Greater(t, used, entered.LastSeen)
	assert.Equal(t, used, snapshot(t, p).Links[state.LinkID(id)].LastSeen)
	require.NoError(t, p.Sweep(time.Duration(monotonic()-used)+time.Second))
	assert.Len(t, snapshot(t, p).Links, 1)
	require.NoError(t, p.Sweep(time.Duration(monotonic()-used)/2))
	assert.Empty(t, snapshot(t, p).Links)
	assert.Empty(t, p.lastUsed)
}

// wait spins: what it waits for comes within milliseconds.
func wait(until func() bool) error {
	for begin := time.Now(); !until(); {
		if time.Since(begin) > time.Minute {
			return errors.New("waited for a minute")
		}
	}
	return nil
}

// What was taken for something else than Kafka is looked at again.
func TestSweepGivesAnotherChance(t *testing.T) {
	p := detached(t)
	epoch := func() (n uint32) {
		require.NoError(t, p.objects.Epoch.Get(&n))
		return n
	}
	before := epoch()
	require.NoError(t, p.Sweep(time.Hour))
	assert.Equal(t, before+1, epoch())
}

// Before the first snapshot nothing is known to be connected, but nothing is old either.
func TestSweepOfNothing(t *testing.T) {
	p := detached(t)
	require.NoError(t, p.Sweep(time.Hour))
	assert.Equal(t, times(0), learnt(snapshot(t, p)))
	require.NoError(t, p.Sweep(0))
	assert.Zero(t, p.lost)
}

func TestMaps(t *testing.T) {
	p := detached(t)
	talk(t, p, 1, "10.0.0.1:9092")
	uses, err := p.Maps()
	require.NoError(t, err)
	entries := make(map[string]int)
	for _, u := range uses {
		entries[u.Name] = u.Entries
		assert.Positive(t, u.Capacity, u.Name)
	}
	assert.Equal(t, 1, entries[bpf.KafkaMapOffsets])
	assert.Equal(t, 0, entries[bpf.KafkaMapRequests], "all are answered")
	assert.Equal(t, 0, entries[bpf.KafkaMapPending])
	assert.Equal(t, 4, entries[bpf.KafkaMapNames], "client, g, member, t")
}

func TestCloseTwice(t *testing.T) {
	p := detached(t)
	require.NoError(t, p.Close())
	require.NoError(t, p.Close())
}

func TestUnused(t *testing.T) {
	const now = 2 * uint64(idleConnection)
	assert.True(t, unused(now, &bpf.KafkaConnection{LastSeen: now - uint64(idleConnection) - 1}))
	assert.False(t, unused(now, &bpf.KafkaConnection{LastSeen: now - uint64(idleConnection)}))
	assert.False(t, unused(now, &bpf.KafkaConnection{}), "a hook is just making it")
}

// What is said between a snapshot and its sweep stays.
func TestSweepLooksAgain(t *testing.T) {
	p := detached(t)
	talk(t, p, 1, "10.0.0.1:9092")
	m := &p.objects.KafkaMaps
	var keys []bpf.KafkaPartitionKey
	var filled []bpf.KafkaWatermarkValue
	require.NoError(t, p.reader.watermarks.each(m.Watermarks, func(k *bpf.KafkaPartitionKey, v *bpf.KafkaWatermarkValue) {
		keys, filled = append(keys, *k), append(filled, *v)
	}))
	require.Len(t, keys, 1)
	require.NoError(t, m.Watermarks.Put(&keys[0], &bpf.KafkaWatermarkValue{})) // a hook is just making it
	snapshot(t, p)
	filled[0].Time = monotonic()
	require.NoError(t, m.Watermarks.Put(&keys[0], &filled[0]))
	require.NoError(t, p.Sweep(time.Minute))
	assert.Len(t, snapshot(t, p).Watermarks, 1)

	require.NoError(t, m.Watermarks.Put(&keys[0], &bpf.KafkaWatermarkValue{}))
	snapshot(t, p)
	require.NoError(t, p.Sweep(time.Minute))
	assert.Empty(t, snapshot(t, p).Watermarks, "nothing was said of it")

	// A connection that the snapshot found idle, and that speaks again.
	var connections []uint64
	require.NoError(t, p.reader.connections.each(m.Connections, func(k *uint64, _ *bpf.KafkaConnection) {
		connections = append(connections, *k)
	}))
	require.Len(t, connections, 1)
	p.idle = connections
	require.NoError(t, p.Sweep(time.Minute))
	assert.NotEmpty(t, p.alive)
	snapshot(t, p)
	assert.NotEmpty(t, p.alive)
}
