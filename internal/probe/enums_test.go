// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/bpf"
	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

func header(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../bpf/" + name)
	require.NoError(t, err)
	return string(text)
}

// reasonsInC reads enum drop_reason, names by value, the number of them last.
func reasonsInC(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^\tDROP_(\w+) = (\d+),`).FindAllStringSubmatch(header(t, "drops.h"), -1) {
		value, err := strconv.Atoi(m[2])
		require.NoError(t, err)
		require.Equal(t, len(names), value, "DROP_%s", m[1])
		names = append(names, m[1])
	}
	return names
}

func TestReasonsAreThoseOfC(t *testing.T) {
	names := reasonsInC(t)
	require.Len(t, names, Reasons+1)
	assert.Equal(t, "REASONS", names[Reasons])
	for i, name := range names[:Reasons] {
		want := strings.ToLower(name)
		want = strings.Replace(want, "txn_lost", "transaction_unknown", 1)
		want = strings.Replace(want, "txn_full", "transaction_full", 1)
		assert.Equal(t, want, Reason(i).String())
	}
}

func TestReasonsAreApart(t *testing.T) {
	seen := make(map[string]bool)
	for i := range Reasons {
		name := Reason(i).String()
		assert.Regexp(t, `^[a-z][a-z_]+$`, name)
		assert.False(t, seen[name], name)
		seen[name] = true
	}
	var counters bpf.KafkaCounters
	assert.LessOrEqual(t, Reasons, len(counters.Drops))
}

func TestMapFull(t *testing.T) {
	full := 0
	for i := range Reasons {
		if Reason(i).MapFull() {
			full++
		}
	}
	assert.Equal(t, len(regexp.MustCompile(`(?m)^\tDROP_\w+_FULL =`).FindAllString(header(t, "drops.h"), -1)), full)
	assert.True(t, Reason(bpf.KafkaDropReasonDROP_OFFSETS_FULL).MapFull())
	assert.False(t, OrphanResponse.MapFull())
}

func TestRolesAreThoseOfC(t *testing.T) {
	assert.EqualValues(t, bpf.KafkaRoleROLE_UNKNOWN, AnyRole)
	assert.EqualValues(t, bpf.KafkaRoleROLE_CLIENT, Client)
	assert.EqualValues(t, bpf.KafkaRoleROLE_BROKER, Broker)
	assert.EqualValues(t, bpf.KafkaRoleROLE_UNKNOWN, state.RoleUnknown)
	assert.EqualValues(t, bpf.KafkaRoleROLE_CLIENT, state.RoleClient)
	assert.EqualValues(t, bpf.KafkaRoleROLE_BROKER, state.RoleBroker)
}

func TestOffsetSourcesAreThoseOfC(t *testing.T) {
	assert.EqualValues(t, bpf.KafkaOffsetSourceOFFSET_COMMIT, state.OffsetCommitted)
	assert.EqualValues(t, bpf.KafkaOffsetSourceOFFSET_FETCH, state.OffsetFetched)
	assert.EqualValues(t, bpf.KafkaOffsetSourceOFFSET_TXN, state.OffsetTransaction)
	assert.EqualValues(t, bpf.KafkaOffsetSourceOFFSET_UNKNOWN, state.OffsetUnknown)
	assert.EqualValues(t, bpf.KafkaOffsetSourceOFFSET_DELETED, state.OffsetDeleted)
}

func TestNamesThatNameNothing(t *testing.T) {
	text := header(t, "program.h")
	assert.Contains(t, text, "#define NAME_NONE "+strconv.Itoa(int(state.NameNone)))
	assert.Contains(t, text, "#define NAME_INVALID "+strconv.Itoa(int(state.NameInvalid)))
}

func TestMaxPorts(t *testing.T) {
	assert.Regexp(t, `#define MAX_PORTS `+strconv.Itoa(MaxPorts)+`\b`, header(t, "config.h"))
}
