// SPDX-License-Identifier: Apache-2.0

package state

// reused is what one Update leaves to the next. With many partitions, making it anew is most of an Update's garbage.
type reused struct {
	view                       View
	places                     []place
	partitions                 []partition
	placeIndex, partitionIndex lookup[uint64, int32]
	labels                     sharedLabels
}

// How many times more room than is needed is kept, beyond a little: a host that once had many partitions gives it back.
const (
	wasteful = 4
	little   = 1024
)

func fits(room, n int) bool { return room >= n && room <= wasteful*n+little }

// withRoom is an empty slice with room for n.
func withRoom[E any](s []E, n int) []E {
	if !fits(cap(s), n) {
		return make([]E, 0, n)
	}
	return s[:0]
}

// trim has a slice keep nothing alive beyond its elements: they may have been more before.
func trim[E any](s []E) { clear(s[len(s):cap(s)]) }

// cleared is a slice that points to nothing: it keeps nothing alive, and the garbage collector is soon through with it.
func cleared[E any](s []E) []E {
	clear(s[:cap(s)])
	return s[:0]
}

// lookup is a map whose room is kept.
type lookup[K comparable, V any] struct {
	of   map[K]V
	room int
}

// emptied is the map without entries, with room for n.
func (x *lookup[K, V]) emptied(n int) map[K]V {
	x.room = max(x.room, len(x.of)) // it may have grown
	if !fits(x.room, n) || x.of == nil {
		x.of, x.room = make(map[K]V, n), n
		return x.of
	}
	clear(x.of)
	return x.of
}
