// SPDX-License-Identifier: Apache-2.0

package situations

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

// produceRecords makes a Produce request of n records to one partition.
func (k *talker) produceRecords(version, acks int16, topic string, partition int32, n int) *kmsg.ProduceRequest {
	q := kmsg.NewPtrProduceRequest()
	q.Version, q.Acks, q.TimeoutMillis = version, acks, int32(patience.Milliseconds())
	one := kmsg.NewProduceRequestTopic()
	one.Topic, one.TopicID = topic, k.ids[topic]
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, batch(n)
	one.Partitions = append(one.Partitions, p)
	q.Topics = append(q.Topics, one)
	return q
}

// batch encodes n records as a producer without idempotence does.
func batch(n int) []byte {
	now := time.Now().UnixMilli()
	var records []byte
	for i := range n {
		r := kmsg.Record{OffsetDelta: int32(i), Value: make([]byte, 100)}
		r.Length = int32(len(r.AppendTo(nil)) - 1) // of what follows; 0 takes one byte
		records = r.AppendTo(records)
	}
	b := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, LastOffsetDelta: int32(n - 1), FirstTimestamp: now, MaxTimestamp: now,
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: int32(n), Records: records,
	}
	const beforeLength, beforeChecksum = 12, 21
	out := b.AppendTo(nil)
	binary.BigEndian.PutUint32(out[beforeLength-4:], uint32(len(out)-beforeLength))
	sum := crc32.Checksum(out[beforeChecksum:], crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(out[beforeChecksum-4:], sum)
	return out
}

// acks: what is never answered stands between what is.
func (s *scene) acks(t *testing.T) {
	s.topic(t, "acks", 2, 0)
	clean := s.watch(t)
	k := s.dial(t, s.broker.Addr, "acks").greet("acks")
	const rounds = 10
	for i := range int64(rounds) {
		for _, version := range []int16{9, 12, 13} { // 13 names topics by id
			k.send(
				k.produceRecords(version, 0, "acks", 0, 3),
				k.commit(9, "acks", across("acks", 2, 10*i)...),
				k.produceRecords(version, 0, "acks", 1, 2),
				k.produceRecords(version, 0, "acks", 0, 1),
				k.fetch("acks", 0, 1),
				k.produceRecords(version, 1, "acks", 1, 4),
				k.produceRecords(version, -1, "acks", 0, 5),
				k.commit(newestCommit, "acks", across("acks", 2, 10*i+1)...),
			)
			for range 5 {
				if r, ok := k.receive().(*kmsg.ProduceResponse); ok {
					require.Zero(t, r.Topics[0].Partitions[0].ErrorCode)
				}
			}
		}
	}
	k.ask(k.fetch("acks", 0, 1))
	s.agree(t, expectation{groups: []string{"acks"}, lag: true})
	clean()
}

// pipelining: 100 requests in one write, and all answers in one read.
func (s *scene) pipelining(t *testing.T) {
	const requests, partitions = 100, 4
	s.topic(t, "pipelining", partitions, 2)
	clean := s.watch(t)
	for group, versions := range map[string][]int16{
		"pipelining-names": {2, 3, 4, 5, 6, 7, 8, 9}, "pipelining-ids": {newestCommit},
	} {
		k := s.dial(t, s.broker.Addr, group).greet("pipelining")
		for round := range int64(3) {
			var all []kmsg.Request
			for i := range requests {
				if i%4 == 3 {
					all = append(all, k.fetch("pipelining", 0, 1, 2, 3))
					continue
				}
				at := 1000*round + int64(10*i)
				all = append(all, k.commit(versions[i%len(versions)], group, across("pipelining", partitions, at)...))
			}
			k.send(all...)
			for _, frame := range k.receiveAtOnce(requests) {
				k.understand(frame)
			}
		}
		require.Empty(t, k.asked)
	}
	s.agree(t, expectation{groups: []string{"pipelining-names", "pipelining-ids"}, lag: true})
	// A client's end that is left out is looked at anew each second. If 100
	// requests are the first that is then seen of it, no more than 64 are kept.
	clean(brokersEnd + ": orphan_responses")
}

// namesAndIDs: a client commits a partition by its topic's id and by its name,
// as franz-go and Java do when they do not know an id, and reads both answers
// at once.
func (s *scene) namesAndIDs(t *testing.T) {
	const group, partitions = "names-and-ids", 8
	s.topic(t, group, partitions, 2)
	clean := s.watch(t)
	k := s.dial(t, s.broker.Addr, group).greet(group)
	for round := range int64(4) {
		first, second := int16(9), int16(newestCommit)
		if round%2 == 1 {
			first, second = second, first
		}
		k.send(k.commit(first, group, across(group, partitions, 100*round)...),
			k.commit(second, group, across(group, partitions, 100*round+50)...))
		for _, frame := range k.receiveAtOnce(2) {
			k.requireAnswer(0, k.understand(frame))
		}
		s.agree(t, expectation{groups: []string{group}})
	}
	clean()
}

// receiveAtOnce waits until the socket holds n answers and reads them in one call.
func (k *talker) receiveAtOnce(n int) [][]byte {
	k.t.Helper()
	raw, err := k.Conn.(*net.TCPConn).SyscallConn()
	require.NoError(k.t, err)
	buffer := make([]byte, 4<<20)
	var frames [][]byte
	require.NoError(k.t, wait.Until(k.t.Context(), func() error {
		var length int
		var failed error
		err := raw.Control(func(fd uintptr) {
			length, _, failed = unix.Recvfrom(int(fd), buffer, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		})
		if err != nil || failed != nil {
			return fmt.Errorf("peek: %w, %w", err, failed)
		}
		if frames = split(buffer[:length]); len(frames) < n {
			return fmt.Errorf("%d of %d answers are there", len(frames), n)
		}
		return nil
	}))
	require.Len(k.t, frames, n)
	length, err := k.Read(buffer)
	require.NoError(k.t, err)
	require.Len(k.t, split(buffer[:length]), n, "in one read")
	return frames
}

// split returns the whole frames in b, without their sizes.
func split(b []byte) [][]byte {
	var frames [][]byte
	for len(b) >= 4 {
		end := 4 + int(binary.BigEndian.Uint32(b))
		if len(b) < end {
			break
		}
		frames = append(frames, b[4:end])
		b = b[end:]
	}
	return frames
}
