// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"testing"
	"time"
)

// large is a snapshot with n committed offsets and n partitions with watermarks: topics of 20 partitions,
// a group and five consumers for each 10 topics, three brokers.
func large(n int) *Snapshot {
	w := newWorld()
	var links []LinkID
	for i := range n {
		topic, partition := i/20, int32(i%20)
		if i%200 == 0 {
			links = links[:0]
			for c := range 5 {
				for b := range 3 {
					links = append(links, w.client(fmt.Sprintf("consumer-%d-%d", i, c), fmt.Sprintf("10.0.0.%d:9092", b), "C"))
				}
			}
		}
		consumer := int(partition) % 5 * 3
		o := w.commit(links[consumer], int64(i), time.Duration(i)*time.Microsecond)
		o.Group = w.name(fmt.Sprintf("group-%d", i/200))
		o.Topic, o.Partition = w.name(fmt.Sprintf("topic-%d", topic)), partition
		x := w.high(links[consumer+i%3], int64(i+10), second)
		x.Topic, x.Partition = w.topicID(fmt.Sprintf("topic-%d", topic)), partition
		w.learn(x.Topic, fmt.Sprintf("topic-%d", topic))
		x.Session = 1
		w.Sessions[SessionKey{Link: x.Link, Session: 1}] = Session{Time: w.ago(second)}
		if i%4 == 0 {
			w.Batches[x.PartitionKey] = []Batch{{First: int64(i), Last: int64(i), FirstTime: 1, MaxTime: 1}}
		}
	}
	return w.Snapshot
}

func BenchmarkUpdate(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, m := large(n), newModel()
			b.ReportAllocs()
			for b.Loop() {
				if v := m.Update(s); len(v.Groups) != n || !v.Groups[0].HasLag || len(v.Clients) != n {
					b.Fatal("not as it should be")
				}
			}
		})
	}
}
