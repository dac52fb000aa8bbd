// SPDX-License-Identifier: Apache-2.0

package schema

// A capture says what is kept of one message, by the official field names, and when it is reported.
// Everything that it does not name is passed over. This table is all that is written by hand: a new
// version of a message needs no line here unless Kafka gives a field a new name.
type capture struct {
	message string
	fields  map[string]Register // path of a field, e.g. "Topics.Partitions.PartitionIndex"
	reports []reportAt
	// assignment is the path of bytes that hold a ConsumerProtocolAssignment: opaque to brokers, Kafka's own
	// between consumers. It is reported to SinkAssignment and SinkAssigned.
	assignment string
}

// reportAt hands the registers to a sink. Exactly one of the three places is set; versions in which
// the field does not exist report at no place.
type reportAt struct {
	sink   Sink
	end    string // at the end of each element of this array ("" with message: of the message)
	before string // before this field
	after  string // after this field
	whole  bool   // at the end of the message
}

// absent is what a register holds in versions that do not have its field. Registers not named here
// hold 0.
var absent = map[Register]int32{
	RegLeaderEpoch: -1,
	RegLastStable:  -1,
	RegLogStart:    -1,
	RegReplica:     -1,
	RegGeneration:  -1,
}

var captures = []capture{
	{
		message: "ProduceRequest",
		fields: map[string]Register{
			"Acks":                            RegAcks,
			"TopicData.Name":                  RegTopic,
			"TopicData.TopicId":               RegTopic,
			"TopicData.PartitionData.Index":   RegPartition,
			"TopicData.PartitionData.Records": RegRecords,
		},
		reports: []reportAt{{sink: SinkProduceAsked, end: "TopicData.PartitionData"}},
	},
	{
		message: "ProduceResponse",
		fields: map[string]Register{
			"Responses.Name":                              RegTopic,
			"Responses.TopicId":                           RegTopic,
			"Responses.PartitionResponses.Index":          RegPartition,
			"Responses.PartitionResponses.ErrorCode":      RegError,
			"Responses.PartitionResponses.BaseOffset":     RegOffset,
			"Responses.PartitionResponses.LogStartOffset": RegLogStart,
		},
		reports: []reportAt{{sink: SinkProduceAnswered, end: "Responses.PartitionResponses"}},
	},
	{
		message: "FetchRequest",
		fields: map[string]Register{
			"ReplicaId":                      RegReplica,
			"ReplicaState.ReplicaId":         RegReplica,
			"IsolationLevel":                 RegIsolation,
			"SessionId":                      RegSession,
			"SessionEpoch":                   RegGeneration,
			"Topics.Topic":                   RegTopic,
			"Topics.TopicId":                 RegTopic,
			"Topics.Partitions.Partition":    RegPartition,
			"Topics.Partitions.FetchOffset":  RegOffset,
			"ForgottenTopicsData.Topic":      RegTopic,
			"ForgottenTopicsData.TopicId":    RegTopic,
			"ForgottenTopicsData.Partitions": RegPartition,
		},
		reports: []reportAt{
			{sink: SinkFetchAsked, end: "Topics.Partitions"},
			{sink: SinkFetchForgotten, end: "ForgottenTopicsData.Partitions"},
		},
	},
	{
		message: "FetchResponse",
		fields: map[string]Register{
			"ThrottleTimeMs":                        RegThrottle,
			"ErrorCode":                             RegTopError,
			"SessionId":                             RegSession,
			"Responses.Topic":                       RegTopic,
			"Responses.TopicId":                     RegTopic,
			"Responses.Partitions.PartitionIndex":   RegPartition,
			"Responses.Partitions.ErrorCode":        RegError,
			"Responses.Partitions.HighWatermark":    RegHighWatermark,
			"Responses.Partitions.LastStableOffset": RegLastStable,
			"Responses.Partitions.LogStartOffset":   RegLogStart,
			"Responses.Partitions.Records":          RegRecords,
		},
		reports: []reportAt{
			{sink: SinkWatermark, before: "Responses.Partitions.Records"},
			{sink: SinkFetchSession, whole: true},
		},
	},
	{
		message: "ListOffsetsRequest",
		fields: map[string]Register{
			"ReplicaId":                        RegReplica,
			"IsolationLevel":                   RegIsolation,
			"Topics.Name":                      RegTopic,
			"Topics.Partitions.PartitionIndex": RegPartition,
			"Topics.Partitions.Timestamp":      RegTimestamp,
		},
		reports: []reportAt{{sink: SinkListAsked, end: "Topics.Partitions"}},
	},
	{
		message: "ListOffsetsResponse",
		fields: map[string]Register{
			"Topics.Name":                      RegTopic,
			"Topics.Partitions.PartitionIndex": RegPartition,
			"Topics.Partitions.ErrorCode":      RegError,
			"Topics.Partitions.Timestamp":      RegTimestamp,
			"Topics.Partitions.Offset":         RegOffset,
		},
		// Version 0 has a list of offsets instead: nothing is reported.
		reports: []reportAt{{sink: SinkListAnswered, after: "Topics.Partitions.Offset"}},
	},
	{
		message: "MetadataResponse",
		fields: map[string]Register{
			"ClusterId":        RegCluster,
			"Topics.ErrorCode": RegError,
			"Topics.Name":      RegTopicName,
			"Topics.TopicId":   RegTopic,
		},
		reports: []reportAt{
			{sink: SinkCluster, after: "ClusterId"},
			{sink: SinkTopicID, after: "Topics.IsInternal"},
		},
	},
	{
		message: "DescribeClusterResponse",
		fields:  map[string]Register{"ClusterId": RegCluster},
		reports: []reportAt{{sink: SinkCluster, after: "ClusterId"}},
	},
	{
		message: "OffsetCommitRequest",
		fields: map[string]Register{
			"GroupId":                                RegGroup,
			"GenerationIdOrMemberEpoch":              RegGeneration,
			"MemberId":                               RegMember,
			"Topics.Name":                            RegTopic,
			"Topics.TopicId":                         RegTopic,
			"Topics.Partitions.PartitionIndex":       RegPartition,
			"Topics.Partitions.CommittedOffset":      RegOffset,
			"Topics.Partitions.CommittedLeaderEpoch": RegLeaderEpoch,
		},
		reports: []reportAt{{sink: SinkCommitAsked, end: "Topics.Partitions"}},
	},
	{
		message: "OffsetCommitResponse",
		fields: map[string]Register{
			"Topics.Name":                      RegTopic,
			"Topics.TopicId":                   RegTopic,
			"Topics.Partitions.PartitionIndex": RegPartition,
			"Topics.Partitions.ErrorCode":      RegError,
		},
		reports: []reportAt{{sink: SinkCommitAnswered, end: "Topics.Partitions"}},
	},
	{
		message: "TxnOffsetCommitRequest",
		fields: map[string]Register{
			"GroupId":                                RegGroup,
			"ProducerId":                             RegProducer,
			"ProducerEpoch":                          RegProducerEpoch,
			"GenerationId":                           RegGeneration,
			"MemberId":                               RegMember,
			"Topics.Name":                            RegTopic,
			"Topics.Partitions.PartitionIndex":       RegPartition,
			"Topics.Partitions.CommittedOffset":      RegOffset,
			"Topics.Partitions.CommittedLeaderEpoch": RegLeaderEpoch,
		},
		reports: []reportAt{{sink: SinkCommitAsked, end: "Topics.Partitions"}},
	},
	{
		message: "TxnOffsetCommitResponse",
		fields: map[string]Register{
			"Topics.Name":                      RegTopic,
			"Topics.Partitions.PartitionIndex": RegPartition,
			"Topics.Partitions.ErrorCode":      RegError,
		},
		reports: []reportAt{{sink: SinkCommitAnswered, end: "Topics.Partitions"}},
	},
	{
		message: "OffsetFetchRequest",
		fields: map[string]Register{
			"GroupId": RegGroup,
		},
	},
	{
		message: "OffsetFetchResponse",
		fields: map[string]Register{
			"Topics.Name":                                   RegTopic,
			"Topics.Partitions.PartitionIndex":              RegPartition,
			"Topics.Partitions.CommittedOffset":             RegOffset,
			"Topics.Partitions.CommittedLeaderEpoch":        RegLeaderEpoch,
			"Topics.Partitions.ErrorCode":                   RegError,
			"Groups.GroupId":                                RegGroup,
			"Groups.Topics.Name":                            RegTopic,
			"Groups.Topics.TopicId":                         RegTopic,
			"Groups.Topics.Partitions.PartitionIndex":       RegPartition,
			"Groups.Topics.Partitions.CommittedOffset":      RegOffset,
			"Groups.Topics.Partitions.CommittedLeaderEpoch": RegLeaderEpoch,
			"Groups.Topics.Partitions.ErrorCode":            RegError,
		},
		reports: []reportAt{
			{sink: SinkOffsetFetched, end: "Topics.Partitions"},
			{sink: SinkOffsetFetched, end: "Groups.Topics.Partitions"},
		},
	},
	{
		message: "JoinGroupRequest",
		fields:  map[string]Register{"GroupId": RegGroup, "MemberId": RegMember},
		reports: []reportAt{{sink: SinkJoinAsked, whole: true}},
	},
	{
		message: "JoinGroupResponse",
		fields:  map[string]Register{"ErrorCode": RegTopError, "GenerationId": RegGeneration, "MemberId": RegMember},
		reports: []reportAt{{sink: SinkMember, whole: true}},
	},
	{
		message: "SyncGroupRequest",
		fields:  map[string]Register{"GroupId": RegGroup, "GenerationId": RegGeneration, "MemberId": RegMember},
	},
	{
		message:    "SyncGroupResponse",
		fields:     map[string]Register{"ErrorCode": RegTopError},
		assignment: "Assignment",
		reports:    []reportAt{{sink: SinkMember, whole: true}},
	},
	{
		message: "HeartbeatRequest",
		fields:  map[string]Register{"GroupId": RegGroup, "GenerationId": RegGeneration, "MemberId": RegMember},
	},
	{
		message: "HeartbeatResponse",
		fields:  map[string]Register{"ErrorCode": RegTopError},
		reports: []reportAt{{sink: SinkMember, whole: true}},
	},
	{
		message: "LeaveGroupRequest",
		fields:  map[string]Register{"GroupId": RegGroup, "MemberId": RegMember, "Members.MemberId": RegMember},
	},
	{
		message: "LeaveGroupResponse",
		fields:  map[string]Register{"ErrorCode": RegTopError},
		reports: []reportAt{{sink: SinkMember, whole: true}},
	},
	{
		message: "ConsumerGroupHeartbeatRequest",
		fields:  epochHeartbeat,
	},
	{
		message: "ConsumerGroupHeartbeatResponse",
		fields:  assignedByHeartbeat,
		reports: assignment,
	},
	{
		message: "StreamsGroupHeartbeatRequest",
		fields:  epochHeartbeat,
	},
	{
		message: "StreamsGroupHeartbeatResponse",
		fields:  map[string]Register{"ErrorCode": RegTopError, "MemberId": RegMember, "MemberEpoch": RegGeneration},
		reports: []reportAt{{sink: SinkMember, whole: true}},
	},
	{
		message: "ShareGroupHeartbeatRequest",
		fields:  epochHeartbeat,
	},
	{
		message: "ShareGroupHeartbeatResponse",
		fields:  assignedByHeartbeat,
		reports: assignment,
	},
	{
		message: "ShareFetchRequest",
		fields:  acknowledgements,
		reports: acknowledged,
	},
	{
		message: "ShareFetchResponse",
		fields: map[string]Register{
			"ErrorCode":                                 RegTopError,
			"Responses.TopicId":                         RegTopic,
			"Responses.Partitions.PartitionIndex":       RegPartition,
			"Responses.Partitions.AcknowledgeErrorCode": RegError,
		},
		reports: []reportAt{{sink: SinkShareAnswered, end: "Responses.Partitions"}},
	},
	{
		message: "ShareAcknowledgeRequest",
		fields:  acknowledgements,
		reports: acknowledged,
	},
	{
		message: "ShareAcknowledgeResponse",
		fields: map[string]Register{
			"ErrorCode":                           RegTopError,
			"Responses.TopicId":                   RegTopic,
			"Responses.Partitions.PartitionIndex": RegPartition,
			"Responses.Partitions.ErrorCode":      RegError,
		},
		reports: []reportAt{{sink: SinkShareAnswered, end: "Responses.Partitions"}},
	},
	{
		message: "OffsetDeleteRequest",
		fields:  map[string]Register{"GroupId": RegGroup},
	},
	{
		message: "OffsetDeleteResponse",
		fields: map[string]Register{
			"ErrorCode":                        RegTopError,
			"Topics.Name":                      RegTopic,
			"Topics.Partitions.PartitionIndex": RegPartition,
			"Topics.Partitions.ErrorCode":      RegError,
		},
		reports: []reportAt{{sink: SinkOffsetDeleted, end: "Topics.Partitions"}},
	},
	{message: "DeleteGroupsRequest"},
	{
		message: "DeleteGroupsResponse",
		fields:  map[string]Register{"Results.GroupId": RegGroup, "Results.ErrorCode": RegError},
		reports: []reportAt{{sink: SinkGroupDeleted, end: "Results"}},
	},
	{message: "DeleteTopicsRequest"},
	{
		message: "DeleteTopicsResponse",
		fields: map[string]Register{
			"Responses.Name":      RegTopicName,
			"Responses.TopicId":   RegTopic,
			"Responses.ErrorCode": RegError,
		},
		reports: []reportAt{{sink: SinkTopicDeleted, end: "Responses"}},
	},
	{message: "FindCoordinatorRequest"},
	{message: "FindCoordinatorResponse"},
	{message: "MetadataRequest"},
	{message: "DescribeClusterRequest"},
	{message: "ApiVersionsRequest"},
	// Not ApiVersionsResponse: a broker that refuses the version answers with a body of version 0 (KIP-511), which
	// would be taken for a malformed one. It is passed over whole.
	{message: "SaslHandshakeRequest"},
	{message: "SaslHandshakeResponse"},
	{message: "SaslAuthenticateRequest"},
	{message: "SaslAuthenticateResponse"},
	{message: "InitProducerIdRequest"},
	{
		message: "InitProducerIdResponse",
		fields:  map[string]Register{"ErrorCode": RegTopError, "ProducerId": RegProducer, "ProducerEpoch": RegProducerEpoch},
	},
	{
		message: "AddOffsetsToTxnRequest",
		fields:  map[string]Register{"ProducerId": RegProducer, "ProducerEpoch": RegProducerEpoch, "GroupId": RegGroup},
	},
	{
		message: "AddOffsetsToTxnResponse",
		fields:  map[string]Register{"ErrorCode": RegTopError},
	},
	{
		message: "EndTxnRequest",
		fields:  map[string]Register{"ProducerId": RegProducer, "ProducerEpoch": RegProducerEpoch, "Committed": RegCommitted},
	},
	{
		message: "EndTxnResponse",
		fields:  map[string]Register{"ErrorCode": RegTopError},
		reports: []reportAt{{sink: SinkTxnEnd, whole: true}},
	},
	{
		message: "WriteTxnMarkersRequest",
		fields: map[string]Register{
			"Markers.ProducerId":        RegProducer,
			"Markers.ProducerEpoch":     RegProducerEpoch,
			"Markers.TransactionResult": RegCommitted,
		},
		reports: []reportAt{{sink: SinkTxnMarker, end: "Markers"}},
	},
	{message: "WriteTxnMarkersResponse"},
}

// What the heartbeats of members with an epoch have in common (KIP-848, KIP-932, KIP-1071), and the answers to those that
// are told their partitions.
var (
	epochHeartbeat      = map[string]Register{"GroupId": RegGroup, "MemberId": RegMember, "MemberEpoch": RegGeneration}
	assignedByHeartbeat = map[string]Register{
		"ErrorCode":                             RegTopError,
		"MemberId":                              RegMember,
		"MemberEpoch":                           RegGeneration,
		"Assignment.TopicPartitions.TopicId":    RegTopic,
		"Assignment.TopicPartitions.Partitions": RegPartition,
	}
	assignment = []reportAt{
		{sink: SinkAssignment, before: "Assignment.TopicPartitions"},
		{sink: SinkAssigned, end: "Assignment.TopicPartitions.Partitions"},
		{sink: SinkMember, whole: true},
	}
)

// What ShareFetch and ShareAcknowledge have in common.
var (
	acknowledgements = map[string]Register{
		"GroupId":                          RegGroup,
		"MemberId":                         RegMember,
		"Topics.TopicId":                   RegTopic,
		"Topics.Partitions.PartitionIndex": RegPartition,
		"Topics.Partitions.AcknowledgementBatches.FirstOffset":      RegBatchBase,
		"Topics.Partitions.AcknowledgementBatches.LastOffset":       RegBatchLast,
		"Topics.Partitions.AcknowledgementBatches.AcknowledgeTypes": RegAckType,
	}
	acknowledged = []reportAt{
		{sink: SinkShareType, end: "Topics.Partitions.AcknowledgementBatches.AcknowledgeTypes"},
		{sink: SinkShareBatch, end: "Topics.Partitions.AcknowledgementBatches"},
		{sink: SinkShareAsked, end: "Topics.Partitions"},
	}
)
