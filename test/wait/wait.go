// SPDX-License-Identifier: Apache-2.0

// Package wait awaits conditions that can only be asked about.
package wait

import (
	"context"
	"fmt"
	"time"
)

// interval is how often Until asks: often enough to add nothing to a test's
// time, seldom enough to load nobody.
const interval = 100 * time.Millisecond

// Until calls f until it returns nil. When ctx ends first, the error holds
// f's last error: why it was not yet so.
func Until(ctx context.Context, f func() error) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}
