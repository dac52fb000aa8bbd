// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseDescribe(t *testing.T) {
	rows, err := parseDescribe(`
Consumer group 'idle' has no active members.

GROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID     HOST            CLIENT-ID
idle            orders          0          7               20              13              -               -               -
idle            orders          1          -               20              -               -               -               -

GROUP  TOPIC   PARTITION  LEADER-EPOCH  CURRENT-OFFSET  LOG-END-OFFSET  LAG  CONSUMER-ID  HOST        CLIENT-ID
busy   orders  2          0             20              20              0    id-1         /127.0.0.1  app
busy   -       -          -             -               -               -    id-2         /127.0.0.1  app`)
	require.NoError(t, err)
	require.Equal(t, []Row{
		{Group: "idle", Topic: "orders", Partition: 0, Committed: 7, End: 20, Lag: 13},
		{Group: "idle", Topic: "orders", Partition: 1, Committed: -1, End: 20, Lag: -1},
		{Group: "busy", Topic: "orders", Partition: 2, Committed: 20, End: 20, Lag: 0, ConsumerID: "id-1", Host: "/127.0.0.1", Client: "app"},
	}, rows)

	_, err = parseDescribe("Error: no such group")
	require.ErrorContains(t, err, "no such group")
}
