// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

func TestValidName(t *testing.T) {
	for name, want := range map[string]string{
		"":              "",
		"orders-1":      "orders-1",
		"a\x00b":        "a\x00b",
		"größe":         "größe",
		"a\xffb":        "a\ufffdxffb",
		"\xc3":          "\ufffdxc3",
		"ü\xed\xa0\x80": "ü\ufffdxed\ufffdxa0\ufffdx80",
		"a\ufffd":       "a\ufffd\ufffd",
		"\ufffdxff":     "\ufffd\ufffdxff",
	} {
		assert.Equal(t, want, validName(name), "%q", name)
	}
}

// All names of three out of the bytes that matter: the result is valid, and no two are the same.
func TestValidNameKeepsNamesApart(t *testing.T) {
	parts := []string{"", "x", "f", "ff", "\xff", "\xef", "\xbf", "\xbd", "\ufffd", "ü"}
	from := make(map[string]string)
	for _, a := range parts {
		for _, b := range parts {
			for _, c := range parts {
				name := a + b + c
				valid := validName(name)
				assert.True(t, utf8.ValidString(valid), "%q", valid)
				if other, ok := from[valid]; ok {
					assert.Equal(t, other, name, "both give %q", valid)
				}
				from[valid] = name
			}
		}
	}
}
