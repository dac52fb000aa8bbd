// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// ForTest starts a broker and an oracle that end with the test. Options.Dir is
// the test's own.
func ForTest(ctx context.Context, t testing.TB, o Options) (*Broker, *Oracle) {
	t.Helper()
	o.Dir = t.TempDir()
	broker, err := Start(ctx, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, broker.Stop()) })
	oracle, err := broker.Oracle()
	require.NoError(t, err)
	t.Cleanup(oracle.Close)
	return broker, oracle
}
