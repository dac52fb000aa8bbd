// SPDX-License-Identifier: Apache-2.0

package situations

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// scriptCluster is the cluster of the broker that does as it is told.
const scriptCluster = "a-broker-that-does-as-told"

// serveScript answers one connection. A commit is answered with the error
// whose code is its offset, or with none from goodOffset on.
func serveScript(c net.Conn) error {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		size := make([]byte, 4)
		if _, err := io.ReadFull(in, size); err != nil {
			return err
		}
		request := make([]byte, binary.BigEndian.Uint32(size))
		if _, err := io.ReadFull(in, request); err != nil {
			return err
		}
		answer, err := answerTo(request)
		if err != nil {
			return err
		}
		if _, err := c.Write(answer); err != nil {
			return err
		}
	}
}

// answerTo answers a request; both are bytes, the request without its size.
func answerTo(request []byte) ([]byte, error) {
	q := kmsg.RequestForKey(int16(binary.BigEndian.Uint16(request)))
	q.SetVersion(int16(binary.BigEndian.Uint16(request[2:])))
	body := request[10+binary.BigEndian.Uint16(request[8:]):]
	if q.IsFlexible() {
		body = body[1:]
	}
	if err := q.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("a request of %d bytes: %w", len(request), err)
	}
	return answerFrame(request[4:8], scripted(q)), nil
}

// answerFrame makes the bytes of an answer.
func answerFrame(correlation []byte, r kmsg.Response) []byte {
	frame := append(make([]byte, 4), correlation...)
	if r.IsFlexible() && r.Key() != 18 {
		frame = append(frame, 0)
	}
	frame = r.AppendTo(frame)
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	return frame
}

// goodOffset is more than any error code.
const goodOffset = 1 << 15

func scripted(q kmsg.Request) kmsg.Response {
	r := q.ResponseKind()
	r.SetVersion(q.GetVersion())
	switch q := q.(type) {
	case *kmsg.MetadataRequest:
		r.(*kmsg.MetadataResponse).ClusterID = kmsg.StringPtr(scriptCluster)
	case *kmsg.OffsetCommitRequest:
		r := r.(*kmsg.OffsetCommitResponse)
		for _, asked := range q.Topics {
			topic := kmsg.NewOffsetCommitResponseTopic()
			topic.Topic = asked.Topic
			for _, p := range asked.Partitions {
				answer := kmsg.NewOffsetCommitResponseTopicPartition()
				answer.Partition = p.Partition
				if p.Offset < goodOffset {
					answer.ErrorCode = int16(p.Offset)
				}
				topic.Partitions = append(topic.Partitions, answer)
			}
			r.Topics = append(r.Topics, topic)
		}
	}
	return r
}

// everyError: commits are answered with every error that there is, also those
// that one broker alone never gives: a coordinator that has moved, that is
// loading, that is not there. The last good value stays.
func (s *scene) everyError(t *testing.T) {
	const group, topic, newer = "errors", "errors", 30_000
	// Where franz-go and Kafka 4.3.1, of which the receiver has its names, differ.
	otherwise := map[int16]string{
		6:   "NOT_LEADER_OR_FOLLOWER",                        // franz-go keeps the name from before KIP-392
		134: "ERROR_134", 135: "ERROR_135", 136: "ERROR_136", // of a later Kafka
	}
	served := make(chan error, 1)
	go func() {
		c, err := s.script.Accept()
		if err == nil {
			err = serveScript(c)
		}
		served <- err
	}()
	clean := s.watch(t)
	k := s.dial(t, s.script.Addr().String(), "errors").greet()
	want := map[entry]int64{}
	say := func(code int16, name string, offset int64) {
		k.refused(code, 9, group, position{topic, 0, offset})
		want[entry{group, topic, name}]++
	}
	say(0, "", goodOffset+7)
	codes := []int16{-1}
	for code := int16(1); code < 1000; code++ {
		if e := kerr.TypedErrorForCode(code); e != kerr.UnknownServerError {
			codes = append(codes, code)
		}
	}
	require.Greater(t, len(codes), 120)
	require.Contains(t, codes, kerr.NotCoordinator.Code)
	for range 2 {
		for _, code := range codes {
			name, other := otherwise[code]
			if !other {
				name = kerr.TypedErrorForCode(code).Message
			}
			say(code, name, int64(code))
		}
	}
	say(newer, fmt.Sprintf("ERROR_%d", newer), newer) // of a Kafka to come
	for _, v := range s.views {
		within(t, func() error {
			samples, err := v.Metrics(t.Context())
			if err != nil {
				return err
			}
			p := problems{}
			offsets := samples.Named("kafka_consumer_group_offset").With("group", group)
			if len(offsets) != 1 || offsets[0].Value != goodOffset+7 || offsets[0].Labels["kafka_cluster_id"] != scriptCluster {
				p.add("offset %v, the last good one is %d", offsets, goodOffset+7)
			}
			got := map[entry]int64{}
			for _, c := range samples.Named("kafka_consumer_group_commits_total").With("group", group) {
				got[entry{group, c.Labels["topic"], c.Labels["error_type"]}] = int64(c.Value)
			}
			for k, n := range want {
				if got[k] != n {
					p.add("%d counted of %v, %d were answered", got[k], k, n)
				}
			}
			for k, n := range got {
				if want[k] == 0 {
					p.add("%d counted of %v, none was answered", n, k)
				}
			}
			return p.err(v.name)
		})
	}
	clean()
	require.NoError(t, k.Close())
	require.ErrorIs(t, <-served, io.EOF)
}
