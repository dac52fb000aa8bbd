// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"errors"
	"fmt"
)

// Defaults of limits. Together they hold a host with thousands of clients in at most 100 MiB of kernel memory.
const (
	defaultConnections = 16384
	defaultOffsets     = 131072
	defaultWatermarks  = 131072
	defaultNames       = 32768
	defaultPending     = 32768
)

const (
	// minEntries is less than one consumer with a few partitions needs. Below it every map would be full at once.
	minEntries = 64
	// maxEntries keeps a typing error from asking the kernel for all of its memory: a map of 4 Mi entries takes up to
	// 2 GiB.
	maxEntries = 1 << 22
)

// LimitsConfig holds the capacities of the BPF maps, in entries. A map that is full refuses new entries, which is
// counted, and keeps those that it has.
type LimitsConfig struct {
	// Connections is how many TCP connections are decoded at once.
	Connections int `mapstructure:"connections"`
	// Offsets is how many committed offsets are kept: one for each client, group, topic and partition.
	Offsets int `mapstructure:"offsets"`
	// Watermarks is how many partitions' watermarks are kept.
	Watermarks int `mapstructure:"watermarks"`
	// Names is how many names of groups, topics and clients are kept.
	Names int `mapstructure:"names"`
	// Pending is how many requests may wait for their response at once.
	Pending int `mapstructure:"pending"`
}

func defaultLimits() LimitsConfig {
	return LimitsConfig{
		Connections: defaultConnections,
		Offsets:     defaultOffsets,
		Watermarks:  defaultWatermarks,
		Names:       defaultNames,
		Pending:     defaultPending,
	}
}

// Validate reports every value that is not allowed.
func (l *LimitsConfig) Validate() error {
	var errs []error
	for _, limit := range []struct {
		key   string
		value int
	}{
		{"connections", l.Connections},
		{"offsets", l.Offsets},
		{"watermarks", l.Watermarks},
		{"names", l.Names},
		{"pending", l.Pending},
	} {
		if limit.value < minEntries || limit.value > maxEntries {
			errs = append(errs, fmt.Errorf("%s: %d is out of range; allowed: %d to %d",
				limit.key, limit.value, minEntries, maxEntries))
		}
	}
	return errors.Join(errs...)
}
