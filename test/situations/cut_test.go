// SPDX-License-Identifier: Apache-2.0

package situations

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
)

// cutter stands between one client and the broker, to whom it talks TLS: the
// views see the client's connection to the cutter, and nothing else.
type cutter struct {
	client *net.TCPConn
	broker net.Conn
	mu     sync.Mutex
	left   int // bytes of answers that still pass; negative: all
	cut    chan struct{}
}

// cutterFor dials a client by way of a cutter.
func (s *scene) cutterFor(t *testing.T, id string) (*talker, *cutter) {
	t.Helper()
	config, err := s.broker.TLSConfig()
	require.NoError(t, err)
	k := s.dial(t, s.cutter.Addr().String(), id)
	accepted, err := s.cutter.Accept()
	require.NoError(t, err)
	broker, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", s.broker.TLSAddr)
	require.NoError(t, err)
	t.Cleanup(func() { broker.Close(); accepted.Close() })
	c := &cutter{client: accepted.(*net.TCPConn), broker: broker, left: -1, cut: make(chan struct{})}
	go io.Copy(broker, accepted)
	go c.forward()
	return k, c
}

// forward passes answers on, as many bytes of them as may pass.
func (c *cutter) forward() {
	b := make([]byte, 64<<10)
	for {
		n, err := c.broker.Read(b)
		if err != nil {
			return
		}
		c.mu.Lock()
		last := c.left >= 0 && n >= c.left
		if last {
			n = c.left
		} else if c.left > 0 {
			c.left -= n
		}
		c.mu.Unlock()
		if n > 0 {
			if _, err := c.client.Write(b[:n]); err != nil {
				return
			}
		}
		if last {
			close(c.cut)
			return
		}
	}
}

// after lets so many more bytes pass.
func (c *cutter) after(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = n
}

// reset ends the client's connection as a broken network does.
func (c *cutter) reset(ctx context.Context) error {
	select {
	case <-c.cut:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := c.client.SetLinger(0); err != nil {
		return err
	}
	return c.client.Close()
}

// answersCut: connections end after each byte of the answer to a commit. The
// broker has committed; who has read a part of the answer may know that, or
// not know the offset. What was the offset before is it no more.
func (s *scene) answersCut(t *testing.T) {
	const topic, partitions, before, after, later = "cut", 3, 100, 200, 300
	s.topic(t, topic, partitions, 5)
	clean := s.watch(t)
	e := expectation{perhaps: map[kafka.GroupPartition]bool{}, uncounted: true}
	for _, version := range []int16{2, 9, newestCommit} {
		length := 1 // of the answer; each version's first is not cut
		for n := -1; n < length; n++ {
			group := fmt.Sprintf("cut-%d-%02d", version, n)
			k, c := s.cutterFor(t, group)
			k.greet(topic)
			k.committed(version, group, across(topic, partitions, before)...)
			e.groups = append(e.groups, group)
			if n < 0 {
				k.send(k.commit(version, group, across(topic, partitions, after)...))
				frame := k.readFrame()
				k.requireAnswer(0, k.understand(frame))
				length = 4 + len(frame)
				continue
			}
			c.after(n)
			k.send(k.commit(version, group, across(topic, partitions, after)...))
			_, err := io.ReadFull(k, make([]byte, n))
			require.NoError(t, err)
			require.NoError(t, c.reset(t.Context()))
			_, err = k.Read(make([]byte, 1))
			require.Error(t, err, "the connection goes on")
			for p := range int32(partitions) {
				e.perhaps[kafka.GroupPartition{Group: group, Topic: topic, Partition: p}] = true
			}
		}
	}
	for k, at := range s.committed(t, e.groups...).Committed {
		require.EqualValues(t, after+k.Partition, at, "the broker did not commit %v", k)
	}
	s.agree(t, e)
	for _, v := range s.views {
		samples, err := v.Metrics(t.Context())
		require.NoError(t, err)
		var p problems
		groups := map[string]bool{}
		for _, group := range e.groups {
			groups[group] = true
		}
		known := s.values(&p, samples.Named("kafka_consumer_group_offset"), groups)
		require.NoError(t, p.err(v.name))
		all := len(e.groups) * partitions
		t.Logf("%s: of %d partitions, %d known and right, %d absent", v.name, all, len(known), all-len(known))
	}

	k := s.dial(t, s.broker.Addr, "after-cut").greet(topic)
	for _, group := range e.groups {
		k.committed(newestCommit, group, across(topic, partitions, later)...)
	}
	s.agree(t, expectation{groups: e.groups, uncounted: true})
	clean()
}

// requestsCut: connections end after each byte of a commit. The broker has
// nothing to commit, and the offset is what it was.
func (s *scene) requestsCut(t *testing.T) {
	const topic, partitions, before, never = "torn", 3, 100, 200
	s.topic(t, topic, partitions, 5)
	clean := s.watch(t)
	var e expectation
	for _, version := range []int16{9, newestCommit} {
		length := 2
		for n := 1; n < length; n++ {
			group := fmt.Sprintf("torn-%d-%02d", version, n)
			k := s.dial(t, s.broker.Addr, group).greet(topic)
			k.committed(version, group, across(topic, partitions, before)...)
			frame := k.frame(k.commit(version, group, across(topic, partitions, never)...))
			length = len(frame)
			k.write(frame[:n])
			require.NoError(t, k.Conn.(*net.TCPConn).SetLinger(0))
			require.NoError(t, k.Close())
			e.groups = append(e.groups, group)
		}
	}
	for k, at := range s.committed(t, e.groups...).Committed {
		require.EqualValues(t, before+k.Partition, at, "the broker committed %v", k)
	}
	s.agree(t, e)
	clean()
}
