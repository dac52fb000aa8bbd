// SPDX-License-Identifier: Apache-2.0

package state

// reused is what one Update leaves to the next. With many partitions, making it anew is most of an Update's garbage.
type reused struct {
	view                       View
	places                     []place
	partitions                 []partition
	placeIndex, partitionIndex index[uint64, int32]
	labels                     labels
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

// cleared is a slice that points to nothing: it keeps nothing alive, and the garbage collector is soon through with it.
func cleared[E any](s []E) []E {
	clear(s[:cap(s)])
	return s[:0]
}

// index finds things.
type index[K comparable, V any] struct {
	of   map[K]V
	room int
}

// emptied is the index without entries, with room for n.
func (x *index[K, V]) emptied(n int) map[K]V {
	if !fits(x.room, n) || x.of == nil {
		x.of, x.room = make(map[K]V, n), n
		return x.of
	}
	x.room = max(x.room, len(x.of)) // it may have grown
	clear(x.of)
	return x.of
}
