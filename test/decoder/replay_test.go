// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
	"github.com/ebpfkafka/ebpfkafka/test/frames"
)

// TestReplay feeds what real clients and brokers said and compares with kmsg's reading of the same frames:
// every report, in order, and everything that is known in the end.
func TestReplay(t *testing.T) {
	paths, err := frames.Captures()
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	s := seed(t)
	committed := 0
	for _, path := range paths {
		for _, role := range []state.Role{state.RoleClient, state.RoleBroker} {
			t.Run(fmt.Sprintf("%s as %s", filepath.Base(path), [...]string{"?", "client", "broker"}[role]), func(t *testing.T) {
				all, err := frames.Load(path)
				require.NoError(t, err)
				r := replay{
					k: load(t, roomy), r: rand.New(rand.NewPCG(s, uint64(role))), role: role, model: newModel(),
					connections: map[uint32]*replayed{},
				}
				for i, f := range all {
					require.NoError(t, r.frame(i, f), "frame %d", i)
				}
				require.NoError(t, r.model.check(r.k, role))
				require.Equal(t, r.model.drops, drops(&probe.Stats{}, r.k.stats()), "nothing is left out of real traffic")
				committed += r.commits(t)
			})
		}
	}
	require.NotZero(t, committed)
	t.Logf("%d captures, %d committed offsets compared", len(paths), committed)
}

// TestReplayedTruth compares what is known after a capture with what its application printed when it was recorded.
func TestReplayedTruth(t *testing.T) {
	for _, role := range []state.Role{state.RoleClient, state.RoleBroker} {
		after := func(capture string) *replay {
			all, err := frames.Load(filepath.Join(frames.Dir(), capture))
			require.NoError(t, err)
			r := &replay{
				k: load(t, roomy), r: rand.New(rand.NewPCG(1, uint64(role))), role: role, model: newModel(),
				connections: map[uint32]*replayed{},
			}
			for _, f := range all {
				require.NoError(t, r.frame(0, f))
			}
			return r
		}
		// 12 records a partition: of each four one is rejected, and one is released and accepted when it comes again.
		r := after("kafka-4.3.1-java-share.bin")
		counts := map[int32]acknowledgements{}
		for _, x := range r.k.snapshot().Shares {
			require.Equal(t, "sharers", r.k.name(uint64(x.Group)).bytes)
			counts[x.Partition] = acknowledgements{x.Accepted, x.Released, x.Rejected}
		}
		one := acknowledgements{accepted: 9, released: 3, rejected: 3}
		require.Equal(t, map[int32]acknowledgements{0: one, 1: one, 2: one}, counts)
		require.Zero(t, r.k.entries()["pending"])
		// One transaction is aborted and one committed.
		for _, capture := range []string{"kafka-4.3.1-java-transactions.bin", "kafka-3.9.2-java-transactions.bin"} {
			r := after(capture)
			offsets := map[string]int64{}
			for _, o := range r.k.snapshot().Offsets {
				if o.Source == state.OffsetTransaction {
					offsets[fmt.Sprint(r.k.name(uint64(o.Group)).bytes, " ", r.k.name(uint64(o.Topic)).bytes, " ", o.Partition)] = o.Offset
				}
			}
			require.Equal(t, map[string]int64{"copier notes 0": 8}, offsets, capture)
			require.Zero(t, r.k.entries()["txn_offsets"])
		}
	}
}

type replay struct {
	k           *kernel
	r           *rand.Rand
	role        state.Role
	model       *model
	connections map[uint32]*replayed
}

// replayed is a connection of a capture with its requests that wait for a response.
type replayed struct {
	*connection
	waiting []waiting
}

type waiting struct {
	request     kmsg.Request
	at          place
	understood  bool
	correlation int32
}

func (r *replay) frame(i int, f frames.Frame) error {
	c := r.connections[f.Connection]
	if c == nil {
		c = &replayed{connection: r.k.connect(r.role)}
		r.connections[f.Connection] = c
	}
	if f.Direction == frames.Request {
		return r.request(c, i, f.Bytes)
	}
	return r.response(c, i, f.Bytes)
}

func (r *replay) request(c *replayed, i int, b []byte) error {
	req := kmsg.RequestForKey(int16(binary.BigEndian.Uint16(b[4:])))
	version := int16(binary.BigEndian.Uint16(b[6:]))
	req.SetVersion(version)
	w := waiting{request: req, correlation: int32(binary.BigEndian.Uint32(b[8:])), understood: true}
	body := b[14:]
	client := name{}
	if n := int(int16(binary.BigEndian.Uint16(b[12:]))); n >= 0 {
		client = name{kind: nameText, bytes: string(body[:n])}
		body = body[n:]
	}
	if version > req.MaxVersion() || req.Key() == keyAPIVersions && version > 4 {
		// A client that asks a broker what it can do begins with a version that the broker, or we, do not
		// know. Nothing says that this is Kafka yet: it is passed over.
		// In pieces it would look like many a thing that is not Kafka, and be given up for a tick.
		w.understood = false
		c.feed(true, b)
		c.waiting = append(c.waiting, w)
		return r.k.compare(r.k.drain(), req.Key(), version, nil)
	}
	if req.IsFlexible() {
		body = skipTags(body)
	}
	if err := req.ReadFrom(body); err != nil {
		return fmt.Errorf("kmsg does not read %s %d: %w", kmsg.NameForKey(req.Key()), version, err)
	}
	e := expectRequest(req, readRecords)
	w.at = place{
		connection: c.Key, role: r.role, correlation: w.correlation, client: client, asked: e.asked, askedAt: i + 1, now: i + 1, recognised: c.recognised,
	}
	for i := range e.wants {
		r.model.apply(&e.wants[i], w.at)
	}
	if !e.asked.noAnswer {
		c.waiting = append(c.waiting, w)
	}
	how := c.deliver(r.r, true, b)
	if err := r.k.compare(r.k.drain(), req.Key(), version, e.wants); err != nil {
		return fmt.Errorf("request, delivered %s: %w", how, err)
	}
	return nil
}

func (r *replay) response(c *replayed, i int, b []byte) error {
	w := c.waiting[0]
	c.waiting = c.waiting[1:]
	if got := int32(binary.BigEndian.Uint32(b[4:])); got != w.correlation {
		return fmt.Errorf("a response to %d, want %d", got, w.correlation)
	}
	if !w.understood {
		c.feed(false, b)
		return r.k.compare(r.k.drain(), 0, 0, nil)
	}
	c.recognised = true
	resp := w.request.ResponseKind()
	body := b[8:]
	if resp.IsFlexible() && resp.Key() != keyAPIVersions {
		body = skipTags(body)
	}
	if err := resp.ReadFrom(body); err != nil {
		return fmt.Errorf("kmsg does not read the response of %s: %w", kmsg.NameForKey(resp.Key()), err)
	}
	how := c.deliver(r.r, false, b)
	e := expectResponse(resp, w.at.asked, readRecords)
	w.at.now = i + 1
	for i := range e.wants {
		r.model.apply(&e.wants[i], w.at)
	}
	if err := r.k.compare(r.k.drain(), resp.Key(), resp.GetVersion(), e.wants); err != nil {
		return fmt.Errorf("response, delivered %s: %w", how, err)
	}
	return nil
}

// commits compares the committed offsets alone, which are what all of this is for, and counts them.
func (r *replay) commits(t *testing.T) (n int) {
	for _, o := range r.k.snapshot().Offsets {
		if o.Source == state.OffsetCommitted {
			key := offsetKey{
				r.k.name(uint64(r.k.snapshot().Links[o.Link].Client)), r.k.name(uint64(o.Group)), r.k.name(uint64(o.Topic)), o.Partition,
			}
			require.Equal(t, r.model.offsets[key].offset, o.Offset, "%v", key)
			n++
		}
	}
	return n
}

// skipTags passes over tagged fields.
func skipTags(b []byte) []byte {
	n, k := binary.Uvarint(b)
	b = b[k:]
	for range n {
		_, k := binary.Uvarint(b)
		size, l := binary.Uvarint(b[k:])
		b = b[k+l+int(size):]
	}
	return b
}
