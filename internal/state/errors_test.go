// SPDX-License-Identifier: Apache-2.0

package state

import "testing"

func TestErrorName(t *testing.T) {
	for code, want := range map[int16]string{
		-2:                         "ERROR_-2",
		-1:                         "UNKNOWN_SERVER_ERROR",
		0:                          "NONE",
		22:                         "ILLEGAL_GENERATION",
		25:                         "UNKNOWN_MEMBER_ID",
		27:                         "REBALANCE_IN_PROGRESS",
		82:                         "FENCED_INSTANCE_ID",
		113:                        "STALE_MEMBER_EPOCH",
		int16(len(errorNames)) - 1: errorNames[len(errorNames)-1],
		32767:                      "ERROR_32767",
	} {
		if got := ErrorName(code); got != want {
			t.Errorf("ErrorName(%d) = %q, want %q", code, got, want)
		}
	}
}

// A gap in the table would give an empty error.type.
func TestErrorNamesHasNoGap(t *testing.T) {
	seen := make(map[string]int, len(errorNames))
	for code, name := range errorNames {
		if name == "" {
			t.Errorf("code %d has no name", code)
		}
		if other, ok := seen[name]; ok {
			t.Errorf("codes %d and %d have the same name %q", other, code, name)
		}
		seen[name] = code
	}
}
