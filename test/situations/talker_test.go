// SPDX-License-Identifier: Apache-2.0

package situations

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// patience bounds whatever should be quick but may not be on a busy machine.
const patience = 30 * time.Second

// talker is a Kafka client that says exactly what a test wants, when it wants.
// It knows no broker but the one it is connected to.
type talker struct {
	net.Conn
	t         *testing.T
	ledger    *ledger
	formatter *kmsg.RequestFormatter
	next      int32
	asked     map[int32]kmsg.Request
	names     map[[16]byte]string // of topics, by their ids
	ids       map[string][16]byte
}

// dial connects a client of its own id. Nothing is said yet.
func (s *scene) dial(t *testing.T, address, client string) *talker {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, patience)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(2*patience)))
	return &talker{
		Conn: c, t: t, ledger: s.ledger,
		formatter: kmsg.NewRequestFormatter(kmsg.FormatterClientID(client)),
		asked:     map[int32]kmsg.Request{}, names: map[[16]byte]string{}, ids: map[string][16]byte{},
	}
}

// greet says what clients say first: which versions, which cluster, which topics.
func (k *talker) greet(topics ...string) *talker {
	k.t.Helper()
	versions := kmsg.NewPtrApiVersionsRequest()
	versions.Version, versions.ClientSoftwareName, versions.ClientSoftwareVersion = 3, "talker", "1"
	k.ask(versions)
	k.metadata(topics...)
	return k
}

func (k *talker) metadata(topics ...string) {
	k.t.Helper()
	q := kmsg.NewPtrMetadataRequest()
	q.Version = 12
	q.Topics = []kmsg.MetadataRequestTopic{}
	for _, topic := range topics {
		one := kmsg.NewMetadataRequestTopic()
		one.Topic = kmsg.StringPtr(topic)
		q.Topics = append(q.Topics, one)
	}
	for _, topic := range k.ask(q).(*kmsg.MetadataResponse).Topics {
		require.Zero(k.t, topic.ErrorCode)
		k.names[topic.TopicID], k.ids[*topic.Topic] = *topic.Topic, topic.TopicID
	}
}

// frame makes the bytes of a request, whose answer receive will understand.
func (k *talker) frame(q kmsg.Request) []byte {
	k.next++
	if p, ok := q.(*kmsg.ProduceRequest); !ok || p.Acks != 0 {
		k.asked[k.next] = q
	}
	return k.formatter.AppendRequest(nil, q, k.next)
}

// send writes requests in one call.
func (k *talker) send(requests ...kmsg.Request) {
	k.t.Helper()
	var b []byte
	for _, q := range requests {
		b = append(b, k.frame(q)...)
	}
	k.write(b)
}

func (k *talker) write(b []byte) {
	k.t.Helper()
	_, err := k.Write(b)
	require.NoError(k.t, err)
}

// receive reads the next answer, as Java does: its size, then the rest.
func (k *talker) receive() kmsg.Response {
	k.t.Helper()
	return k.understand(k.readFrame())
}

// readFrame returns what follows the next size.
func (k *talker) readFrame() []byte {
	k.t.Helper()
	size := make([]byte, 4)
	_, err := io.ReadFull(k, size)
	require.NoError(k.t, err, "the size of an answer")
	frame := make([]byte, binary.BigEndian.Uint32(size))
	_, err = io.ReadFull(k, frame)
	require.NoError(k.t, err, "an answer")
	return frame
}

// understand decodes an answer, without its size, and enters what it says of
// commits in the ledger.
func (k *talker) understand(frame []byte) kmsg.Response {
	k.t.Helper()
	correlation := int32(binary.BigEndian.Uint32(frame))
	q, ok := k.asked[correlation]
	require.True(k.t, ok, "nobody asked for answer %d", correlation)
	delete(k.asked, correlation)
	r := q.ResponseKind()
	r.SetVersion(q.GetVersion())
	body := frame[4:]
	if r.IsFlexible() && r.Key() != 18 { // ApiVersions has the old header
		require.Zero(k.t, body[0], "tags in the header of answer %d", correlation)
		body = body[1:]
	}
	require.NoError(k.t, r.ReadFrom(body), "answer %d", correlation)
	if committed, ok := r.(*kmsg.OffsetCommitResponse); ok {
		k.enter(q.(*kmsg.OffsetCommitRequest).Group, committed)
	}
	return r
}

func (k *talker) enter(group string, r *kmsg.OffsetCommitResponse) {
	for _, topic := range r.Topics {
		name := topic.Topic
		if r.Version >= 10 {
			var known bool
			if name, known = k.names[topic.TopicID]; !known {
				continue // no series can name it
			}
		}
		for _, p := range topic.Partitions {
			k.ledger.add(group, name, p.ErrorCode)
		}
	}
}

// ask sends a request and reads its answer.
func (k *talker) ask(q kmsg.Request) kmsg.Response {
	k.t.Helper()
	k.send(q)
	return k.receive()
}

// position is the offset to commit of one partition.
type position struct {
	topic     string
	partition int32
	offset    int64
}

// across are positions of the first n partitions of a topic, from offset on.
func across(topic string, n int, offset int64) []position {
	all := make([]position, n)
	for i := range all {
		all[i] = position{topic, int32(i), offset + int64(i)}
	}
	return all
}

// newestCommit is the version of OffsetCommit that names topics by id.
const newestCommit = 10

// commit makes a request of a client that is no member of its group.
func (k *talker) commit(version int16, group string, positions ...position) *kmsg.OffsetCommitRequest {
	q := kmsg.NewPtrOffsetCommitRequest()
	q.Version, q.Group = version, group
	for _, p := range positions {
		if n := len(q.Topics); n == 0 || q.Topics[n-1].Topic != p.topic {
			topic := kmsg.NewOffsetCommitRequestTopic()
			topic.Topic, topic.TopicID = p.topic, k.ids[p.topic]
			q.Topics = append(q.Topics, topic)
		}
		one := kmsg.NewOffsetCommitRequestTopicPartition()
		one.Partition, one.Offset = p.partition, p.offset
		topic := &q.Topics[len(q.Topics)-1]
		topic.Partitions = append(topic.Partitions, one)
	}
	return q
}

// committed asks for a commit that no partition refuses.
func (k *talker) committed(version int16, group string, positions ...position) {
	k.t.Helper()
	k.refused(0, version, group, positions...)
}

// refused asks for a commit that every partition answers with that error.
func (k *talker) refused(code int16, version int16, group string, positions ...position) {
	k.t.Helper()
	k.answered(code, k.commit(version, group, positions...))
}

// answered asks for q and requires that error of every partition.
func (k *talker) answered(code int16, q *kmsg.OffsetCommitRequest) {
	k.t.Helper()
	k.requireAnswer(code, k.ask(q))
}

func (k *talker) requireAnswer(code int16, r kmsg.Response) {
	k.t.Helper()
	for _, topic := range r.(*kmsg.OffsetCommitResponse).Topics {
		for _, p := range topic.Partitions {
			require.Equal(k.t, code, p.ErrorCode, "%s-%d: %v", topic.Topic, p.Partition, kerr.ErrorForCode(p.ErrorCode))
		}
	}
}

// fetch asks for records from the beginning, and does not wait for new ones.
func (k *talker) fetch(topic string, partitions ...int32) *kmsg.FetchRequest {
	q := kmsg.NewPtrFetchRequest()
	q.Version = 12 // the last that names topics
	q.MaxWaitMillis, q.MinBytes, q.MaxBytes = 0, 0, 1<<20
	q.SessionEpoch = -1
	one := kmsg.NewFetchRequestTopic()
	one.Topic = topic
	for _, n := range partitions {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.PartitionMaxBytes = n, 64<<10
		one.Partitions = append(one.Partitions, p)
	}
	q.Topics = append(q.Topics, one)
	return q
}
