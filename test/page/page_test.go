// SPDX-License-Identifier: Apache-2.0

package page

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReplace(t *testing.T) {
	const old = "a\n<!-- Figures: written by one -->\n\n1\n\n<!-- End of figures -->\nb\n" +
		"<!-- Figures: written by two -->\n\n2\n\n<!-- End of figures -->\nc\n"
	got, err := replace(old, "two", "3\n")
	require.NoError(t, err)
	require.Equal(t, "a\n<!-- Figures: written by one -->\n\n1\n\n<!-- End of figures -->\nb\n"+
		"<!-- Figures: written by two -->\n\n3\n\n<!-- End of figures -->\nc\n", got)
	_, err = replace(old, "three", "3\n")
	require.ErrorContains(t, err, "three")
}

func TestTable(t *testing.T) {
	require.Equal(t, "| call | ns |\n| --- | ---: |\n| a | 1 |\n", Table([][]string{{"call", "ns"}, {"a", "1"}}))
}

func TestNumber(t *testing.T) {
	require.Equal(t, "999", Number(999))
	require.Equal(t, "1,234,567", Number(1_234_567))
	require.Equal(t, "−1,000", Signed(-1000))
	require.Equal(t, "+0", Signed(-0.4))
}
