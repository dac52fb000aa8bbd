// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"
)

// Versions are of the time of Kafka 2.8 and later; that of OffsetCommit names topics by name.
const (
	apiVersionsVersion = 3
	metadataVersion    = 9
	commitVersion      = 8
)

// offsetsApart is between the first offsets of two partitions, so that one taken for another's is seen.
const offsetsApart = 1_000_000

// clients commits for a group, on each connection for a partition of its own, until its input ends. Then it keeps the
// connections until it is killed. It says when all are ready, and when no more commits follow.
func clients(args []string) error {
	flags := flag.NewFlagSet("clients", flag.ContinueOnError)
	to := flags.String("to", "", "the broker's host:port")
	group := flags.String("group", "", "the group")
	topic := flags.String("topic", "", "the topic")
	connections := flags.Int("connections", 1, "how many")
	each := flags.Duration("each", 0, "from one commit on a connection to the next")
	if err := flags.Parse(args); err != nil {
		return err
	}
	all := make([]*connection, *connections)
	for p := range all {
		c, err := connect(*to, *group)
		if err != nil {
			return fmt.Errorf("connection %d to %s: %w", p, *to, err)
		}
		c.topic, c.partition, c.offset = *topic, int32(p), int64(p)*offsetsApart
		all[p] = c
	}
	fmt.Println("ready")
	done, failed := make(chan struct{}), make([]error, *connections)
	var working sync.WaitGroup
	for p, c := range all {
		working.Go(func() { failed[p] = c.work(*each, done) })
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	close(done)
	working.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	fmt.Println("quiet")
	return unix.Pause()
}

type connection struct {
	net.Conn
	formatter   *kmsg.RequestFormatter
	correlation int32

	group, topic string
	partition    int32
	offset       int64 // the last one committed
}

// connect says what clients say first.
func connect(to, group string) (*connection, error) {
	conn, err := net.Dial("tcp", to)
	if err != nil {
		return nil, err
	}
	c := &connection{Conn: conn, group: group, formatter: kmsg.NewRequestFormatter(kmsg.FormatterClientID("crowd"))}
	hello := kmsg.NewPtrApiVersionsRequest()
	hello.Version, hello.ClientSoftwareName, hello.ClientSoftwareVersion = apiVersionsVersion, "crowd", "1"
	metadata := kmsg.NewPtrMetadataRequest() // which tells the cluster's id
	metadata.Version = metadataVersion
	for _, q := range []kmsg.Request{hello, metadata} {
		if _, err := c.ask(q); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// work commits one more each time, from a random moment on so that connections take turns.
func (c *connection) work(each time.Duration, done <-chan struct{}) error {
	next := time.NewTimer(rand.N(each))
	defer next.Stop()
	for {
		select {
		case <-done:
			return nil
		case <-next.C:
		}
		next.Reset(each)
		if err := c.commit(); err != nil {
			return fmt.Errorf("committing %d of %s %s-%d: %w", c.offset, c.group, c.topic, c.partition, err)
		}
	}
}

func (c *connection) commit() error {
	c.offset++
	q := kmsg.NewPtrOffsetCommitRequest()
	q.Version, q.Group = commitVersion, c.group
	t, p := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
	t.Topic, p.Partition, p.Offset = c.topic, c.partition, c.offset
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	answer, err := c.ask(q)
	if err != nil {
		return err
	}
	for _, t := range answer.(*kmsg.OffsetCommitResponse).Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return err
			}
		}
	}
	return nil
}

// ask sends a request and reads its answer.
func (c *connection) ask(q kmsg.Request) (kmsg.Response, error) {
	c.correlation++
	if _, err := c.Write(c.formatter.AppendRequest(nil, q, c.correlation)); err != nil {
		return nil, err
	}
	size := make([]byte, 4)
	if _, err := io.ReadFull(c, size); err != nil {
		return nil, err
	}
	frame := make([]byte, binary.BigEndian.Uint32(size))
	if _, err := io.ReadFull(c, frame); err != nil {
		return nil, err
	}
	head := 4 // the correlation id
	answer := q.ResponseKind()
	if answer.IsFlexible() && q.Key() != int16(kmsg.ApiVersions) {
		head++ // no tags
	}
	if len(frame) < head {
		return nil, fmt.Errorf("an answer of %d bytes to a request of API key %d", len(frame), q.Key())
	}
	return answer, answer.ReadFrom(frame[head:])
}
