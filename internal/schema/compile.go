// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"math"
	"sync"
)

// Tables are the compiled decoder: what internal/probe writes into the read-only data of the BPF
// programs before loading them.
type Tables struct {
	Ops []Op // at most MaxOps; Ops[0] is never run
	// Programs holds, at ProgramIndex(key, direction, version), where the program of that message
	// starts in Ops. Messages of which nothing is captured are passed over whole.
	Programs [MaxAPIKeys * 2 * MaxVersions]uint16
	// APIs holds the versions of each api key; a key that does not exist has Min > Max.
	APIs [MaxAPIKeys]VersionRange
	// Entry points.
	PCRequest, PCResponse, PCSkipFrame, PCPark uint32
}

// ProgramIndex is the place of a message in Tables.Programs.
func ProgramIndex(apiKey int16, request bool, version int16) int {
	direction := 1
	if request {
		direction = 0
	}
	return (int(apiKey)*2+direction)*MaxVersions + int(version)
}

// Captured tells whether a message is decoded field by field.
func Captured(message string) bool {
	return captureOf(message) != nil
}

// Compile returns the tables of every message and version. They are compiled once and shared: do not
// modify them. A capture that names a field which no version has is a programming error and panics.
var Compile = sync.OnceValue(compile)

func captureOf(message string) *capture {
	for i := range captures {
		if captures[i].message == message {
			return &captures[i]
		}
	}
	return nil
}

func compile() *Tables {
	t := &Tables{}
	t.Ops = append(t.Ops, Op{Code: OpEnd}) // 0 means "not started" to the kernel side
	t.PCRequest = t.add(
		Op{Code: OpRequestHead},
		Op{Code: OpString, Reg: RegClient, Flags: FlagClientID},
		Op{Code: OpDispatch},
	)
	t.PCResponse = t.add(Op{Code: OpResponseHead})
	t.PCSkipFrame = t.add(Op{Code: OpSkipFrame}, Op{Code: OpEnd})
	t.PCPark = t.add(Op{Code: OpPark})
	for i := range t.Programs {
		t.Programs[i] = uint16(t.PCSkipFrame)
	}
	for i := range t.APIs {
		t.APIs[i] = None
	}
	for _, api := range APIs() {
		t.APIs[api.Key] = api.Versions
	}

	used := make(map[string]bool)
	shared := make(map[string]uint32)
	for _, m := range Messages() {
		c := captureOf(m.Name)
		if c == nil || m.APIKey < 0 {
			continue
		}
		for version := m.Versions.Min; version <= m.Versions.Max; version++ {
			b := builder{capture: c, version: version, flexible: m.Flexible.Has(version), used: used}
			program := b.message(&m)
			key := fmt.Sprint(program)
			at, ok := shared[key]
			if !ok {
				at = uint32(len(t.Ops))
				for i := range program { // jumps were relative to the program's start
					switch program[i].Code {
					case OpArray, OpNullable, OpRecords, OpEmbed:
						program[i].Arg += at
					}
				}
				t.Ops = append(t.Ops, program...)
				shared[key] = at
			}
			t.Programs[ProgramIndex(m.APIKey, m.Request, version)] = uint16(at)
		}
	}
	checkUsed(used)
	if len(t.Ops) > MaxOps {
		panic(fmt.Sprintf("schema: %d ops do not fit the %d of bpf/program.h", len(t.Ops), MaxOps))
	}
	return t
}

// checkUsed panics when a capture names something that no version of its message has.
func checkUsed(used map[string]bool) {
	for _, c := range captures {
		for path := range c.fields {
			if !used[c.message+" "+path] {
				panic(fmt.Sprintf("schema: no version of %s has a field %s to capture", c.message, path))
			}
		}
		for _, r := range c.reports {
			if path := r.end + r.before + r.after; path != "" && !used[c.message+" "+path] {
				panic(fmt.Sprintf("schema: no version of %s has a field %s to report at", c.message, path))
			}
		}
	}
}

func (t *Tables) add(ops ...Op) uint32 {
	at := uint32(len(t.Ops))
	t.Ops = append(t.Ops, ops...)
	return at
}

// A builder compiles one version of one message.
type builder struct {
	capture  *capture
	version  int16
	flexible bool
	used     map[string]bool
	ops      []Op
	skip     uint32 // fixed-size bytes that wait to be passed over in one op
}

func (b *builder) emit(op Op) int {
	b.flush()
	b.ops = append(b.ops, op)
	return len(b.ops) - 1
}

func (b *builder) flush() {
	if b.skip > 0 {
		n := b.skip
		b.skip = 0
		b.ops = append(b.ops, Op{Code: OpSkip, Arg: n})
	}
}

func (b *builder) here() uint32 {
	b.flush()
	return uint32(len(b.ops))
}

func (b *builder) compact() uint16 {
	if b.flexible {
		return FlagCompact
	}
	return 0
}

func (b *builder) message(m *Message) []Op {
	headerTags := false
	if m.Request {
		headerTags = RequestHeaderVersion(m.APIKey, b.version) >= 2
	} else {
		headerTags = ResponseHeaderVersion(m.APIKey, b.version) >= 1
	}
	if headerTags {
		b.emit(Op{Code: OpTags})
	}
	for reg := Register(0); reg < Registers; reg++ {
		if value, ok := absent[reg]; ok && b.wants(reg) {
			b.emit(Op{Code: OpSet, Reg: reg, Arg: uint32(value)})
		}
	}
	b.structure("", m.Fields)
	for _, r := range b.capture.reports {
		if r.whole {
			b.emit(Op{Code: OpReport, Arg: uint32(r.sink)})
		}
	}
	b.emit(Op{Code: OpEnd})
	return b.ops
}

// wants tells whether the capture fills a register in some version.
func (b *builder) wants(reg Register) bool {
	for _, r := range b.capture.fields {
		if r == reg {
			return true
		}
	}
	return false
}

// structure compiles the fields of a message or struct, and its tagged fields behind them.
func (b *builder) structure(prefix string, fields []Field) {
	tags := Op{Code: OpTags}
	for i := range fields {
		f := &fields[i]
		if !f.Versions.Has(b.version) {
			continue
		}
		path := prefix + f.Name
		b.use(path)
		if f.Tagged.Has(b.version) {
			if reg, ok := b.tagged(path, f); ok {
				tags.Reg = reg
				tags.Flags = uint16(f.Tag) << tagShift
			}
			continue
		}
		b.reports(func(r reportAt) bool { return r.before == path })
		b.field(path, f)
		b.reports(func(r reportAt) bool { return r.after == path })
	}
	if b.flexible {
		b.emit(tags)
	}
}

// tagged finds the register for a tagged struct's first field, the only one that can be captured.
func (b *builder) tagged(path string, f *Field) (Register, bool) {
	if f.Type != Struct || f.Array || len(f.Fields) == 0 || f.Fields[0].Type != Int32 {
		return 0, false
	}
	first := path + "." + f.Fields[0].Name
	reg, ok := b.capture.fields[first]
	if ok {
		b.use(first)
	}
	return reg, ok
}

func (b *builder) use(path string) {
	b.used[b.capture.message+" "+path] = true
}

func (b *builder) reports(at func(reportAt) bool) {
	for _, r := range b.capture.reports {
		if at(r) {
			b.emit(Op{Code: OpReport, Arg: uint32(r.sink)})
		}
	}
}

func (b *builder) field(path string, f *Field) {
	if f.Array {
		b.array(path, f)
		return
	}
	reg, captured := b.capture.fields[path]
	compact := b.compact()
	if f.FlexibleNever {
		compact = 0
	}
	switch f.Type {
	case Struct:
		null := -1
		if f.Nullable.Has(b.version) {
			null = b.emit(Op{Code: OpNullable})
		}
		b.structure(path+".", f.Fields)
		if null >= 0 {
			b.ops[null].Arg = b.here()
		}
	case String:
		if captured {
			b.emit(Op{Code: OpString, Reg: reg, Flags: compact})
		} else {
			b.emit(Op{Code: OpSkipString, Flags: compact})
		}
	case Bytes:
		if b.capture.assignment == path {
			b.assignment(compact)
		} else {
			b.emit(Op{Code: OpSkipBytes, Flags: compact})
		}
	case Records:
		if captured {
			at := b.emit(Op{Code: OpRecords, Reg: reg, Flags: compact})
			b.emit(Op{Code: OpBatch})
			b.ops[at].Arg = b.here()
		} else {
			b.emit(Op{Code: OpSkipBytes, Flags: compact})
		}
	case UUID:
		if captured {
			b.emit(Op{Code: OpUUID, Reg: reg})
		} else {
			b.skip += 16
		}
	default:
		if captured {
			b.emit(Op{Code: integer(f.Type), Reg: reg})
		} else {
			b.skip += size(f.Type)
		}
	}
}

// assignment compiles what all versions of ConsumerProtocolAssignment begin with: its readers must bear with newer
// ones than they know, so nothing is ever put before these fields.
func (b *builder) assignment(compact uint16) {
	begin := b.emit(Op{Code: OpEmbed, Flags: compact})
	b.emit(Op{Code: OpSkip, Arg: 2}) // its version
	b.emit(Op{Code: OpReport, Arg: uint32(SinkAssignment)})
	topics := b.emit(Op{Code: OpArray})
	b.emit(Op{Code: OpString, Reg: RegTopic})
	partitions := b.emit(Op{Code: OpArray})
	b.emit(Op{Code: OpInt32, Reg: RegPartition})
	b.emit(Op{Code: OpReport, Arg: uint32(SinkAssigned)})
	b.emit(Op{Code: OpLoop})
	b.ops[partitions].Arg = b.here()
	b.emit(Op{Code: OpLoop})
	b.ops[topics].Arg = b.here()
	b.emit(Op{Code: OpSkipFrame}) // data that only the assignor understands
	b.emit(Op{Code: OpEmbedEnd})
	b.ops[begin].Arg = b.here()
}

func integer(t Type) OpCode {
	switch size(t) {
	case 1:
		return OpInt8
	case 2:
		return OpInt16
	case 4:
		return OpInt32
	default:
		return OpInt64
	}
}

// size is the number of bytes of a type on the wire, 0 if it varies.
func size(t Type) uint32 {
	switch t {
	case Bool, Int8:
		return 1
	case Int16, Uint16:
		return 2
	case Int32, Uint32:
		return 4
	case Int64, Float64:
		return 8
	case UUID:
		return 16
	default:
		return 0
	}
}

func (b *builder) array(path string, f *Field) {
	element := *f
	element.Array = false
	element.Nullable = None
	if n := b.fixed(path, &element); n > 0 {
		b.emit(Op{Code: OpSkipArray, Flags: b.compact(), Arg: n})
		return
	}
	begin := b.emit(Op{Code: OpArray, Flags: b.compact()})
	if f.Type == Struct {
		b.structure(path+".", f.Fields)
	} else {
		b.field(path, &element)
	}
	b.reports(func(r reportAt) bool { return r.end == path })
	b.emit(Op{Code: OpLoop})
	b.ops[begin].Arg = b.here()
}

// fixed is the size of an element of which nothing is captured or reported, 0 if it varies.
func (b *builder) fixed(path string, element *Field) uint32 {
	if _, captured := b.capture.fields[path]; captured {
		return 0
	}
	for _, r := range b.capture.reports {
		if r.end == path || r.before == path || r.after == path {
			return 0
		}
	}
	if element.Type != Struct {
		return size(element.Type)
	}
	if b.flexible {
		return 0 // tagged fields may follow
	}
	total := uint64(0)
	for i := range element.Fields {
		f := &element.Fields[i]
		if !f.Versions.Has(b.version) {
			continue
		}
		if f.Array || f.Nullable.Has(b.version) {
			return 0
		}
		n := b.fixed(path+"."+f.Name, f)
		if n == 0 {
			return 0
		}
		total += uint64(n)
	}
	if total > math.MaxUint16 {
		return 0
	}
	return uint32(total)
}
