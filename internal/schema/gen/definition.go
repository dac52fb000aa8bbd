// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/ebpfkafka/ebpfkafka/internal/schema"
)

// definition is a file of common/message. All keys that Kafka uses are listed, those of no matter as
// ignored: a key that is not known is an error, for it may change the wire format.
type definition struct {
	Type             string            `json:"type"`
	Name             string            `json:"name"`
	APIKey           *int16            `json:"apiKey"`
	ValidVersions    string            `json:"validVersions"`
	FlexibleVersions string            `json:"flexibleVersions"`
	Fields           []definitionField `json:"fields"`
	CommonStructs    []commonStruct    `json:"commonStructs"`

	Listeners             ignored `json:"listeners"`
	DeprecatedVersions    ignored `json:"deprecatedVersions"`
	LatestVersionUnstable ignored `json:"latestVersionUnstable"` // the version can be spoken all the same
}

type commonStruct struct {
	Name     string            `json:"name"`
	Versions string            `json:"versions"`
	Fields   []definitionField `json:"fields"`

	About ignored `json:"about"`
}

type definitionField struct {
	Name             string            `json:"name"`
	Type             string            `json:"type"`
	Versions         string            `json:"versions"`
	NullableVersions string            `json:"nullableVersions"`
	Tag              json.Number       `json:"tag"` // BrokerHeartbeatRequest of 3.9 has it as a string
	TaggedVersions   string            `json:"taggedVersions"`
	FlexibleVersions string            `json:"flexibleVersions"`
	Fields           []definitionField `json:"fields"`

	About      ignored `json:"about"`
	Default    ignored `json:"default"`
	EntityType ignored `json:"entityType"`
	Ignorable  ignored `json:"ignorable"` // about writing a value where the version has no place for it
	MapKey     ignored `json:"mapKey"`
	ZeroCopy   ignored `json:"zeroCopy"`
}

// ignored takes any value and keeps nothing.
type ignored struct{}

func (*ignored) UnmarshalJSON([]byte) error { return nil }

// maxDepth is more than any message needs; it stops structs that contain themselves.
const maxDepth = 16

var simpleTypes = map[string]schema.Type{
	"bool": schema.Bool, "int8": schema.Int8, "int16": schema.Int16, "uint16": schema.Uint16, "int32": schema.Int32,
	"uint32": schema.Uint32, "int64": schema.Int64, "float64": schema.Float64, "string": schema.String,
	"bytes": schema.Bytes, "records": schema.Records, "uuid": schema.UUID,
}

// parseDefinition reads one definition: JSON with // comments. A message of which the release speaks no version
// any more comes back with empty Versions.
func parseDefinition(text []byte) (schema.Message, error) {
	var d definition
	decoder := json.NewDecoder(bytes.NewReader(stripComments(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return schema.Message{}, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return schema.Message{}, errors.New("something follows the definition")
	}
	m := schema.Message{Name: d.Name, APIKey: schema.HeaderKey}
	switch {
	case d.Type == "header" && d.APIKey == nil:
		m.Request = d.Name == "RequestHeader"
	case (d.Type == "request" || d.Type == "response") && d.APIKey != nil:
		m.APIKey, m.Request = *d.APIKey, d.Type == "request"
	default:
		return m, fmt.Errorf("type %q does not go with the presence or absence of apiKey", d.Type)
	}
	var err error
	if m.Versions, err = parseVersions(d.ValidVersions); err != nil {
		return m, fmt.Errorf("validVersions: %w", err)
	}
	if m.Versions.Empty() {
		return m, nil
	}
	if m.Flexible, err = parseVersions(d.FlexibleVersions); err != nil {
		return m, fmt.Errorf("flexibleVersions: %w", err)
	}
	r := resolver{structs: make(map[string]commonStruct), flexible: m.Flexible}
	for _, s := range d.CommonStructs {
		r.structs[s.Name] = s
	}
	if m.Fields, err = r.fields(d.Fields, 0); err != nil {
		return m, err
	}
	return cut(m, m.Versions), nil
}

// resolver turns fields of a definition into fields of the schema.
type resolver struct {
	structs  map[string]commonStruct
	flexible schema.VersionRange
}

func (r *resolver) fields(definitions []definitionField, depth int) ([]schema.Field, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("structs more than %d deep", maxDepth)
	}
	var fields []schema.Field
	for _, d := range definitions {
		f, err := r.field(d, depth)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.Name, err)
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// field resolves one field. Its ranges are as the definition has them, not yet cut to the enclosing ones.
func (r *resolver) field(d definitionField, depth int) (schema.Field, error) {
	f := schema.Field{Name: d.Name, Nullable: schema.None, Tagged: schema.None}
	var err error
	if f.Versions, err = parseVersions(d.Versions); err != nil {
		return f, fmt.Errorf("versions: %w", err)
	}
	if d.NullableVersions != "" {
		if f.Nullable, err = parseVersions(d.NullableVersions); err != nil {
			return f, fmt.Errorf("nullableVersions: %w", err)
		}
	}
	if (d.Tag != "") != (d.TaggedVersions != "") {
		return f, errors.New("tag and taggedVersions go together")
	}
	if d.Tag != "" {
		tag, err := strconv.ParseUint(d.Tag.String(), 10, 32)
		if err != nil {
			return f, fmt.Errorf("tag: %w", err)
		}
		f.Tag = uint32(tag)
		if f.Tagged, err = parseVersions(d.TaggedVersions); err != nil {
			return f, fmt.Errorf("taggedVersions: %w", err)
		}
		if f.Tagged.Intersect(r.flexible) != f.Tagged {
			return f, fmt.Errorf("tagged in %s, but the message is flexible in %s", f.Tagged, r.flexible)
		}
	}
	switch d.FlexibleVersions {
	case "":
	case "none":
		f.FlexibleNever = true
	default:
		return f, fmt.Errorf("flexibleVersions %q of a field: only none is understood", d.FlexibleVersions)
	}

	typeName, array := strings.CutPrefix(d.Type, "[]")
	f.Array = array
	if t, simple := simpleTypes[typeName]; simple {
		f.Type = t
		if len(d.Fields) > 0 {
			return f, fmt.Errorf("type %s with fields", d.Type)
		}
		return f, nil
	}
	f.Type = schema.Struct
	nested := d.Fields
	if len(nested) == 0 {
		common, found := r.structs[typeName]
		if !found {
			return f, fmt.Errorf("type %s is neither simple nor a struct defined here", d.Type)
		}
		versions, err := parseVersions(common.Versions)
		if err != nil {
			return f, fmt.Errorf("struct %s: versions: %w", typeName, err)
		}
		if nested = common.Fields; versions.Intersect(f.Versions) != f.Versions {
			return f, fmt.Errorf("exists in %s, but its struct %s in %s", f.Versions, typeName, versions)
		}
	}
	f.Fields, err = r.fields(nested, depth+1)
	return f, err
}

// parseVersions reads "none", "3", "0-3" or "3+".
func parseVersions(s string) (schema.VersionRange, error) {
	if s == "none" {
		return schema.None, nil
	}
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	if from, open := strings.CutSuffix(s, "+"); open {
		first, last = from, strconv.Itoa(math.MaxInt16)
	}
	lo, err1 := strconv.ParseUint(first, 10, 15)
	hi, err2 := strconv.ParseUint(last, 10, 15)
	if err1 != nil || err2 != nil || lo > hi {
		return schema.None, fmt.Errorf("%q is not a range of versions", s)
	}
	return schema.VersionRange{Min: int16(lo), Max: int16(hi)}, nil
}

// stripComments blanks // comments outside of strings; line numbers stay as they are.
func stripComments(text []byte) []byte {
	stripped := bytes.Clone(text)
	inString := false
	for i := 0; i < len(stripped); i++ {
		switch c := stripped[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case !inString && c == '/' && i+1 < len(stripped) && stripped[i+1] == '/':
			for ; i < len(stripped) && stripped[i] != '\n'; i++ {
				stripped[i] = ' '
			}
		}
	}
	return stripped
}
