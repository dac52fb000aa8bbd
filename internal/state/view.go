// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// A View is what is known of consumer groups, partitions and clients at one moment. It holds values that are true or
// none at all: whatever is not known, or no longer fresh, has its Has field false.
//
// Every slice may come in any order, but holds each key once. What many partitions have in common they share: two have
// equal ones of GroupTopic, ClusterTopic or ClientTopic only if they point to the same. Strings are as they were on the
// wire and may be invalid UTF-8. An empty Cluster means that the cluster's id is not known yet. It holds until the
// Model's next Update; until then it may be read from several goroutines, and must not be changed.
type View struct {
	// Time is the moment at which the values were read.
	Time time.Time

	Groups     []GroupPartition
	Partitions []Partition
	Clients    []ClientPartition
	Commits    []CommitCount
	Members    []GroupMembers
	Rebalances []RebalanceTime
	Shares     []ShareCount
}

// GroupTopic is a topic of which a consumer group has committed offsets.
type GroupTopic struct {
	Cluster, Group, Topic string
}

// GroupPartition is the committed offset of a consumer group in one partition. Its key is Cluster, Group, Topic and
// Partition.
type GroupPartition struct {
	*GroupTopic
	Partition int32

	// Since is the moment from which on this is known to be so: when a commit was acknowledged, or an OffsetFetch sent.
	Since time.Time

	// Unknown means that the group has a committed offset, but which is not known: its change was not seen. All fields
	// below are zero. Sums over the topic's partitions would be wrong without it.
	Unknown bool
	// Committed is the last offset whose commit was acknowledged: the next one that the group will read.
	Committed int64
	// CommitTime is when that commit was acknowledged; zero if the offset is known from an OffsetFetch response only.
	CommitTime time.Time

	// Lag is the number of messages from Committed to the high watermark, never negative. HasLag is false while no
	// fresh high watermark is known.
	Lag    int64
	HasLag bool

	// LagTime is the age of the message at Committed, 0 if Lag is 0.
	LagTime    time.Duration
	HasLagTime bool
}

// ClusterTopic is a topic of a cluster.
type ClusterTopic struct {
	Cluster, Topic string
}

// Partition holds the watermarks of a partition. Its key is Cluster, Topic and Partition.
type Partition struct {
	*ClusterTopic
	Partition int32

	// Current is the high watermark.
	Current    int64
	HasCurrent bool

	// Oldest is the log start offset.
	Oldest    int64
	HasOldest bool

	// LastStable is the last stable offset.
	LastStable    int64
	HasLastStable bool

	// WatermarkTime is when Current was last seen or confirmed, zero if never.
	WatermarkTime time.Time
}

// ProcessKey names the owner of a client. For a client on this host it is the client's process, and Remote is empty.
// For a client that is seen from the broker's host, PID, StartTime and Comm are those of the broker, and Remote is the
// client's address.
type ProcessKey struct {
	PID uint32
	// StartTime is when the process started, in nanoseconds of CLOCK_BOOTTIME. It tells two processes with one PID apart.
	StartTime uint64
	// Comm is the name of the process's group leader, at most 15 bytes.
	Comm string
	// Remote is the client's address, without port, if the client is on another host.
	Remote string
}

// ClientTopic is a topic that a client reads or commits offsets of. Group is empty where it is only known to read.
type ClientTopic struct {
	Cluster                string
	Process                ProcessKey
	ClientID, Group, Topic string
}

// ClientPartition is what one client knows of one partition. Its key is Cluster, Process, ClientID, Group, Topic and
// Partition.
type ClientPartition struct {
	*ClientTopic
	Partition int32

	// Committed is the last offset that this client committed and that was acknowledged.
	Committed    int64
	HasCommitted bool

	// Position is the offset that the client asked for last. A Fetch request does not state its group: of all entries
	// that differ in Group alone, at most one has a Position.
	Position    int64
	HasPosition bool

	// Assigned means that the group's coordinator has told this client to read the partition.
	Assigned bool

	// Lag is the number of messages from the group's committed offset to the high watermark, never negative. Who
	// committed that offset does not matter for the partition's owner: it is behind, whoever was before it.
	Lag    int64
	HasLag bool
}

// CommitCount counts the answers to commits. Its key is Cluster, Group, Topic and Error.
type CommitCount struct {
	Cluster, Group, Topic string

	// Error is Kafka's error code, 0 for success.
	Error int16
	// Count is the number of partitions' offsets answered so since Start. It only grows while Start stays the same.
	Count uint64
	// Start is a moment before which nothing was counted; zero means since the receiver's own start.
	Start time.Time
}

// GroupType is the kind of a group.
type GroupType uint8

// The kinds of groups.
const (
	ConsumerGroup GroupType = iota
	ShareGroup              // KIP-932
)

// GroupState says what a group's members are doing, as far as they are seen on this host.
type GroupState uint8

// The states, in the order of Kafka's own: a group rebalances from when its first member does.
const (
	GroupEmpty GroupState = iota // members were seen, and all have left
	GroupRebalancing
	GroupStable
)

// GroupMembers is what is known of a group's members that are seen on this host. Its key is Cluster, Group and Type.
type GroupMembers struct {
	Cluster, Group string
	Type           GroupType
	Members        int64
	State          GroupState

	// Rebalances is by how much the group's generation (its member epoch, KIP-848) has grown since Start. Only for
	// consumer groups.
	Rebalances uint64
	Start      time.Time
}

// RebalanceTime is the time that members of a group, all together, have spent between the beginning of a rebalance and
// their new assignment since Start. Only for members of the classic protocol; with KIP-848 they go on reading
// meanwhile. Its key is Cluster and Group.
type RebalanceTime struct {
	Cluster, Group string
	Time           time.Duration
	Start          time.Time
}

// Acknowledgement is what a member of a share group did with a record.
type Acknowledgement uint8

// The acknowledgements, as numbered by KIP-932.
const (
	Accepted Acknowledgement = iota + 1
	Released
	Rejected
)

// ShareCount counts the records that members of a share group have acknowledged. Its key is Cluster, Group, Topic,
// Partition and Type. It only grows while Start stays the same.
type ShareCount struct {
	Cluster, Group, Topic string
	Partition             int32
	Type                  Acknowledgement
	Count                 uint64
	Start                 time.Time
}
