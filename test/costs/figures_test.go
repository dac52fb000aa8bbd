// SPDX-License-Identifier: Apache-2.0

package costs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFigures(t *testing.T) {
	c := Cost{Without: []float64{100, 200, 100}, With: []float64{300, 150}}
	require.Equal(t, []Pair{{300, 150}, {150, 150}}, c.Pairs())
	require.Equal(t, []float64{1, 2}, c.Each(Pair.Ratio))
	require.Equal(t, []float64{0, 150}, c.Each(Pair.Difference))

	require.Equal(t, []float64{1, 2, 3, 4, 5}, []float64{
		Quartile([]float64{1, 2, 3, 4, 5}, 0), Quartile([]float64{1, 2, 3, 4, 5}, 1), Quartile([]float64{1, 2, 3, 4, 5}, 2),
		Quartile([]float64{1, 2, 3, 4, 5}, 3), Quartile([]float64{1, 2, 3, 4, 5}, 4),
	})
	require.Equal(t, 1.5, Quartile([]float64{1, 2}, 2))
}
