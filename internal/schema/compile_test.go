// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// maxDepth is how deep the kernel side nests loops, LOOP_DEPTH of bpf/types.h.
const maxDepth = 6

// each calls f for every version of every message of an API.
func each(f func(m *Message, version int16)) {
	messages := Messages()
	for i := range messages {
		m := &messages[i]
		if m.APIKey < 0 {
			continue
		}
		for version := m.Versions.Min; version <= m.Versions.Max; version++ {
			f(m, version)
		}
	}
}

// check walks a program like the interpreter does: forwards, through loops once, both ways at every jump.
// It returns an error, or what it saw.
type check struct {
	ops   []Op
	start uint32
	end   uint32 // of the OpEnd
	// By op: the nesting with which it is reached, -1 if not yet.
	depth map[uint32]int
}

func checkProgram(ops []Op, start uint32) (*check, error) {
	c := &check{ops: ops, start: start, depth: make(map[uint32]int)}
	c.end = start
	for c.end < uint32(len(ops)) && ops[c.end].Code != OpEnd {
		c.end++
	}
	if c.end >= uint32(len(ops)) {
		return nil, fmt.Errorf("no end behind op %d", start)
	}
	return c, c.walk(start, nil)
}

// walk goes on at pc, inside of loops that are given by where each goes on when it ends.
func (c *check) walk(pc uint32, loops []uint32) error {
	loops = slices.Clone(loops)
	for {
		depth := len(loops)
		if pc < c.start || pc > c.end {
			return fmt.Errorf("op %d is outside of the program, %d to %d", pc, c.start, c.end)
		}
		if known, seen := c.depth[pc]; seen {
			if known != depth {
				return fmt.Errorf("op %d is reached in %d loops and in %d", pc, known, depth)
			}
			return nil
		}
		c.depth[pc] = depth
		op := c.ops[pc]
		if op.Code >= opCodes || op.Reg >= Registers {
			return fmt.Errorf("op %d: %+v", pc, op)
		}
		jumps := op.Code == OpArray || op.Code == OpNullable || op.Code == OpRecords || op.Code == OpEmbed
		if jumps {
			if op.Arg <= pc {
				return fmt.Errorf("op %d jumps back to %d", pc, op.Arg)
			}
			if op.Code == OpArray && c.ops[op.Arg-1].Code != OpLoop {
				return fmt.Errorf("op %d: the array's end %d is not behind a loop", pc, op.Arg)
			}
			if op.Code == OpRecords && (c.ops[pc+1].Code != OpBatch || op.Arg != pc+2) {
				return fmt.Errorf("op %d: records without a batch", pc)
			}
			if op.Code == OpEmbed && (c.ops[op.Arg-2].Code != OpSkipFrame || c.ops[op.Arg-1].Code != OpEmbedEnd) {
				return fmt.Errorf("op %d: the embedded message's end %d is not behind its rest", pc, op.Arg)
			}
			if err := c.walk(op.Arg, loops); err != nil {
				return err
			}
		}
		switch op.Code {
		case OpEnd:
			if depth != 0 {
				return fmt.Errorf("the end is inside %d loops", depth)
			}
			return nil
		case OpArray:
			loops = append(loops, op.Arg)
			if len(loops) > maxDepth {
				return fmt.Errorf("op %d: %d loops deep", pc, len(loops))
			}
		case OpLoop:
			if len(loops) == 0 {
				return fmt.Errorf("op %d: a loop without an array", pc)
			}
			if after := loops[len(loops)-1]; after != pc+1 {
				return fmt.Errorf("op %d: the array ends at %d", pc, after)
			}
			loops = loops[:len(loops)-1]
		case OpReport:
			if op.Arg >= uint32(sinks) {
				return fmt.Errorf("op %d: no sink %d", pc, op.Arg)
			}
		case OpSkip, OpSkipArray:
			if op.Arg == 0 {
				return fmt.Errorf("op %d skips nothing", pc)
			}
		case OpSkipFrame:
			if c.ops[pc+1].Code != OpEmbedEnd {
				return fmt.Errorf("op %d passes over the frame that it is in", pc)
			}
		case OpRequestHead, OpResponseHead, OpDispatch, OpPark:
			return fmt.Errorf("op %d: %+v inside of a message", pc, op)
		}
		pc++
	}
}

func TestProgramsAreWellFormed(t *testing.T) {
	tables := Compile()
	if n := len(tables.Ops); n > MaxOps || n > math.MaxUint16 {
		t.Fatalf("%d ops", n)
	}
	used := make(map[uint32]bool)
	each(func(m *Message, version int16) {
		start := uint32(tables.Programs[ProgramIndex(m.APIKey, m.Request, version)])
		if !Captured(m.Name) {
			if start != tables.PCSkipFrame {
				t.Errorf("%s %d is not captured but has a program at %d", m.Name, version, start)
			}
			return
		}
		if start == tables.PCSkipFrame {
			t.Errorf("%s %d is captured but passed over", m.Name, version)
			return
		}
		c, err := checkProgram(tables.Ops, start)
		if err != nil {
			t.Errorf("%s %d: %v", m.Name, version, err)
			return
		}
		for pc := start; pc <= c.end; pc++ {
			used[pc] = true
			if _, reached := c.depth[pc]; !reached {
				t.Errorf("%s %d: op %d is never reached", m.Name, version, pc)
			}
		}
	})
	for pc := programsFrom(tables); pc < uint32(len(tables.Ops)); pc++ {
		if !used[pc] {
			t.Errorf("op %d belongs to no program", pc)
		}
	}
}

func TestCheckProgramFindsFaults(t *testing.T) {
	end := Op{Code: OpEnd}
	for name, ops := range map[string][]Op{
		"no end":                  {{Code: OpInt8}},
		"a jump beyond the end":   {{Code: OpNullable, Arg: 2}, end, end},
		"a jump back":             {{Code: OpInt8}, {Code: OpNullable}, end},
		"an end inside a loop":    {{Code: OpArray, Arg: 3}, end, {Code: OpLoop}, end},
		"an array without a loop": {{Code: OpArray, Arg: 2}, {Code: OpInt8}, end},
		"a loop without an array": {{Code: OpLoop}, end},
		"a register too many":     {{Code: OpInt8, Reg: Registers}, end},
		"no such instruction":     {{Code: opCodes}, end},
		"no such sink":            {{Code: OpReport, Arg: uint32(sinks)}, end},
		"a jump into a loop":      {{Code: OpNullable, Arg: 2}, {Code: OpArray, Arg: 4}, {Code: OpInt8}, {Code: OpLoop}, end},
		"nothing to skip":         {{Code: OpSkip}, end},
		"another frame's head":    {{Code: OpRequestHead}, end},
		"a frame passed over":     {{Code: OpSkipFrame}, end},
		"embedded without an end": {{Code: OpEmbed, Arg: 3}, {Code: OpInt8}, {Code: OpInt8}, end},
		"records without a batch": {{Code: OpRecords, Arg: 1}, end},
		"too deep": {
			{Code: OpArray, Arg: 14}, {Code: OpArray, Arg: 13}, {Code: OpArray, Arg: 12}, {Code: OpArray, Arg: 11},
			{Code: OpArray, Arg: 10}, {Code: OpArray, Arg: 9}, {Code: OpArray, Arg: 8},
			{Code: OpLoop}, {Code: OpLoop}, {Code: OpLoop}, {Code: OpLoop}, {Code: OpLoop}, {Code: OpLoop}, {Code: OpLoop}, end,
		},
	} {
		if _, err := checkProgram(ops, 0); err == nil {
			t.Errorf("%s: no fault found", name)
		}
	}
}

func TestEntryPoints(t *testing.T) {
	tables := Compile()
	for pc, want := range map[uint32][]OpCode{
		0:                  {OpEnd},
		tables.PCRequest:   {OpRequestHead, OpString, OpDispatch},
		tables.PCResponse:  {OpResponseHead},
		tables.PCSkipFrame: {OpSkipFrame, OpEnd},
		tables.PCPark:      {OpPark},
	} {
		for i, code := range want {
			if got := tables.Ops[int(pc)+i].Code; got != code {
				t.Errorf("op %d is %d, want %d", int(pc)+i, got, code)
			}
		}
	}
	// The request's client id is never a compact string (KIP-511), and is what Kafka is recognised by.
	client := tables.Ops[tables.PCRequest+1]
	if client != (Op{Code: OpString, Reg: RegClient, Flags: FlagClientID}) {
		t.Errorf("the client id is read by %+v", client)
	}
}

// What is equal is stored once; what differs is apart.
func TestProgramsAreShared(t *testing.T) {
	tables := Compile()
	program := func(start uint32) string {
		c, err := checkProgram(tables.Ops, start)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for pc := start; pc <= c.end; pc++ {
			op := tables.Ops[pc]
			if op.Code == OpArray || op.Code == OpNullable || op.Code == OpRecords || op.Code == OpEmbed {
				op.Arg -= start
			}
			fmt.Fprint(&text, op)
		}
		return text.String()
	}
	places := make(map[string]uint32)
	versions := 0
	each(func(m *Message, version int16) {
		if !Captured(m.Name) {
			return
		}
		versions++
		start := uint32(tables.Programs[ProgramIndex(m.APIKey, m.Request, version)])
		text := program(start)
		if other, ok := places[text]; ok && other != start {
			t.Errorf("%s %d: the program at %d stands at %d as well", m.Name, version, start, other)
		}
		places[text] = start
	})
	if len(places) >= versions {
		t.Errorf("%d programs for %d versions: nothing is shared", len(places), versions)
	}
	at := func(api int16, request bool, version int16) uint16 {
		return tables.Programs[ProgramIndex(api, request, version)]
	}
	const metadata, offsetCommit = 3, 8
	if at(offsetCommit, false, 0) != at(offsetCommit, false, 2) {
		t.Error("OffsetCommit responses 0 and 2 are the same, but have two programs")
	}
	if at(offsetCommit, true, 9) == at(offsetCommit, true, 10) {
		t.Error("OffsetCommit requests 9 and 10, of names and of topic ids, have one program")
	}
	if at(metadata, false, 1) == at(metadata, false, 2) {
		t.Error("Metadata responses 1 and 2, without and with a cluster id, have one program")
	}
}

// Every sink that a capture names is reported in some version, and each version that has the field
// reports.
func TestCapturesReport(t *testing.T) {
	tables := Compile()
	seen := make(map[Sink]bool)
	each(func(m *Message, version int16) {
		if !Captured(m.Name) {
			return
		}
		start := uint32(tables.Programs[ProgramIndex(m.APIKey, m.Request, version)])
		for pc := start; tables.Ops[pc].Code != OpEnd; pc++ {
			if tables.Ops[pc].Code == OpReport {
				seen[Sink(tables.Ops[pc].Arg)] = true
			}
		}
	})
	for sink := range sinks {
		if sink == SinkBatch { // reported by OpBatch itself
			continue
		}
		if !seen[sink] {
			t.Errorf("sink %d is never reported", sink)
		}
	}
}

func TestCompileIsDeterministic(t *testing.T) {
	if !reflect.DeepEqual(compile(), Compile()) {
		t.Error("two runs gave different tables")
	}
}

func TestTablesHoldEveryAPI(t *testing.T) {
	tables := Compile()
	known := make(map[int16]bool)
	for _, api := range APIs() {
		known[api.Key] = true
		if int(api.Key) >= MaxAPIKeys || api.Versions.Max >= MaxVersions {
			t.Fatalf("%s: key %d, versions %v do not fit the tables", api.Name, api.Key, api.Versions)
		}
		if tables.APIs[api.Key] != api.Versions {
			t.Errorf("%s: %v, want %v", api.Name, tables.APIs[api.Key], api.Versions)
		}
	}
	for key, versions := range tables.APIs {
		if !known[int16(key)] && !versions.Empty() {
			t.Errorf("key %d is no API, but has versions %v", key, versions)
		}
	}
	for i, start := range tables.Programs {
		if int(start) >= len(tables.Ops) {
			t.Errorf("program %d begins at %d of %d ops", i, start, len(tables.Ops))
		}
	}
}

func TestProgramIndex(t *testing.T) {
	seen := make(map[int]bool)
	for key := range int16(MaxAPIKeys) {
		for version := range int16(MaxVersions) {
			for _, request := range []bool{true, false} {
				i := ProgramIndex(key, request, version)
				if seen[i] || i < 0 || i >= len(Compile().Programs) {
					t.Fatalf("index %d of key %d, request %v, version %d", i, key, request, version)
				}
				seen[i] = true
			}
		}
	}
}

// A typing error in captures.go must not pass unnoticed.
func TestCaptureOfUnknownFieldPanics(t *testing.T) {
	saved := captures
	defer func() { captures = saved }()
	for name, wrong := range map[string]capture{
		"field":  {message: "HeartbeatRequest", fields: map[string]Register{"GroupID": RegGroup}},
		"report": {message: "HeartbeatRequest", reports: []reportAt{{sink: SinkMember, end: "Groups"}}},
	} {
		captures = []capture{wrong}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			compile()
		}()
	}
}

// programsFrom is where the messages' programs begin, behind what belongs to all.
func programsFrom(tables *Tables) uint32 {
	return max(tables.PCRequest+3, tables.PCResponse+1, tables.PCSkipFrame+2, tables.PCPark+1)
}
