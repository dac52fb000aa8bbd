// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const generated = `package metadata

func (m *metricOne) recordDataPoint(val int64, a string) {
	dp := m.data.Gauge().DataPoints().AppendEmpty()
	dp.Attributes().PutStr("a", a)
}

func (m *metricTwo) recordDataPoint(val int64, a string, b int64) {
	if !m.config.Enabled {
		return
	}
	dp := m.data.Sum().DataPoints().AppendEmpty()
	dp.SetIntValue(val)
	dp.Attributes().PutStr("a", a)
	dp.Attributes().PutInt("b", b)
}
`

func TestReserve(t *testing.T) {
	got, err := reserve(generated)
	require.NoError(t, err)
	assert.Equal(t, `package metadata

func (m *metricOne) recordDataPoint(val int64, a string) {
	dp := m.data.Gauge().DataPoints().AppendEmpty()
	dp.Attributes().PutStr("a", a)
}

func (m *metricTwo) recordDataPoint(val int64, a string, b int64) {
	if !m.config.Enabled {
		return
	}
	dp := m.data.Sum().DataPoints().AppendEmpty()
	dp.Attributes().EnsureCapacity(2)
	dp.SetIntValue(val)
	dp.Attributes().PutStr("a", a)
	dp.Attributes().PutInt("b", b)
}
`, got)
}

// Silence would cost a third of a collection's time.
func TestReserveOfSomethingElse(t *testing.T) {
	twice, err := reserve(generated)
	require.NoError(t, err)
	for _, source := range []string{twice, "package metadata\n"} {
		_, err := reserve(source)
		assert.Error(t, err)
	}
}
