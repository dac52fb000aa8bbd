// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"encoding/binary"

	"github.com/ebpfkafka/ebpfkafka/internal/schema"
)

// A second, plain reader of Kafka's messages, for frames that are damaged: unlike kmsg it says what stood before
// the damage. It reads from schema's facts, which TestDifferential holds against kmsg, and knows nothing of ops.

// walker reads one message and calls visit for every field before it is read, and for every element of an array
// after it was read, with the values so far.
type walker struct {
	b        []byte
	bad      bool
	version  int16
	flexible bool
	values   map[string]any // by path: int64, name
	visit    func(path string, end bool)
}

func (w *walker) take(n int) []byte {
	if w.bad || n < 0 || n > len(w.b) {
		w.bad = true
		return make([]byte, 16)
	}
	b := w.b[:n]
	w.b = w.b[n:]
	return b
}

func (w *walker) uvarint() int {
	v, n := binary.Uvarint(w.b[:min(5, len(w.b))])
	if w.bad || n <= 0 || v > 1<<32-1 {
		w.bad = true
		return 0
	}
	w.b = w.b[n:]
	return int(v)
}

// length reads a length or count; -1 is null.
func (w *walker) length(size int) int {
	switch {
	case w.flexible:
		return w.uvarint() - 1
	case size == 2:
		return int(int16(binary.BigEndian.Uint16(w.take(2))))
	default:
		return int(int32(binary.BigEndian.Uint32(w.take(4))))
	}
}

func (w *walker) tags() {
	for n := w.uvarint(); n > 0 && !w.bad; n-- {
		w.uvarint()
		w.take(w.uvarint())
	}
}

func (w *walker) structure(prefix string, fields []schema.Field) {
	for i := range fields {
		f := &fields[i]
		if !f.Versions.Has(w.version) || f.Tagged.Has(w.version) {
			continue
		}
		path := prefix + f.Name
		if w.visit(path, false); !f.Array {
			w.value(path, f)
		} else {
			for n := w.length(4); n > 0 && !w.bad; n-- {
				if w.value(path, f); !w.bad {
					w.visit(path, true)
				}
			}
		}
		if w.bad {
			return
		}
	}
	if w.flexible {
		w.tags()
	}
}

// value reads one value of a field, or one element.
func (w *walker) value(path string, f *schema.Field) {
	switch f.Type {
	case schema.Struct:
		if !f.Array && f.Nullable.Has(w.version) && int8(w.take(1)[0]) < 0 {
			return
		}
		w.structure(path+".", f.Fields)
	case schema.String:
		n := w.length(2)
		if n < 0 { // also where the version has no null: then it names nothing
			w.values[path] = name{}
		} else {
			w.values[path] = name{kind: nameText, bytes: string(w.take(n))}
		}
	case schema.Bytes, schema.Records:
		if n := w.length(4); n > 0 {
			w.take(n)
		}
	case schema.UUID:
		w.values[path] = topicID([16]byte(w.take(16)))
	case schema.Bool, schema.Int8:
		w.values[path] = int64(int8(w.take(1)[0]))
	case schema.Int16, schema.Uint16:
		w.values[path] = int64(int16(binary.BigEndian.Uint16(w.take(2))))
	case schema.Int32, schema.Uint32:
		w.values[path] = int64(int32(binary.BigEndian.Uint32(w.take(4))))
	default:
		w.values[path] = int64(binary.BigEndian.Uint64(w.take(8)))
	}
}

func (w *walker) number(path string) int64 { n, _ := w.values[path].(int64); return n }

func (w *walker) name(path string) name { n, _ := w.values[path].(name); return n }

// topic is the name or the id, whichever the version has.
func (w *walker) topic(prefix string) name {
	for _, path := range []string{prefix + "Name", prefix + "Topic", prefix + "TopicId"} {
		if n := w.name(path); n.kind != nameNone {
			return n
		}
	}
	return name{}
}
