// SPDX-License-Identifier: Apache-2.0

package schema

// Op is one instruction of the decoder, laid out as struct op of bpf/program.h: 8 bytes.
type Op struct {
	Code  OpCode
	Reg   Register
	Flags uint16
	Arg   uint32
}

// OpCode numbers the instructions; bpf/program.h says what each does with Reg, Flags and Arg.
type OpCode uint8

// The instructions, numbered as enum op_code of bpf/program.h.
const (
	OpRequestHead OpCode = iota
	OpResponseHead
	OpDispatch
	OpEnd
	OpSkipFrame
	OpPark
	OpSkip
	OpInt8
	OpInt16
	OpInt32
	OpInt64
	OpString
	OpUUID
	OpSkipString
	OpSkipBytes
	OpSkipArray
	OpArray
	OpLoop
	OpTags
	OpNullable
	OpSet
	OpRecords
	OpBatch
	OpReport
	OpEmbed
	OpEmbedEnd
	opCodes
)

// Flags of an Op. OpTags keeps the wanted tag's number in the bits from tagShift on.
const (
	FlagCompact  = 1 // lengths and counts are unsigned varints plus one (KIP-482)
	FlagClientID = 2 // the string takes part in recognising Kafka

	tagShift = 8
)

// Register numbers a place of a stream where a captured field is kept.
type Register uint8

// The registers, numbered as enum reg_name of bpf/program.h.
const (
	RegClient Register = iota
	RegGroup
	RegTopic
	RegPartition
	RegOffset
	RegLeaderEpoch
	RegError
	RegHighWatermark
	RegLastStable
	RegLogStart
	RegSession
	RegThrottle
	RegTimestamp
	RegRecords
	RegMember
	RegGeneration
	RegProducer
	RegProducerEpoch
	RegCommitted
	RegReplica
	RegIsolation
	RegAcks
	RegCluster
	RegTopicName
	RegTopError
	RegBatchBase
	RegBatchLast
	RegBatchTime
	RegBatchMaxTime
	RegTxn
	RegScratch
	RegAssignment
	Registers // how many there are
)

// Share groups use registers that their messages have no other use for.
const (
	RegAckType = RegTimestamp
	RegCount   = RegThrottle
)

// Sink numbers what a report is for, as enum sink of bpf/program.h.
type Sink uint8

// The sinks, numbered as enum sink of bpf/program.h, which says when each is reported.
const (
	SinkCommitAsked Sink = iota
	SinkCommitAnswered
	SinkOffsetFetched
	SinkFetchAsked
	SinkFetchForgotten
	SinkFetchSession
	SinkWatermark
	SinkListAsked
	SinkListAnswered
	SinkProduceAsked
	SinkProduceAnswered
	SinkBatch
	SinkTopicID
	SinkCluster
	SinkMember
	SinkTxnEnd
	SinkTxnMarker
	SinkOffsetDeleted
	SinkGroupDeleted
	SinkTopicDeleted
	SinkJoinAsked
	SinkAssignment
	SinkAssigned
	SinkShareType
	SinkShareBatch
	SinkShareAsked
	SinkShareAnswered
	sinks
)

// Sizes of the tables, as in bpf/program.h. Each is a power of two, so that a mask bounds an index.
const (
	MaxOps      = 8192
	MaxAPIKeys  = 128
	MaxVersions = 32
)
