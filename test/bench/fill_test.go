// SPDX-License-Identifier: Apache-2.0

// Package bench measures the parts of the receiver apart. Figures are for comparison within one run:
// machines differ. TestScrape measures the whole collector.
package bench

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
)

const (
	topics             = 10
	partitionsPerTopic = 100
)

// open loads the shipped object, attached to nothing, with room for n offsets.
func open(tb testing.TB, n int) *probe.Probe {
	tb.Helper()
	p, err := probe.Open(probe.Options{Backend: probe.Detached, Offsets: uint32(2 * n), Watermarks: uint32(2 * n)})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, p.Close()) })
	return p
}

// client is one made-up consumer: its connection and the next correlation id.
type client struct {
	tb          testing.TB
	probe       *probe.Probe
	connection  probe.FeedConnection
	formatter   *kmsg.RequestFormatter
	correlation int32
}

func newClient(tb testing.TB, p *probe.Probe, n int) *client {
	return &client{
		tb:    tb,
		probe: p,
		connection: probe.FeedConnection{
			Key:    uint64(n + 1),
			Local:  netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 40000),
			Remote: netip.MustParseAddrPort("10.1.0.1:9092"),
		},
		formatter: kmsg.NewRequestFormatter(kmsg.FormatterClientID(fmt.Sprintf("consumer-%d", n))),
	}
}

// exchange feeds a request and its response.
func (c *client) exchange(request kmsg.Request, response kmsg.Response) {
	r := c.frames(request, response)
	require.NoError(c.tb, c.probe.Feed(&c.connection, probe.Sent, r[0]))
	require.NoError(c.tb, c.probe.Feed(&c.connection, probe.Received, r[1]))
}

func (c *client) frames(request kmsg.Request, response kmsg.Response) [2][]byte {
	c.correlation++
	response.SetVersion(request.GetVersion())
	body := binary.BigEndian.AppendUint32(nil, uint32(c.correlation))
	if response.IsFlexible() && response.Key() != 18 {
		body = append(body, 0)
	}
	body = response.AppendTo(body)
	return [2][]byte{
		c.formatter.AppendRequest(nil, request, c.correlation),
		append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...),
	}
}

// commit makes an OffsetCommit 9 of every partition of n topics, and the response that accepts it. Later versions name
// topics by id.
func commit(group string, n, partitions int) (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrOffsetCommitRequest(), kmsg.NewPtrOffsetCommitResponse()
	request.Version, request.Group = 9, group
	for t := range n {
		asked, answered := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitResponseTopic()
		asked.Topic, asked.TopicID = topicName(t), topicID(t)
		answered.Topic, answered.TopicID = asked.Topic, asked.TopicID
		for i := range partitions {
			a, b := kmsg.NewOffsetCommitRequestTopicPartition(), kmsg.NewOffsetCommitResponseTopicPartition()
			a.Partition, a.Offset, b.Partition = int32(i), 1000, int32(i)
			asked.Partitions = append(asked.Partitions, a)
			answered.Partitions = append(answered.Partitions, b)
		}
		request.Topics = append(request.Topics, asked)
		response.Topics = append(response.Topics, answered)
	}
	return request, response
}

// fetch makes a Fetch 12 of every partition of n topics, and a response with `bytes` of record data each. Later versions
// name topics by id.
func fetch(n, partitions, bytes int) (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrFetchRequest(), kmsg.NewPtrFetchResponse()
	request.Version = 12
	for t := range n {
		asked, answered := kmsg.NewFetchRequestTopic(), kmsg.NewFetchResponseTopic()
		asked.Topic, asked.TopicID = topicName(t), topicID(t)
		answered.Topic, answered.TopicID = asked.Topic, asked.TopicID
		for i := range partitions {
			a, b := kmsg.NewFetchRequestTopicPartition(), kmsg.NewFetchResponseTopicPartition()
			a.Partition, b.Partition = int32(i), int32(i)
			b.HighWatermark, b.LastStableOffset, b.LogStartOffset = 2000, 2000, 0
			if bytes > 0 {
				b.RecordBatches = batch(bytes)
			}
			asked.Partitions = append(asked.Partitions, a)
			answered.Partitions = append(answered.Partitions, b)
		}
		request.Topics = append(request.Topics, asked)
		response.Topics = append(response.Topics, answered)
	}
	return request, response
}

func batch(bytes int) []byte {
	b := kmsg.RecordBatch{
		FirstOffset: 1000, Length: int32(49 + bytes), Magic: 2, LastOffsetDelta: 99,
		FirstTimestamp: 1_700_000_000_000, MaxTimestamp: 1_700_000_001_000, NumRecords: 100,
		Records: make([]byte, bytes),
	}
	return b.AppendTo(nil)
}

func topicName(t int) string { return fmt.Sprintf("orders-by-region-%02d", t) }

func topicID(t int) [16]byte { return [16]byte{0: 0x6e, 8: 0xa1, 15: byte(t)} }

// fill brings n group-partitions into the maps by real decoded commits and fetches: 1,000 partitions
// and as many groups as it takes, each with a client of its own.
func fill(tb testing.TB, p *probe.Probe, n int) {
	tb.Helper()
	for g := range n / (topics * partitionsPerTopic) {
		c := newClient(tb, p, g)
		c.exchange(commit(fmt.Sprintf("group-%03d", g), topics, partitionsPerTopic))
		if g < 10 {
			c.exchange(fetch(topics, partitionsPerTopic, 0))
		}
	}
}
