// SPDX-License-Identifier: Apache-2.0

package storms

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	group    = "storm"
	topic    = "drops"
	clientID = "wind"

	commitVersion      = 8 // names topics by name
	apiVersionsVersion = 3
)

var formatter = kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID))

// hello is what clients say first.
func hello() []byte {
	q := kmsg.NewPtrApiVersionsRequest()
	q.Version, q.ClientSoftwareName, q.ClientSoftwareVersion = apiVersionsVersion, "storm", "1"
	return formatter.AppendRequest(nil, q, 0)
}

// commit is a request to commit one offset.
func commit(partition int32, offset int64, correlation int32) []byte {
	q := kmsg.NewPtrOffsetCommitRequest()
	q.Version, q.Group = commitVersion, group
	t, p := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
	t.Topic, p.Partition, p.Offset = topic, partition, offset
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	return formatter.AppendRequest(nil, q, correlation)
}

// headBytes is how long a request's header is before the client id: size, API
// key, version, correlation id, length of the client id.
const headBytes = 4 + 2 + 2 + 4 + 2

// answer is the broker's to a whole frame: yes.
func answer(frame []byte) ([]byte, error) {
	key, version := int16(binary.BigEndian.Uint16(frame[4:])), int16(binary.BigEndian.Uint16(frame[6:]))
	body := frame[headBytes+int(binary.BigEndian.Uint16(frame[headBytes-2:])):]
	q := kmsg.RequestForKey(key)
	q.SetVersion(version)
	if q.IsFlexible() {
		body = body[1:] // no tags
	}
	if err := q.ReadFrom(body); err != nil {
		return nil, err
	}
	out := append(make([]byte, 4), frame[8:12]...)
	a := q.ResponseKind()
	switch q := q.(type) {
	case *kmsg.ApiVersionsRequest:
		for _, known := range []int16{int16(kmsg.OffsetCommit), int16(kmsg.ApiVersions)} {
			k := kmsg.NewApiVersionsResponseApiKey()
			k.ApiKey, k.MaxVersion = known, kmsg.RequestForKey(known).MaxVersion()
			a.(*kmsg.ApiVersionsResponse).ApiKeys = append(a.(*kmsg.ApiVersionsResponse).ApiKeys, k)
		}
	case *kmsg.OffsetCommitRequest:
		if a.IsFlexible() {
			out = append(out, 0) // no tags
		}
		for _, t := range q.Topics {
			at := kmsg.NewOffsetCommitResponseTopic()
			at.Topic = t.Topic
			for _, p := range t.Partitions {
				ap := kmsg.NewOffsetCommitResponseTopicPartition()
				ap.Partition = p.Partition
				at.Partitions = append(at.Partitions, ap)
			}
			a.(*kmsg.OffsetCommitResponse).Topics = append(a.(*kmsg.OffsetCommitResponse).Topics, at)
		}
	default:
		return nil, fmt.Errorf("a request of key %d", key)
	}
	out = a.AppendTo(out)
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	return out, nil
}
