// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What TestFrames measures of members, transactions, deletions, and of what the decoder only has to get past.

const (
	memberID   = "consumer-checkout-1-4b2d6c1e-90f3-4a57-8f0e-5b1c7d3a2e66"
	clusterID  = "MkU3OEVBNTcwNTJENDM2Qg"
	producerID = 4000
)

func otherRows() []frameRow {
	one := extents[0]
	inTransaction := newest(commitInTransaction())
	committed := newest(commit("checkout", 1, 1)).version(9)
	return append(memberRows(),
		frameRow{exchange: newest(initProducerID())},
		frameRow{exchange: newest(addOffsets())},
		frameRow{extent: one, exchange: inTransaction},
		frameRow{extent: one, what: "in its transaction", exchange: newest(endTransaction()), before: []exchange{inTransaction}},
		frameRow{extent: one, what: "in its transaction", exchange: newest(writeMarkers()), before: []exchange{inTransaction}},
		frameRow{extent: one, exchange: newest(deleteOffsets()), before: []exchange{committed}},
		frameRow{what: "1 group", exchange: newest(deleteGroups()), before: []exchange{committed}},
		frameRow{what: "1 topic", exchange: newest(deleteTopics()), before: []exchange{committed}},
		frameRow{what: "1 group", exchange: newest(findCoordinator())},
		frameRow{what: "1 broker", exchange: newest(describeCluster())},
		frameRow{what: "the response is passed over", exchange: newest(apiVersions())},
		frameRow{what: "PLAIN", exchange: newest(saslHandshake())},
		frameRow{what: "a password", exchange: newest(saslAuthenticate())},
		frameRow{what: "both are passed over", exchange: newest(describeGroups())},
	)
}

// memberRows are what members of a group say. One that leaves has been heard of before.
func memberRows() []frameRow {
	one, alive := extents[0], newest(heartbeat())
	return []frameRow{
		{exchange: alive},
		{what: "a member that does not lead", exchange: newest(join())},
		{extent: one, what: "assigned", exchange: newest(syncGroup())},
		{what: "1 member", exchange: newest(leave()), before: []exchange{alive}},
		{what: "nothing new", exchange: newest(consumerHeartbeat(false))},
		{extent: one, what: "assigned", exchange: newest(consumerHeartbeat(true))},
		{what: "nothing new", exchange: newest(shareHeartbeat())},
		{what: "nothing new", exchange: newest(streamsHeartbeat())},
	}
}

// heartbeat makes a Heartbeat 4, and a response that says nothing new.
func heartbeat() (kmsg.Request, kmsg.Response) {
	request := kmsg.NewPtrHeartbeatRequest()
	request.Version, request.Group, request.Generation, request.MemberID = 4, "checkout", 7, memberID
	return request, kmsg.NewPtrHeartbeatResponse()
}

func join() (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrJoinGroupRequest(), kmsg.NewPtrJoinGroupResponse()
	subscription := kmsg.NewConsumerMemberMetadata()
	subscription.Version, subscription.Topics = 3, []string{topicName(0)}
	request.Group, request.MemberID, request.ProtocolType = "checkout", memberID, "consumer"
	request.Protocols = []kmsg.JoinGroupRequestProtocol{
		{Name: "range", Metadata: subscription.AppendTo(nil)},
		{Name: "cooperative-sticky", Metadata: subscription.AppendTo(nil)},
	}
	response.Generation, response.MemberID, response.LeaderID = 7, memberID, memberID
	response.ProtocolType, response.Protocol = kmsg.StringPtr("consumer"), kmsg.StringPtr("range")
	return request, response
}

func syncGroup() (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrSyncGroupRequest(), kmsg.NewPtrSyncGroupResponse()
	request.Group, request.Generation, request.MemberID = "checkout", 7, memberID
	request.ProtocolType, request.Protocol = kmsg.StringPtr("consumer"), kmsg.StringPtr("range")
	assignment := kmsg.NewConsumerMemberAssignment()
	assignment.Version = 3
	assignment.Topics = []kmsg.ConsumerMemberAssignmentTopic{{Topic: topicName(0), Partitions: []int32{0}}}
	response.ProtocolType, response.Protocol = request.ProtocolType, request.Protocol
	response.MemberAssignment = assignment.AppendTo(nil)
	return request, response
}

func leave() (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrLeaveGroupRequest(), kmsg.NewPtrLeaveGroupResponse()
	request.Group = "checkout"
	request.Members = []kmsg.LeaveGroupRequestMember{{MemberID: memberID}}
	response.Members = []kmsg.LeaveGroupResponseMember{{MemberID: memberID}}
	return request, response
}

func consumerHeartbeat(assigned bool) (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrConsumerGroupHeartbeatRequest(), kmsg.NewPtrConsumerGroupHeartbeatResponse()
	request.Group, request.MemberID, request.MemberEpoch = "checkout", memberID, 7
	response.MemberID, response.MemberEpoch = kmsg.StringPtr(memberID), 7
	if assigned {
		response.Assignment = &kmsg.ConsumerGroupHeartbeatResponseAssignment{
			Topics: []kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic{{TopicID: topicID(0), Partitions: []int32{0}}}}
	}
	return request, response
}

func shareHeartbeat() (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrShareGroupHeartbeatRequest(), kmsg.NewPtrShareGroupHeartbeatResponse()
	request.GroupID, request.MemberID, request.MemberEpoch = "sharing", memberID, 7
	response.MemberID, response.MemberEpoch = kmsg.StringPtr(memberID), 7
	return request, response
}

func streamsHeartbeat() (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrStreamsGroupHeartbeatRequest(), kmsg.NewPtrStreamsGroupHeartbeatResponse()
	request.Group, request.MemberID, request.MemberEpoch = "totals", memberID, 7
	response.MemberID, response.MemberEpoch = memberID, 7
	return request, response
}

func initProducerID() (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrInitProducerIDRequest(), kmsg.NewPtrInitProducerIDResponse()
	request.TransactionalID = kmsg.StringPtr("billing-1")
	response.ProducerID = producerID
	return request, response
}

func addOffsets() (kmsg.Request, kmsg.Response) {
	request := kmsg.NewPtrAddOffsetsToTxnRequest()
	request.TransactionalID, request.ProducerID, request.Group = "billing-1", producerID, "checkout"
	return request, kmsg.NewPtrAddOffsetsToTxnResponse()
}

func commitInTransaction() (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrTxnOffsetCommitRequest(), kmsg.NewPtrTxnOffsetCommitResponse()
	request.TransactionalID, request.ProducerID, request.Group = "billing-1", producerID, "checkout"
	request.Generation, request.MemberID = 7, memberID
	request.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: topicName(0),
		Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{Offset: 1000, LeaderEpoch: 4}}}}
	response.Topics = []kmsg.TxnOffsetCommitResponseTopic{{Topic: topicName(0),
		Partitions: []kmsg.TxnOffsetCommitResponseTopicPartition{{}}}}
	return request, response
}

func endTransaction() (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrEndTxnRequest(), kmsg.NewPtrEndTxnResponse()
	request.TransactionalID, request.ProducerID, request.Commit = "billing-1", producerID, true
	response.ProducerID = producerID
	return request, response
}

func writeMarkers() (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrWriteTxnMarkersRequest(), kmsg.NewPtrWriteTxnMarkersResponse()
	const topic = "__consumer_offsets"
	request.Markers = []kmsg.WriteTxnMarkersRequestMarker{{ProducerID: producerID, Committed: true,
		Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: topic, Partitions: []int32{3}}}}}
	response.Markers = []kmsg.WriteTxnMarkersResponseMarker{{ProducerID: producerID,
		Topics: []kmsg.WriteTxnMarkersResponseMarkerTopic{{Topic: topic,
			Partitions: []kmsg.WriteTxnMarkersResponseMarkerTopicPartition{{Partition: 3}}}}}}
	return request, response
}

func deleteOffsets() (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrOffsetDeleteRequest(), kmsg.NewPtrOffsetDeleteResponse()
	request.Group = "checkout"
	request.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: topicName(0),
		Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}}}}
	response.Topics = []kmsg.OffsetDeleteResponseTopic{{Topic: topicName(0),
		Partitions: []kmsg.OffsetDeleteResponseTopicPartition{{}}}}
	return request, response
}

func deleteGroups() (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrDeleteGroupsRequest(), kmsg.NewPtrDeleteGroupsResponse()
	request.Groups = []string{"checkout"}
	response.Groups = []kmsg.DeleteGroupsResponseGroup{{Group: "checkout"}}
	return request, response
}

func deleteTopics() (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrDeleteTopicsRequest(), kmsg.NewPtrDeleteTopicsResponse()
	request.Topics = []kmsg.DeleteTopicsRequestTopic{{Topic: kmsg.StringPtr(topicName(0))}}
	response.Topics = []kmsg.DeleteTopicsResponseTopic{{Topic: kmsg.StringPtr(topicName(0)), TopicID: topicID(0)}}
	return request, response
}

func findCoordinator() (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrFindCoordinatorRequest(), kmsg.NewPtrFindCoordinatorResponse()
	request.CoordinatorKeys = []string{"checkout"}
	response.Coordinators = []kmsg.FindCoordinatorResponseCoordinator{
		{Key: "checkout", NodeID: 1, Host: "broker-1.example.com", Port: 9092}}
	return request, response
}

func describeCluster() (kmsg.Request, kmsg.Response) {
	response := kmsg.NewPtrDescribeClusterResponse()
	response.ClusterID = clusterID
	response.Brokers = []kmsg.DescribeClusterResponseBroker{{NodeID: 1, Host: "broker-1.example.com", Port: 9092}}
	return kmsg.NewPtrDescribeClusterRequest(), response
}

func apiVersions() (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrApiVersionsRequest(), kmsg.NewPtrApiVersionsResponse()
	request.ClientSoftwareName, request.ClientSoftwareVersion = "apache-kafka-java", "4.3.1"
	const apis = 60 // about as many as a broker has
	response.ApiKeys = each(apis, func(i int) kmsg.ApiVersionsResponseApiKey {
		return kmsg.ApiVersionsResponseApiKey{ApiKey: int16(i), MaxVersion: 4}
	})
	return request, response
}

func saslHandshake() (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrSASLHandshakeRequest(), kmsg.NewPtrSASLHandshakeResponse()
	request.Mechanism, response.SupportedMechanisms = "PLAIN", []string{"PLAIN"}
	return request, response
}

func saslAuthenticate() (kmsg.Request, kmsg.Response) {
	request := kmsg.NewPtrSASLAuthenticateRequest()
	request.SASLAuthBytes = []byte("\x00checkout\x00a password of the group")
	return request, kmsg.NewPtrSASLAuthenticateResponse()
}

func describeGroups() (kmsg.Request, kmsg.Response) {
	request, response := kmsg.NewPtrDescribeGroupsRequest(), kmsg.NewPtrDescribeGroupsResponse()
	request.Groups = []string{"checkout"}
	response.Groups = []kmsg.DescribeGroupsResponseGroup{{Group: "checkout", State: "Stable", ProtocolType: "consumer",
		Protocol: "range", Members: []kmsg.DescribeGroupsResponseGroupMember{{MemberID: memberID, ClientID: "consumer-1"}}}}
	return request, response
}
