// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"strings"

	"github.com/ebpfkafka/ebpfkafka/bpf"
)

// Reasons is the number of reasons for which something is left out.
const Reasons = int(bpf.KafkaDropReasonDROP_REASONS)

// A Reason says why the kernel side left something out: enum drop_reason of bpf/drops.h.
type Reason int

var reasonNames = [Reasons]string{
	bpf.KafkaDropReasonDROP_BAD_HEADER:        "bad_header",
	bpf.KafkaDropReasonDROP_MALFORMED:         "malformed",
	bpf.KafkaDropReasonDROP_FRAME_TAIL:        "frame_tail",
	bpf.KafkaDropReasonDROP_UNSEEN_BYTES:      "unseen_bytes",
	bpf.KafkaDropReasonDROP_USER_COPY:         "user_copy",
	bpf.KafkaDropReasonDROP_ORPHAN_RESPONSE:   "orphan_response",
	bpf.KafkaDropReasonDROP_AMBIGUOUS_REQUEST: "ambiguous_request",
	bpf.KafkaDropReasonDROP_UNKNOWN_VERSION:   "unknown_version",
	bpf.KafkaDropReasonDROP_STEP_LIMIT:        "step_limit",
	bpf.KafkaDropReasonDROP_STREAM_BUSY:       "stream_busy",
	bpf.KafkaDropReasonDROP_NESTING:           "nesting",
	bpf.KafkaDropReasonDROP_NAME_TOO_LONG:     "name_too_long",
	bpf.KafkaDropReasonDROP_NAME_COLLISION:    "name_collision",
	bpf.KafkaDropReasonDROP_LINK_COLLISION:    "link_collision",
	bpf.KafkaDropReasonDROP_PENDING_MISSING:   "pending_missing",
	bpf.KafkaDropReasonDROP_CONNECTIONS_FULL:  "connections_full",
	bpf.KafkaDropReasonDROP_LINKS_FULL:        "links_full",
	bpf.KafkaDropReasonDROP_NAMES_FULL:        "names_full",
	bpf.KafkaDropReasonDROP_REQUESTS_FULL:     "requests_full",
	bpf.KafkaDropReasonDROP_PENDING_FULL:      "pending_full",
	bpf.KafkaDropReasonDROP_OFFSETS_FULL:      "offsets_full",
	bpf.KafkaDropReasonDROP_WATERMARKS_FULL:   "watermarks_full",
	bpf.KafkaDropReasonDROP_TIMES_FULL:        "times_full",
	bpf.KafkaDropReasonDROP_COMMITS_FULL:      "commits_full",
	bpf.KafkaDropReasonDROP_TOPIC_IDS_FULL:    "topic_ids_full",
	bpf.KafkaDropReasonDROP_SESSIONS_FULL:     "sessions_full",
	bpf.KafkaDropReasonDROP_MEMBERS_FULL:      "members_full",
	bpf.KafkaDropReasonDROP_PARKED_FULL:       "parked_full",
	bpf.KafkaDropReasonDROP_PARKED_TOO_LONG:   "parked_too_long",
	bpf.KafkaDropReasonDROP_PEERS_FULL:        "peers_full",
	bpf.KafkaDropReasonDROP_COMPAT_SYSCALL:    "compat_syscall",
	bpf.KafkaDropReasonDROP_TXN_FULL:          "transaction_full",
	bpf.KafkaDropReasonDROP_TXN_LOST:          "transaction_unknown",
	bpf.KafkaDropReasonDROP_GROUPS_FULL:       "groups_full",
	bpf.KafkaDropReasonDROP_ASSIGNMENTS_FULL:  "assignments_full",
	bpf.KafkaDropReasonDROP_GONE_TOPICS_FULL:  "gone_topics_full",
	bpf.KafkaDropReasonDROP_SHARES_FULL:       "shares_full",
	bpf.KafkaDropReasonDROP_PROGRAM_SKIPPED:   "program_skipped",
}

// String is the reason as it stands in the attribute `reason` of the receiver's own metrics.
func (r Reason) String() string { return reasonNames[r] }

// OrphanResponse counts responses whose request was not seen.
const OrphanResponse = Reason(bpf.KafkaDropReasonDROP_ORPHAN_RESPONSE)

// MapFull tells whether the reason is that a map had no room: larger limits help.
func (r Reason) MapFull() bool { return strings.HasSuffix(r.String(), "_full") }
