// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestForget(t *testing.T) {
	p := detached(t)
	c := talk(t, p, 1, "10.0.0.1:9092")
	void := slices.Clone(snapshot(t, p).Offsets)
	require.Len(t, void, 1)

	require.NoError(t, p.Feed(c, Sent, commitRequest(9, "g", "t", 8)))
	require.NoError(t, p.Feed(c, Received, commitResponse(9, "t")))
	require.NoError(t, p.Forget(void))
	assert.Equal(t, []int64{8}, offsets(snapshot(t, p)), "committed anew meanwhile")

	void = slices.Clone(p.snapshot.Offsets)
	require.NoError(t, p.Forget(void))
	assert.Empty(t, snapshot(t, p).Offsets)
	require.NoError(t, p.Forget(void), "gone already")
}
