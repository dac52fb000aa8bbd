// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// The block is off unless it is there: nobody is asked by default.
func TestConfigWatermarks(t *testing.T) {
	for key, on := range map[string]bool{
		"ebpf_kafka": false, "ebpf_kafka/all": false, "ebpf_kafka/watermarks_off": false,
		"ebpf_kafka/watermarks_default": true, "ebpf_kafka/watermarks_empty": true,
	} {
		t.Run(key, func(t *testing.T) {
			config, err := load(t, "good.yaml", key)
			require.NoError(t, err)
			p, err := newPoller(t.Context(), config, zap.NewNop())
			require.NoError(t, err)
			if !on {
				assert.Nil(t, config.Watermarks.Get())
				assert.Nil(t, p)
				return
			}
			assert.Equal(t, WatermarksConfig{Interval: 30 * time.Second}, *config.Watermarks.Get())
			assert.True(t, p.Observes())
		})
	}
}

func TestConfigWatermarksClusters(t *testing.T) {
	config, err := load(t, "good.yaml", "ebpf_kafka/watermarks")
	require.NoError(t, err)
	w := config.Watermarks.Get()
	require.NotNil(t, w)
	assert.Equal(t, 10*time.Second, w.Interval)
	require.Len(t, w.Clusters, 2)
	assert.Equal(t, []string{"kafka-1.example.com:9093", "[fd00::1]:9093"}, w.Clusters[0].Brokers)
	assert.Equal(t, "/etc/kafka/ca.pem", w.Clusters[0].TLS.Get().CAFile)
	assert.Equal(t, SASLConfig{Mechanism: SASLScramSHA512, Username: "lag", Password: "s3cret"}, *w.Clusters[0].SASL.Get())
	assert.NotContains(t, fmt.Sprintf("%+v", *w.Clusters[0].SASL.Get()), "s3cret")
	assert.False(t, w.Clusters[1].TLS.HasValue())
	assert.Nil(t, w.Clusters[1].SASL.Get().mechanism())
}
