// SPDX-License-Identifier: Apache-2.0

package state

import (
	"net/netip"
	"time"
)

// A Snapshot is what the kernel side knew at one moment: raw, keyed by the kernel's ids, not yet joined.
// Times are nanoseconds of CLOCK_MONOTONIC unless said otherwise.
type Snapshot struct {
	// Time and Now are one moment, on the wall clock and on CLOCK_MONOTONIC.
	Time time.Time
	Now  uint64

	// Names are the strings seen on the wire, as they were, valid UTF-8 or not.
	Names map[NameID]string
	// TopicIDs are the names of topic ids; TopicIDTimes is when each was learnt.
	TopicIDs     map[NameID]NameID
	TopicIDTimes map[NameID]uint64

	Links      map[LinkID]Link
	Offsets    []Offset
	Open       []OpenOffset
	Watermarks []Watermark
	// Asked are what brokers answered to the receiver's own questions, at most one for each end of a partition.
	Asked    []Asked
	Sessions map[SessionKey]Session
	// Batches are the latest record batches fetched of a partition.
	Batches map[PartitionKey][]Batch
	Commits []CommitCounter
	Members []Member
	// Groups, Assignments and Shares are what links know of groups beyond their offsets.
	Groups      []Group
	Assignments []Assignment
	Shares      []ShareCounter
	// Gone are the topics that a broker said it did not have.
	Gone []GoneTopic
}

// NameID names a string or a topic id that was seen on the wire.
type NameID uint64

// Names that name nothing: NameNone was null, NameInvalid was left out and counted.
const (
	NameNone    NameID = 0
	NameInvalid NameID = 1
)

// LinkID names a link: one client of one process at one broker, over any number of connections.
type LinkID uint64

// Role is the side on which a link was seen.
type Role uint8

// The roles, as enum role of bpf/types.h.
const (
	RoleUnknown Role = iota
	RoleClient
	RoleBroker
)

// Link says who talks to whom.
type Link struct {
	Process ProcessKey // Remote is empty for RoleClient
	Role    Role
	Client  NameID // the client id
	// Broker is the broker's address as the client sees it, in network namespace NetNS.
	Broker   netip.AddrPort
	NetNS    uint32
	Cluster  NameID // as Metadata said on this link; NameNone: not said yet
	LastSeen uint64
	// Lost is when a request passed that was not understood, 0 if never: any offset that was committed before may have
	// been changed by it.
	Lost uint64
	Open bool // it has a connection
}

// OffsetSource says how a committed offset came to be known.
type OffsetSource uint8

// The sources, as enum offset_source of bpf/types.h.
const (
	OffsetCommitted OffsetSource = iota
	OffsetFetched
	OffsetTransaction // committed by a transaction that has ended
	OffsetUnknown     // it changed, but to what was not seen
	OffsetDeleted     // the broker has none
)

// Offset is a committed offset as one link knows it.
type Offset struct {
	Link      LinkID
	Group     NameID
	Topic     NameID
	Partition int32
	Source    OffsetSource
	Offset    int64
	Since     uint64 // it was true from then on: when acknowledged, or when an OffsetFetch was sent
	Acked     uint64 // when the response came
	// Ordered of an OffsetCommitted or OffsetTransaction is when the commit was asked for (not the transaction's end), or
	// the OffsetFetch that confirmed it. An OffsetUnknown has one if the end of a transaction may have changed it.
	Ordered uint64
	// Committed of an OffsetCommitted or OffsetTransaction is when the commit was asked for: a group's coordinator goes by
	// the order of commits.
	Committed uint64
}

// OpenOffset was committed within a transaction at a broker that is on this host, some time ago, and nothing seen here will
// tell when that ends.
type OpenOffset struct {
	Link         LinkID
	Group, Topic NameID
	Partition    int32
	Committed    uint64 // when the commit was asked for
}

// PartitionKey is a partition as one link knows it.
type PartitionKey struct {
	Link      LinkID
	Topic     NameID
	Partition int32
}

// SessionKey is a fetch session (KIP-227) of a link.
type SessionKey struct {
	Link    LinkID
	Session int32
}

// Session is what the answers of a fetch session say of the partitions that they leave out.
type Session struct {
	Time  uint64 // when the broker last said that nothing else had changed
	Since uint64 // every answer from then on was seen; watermarks from before are not confirmed
}

// Watermark is what one link knows of a partition's ends. Offsets are -1 where nothing is known.
type Watermark struct {
	PartitionKey
	HighWatermark, LastStable, LogStart int64
	Time, LogStartTime                  uint64
	// Produced is where the log ended at least when a produce request was answered, at ProducedTime.
	Produced     int64
	ProducedTime uint64
	// Position is the fetch offset last asked for.
	Position     int64
	PositionTime uint64
	Session      int32
	Follower     bool // fetched by another broker
}

// Batch is one record batch: offsets from First to Last, timestamps in milliseconds of Unix time.
type Batch struct {
	First, Last        int64
	FirstTime, MaxTime int64
}

// CommitCounter counts the answers to commits of one link.
type CommitCounter struct {
	Link         LinkID
	Group, Topic NameID
	Error        int16
	Count        uint64
	First        uint64
}

// Member is a member of a group, by what was last answered to it.
type Member struct {
	Link          LinkID
	Group, Member NameID
	Generation    int32
	Error         int16
	API           int16
	Time          uint64
	// Assigned is when the answer was asked for that last said what the member owns, 0 if never.
	Assigned uint64
	Open     bool // the connection on which it last heard has not ended
}

// Group is what one link knows of a group as a whole. Times are 0 for never.
type Group struct {
	Link    LinkID
	Group   NameID
	First   uint64 // when it was first heard of
	Deleted uint64 // by DeleteGroups
	// Joining is when a member last began to rebalance, Joined when one last had its new assignment.
	Joining, Joined uint64
	Rebalancing     time.Duration // between the two, all members and rebalances together
	Rebalances      uint64
}

// Assignment is a partition that a member was told to own. It is of old if the member was told anew since:
// if Assigned differs from the member's.
type Assignment struct {
	Link                 LinkID
	Group, Topic, Member NameID
	Partition            int32
	Assigned             uint64
}

// ShareCounter counts the records of a share group (KIP-932) that one link acknowledged, and the broker
// took note of.
type ShareCounter struct {
	Link                         LinkID
	Group, Topic                 NameID
	Partition                    int32
	First                        uint64 // when counting began
	Accepted, Released, Rejected uint64
}

// GoneTopic is a topic, by name or by id, that a broker did not have at Time.
type GoneTopic struct {
	Link  LinkID
	Topic NameID
	Time  uint64
}
