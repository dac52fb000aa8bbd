// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
)

func frame(b []byte) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...) }

func TestSmoke(t *testing.T) {
	p, err := probe.Open(probe.Options{Backend: probe.Detached, TraceReports: true})
	require.NoError(t, err)
	defer p.Close()
	c := &probe.FeedConnection{Key: 1, Local: netip.MustParseAddrPort("10.0.0.1:40000"), Remote: netip.MustParseAddrPort("10.0.0.2:9092")}
	f := kmsg.NewRequestFormatter(kmsg.FormatterClientID("test-client"))
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version = 9
	req.Group = "g"
	rt := kmsg.NewOffsetCommitRequestTopic()
	rt.Topic = "orders"
	for i := range 3 {
		rp := kmsg.NewOffsetCommitRequestTopicPartition()
		rp.Partition = int32(i)
		rp.Offset = int64(100 + i)
		rt.Partitions = append(rt.Partitions, rp)
	}
	req.Topics = append(req.Topics, rt)
	b := f.AppendRequest(nil, req, 7)
	require.NoError(t, p.Feed(c, probe.Sent, b))
	resp := kmsg.NewPtrOffsetCommitResponse()
	resp.Version = 9
	st := kmsg.NewOffsetCommitResponseTopic()
	st.Topic = "orders"
	for i := range 3 {
		sp := kmsg.NewOffsetCommitResponseTopicPartition()
		sp.Partition = int32(i)
		st.Partitions = append(st.Partitions, sp)
	}
	resp.Topics = append(resp.Topics, st)
	body := binary.BigEndian.AppendUint32(nil, 7)
	body = append(body, 0)
	body = resp.AppendTo(body)
	require.NoError(t, p.Feed(c, probe.Received, frame(body)))
	s, err := p.Snapshot()
	require.NoError(t, err)
	st2, err := p.Stats()
	require.NoError(t, err)
	t.Logf("%+v", s)
	t.Logf("%+v", st2)
	require.Len(t, s.Offsets, 3)
}
