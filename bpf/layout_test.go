// SPDX-License-Identifier: Apache-2.0

package bpf_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/bpf"
	"github.com/ebpfkafka/ebpfkafka/internal/schema"
)

// A layout is what Go reads and writes of one map.
type layout struct{ key, value reflect.Type }

func of[K, V any]() layout { return layout{reflect.TypeFor[K](), reflect.TypeFor[V]()} }

var layouts = map[string]layout{
	bpf.KafkaMapConnections:     of[uint64, bpf.KafkaConnection](),
	bpf.KafkaMapLinks:           of[uint64, bpf.KafkaLinkValue](),
	bpf.KafkaMapNames:           of[uint64, bpf.KafkaName](),
	bpf.KafkaMapTopicIds:        of[uint64, bpf.KafkaTopicIdValue](),
	bpf.KafkaMapRequests:        of[bpf.KafkaRequestKey, bpf.KafkaRequest](),
	bpf.KafkaMapPending:         of[bpf.KafkaPendingKey, bpf.KafkaPendingValue](),
	bpf.KafkaMapOffsets:         of[bpf.KafkaOffsetKey, bpf.KafkaOffsetValue](),
	bpf.KafkaMapRefused:         of[bpf.KafkaOffsetKey, uint64](),
	bpf.KafkaMapWatermarks:      of[bpf.KafkaPartitionKey, bpf.KafkaWatermarkValue](),
	bpf.KafkaMapTimes:           of[bpf.KafkaPartitionKey, bpf.KafkaTimesValue](),
	bpf.KafkaMapSessions:        of[bpf.KafkaSessionKey, bpf.KafkaSessionValue](),
	bpf.KafkaMapCommits:         of[bpf.KafkaCommitsKey, bpf.KafkaCommitsValue](),
	bpf.KafkaMapMembers:         of[bpf.KafkaMemberKey, bpf.KafkaMemberValue](),
	bpf.KafkaMapGroups:          of[bpf.KafkaGroupKey, bpf.KafkaGroupValue](),
	bpf.KafkaMapAssignments:     of[bpf.KafkaAssignmentKey, bpf.KafkaAssignmentValue](),
	bpf.KafkaMapGone:            of[bpf.KafkaGoneKey, uint64](),
	bpf.KafkaMapShares:          of[bpf.KafkaShareKey, bpf.KafkaShareValue](),
	bpf.KafkaMapTxnOffsets:      of[uint64, bpf.KafkaTxnOffset](),
	bpf.KafkaMapTxnProducers:    of[uint64, bpf.KafkaTxnProducer](),
	bpf.KafkaMapPeers:           of[bpf.KafkaTuple, uint64](),
	bpf.KafkaMapIgnored:         of[uint64, bpf.KafkaIgnoredValue](),
	bpf.KafkaMapStrangers:       of[uint32, bpf.KafkaStranger](),
	bpf.KafkaMapTcpCalls:        of[uint64, bpf.KafkaTcpCall](),
	bpf.KafkaMapParked:          of[bpf.KafkaRequestKey, bpf.KafkaParkedValue](),
	bpf.KafkaMapStats:           of[uint32, bpf.KafkaCounters](),
	bpf.KafkaMapBlankConnection: of[uint32, bpf.KafkaConnection](),
	bpf.KafkaMapBlankTimes:      of[uint32, bpf.KafkaTimesValue](),
	bpf.KafkaMapBlankParked:     of[uint32, bpf.KafkaParkedValue](),
}

func TestSizesOfMaps(t *testing.T) {
	spec, err := bpf.LoadKafka()
	require.NoError(t, err)
	for name, m := range spec.Maps {
		if m.Type == ebpf.RingBuf || name[0] == '.' { // no entries; a section of global variables
			continue
		}
		l, ok := layouts[name]
		if !assert.True(t, ok, "what is in map %s?", name) {
			continue
		}
		assert.EqualValues(t, m.KeySize, l.key.Size(), "key of %s", name)
		assert.EqualValues(t, m.ValueSize, l.value.Size(), "value of %s", name)
	}
	for name := range layouts {
		assert.Contains(t, spec.Maps, name)
	}
}

// holes finds the bytes of a type that belong to none of its fields. bpf2go writes those of a C struct as
// fields named _.
func holes(t reflect.Type, path string) []string {
	switch t.Kind() {
	case reflect.Array:
		return holes(t.Elem(), path+"[]")
	case reflect.Struct:
	default:
		return nil
	}
	var found []string
	end := uintptr(0)
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Type.Size() == 0 { // structs.HostLayout
			continue
		}
		if f.Name == "_" || f.Offset > end {
			found = append(found, fmt.Sprintf("%s before %s, byte %d", path, f.Name, end))
		}
		found = append(found, holes(f.Type, path+"."+f.Name)...)
		end = f.Offset + f.Type.Size()
	}
	if end < t.Size() {
		found = append(found, fmt.Sprintf("%s at its end, byte %d", path, end))
	}
	return found
}

// A key is compared with all its bytes, also with those that nobody has written.
func TestKeysHaveNoHoles(t *testing.T) {
	for name, l := range layouts {
		assert.Empty(t, holes(l.key, l.key.Name()), name)
	}
	// Hashed and compared word by word.
	var link bpf.KafkaLinkValue
	assert.Empty(t, holes(reflect.TypeOf(link.Key), "link"))
	assert.Zero(t, reflect.TypeOf(link.Key).Size()%8)
}

// A hole in a value holds whatever was on the stack; a verifier from before Linux 6.3 refuses to let such bytes
// into a map.
func TestValuesHaveNoHoles(t *testing.T) {
	for name, l := range layouts {
		found := holes(l.value, l.value.Name())
		assert.Empty(t, found, name)
	}
}

func TestHolesAreFound(t *testing.T) {
	type inner struct {
		A uint64
		B uint16
	}
	assert.Len(t, holes(reflect.TypeFor[struct {
		A uint8
		B uint32
	}](), ""), 1)
	assert.Len(t, holes(reflect.TypeFor[struct{ In [2]inner }](), ""), 1)
	assert.Len(t, holes(reflect.TypeFor[struct {
		A uint32
		_ [4]byte
		B uint64
	}](), ""), 1)
	assert.Empty(t, holes(reflect.TypeFor[struct{ A, B uint32 }](), ""))
}

// internal/schema's instructions are written into the object's read-only data as they are.
func TestLayoutOfTables(t *testing.T) {
	spec, err := bpf.LoadKafka()
	require.NoError(t, err)
	var tables schema.Tables
	for name, size := range map[string]uintptr{
		bpf.KafkaVarOps:      schema.MaxOps * reflect.TypeFor[schema.Op]().Size(),
		bpf.KafkaVarPrograms: reflect.TypeOf(tables.Programs).Size(),
		bpf.KafkaVarApis:     reflect.TypeOf(tables.APIs).Size(),
	} {
		assert.EqualValues(t, spec.Variables[name].Size(), size, name)
	}
	assert.Empty(t, holes(reflect.TypeFor[schema.Op](), "Op"))
	ours, generated := reflect.TypeFor[schema.Op](), reflect.TypeFor[bpf.KafkaOp]()
	for i := range ours.NumField() {
		f := ours.Field(i)
		g, ok := generated.FieldByName(f.Name)
		require.True(t, ok, f.Name)
		assert.Equal(t, g.Offset, f.Offset, f.Name)
		assert.Equal(t, g.Type.Size(), f.Type.Size(), f.Name)
	}
}
