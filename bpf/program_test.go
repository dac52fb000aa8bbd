// SPDX-License-Identifier: Apache-2.0

package bpf_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/bpf"
	"github.com/ebpfkafka/ebpfkafka/internal/schema"
)

func header(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(text)
}

var (
	comments   = regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*`)
	enumerator = regexp.MustCompile(`^(\w+)\s*=\s*(\d+)$`)
)

// enum reads the enumerators of a C enum, which must all have their value written out.
func enum(t *testing.T, text, name string) map[string]int {
	t.Helper()
	_, body, ok := strings.Cut(comments.ReplaceAllString(text, ""), "enum "+name+" {")
	require.True(t, ok, "no enum %s", name)
	body, _, ok = strings.Cut(body, "}")
	require.True(t, ok)
	values := make(map[string]int)
	for entry := range strings.SplitSeq(body, ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		m := enumerator.FindStringSubmatch(entry)
		require.NotNil(t, m, "enum %s: %q", name, entry)
		value, err := strconv.Atoi(m[2])
		require.NoError(t, err)
		values[m[1]] = value
	}
	return values
}

// define reads a #define of a number.
func define(t *testing.T, text, name string) int {
	t.Helper()
	m := regexp.MustCompile(`(?m)^#define ` + name + `\s+(\d+)\b`).FindStringSubmatch(text)
	require.NotNil(t, m, "no #define %s", name)
	value, err := strconv.Atoi(m[1])
	require.NoError(t, err)
	return value
}

func TestOpCodes(t *testing.T) {
	want := map[string]int{
		"OP_REQUEST_HEAD":  int(schema.OpRequestHead),
		"OP_RESPONSE_HEAD": int(schema.OpResponseHead),
		"OP_DISPATCH":      int(schema.OpDispatch),
		"OP_END":           int(schema.OpEnd),
		"OP_SKIP_FRAME":    int(schema.OpSkipFrame),
		"OP_PARK":          int(schema.OpPark),
		"OP_SKIP":          int(schema.OpSkip),
		"OP_INT8":          int(schema.OpInt8),
		"OP_INT16":         int(schema.OpInt16),
		"OP_INT32":         int(schema.OpInt32),
		"OP_INT64":         int(schema.OpInt64),
		"OP_STRING":        int(schema.OpString),
		"OP_UUID":          int(schema.OpUUID),
		"OP_SKIP_STRING":   int(schema.OpSkipString),
		"OP_SKIP_BYTES":    int(schema.OpSkipBytes),
		"OP_SKIP_ARRAY":    int(schema.OpSkipArray),
		"OP_ARRAY":         int(schema.OpArray),
		"OP_LOOP":          int(schema.OpLoop),
		"OP_TAGS":          int(schema.OpTags),
		"OP_NULLABLE":      int(schema.OpNullable),
		"OP_SET":           int(schema.OpSet),
		"OP_RECORDS":       int(schema.OpRecords),
		"OP_BATCH":         int(schema.OpBatch),
		"OP_REPORT":        int(schema.OpReport),
		"OP_EMBED":         int(schema.OpEmbed),
		"OP_EMBED_END":     int(schema.OpEmbedEnd),
		"OP_CODES":         int(schema.OpEmbedEnd) + 1,
	}
	assert.Equal(t, want, enum(t, header(t, "program.h"), "op_code"))
	// The object was built from that header: its own last and an arbitrary one.
	assert.EqualValues(t, want["OP_CODES"], bpf.KafkaOpCodeOP_CODES)
	assert.EqualValues(t, want["OP_RECORDS"], bpf.KafkaOpCodeOP_RECORDS)
}

func TestRegisters(t *testing.T) {
	want := map[string]int{
		"REG_CLIENT":         int(schema.RegClient),
		"REG_GROUP":          int(schema.RegGroup),
		"REG_TOPIC":          int(schema.RegTopic),
		"REG_PARTITION":      int(schema.RegPartition),
		"REG_OFFSET":         int(schema.RegOffset),
		"REG_LEADER_EPOCH":   int(schema.RegLeaderEpoch),
		"REG_ERROR":          int(schema.RegError),
		"REG_HIGH_WATERMARK": int(schema.RegHighWatermark),
		"REG_LAST_STABLE":    int(schema.RegLastStable),
		"REG_LOG_START":      int(schema.RegLogStart),
		"REG_SESSION":        int(schema.RegSession),
		"REG_THROTTLE":       int(schema.RegThrottle),
		"REG_TIMESTAMP":      int(schema.RegTimestamp),
		"REG_RECORDS":        int(schema.RegRecords),
		"REG_MEMBER":         int(schema.RegMember),
		"REG_GENERATION":     int(schema.RegGeneration),
		"REG_PRODUCER":       int(schema.RegProducer),
		"REG_PRODUCER_EPOCH": int(schema.RegProducerEpoch),
		"REG_COMMITTED":      int(schema.RegCommitted),
		"REG_REPLICA":        int(schema.RegReplica),
		"REG_ISOLATION":      int(schema.RegIsolation),
		"REG_ACKS":           int(schema.RegAcks),
		"REG_CLUSTER":        int(schema.RegCluster),
		"REG_TOPIC_NAME":     int(schema.RegTopicName),
		"REG_TOP_ERROR":      int(schema.RegTopError),
		"REG_BATCH_BASE":     int(schema.RegBatchBase),
		"REG_BATCH_LAST":     int(schema.RegBatchLast),
		"REG_BATCH_TIME":     int(schema.RegBatchTime),
		"REG_BATCH_MAX_TIME": int(schema.RegBatchMaxTime),
		"REG_TXN":            int(schema.RegTxn),
		"REG_SCRATCH":        int(schema.RegScratch),
		"REG_ASSIGNMENT":     int(schema.RegAssignment),
		"REG_NAMES":          int(schema.Registers),
	}
	assert.Equal(t, want, enum(t, header(t, "program.h"), "reg_name"))
	assert.EqualValues(t, want["REG_NAMES"], bpf.KafkaRegNameREG_NAMES)
	assert.EqualValues(t, want["REG_TOP_ERROR"], bpf.KafkaRegNameREG_TOP_ERROR)
}

func TestSinks(t *testing.T) {
	want := map[string]int{
		"SINK_COMMIT_ASKED":     int(schema.SinkCommitAsked),
		"SINK_COMMIT_ANSWERED":  int(schema.SinkCommitAnswered),
		"SINK_OFFSET_FETCHED":   int(schema.SinkOffsetFetched),
		"SINK_FETCH_ASKED":      int(schema.SinkFetchAsked),
		"SINK_FETCH_FORGOTTEN":  int(schema.SinkFetchForgotten),
		"SINK_FETCH_SESSION":    int(schema.SinkFetchSession),
		"SINK_WATERMARK":        int(schema.SinkWatermark),
		"SINK_LIST_ASKED":       int(schema.SinkListAsked),
		"SINK_LIST_ANSWERED":    int(schema.SinkListAnswered),
		"SINK_PRODUCE_ASKED":    int(schema.SinkProduceAsked),
		"SINK_PRODUCE_ANSWERED": int(schema.SinkProduceAnswered),
		"SINK_BATCH":            int(schema.SinkBatch),
		"SINK_TOPIC_ID":         int(schema.SinkTopicID),
		"SINK_CLUSTER":          int(schema.SinkCluster),
		"SINK_MEMBER":           int(schema.SinkMember),
		"SINK_TXN_END":          int(schema.SinkTxnEnd),
		"SINK_TXN_MARKER":       int(schema.SinkTxnMarker),
		"SINK_OFFSET_DELETED":   int(schema.SinkOffsetDeleted),
		"SINK_GROUP_DELETED":    int(schema.SinkGroupDeleted),
		"SINK_TOPIC_DELETED":    int(schema.SinkTopicDeleted),
		"SINK_JOIN_ASKED":       int(schema.SinkJoinAsked),
		"SINK_ASSIGNMENT":       int(schema.SinkAssignment),
		"SINK_ASSIGNED":         int(schema.SinkAssigned),
		"SINK_SHARE_TYPE":       int(schema.SinkShareType),
		"SINK_SHARE_BATCH":      int(schema.SinkShareBatch),
		"SINK_SHARE_ASKED":      int(schema.SinkShareAsked),
		"SINK_SHARE_ANSWERED":   int(schema.SinkShareAnswered),
		"SINKS":                 int(schema.SinkShareAnswered) + 1,
	}
	assert.Equal(t, want, enum(t, header(t, "program.h"), "sink"))
	assert.EqualValues(t, want["SINKS"], bpf.KafkaSinkSINKS)
	assert.EqualValues(t, want["SINK_BATCH"], bpf.KafkaSinkSINK_BATCH)
}

// Roles, sources of offsets and reasons of drops are compared in internal/probe.
func TestConstants(t *testing.T) {
	text := header(t, "program.h")
	assert.Equal(t, schema.FlagCompact, define(t, text, "OP_FLAG_COMPACT"))
	assert.Equal(t, schema.FlagClientID, define(t, text, "OP_FLAG_CLIENT_ID"))
	assert.Equal(t, schema.MaxOps, define(t, text, "OPS"))
	assert.Equal(t, schema.MaxAPIKeys, define(t, text, "API_KEYS"))
	assert.Equal(t, schema.MaxVersions, define(t, text, "API_VERSIONS"))
	assert.Equal(t, 0, define(t, text, "DIR_REQUEST"))
	assert.Equal(t, schema.MaxVersions*define(t, text, "DIR_RESPONSE"), schema.ProgramIndex(0, false, 0))

	types := header(t, "types.h")
	assert.Less(t, int(bpf.KafkaDropReasonDROP_REASONS), define(t, types, "DROP_SLOTS"))
	for _, name := range []string{"DROP_SLOTS", "TIME_POINTS", "PARK_BYTES", "NAME_BYTES", "CARRY_BYTES"} {
		n := define(t, types, name)
		assert.Zero(t, n&(n-1), "%s is a mask's bound and must be a power of two", name)
	}
	for _, n := range []int{schema.MaxOps, schema.MaxAPIKeys, schema.MaxVersions} {
		assert.Zero(t, n&(n-1))
	}
}

// The instructions use the whole stack of loops at most, and the object has room for one more.
func TestLoopDepth(t *testing.T) {
	var c bpf.KafkaConnection
	assert.GreaterOrEqual(t, len(c.Streams[0].Loops), define(t, header(t, "types.h"), "LOOP_DEPTH"))
}
