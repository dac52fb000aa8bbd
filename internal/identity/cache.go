// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"sync"
	"time"
)

// DefaultMaxEntries bounds the cache unless Options say otherwise. One entry is
// a process that speaks Kafka, of which a host has some hundreds at most; with
// names of usual length an entry takes about half a kilobyte.
const DefaultMaxEntries = 4096

// key names a process for as long as the host is up.
type key struct {
	pid       uint32
	startTime uint64
}

// entry is what is kept of one process.
type entry struct {
	process  Process
	declared declared
	program  program
	readAt   time.Time
	usedAt   time.Time
}

// cache holds entries under a limit. A new entry beyond it is refused, and
// counted, so that a flood of short-lived processes cannot push out those that
// stay. It is safe for concurrent use.
type cache struct {
	mu      sync.Mutex
	max     int
	entries map[key]entry
	refused uint64
}

// get gives the entry of a process and notes that it is in use.
func (c *cache) get(k key, now time.Time) (entry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[k]
	if ok {
		e.usedAt = now
		c.entries[k] = e
	}
	return e, ok
}

func (c *cache) put(k key, e entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.entries[k]; !ok && len(c.entries) >= c.max {
		c.refused++
		return
	}
	c.entries[k] = e
}

// markGone notes that a process has ended, if it is still kept.
func (c *cache) markGone(k key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[k]; ok {
		e.process.Gone = true
		c.entries[k] = e
	}
}

func (c *cache) forget(k key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, k)
}

// sweep drops the entries that were last used before the time given.
func (c *cache) sweep(before time.Time) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	size := len(c.entries)
	for k, e := range c.entries {
		if e.usedAt.Before(before) {
			delete(c.entries, k)
		}
	}
	return size - len(c.entries)
}

func (c *cache) stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Stats{Entries: len(c.entries), Capacity: c.max, Refused: c.refused}
}
