// SPDX-License-Identifier: Apache-2.0

// This file holds the facts of Kafka's wire format: which messages there are, and which fields each has in
// which versions. The facts stand in facts.txt; `go generate` makes it anew from Kafka's own definitions.

package schema

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:generate go run ./gen -out facts.txt

//go:embed facts.txt
var factsText string

// HeaderKey stands in place of an API key in the two messages that belong to no API: RequestHeader and
// ResponseHeader. No API has a negative key.
const HeaderKey = -1

// The two APIs whose headers do not follow the common rule, see [RequestHeaderVersion], [ResponseHeaderVersion].
const (
	keyControlledShutdown = 7
	keyAPIVersions        = 18
)

// VersionRange is a range of protocol versions, both ends included. A range with Min > Max holds no version;
// [None] is the one such range that this package makes. Beware: the zero value is not empty, it holds version 0.
type VersionRange struct{ Min, Max int16 }

// None is the range that holds no version.
var None = VersionRange{Min: 1, Max: 0}

// Has reports whether version v is in the range.
func (r VersionRange) Has(v int16) bool { return r.Min <= v && v <= r.Max }

// Empty reports whether the range holds no version.
func (r VersionRange) Empty() bool { return r.Min > r.Max }

// Intersect returns the versions that are in both ranges, [None] if there are none.
func (r VersionRange) Intersect(o VersionRange) VersionRange {
	both := VersionRange{Min: max(r.Min, o.Min), Max: min(r.Max, o.Max)}
	if both.Empty() {
		return None
	}
	return both
}

// String returns "2-10", "4" for a single version, or "none".
func (r VersionRange) String() string {
	switch {
	case r.Empty():
		return "none"
	case r.Min == r.Max:
		return strconv.Itoa(int(r.Min))
	}
	return fmt.Sprintf("%d-%d", r.Min, r.Max)
}

// Type is what one value of a field is on the wire. All numbers are big-endian.
//
// The lengths of String, Bytes, Records and arrays are written in one of two ways. In a flexible version
// ([Message.Flexible]), unless the field is [Field.FlexibleNever], a length n is the unsigned varint n+1, and 0
// means null. Otherwise it is an int16 (String) or an int32 (all others), and -1 means null.
type Type uint8

const (
	Bool    Type = iota // 1 byte, 0 or 1
	Int8                // 1 byte
	Int16               // 2 bytes
	Uint16              // 2 bytes
	Int32               // 4 bytes
	Uint32              // 4 bytes
	Int64               // 8 bytes
	Float64             // 8 bytes, IEEE 754
	String              // length, then UTF-8
	Bytes               // length, then as many bytes
	Records             // as Bytes; holds record batches
	UUID                // 16 bytes; all zero means "none"
	Struct              // the fields in Field.Fields
)

var typeNames = [...]string{
	Bool: "bool", Int8: "int8", Int16: "int16", Uint16: "uint16", Int32: "int32", Uint32: "uint32",
	Int64: "int64", Float64: "float64", String: "string", Bytes: "bytes", Records: "records", UUID: "uuid",
	Struct: "struct",
}

// String returns the name that Kafka's definitions give the type, and "struct" for [Struct].
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("Type(%d)", uint8(t))
}

// nullable reports whether a single value of the type has a way to say null.
func (t Type) nullable() bool { return t == String || t == Bytes || t == Records || t == Struct }

// Field is one field of a message or of a struct in it.
//
// Every range in it is cut to the enclosing one: Versions lies within the Versions of the struct or message
// that the field is in, Nullable and Tagged lie within Versions. So a walk over one version needs no look back
// at the parents, and a field that no version of the entry has is not listed.
type Field struct {
	// Name is Kafka's name of the field, e.g. "CommittedOffset". It is unique among the fields next to it
	// that exist in the same version.
	Name string
	// Type is the type of the field, or of one element if Array is set.
	Type Type
	// Array tells that the field is an array of Type: a length (see [Type]), then the elements.
	Array bool
	// Versions are those in which the field exists. Never empty.
	Versions VersionRange
	// Nullable are the versions in which null is a legal value of the field (of the array, not of its
	// elements). A null that comes in another version is an error of the sender. A nullable Struct that is not
	// an array is preceded by one byte: negative for null, positive for present (KIP-893).
	Nullable VersionRange
	// Tagged are the versions in which the field stands not in its place but, if at all, among the tagged
	// fields at the end of the struct: tag and size as unsigned varints, then the value (KIP-482). [None]
	// for ordinary fields.
	Tagged VersionRange
	// Tag is the number of the tagged field; of no meaning when Tagged is empty.
	Tag uint32
	// FlexibleNever tells that the field's length is never a varint, even in flexible versions. It is so for
	// ClientId of the RequestHeader alone: a broker must be able to read it whatever the version is.
	FlexibleNever bool
	// Fields are those of one value of type Struct, in the order of the wire; tagged fields among them
	// come at the end of the struct, whatever their place here. Never empty for a Struct, nil otherwise. In a
	// version that has none of them, a value takes no bytes, or in a flexible version just the tagged fields.
	Fields []Field
}

// Message describes one direction of one API in a range of versions, within which it grew without a break: the
// newest release describes all the versions that it still speaks, and an older release those dropped since. So
// there may be several entries for an API key and direction; their version ranges do not overlap.
type Message struct {
	// Name is Kafka's name of the message, e.g. "OffsetCommitRequest".
	Name string
	// APIKey is the number of the API, [HeaderKey] for RequestHeader and ResponseHeader.
	APIKey int16
	// Request tells a request from a response.
	Request bool
	// Versions are those that this entry describes. Never empty, but [Lookup] is how to find the entry of a version.
	Versions VersionRange
	// Flexible are the versions of this entry that use varint lengths (see [Type]) and end each struct, and
	// the message, with tagged fields. [None] if there are no such versions.
	Flexible VersionRange
	// Fields are those of the message, in the order of the wire; see [Field.Fields] for tagged ones. A message
	// can have none.
	Fields []Field
}

// API is what an API key stands for, all versions together.
type API struct {
	// Key is the number in the request header.
	Key int16
	// Name is that of the messages without suffix, e.g. "OffsetCommit".
	Name string
	// Versions are all those that are described, of the request and of the response.
	Versions VersionRange
	// Flexible are those of them that use varint lengths and tagged fields, [None] if there are none. It runs
	// up to the end of Versions: what has become flexible stays so.
	Flexible VersionRange
}

type factsTable struct {
	messages []Message
	apis     []API
}

// facts is parsed on first use and shared by all.
var facts = sync.OnceValue(func() factsTable { return mustLoad(factsText) })

// mustLoad panics on a malformed file: it is part of the program, no user can mend it.
func mustLoad(text string) factsTable {
	messages, err := ParseFacts(text)
	if err != nil {
		panic(fmt.Sprintf("schema: the embedded facts.txt does not parse (run go generate ./internal/schema): %v", err))
	}
	return factsTable{messages: messages, apis: collectAPIs(messages)}
}

func collectAPIs(messages []Message) []API {
	var apis []API
	for _, m := range messages {
		if !m.Request || m.APIKey == HeaderKey {
			continue
		}
		if n := len(apis); n > 0 && apis[n-1].Key == m.APIKey {
			// Sorted by version: this entry is newer, its name is the one in use now.
			a := &apis[n-1]
			a.Name = strings.TrimSuffix(m.Name, "Request")
			a.Versions.Max = m.Versions.Max
			if a.Flexible.Empty() {
				a.Flexible = m.Flexible
			} else {
				a.Flexible.Max = m.Flexible.Max
			}
			continue
		}
		apis = append(apis, API{
			Key: m.APIKey, Name: strings.TrimSuffix(m.Name, "Request"), Versions: m.Versions, Flexible: m.Flexible,
		})
	}
	return apis
}

// Messages returns every entry: the two headers first, then by API key, the request before the response, older
// versions before newer. The file is parsed by the first call, once. The result is shared: it must not be modified,
// and may be read by many goroutines at a time.
func Messages() []Message { return facts().messages }

// Lookup returns the entry that describes this version of an API's request or response, nil if there is none:
// an unknown API key, or a version older or newer than any that is described. The entry is shared, it must not be
// modified. With [HeaderKey] it finds the headers; version is then that of the header.
func Lookup(apiKey int16, request bool, version int16) *Message {
	messages := Messages()
	i, found := slices.BinarySearchFunc(messages, version, func(m Message, version int16) int {
		if c := compareKey(&m, apiKey, request); c != 0 {
			return c
		}
		switch {
		case m.Versions.Max < version:
			return -1
		case m.Versions.Min > version:
			return 1
		}
		return 0
	})
	if !found {
		return nil
	}
	return &messages[i]
}

// compareKey orders by API key, then requests before responses.
func compareKey(m *Message, apiKey int16, request bool) int {
	switch {
	case m.APIKey != apiKey:
		return cmp.Compare(m.APIKey, apiKey)
	case m.Request == request:
		return 0
	case m.Request:
		return -1
	}
	return 1
}

// APIs returns every API, sorted by key. The result is shared: it must not be modified.
func APIs() []API { return facts().apis }

// isFlexible returns whether a version of an API is flexible, and whether the API is known. Versions newer
// than any that is described are taken to be as the newest one.
func isFlexible(apiKey, version int16) (flexible, known bool) {
	apis := APIs()
	i, found := slices.BinarySearchFunc(apis, apiKey, func(a API, key int16) int { return cmp.Compare(a.Key, key) })
	if !found {
		return false, false
	}
	return !apis[i].Flexible.Empty() && version >= apis[i].Flexible.Min, true
}

// RequestHeaderVersion returns the version of the header in front of a request: 2 (tagged fields at its end)
// in flexible versions, otherwise 1, but 0 (no client id) in version 0 of ControlledShutdown. A version newer
// than any that is described is taken to be as the newest one: that is how clients ask ApiVersions of older
// brokers. The answer is -1 for an unknown API.
func RequestHeaderVersion(apiKey, version int16) int16 {
	flexible, known := isFlexible(apiKey, version)
	switch {
	case !known:
		return -1
	case flexible:
		return 2
	case apiKey == keyControlledShutdown && version == 0:
		return 0
	}
	return 1
}

// ResponseHeaderVersion returns the version of the header in front of the response to a request of that
// version: 1 (tagged fields at its end) in flexible versions, otherwise 0. ApiVersions is always 0, for
// a client that asked in a version unknown to the broker must be able to read the answer (KIP-511); such an
// answer has a body of version 0, too. The answer is -1 for an unknown API.
func ResponseHeaderVersion(apiKey, version int16) int16 {
	flexible, known := isFlexible(apiKey, version)
	switch {
	case !known:
		return -1
	case flexible && apiKey != keyAPIVersions:
		return 1
	}
	return 0
}

// FormatFacts writes entries in the format of facts.txt, which [ParseFacts] reads. One entry looks so:
//
//	request 8 OffsetCommitRequest 2-10 flexible=8-10
//		GroupId string
//		RetentionTimeMs int64 versions=2-4
//		Topics []struct
//			Name string versions=2-9
//
// A line at the margin begins an entry: direction, API key, name, versions, flexible versions if there are any. A
// line indented by tabs is a field: name, type, and what is not as usual: versions (where they differ from those
// of the entry or field above that it belongs to), nullable, tag and tagged (versions), flexible=none. The fields
// of a struct follow it one tab deeper.
func FormatFacts(messages []Message) string {
	var b strings.Builder
	for _, m := range messages {
		direction := "response"
		if m.Request {
			direction = "request"
		}
		fmt.Fprintf(&b, "%s %d %s %s", direction, m.APIKey, m.Name, m.Versions)
		if !m.Flexible.Empty() {
			fmt.Fprintf(&b, " flexible=%s", m.Flexible)
		}
		b.WriteByte('\n')
		formatFields(&b, m.Fields, m.Versions, 1)
	}
	return b.String()
}

func formatFields(b *strings.Builder, fields []Field, enclosing VersionRange, depth int) {
	for _, f := range fields {
		array := ""
		if f.Array {
			array = "[]"
		}
		fmt.Fprintf(b, "%s%s %s%s", strings.Repeat("\t", depth), f.Name, array, f.Type)
		if f.Versions != enclosing {
			fmt.Fprintf(b, " versions=%s", f.Versions)
		}
		if !f.Nullable.Empty() {
			fmt.Fprintf(b, " nullable=%s", f.Nullable)
		}
		if !f.Tagged.Empty() {
			fmt.Fprintf(b, " tag=%d tagged=%s", f.Tag, f.Tagged)
		}
		if f.FlexibleNever {
			b.WriteString(" flexible=none")
		}
		b.WriteByte('\n')
		formatFields(b, f.Fields, f.Versions, depth+1)
	}
}

// ParseFacts reads the format that [FormatFacts] writes, after any number of comment lines (#) at the top. It
// also checks what the types above promise: the order of entries, ranges within ranges, no name or tag twice. An
// error names the line.
func ParseFacts(text string) ([]Message, error) {
	text, terminated := strings.CutSuffix(text, "\n")
	if !terminated {
		return nil, errors.New("the last line is not complete: no newline at its end")
	}
	p := factsParser{lines: strings.Split(text, "\n")}
	for p.next < len(p.lines) && strings.HasPrefix(p.lines[p.next], "#") {
		p.next++
	}
	var messages []Message
	for p.next < len(p.lines) {
		line := p.next
		m, err := p.message()
		if err == nil && len(messages) > 0 {
			if err = follows(&messages[len(messages)-1], &m); err != nil {
				p.next = line + 1
			}
		}
		if err != nil {
			return nil, fmt.Errorf("line %d %q: %w", p.next, p.lines[p.next-1], err)
		}
		messages = append(messages, m)
	}
	if len(messages) == 0 {
		return nil, errors.New("no messages")
	}
	return messages, nil
}

// follows checks that entry m may come right after the entry before.
func follows(before, m *Message) error {
	switch c := compareKey(before, m.APIKey, m.Request); {
	case c > 0:
		return fmt.Errorf("out of order: must come before %s", before.Name)
	case c == 0 && before.Versions.Max >= m.Versions.Min:
		return fmt.Errorf("versions out of order or overlapping: %s before it", before.Versions)
	}
	return nil
}

// factsParser reads line by line; next is the index of the first line not yet read, so, counted from one, the
// number of the line read last.
type factsParser struct {
	lines []string
	next  int
}

// words takes the next line apart; depth is the number of its tabs.
func (p *factsParser) words() (depth int, words []string) {
	line := p.lines[p.next]
	rest := strings.TrimLeft(line, "\t")
	p.next++
	return len(line) - len(rest), strings.Split(rest, " ")
}

func (p *factsParser) message() (Message, error) {
	m := Message{Flexible: None}
	depth, words := p.words()
	if depth != 0 {
		return m, errors.New("a field without a message or struct to hold it")
	}
	if len(words) < 4 {
		return m, errors.New("want direction, API key, name, versions")
	}
	switch words[0] {
	case "request", "response":
		m.Request = words[0] == "request"
	default:
		return m, fmt.Errorf("direction %q is neither request nor response", words[0])
	}
	key, err := strconv.ParseInt(words[1], 10, 16)
	if err != nil || key < HeaderKey {
		return m, fmt.Errorf("%q is not an API key", words[1])
	}
	m.APIKey, m.Name = int16(key), words[2]
	if !isName(m.Name) {
		return m, fmt.Errorf("%q is not a name", m.Name)
	}
	if m.Versions, err = parseRange(words[3]); err != nil {
		return m, err
	}
	for _, word := range words[4:] {
		name, value, _ := strings.Cut(word, "=")
		if name != "flexible" {
			return m, fmt.Errorf("unknown attribute %q", word)
		}
		if m.Flexible, err = parseRangeWithin(value, m.Versions); err != nil {
			return m, err
		}
	}
	m.Fields, err = p.fields(1, m.Versions, m.Flexible)
	return m, err
}

// fields reads all lines that follow at this depth or deeper.
func (p *factsParser) fields(depth int, enclosing, flexible VersionRange) ([]Field, error) {
	var fields []Field
	prefix := strings.Repeat("\t", depth)
	for p.next < len(p.lines) && strings.HasPrefix(p.lines[p.next], prefix) {
		f, err := p.field(depth, enclosing, flexible)
		if err != nil {
			return nil, err
		}
		for _, other := range fields {
			if other.Name == f.Name && !other.Versions.Intersect(f.Versions).Empty() {
				return nil, fmt.Errorf("a second field %s in the same versions", f.Name)
			}
			if other.Tag == f.Tag && !other.Tagged.Intersect(f.Tagged).Empty() {
				return nil, fmt.Errorf("tag %d is that of %s in the same versions", f.Tag, other.Name)
			}
		}
		if f.Type == Struct {
			line := p.next
			if f.Fields, err = p.fields(depth+1, f.Versions, flexible); err != nil {
				return nil, err
			}
			if p.next == line {
				return nil, errors.New("a struct without fields")
			}
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// field reads one line, without what a struct holds.
func (p *factsParser) field(depth int, enclosing, flexible VersionRange) (Field, error) {
	f := Field{Versions: enclosing, Nullable: None, Tagged: None}
	got, words := p.words()
	if got != depth {
		return f, fmt.Errorf("%d tabs, want at most %d here", got, depth)
	}
	if len(words) < 2 {
		return f, errors.New("want name, type")
	}
	f.Name = words[0]
	if !isName(f.Name) {
		return f, fmt.Errorf("%q is not a name", f.Name)
	}
	typeName, array := strings.CutPrefix(words[1], "[]")
	t := slices.Index(typeNames[:], typeName)
	if t < 0 {
		return f, fmt.Errorf("unknown type %q", words[1])
	}
	f.Type, f.Array = Type(t), array
	hasTag := false
	for _, word := range words[2:] {
		name, value, _ := strings.Cut(word, "=")
		var err error
		switch name {
		case "versions":
			f.Versions, err = parseRangeWithin(value, enclosing)
		case "nullable":
			f.Nullable, err = parseRangeWithin(value, f.Versions)
		case "tag":
			var tag uint64
			if tag, err = strconv.ParseUint(value, 10, 32); err != nil {
				err = fmt.Errorf("%q is not a tag", value)
			}
			f.Tag, hasTag = uint32(tag), true
		case "tagged":
			f.Tagged, err = parseRangeWithin(value, f.Versions.Intersect(flexible))
		case "flexible":
			if f.FlexibleNever = true; value != "none" {
				err = fmt.Errorf("flexible=%s of a field: only none is known", value)
			}
		default:
			err = fmt.Errorf("unknown attribute %q", word)
		}
		if err != nil {
			return f, err
		}
	}
	switch {
	case hasTag == f.Tagged.Empty():
		return f, errors.New("tag and tagged go together")
	case !f.Nullable.Empty() && !f.Array && !f.Type.nullable():
		return f, fmt.Errorf("a %s cannot be null", f.Type)
	}
	return f, nil
}

// isName reports whether s has the form of Kafka's names of messages and fields.
func isName(s string) bool {
	for i, c := range []byte(s) {
		letter := 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
		if !letter && (i == 0 || c < '0' || '9' < c) {
			return false
		}
	}
	return s != ""
}

// parseRange reads what [VersionRange.String] writes, except "none".
func parseRange(s string) (VersionRange, error) {
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	lo, err1 := strconv.ParseInt(first, 10, 16)
	hi, err2 := strconv.ParseInt(last, 10, 16)
	r := VersionRange{Min: int16(lo), Max: int16(hi)}
	if err1 != nil || err2 != nil || r.String() != s {
		return None, fmt.Errorf("%q is not a range of versions", s)
	}
	return r, nil
}

func parseRangeWithin(s string, enclosing VersionRange) (VersionRange, error) {
	r, err := parseRange(s)
	if err == nil && r.Intersect(enclosing) != r {
		return None, fmt.Errorf("versions %s are not within %s", r, enclosing)
	}
	return r, err
}
