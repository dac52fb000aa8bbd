// SPDX-License-Identifier: Apache-2.0

package storms

import (
	"fmt"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

// TestFull: where there is no room for what a client says, its commits pass
// unseen. What they may have changed must not be published as if they had not.
func TestFull(t *testing.T) {
	const limit = 64 // the least that is allowed
	for drop, test := range map[string]struct {
		limit string
		stay  bool // connections stay open
		// partition is which of them the i-th visitor commits.
		partition func(i int) int32
	}{
		"links_full":       {limit: "connections", partition: func(int) int32 { return 0 }},
		"connections_full": {limit: "connections", stay: true, partition: func(int) int32 { return 0 }},
		"offsets_full":     {limit: "offsets", partition: func(i int) int32 { return int32(i % limit) }},
	} {
		t.Run(drop, func(t *testing.T) {
			ctx := testContext(t)
			visitor := buildVisitor(ctx, t)
			b := newBroker(ctx, t)
			c := newCollector(ctx, t, b,
				fmt.Sprintf("receivers::ebpf_kafka::limits::%s: %d", test.limit, limit),
				"receivers::ebpf_kafka::discovery::role: client",
				"receivers::ebpf_kafka::idle_timeout: 10m")
			want := map[string]float64{} // what the broker has
			for i := range 3 * limit / 2 {
				partition, offset := test.partition(i), int64(1000+i)
				cmd := func(options ...string) *exec.Cmd {
					return visit(visitor, b.addresses[i%len(b.addresses)], partition, offset, options...)
				}
				if test.stay {
					invite(ctx, t, 0, "guest", func() *exec.Cmd { return cmd("-stay") })
				} else {
					out, err := cmd().CombinedOutput()
					require.NoError(t, err, "%s", out)
				}
				want[fmt.Sprint(partition)] = float64(offset)
			}
			var looked float64 // snapshots when the last visitor had ended
			require.NoError(t, wait.Until(ctx, func() error {
				samples, err := c.Telemetry(ctx)
				if err != nil {
					return err
				}
				own := samples.Own()
				if looked == 0 {
					looked = own["snapshot_duration"]
				}
				// One may have begun before, the next has not.
				if own["drops "+drop] == 0 || own["snapshot_duration"] < looked+2 {
					return fmt.Errorf("no %s was counted: %v", drop, own)
				}
				return nil
			}))
			// The exporter repeats what it was given last until metric_expiration.
			require.NoError(t, wait.Until(ctx, func() error {
				samples, err := c.Metrics(ctx)
				if err != nil {
					return err
				}
				for _, s := range samples.Named("kafka_consumer_group_offset") {
					if broker := want[s.Labels["partition"]]; s.Value != broker {
						return fmt.Errorf("%v: the broker has %v", s, broker)
					}
				}
				return nil
			}))
		})
	}
}
