// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"strings"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// validName makes any bytes that a client sent as a name fit for an OTLP string, which must be UTF-8. A name that is
// valid UTF-8 stays as it is. In any other, each byte that is not part of a valid character becomes U+FFFD, "x" and two
// hexadecimal digits.
//
// Two different names never become the same: for this a U+FFFD that the name itself holds is doubled, the only case in
// which a valid name changes.
func validName(name string) string {
	for i := 0; i < len(name); i++ {
		if name[i] >= utf8.RuneSelf {
			return escapeName(name)
		}
	}
	return name
}

func escapeName(name string) string {
	if utf8.ValidString(name) && !strings.ContainsRune(name, utf8.RuneError) {
		return name
	}
	var b strings.Builder
	b.Grow(len(name) + 16)
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRuneInString(name[i:])
		switch {
		case r != utf8.RuneError:
			b.WriteString(name[i : i+size])
		case size == 1:
			b.WriteRune(utf8.RuneError)
			b.WriteByte('x')
			b.WriteByte(hexDigits[name[i]>>4])
			b.WriteByte(hexDigits[name[i]&0xf])
		default:
			b.WriteRune(utf8.RuneError)
			b.WriteRune(utf8.RuneError)
		}
		i += size
	}
	return b.String()
}
