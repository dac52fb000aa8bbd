// SPDX-License-Identifier: Apache-2.0

package state

// reused is what one Update leaves to the next. With many partitions, making it anew is most of an Update's garbage.
type reused struct {
	view                       View
	places                     []place
	partitions                 []partition
	placeIndex, partitionIndex index
}

// How many times more room than is needed is kept, beyond a little: a host that once had many partitions gives it back.
const (
	wasteful = 4
	little   = 1024
)

func fits(room, n int) bool { return room >= n && room <= wasteful*n+little }

// emptied is a slice without elements, with room for n.
func emptied[E any](s []E, n int) []E {
	if !fits(cap(s), n) {
		return make([]E, 0, n)
	}
	clear(s[:cap(s)]) // so that it keeps nothing alive
	return s[:0]
}

// index finds where things are by a pair of other indices.
type index struct {
	of   map[uint64]int32
	room int
}

// emptied is the index without entries, with room for n.
func (x *index) emptied(n int) map[uint64]int32 {
	if !fits(x.room, n) || x.of == nil {
		x.of, x.room = make(map[uint64]int32, n), n
		return x.of
	}
	x.room = max(x.room, len(x.of)) // it may have grown
	clear(x.of)
	return x.of
}
