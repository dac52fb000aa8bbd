// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFilter(t *testing.T) {
	for _, test := range []struct {
		name    string
		config  FilterConfig
		keep    []string
		discard []string
	}{
		{
			name: "empty keeps all",
			keep: []string{"", "orders", "__consumer_offsets"},
		},
		{
			name:    "include matches any part",
			config:  FilterConfig{Include: []string{"order", "^pay"}},
			keep:    []string{"orders", "my-orders", "payments"},
			discard: []string{"", "repay", "Order"},
		},
		{
			name:    "exclude wins",
			config:  FilterConfig{Include: []string{"order"}, Exclude: []string{"test$"}},
			keep:    []string{"orders", "orders-test-2"},
			discard: []string{"orders-test", "test"},
		},
		{
			name:    "exclude alone",
			config:  FilterConfig{Exclude: []string{"^__"}},
			keep:    []string{"", "orders", "a__"},
			discard: []string{"__consumer_offsets"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			filter, err := test.config.compile()
			require.NoError(t, err)
			for _, name := range test.keep {
				assert.True(t, filter.Match(name), name)
			}
			for _, name := range test.discard {
				assert.False(t, filter.Match(name), name)
			}
		})
	}
}
