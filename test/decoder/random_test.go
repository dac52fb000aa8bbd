// SPDX-License-Identifier: Apache-2.0

package decoder

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// generator fills kmsg's structs at random. Names come from small pools, so that what is said of one thing
// meets what was said of it before.
type generator struct {
	*rand.Rand
	records                 generatedRecords
	topics, groups, members []string
	ids                     [][16]byte
	producers               int64 // the first of three ids: what one has open is kept for long, whoever is forgotten
	budget                  int   // elements of arrays that may still be made for this message
}

func newGenerator(r *rand.Rand) *generator {
	g := &generator{Rand: r, records: make(generatedRecords)}
	for i := range 6 {
		g.topics = append(g.topics, fmt.Sprintf("topic-%d-%x", i, randomBytes(r, r.IntN(120))))
		g.groups = append(g.groups, fmt.Sprintf("group-%d-%s", i, g.text(240)))
		g.members = append(g.members, fmt.Sprintf("member-%d-%s", i, g.text(240)))
		g.ids = append(g.ids, [16]byte(randomBytes(r, 16)))
	}
	g.topics = append(g.topics, strings.Repeat("t", 249), "", "a", string(randomBytes(r, 8)))
	g.groups = append(g.groups, strings.Repeat("g", 255), "", string(randomBytes(r, 7)))
	return g
}

// text is a string that no register takes: any bytes, of any length.
func (g *generator) text(most int) string {
	return string(randomBytes(g.Rand, g.IntN(most+1)))
}

// named picks a name from a pool; one of fifty is longer than what is kept.
func (g *generator) named(pool []string) string {
	if g.IntN(50) == 0 {
		return strings.Repeat("long", 64+g.IntN(300))
	}
	return pool[g.IntN(len(pool))]
}

func (g *generator) string(field string) string {
	switch field {
	case "Topic":
		return g.topics[g.IntN(len(g.topics))]
	case "Group", "GroupID":
		return g.named(g.groups)
	case "MemberID":
		return g.named(g.members)
	case "ClusterID":
		return g.groups[g.IntN(3)]
	}
	if g.IntN(100) == 0 {
		return g.text(32767)
	}
	return g.text(1 << g.IntN(8))
}

// length of an array.
func (g *generator) length() int {
	n := 1 + g.IntN(3)
	switch g.IntN(20) {
	case 0, 1, 2:
		n = 0
	case 3:
		n = g.IntN(20)
	case 4:
		n = g.IntN(800)
	}
	n = min(n, g.budget)
	g.budget -= n
	return n
}

func randomOffset(r *rand.Rand) int64 {
	switch r.IntN(8) {
	case 0:
		return -1
	case 1:
		return int64(r.Uint64())
	case 2:
		return []int64{0, math.MaxInt64, math.MinInt64, math.MaxInt32 + 1, -2, 0x80, 0xff80}[r.IntN(7)]
	default:
		return int64(r.Uint64() >> (1 + r.IntN(62)))
	}
}

// fill sets every field of a message's struct. Fields that the version does not have are set as well: kmsg
// must not write them, the decoder must not miss them.
func (g *generator) fill(v reflect.Value, field string) {
	switch v.Kind() {
	case reflect.Struct:
		if tags, ok := v.Addr().Interface().(*kmsg.Tags); ok {
			g.tags(tags)
			return
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.Name != "Version" {
				g.fill(v.Field(i), f.Name)
			}
		}
	case reflect.Pointer:
		if g.IntN(3) > 0 {
			p := reflect.New(v.Type().Elem())
			g.fill(p.Elem(), field)
			v.Set(p)
		}
	case reflect.Slice:
		g.slice(v, field)
	case reflect.Array:
		if g.IntN(12) > 0 {
			reflect.Copy(v, reflect.ValueOf(g.ids[g.IntN(len(g.ids))]))
		}
	case reflect.String:
		v.SetString(g.string(field))
	case reflect.Bool:
		v.SetBool(g.IntN(2) == 0)
	case reflect.Uint16, reflect.Uint32:
		v.SetUint(g.Uint64() >> 1 >> (64 - v.Type().Bits()))
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(g.integer(field, v.Type().Bits()))
	case reflect.Float64:
		v.SetFloat(g.Float64())
	default:
		panic(fmt.Sprintf("no random %s for field %s", v.Type(), field))
	}
}

func (g *generator) slice(v reflect.Value, field string) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		switch {
		case field == "Records" || field == "RecordBatches":
			v.SetBytes(g.records.records(g.Rand))
		case field == "MemberAssignment":
			v.SetBytes(g.assignment())
		case g.IntN(5) > 0:
			v.SetBytes(randomBytes(g.Rand, g.IntN(1<<g.IntN(10))))
		}
		return
	}
	if g.IntN(10) == 0 {
		return // null, or empty where null is not possible
	}
	n := g.length()
	s := reflect.MakeSlice(v.Type(), n, n)
	for i := range n {
		g.fill(s.Index(i), field)
	}
	v.Set(s)
}

func (g *generator) tags(t *kmsg.Tags) {
	if g.IntN(6) > 0 {
		return
	}
	for range 1 + g.IntN(3) {
		t.Set(100+g.Uint32()>>(4+g.IntN(20)), randomBytes(g.Rand, g.IntN(1<<g.IntN(9))))
	}
}

// integer leans towards values that mean something in the fields of that name.
func (g *generator) integer(field string, bits int) int64 {
	switch field {
	case "Partition", "Partitions":
		if g.IntN(10) > 0 {
			return int64(g.IntN(12))
		}
	case "ErrorCode":
		if g.IntN(4) > 0 {
			return 0
		}
		return int64(int16(g.IntN(140) - 2))
	case "ReplicaID", "ID":
		if g.IntN(4) > 0 {
			return -1
		}
	case "Acks":
		return int64([]int16{-1, -1, -1, 1, 1, 0, 7}[g.IntN(7)])
	case "IsolationLevel":
		return int64(g.IntN(3) - g.IntN(2))
	case "Timestamp":
		if g.IntN(4) > 0 {
			return int64(-1 - g.IntN(3))
		}
	case "AcknowledgeTypes":
		if g.IntN(20) > 0 {
			return int64(g.IntN(5))
		}
	case "ProducerID":
		return g.producers + int64(g.IntN(3))
	case "ProducerEpoch":
		if g.IntN(20) > 0 {
			return int64(g.IntN(3))
		}
	case "Offset", "HighWatermark", "BaseOffset", "LogStartOffset", "FirstOffset":
		if g.IntN(3) > 0 {
			return int64(g.IntN(1000))
		}
	}
	return randomOffset(g.Rand) << (64 - bits) >> (64 - bits)
}

// message makes a random message of a version.
func (g *generator) message(m interface{ SetVersion(int16) }, version int16) {
	g.budget = 30
	if g.IntN(40) == 0 {
		g.budget = 1200
	}
	m.SetVersion(version)
	g.fill(reflect.ValueOf(m).Elem(), "")
	switch m := m.(type) {
	case *kmsg.ShareFetchRequest:
		for i := range m.Topics {
			for j := range m.Topics[i].Partitions {
				for k := range m.Topics[i].Partitions[j].AcknowledgementBatches {
					b := &m.Topics[i].Partitions[j].AcknowledgementBatches[k]
					b.LastOffset, b.AcknowledgeTypes = g.acknowledged(b.FirstOffset, b.AcknowledgeTypes)
				}
			}
		}
	case *kmsg.ShareAcknowledgeRequest:
		for i := range m.Topics {
			for j := range m.Topics[i].Partitions {
				for k := range m.Topics[i].Partitions[j].AcknowledgementBatches {
					b := &m.Topics[i].Partitions[j].AcknowledgementBatches[k]
					b.LastOffset, b.AcknowledgeTypes = g.acknowledged(b.FirstOffset, b.AcknowledgeTypes)
				}
			}
		}
	}
}

// acknowledged makes a batch of acknowledgements that mostly makes sense: one type for any number of records, or one
// for each.
func (g *generator) acknowledged(first int64, types []int8) (last int64, some []int8) {
	switch g.IntN(8) {
	case 0: // nonsense: more or fewer types than records
		return first + int64(g.IntN(6)), types
	case 1:
		return randomOffset(g.Rand), types
	case 2, 3, 4:
		return first + int64(g.IntN(500)), []int8{int8(g.integer("AcknowledgeTypes", 8))}
	default:
		return first + int64(len(types)) - 1, types
	}
}

// assignment is what the leader of a group gives a member: of consumers, of Kafka Connect, something else, or damaged.
func (g *generator) assignment() []byte {
	a := kmsg.NewConsumerMemberAssignment()
	a.Version = int16(g.IntN(4))
	g.budget += 20
	g.fill(reflect.ValueOf(&a.Topics).Elem(), "Topics")
	if g.IntN(3) == 0 {
		a.UserData = randomBytes(g.Rand, g.IntN(300))
	}
	b := a.AppendTo(nil)
	switch g.IntN(14) {
	case 0:
		return nil
	case 1:
		c := kmsg.NewConnectMemberAssignment()
		c.Version = int16(g.IntN(3))
		c.Leader, c.LeaderURL, c.ConfigOffset = "connect-1-"+g.text(30), "http://connect-1:8083/", randomOffset(g.Rand)
		c.Assignment = append(c.Assignment, kmsg.ConnectMemberAssignmentAssignment{Connector: g.text(20), Tasks: []int16{-1, 0, 1}})
		return c.AppendTo(nil)
	case 2:
		return randomBytes(g.Rand, g.IntN(1<<g.IntN(10)))
	case 3: // cut
		return b[:g.IntN(len(b)+1)]
	case 4: // lengths and counts that go beyond
		return mutate(g.Rand, b)
	case 5: // fields that a later version may append
		return append(b, randomBytes(g.Rand, 1+g.IntN(100))...)
	case 6:
		b = b[:len(b)-g.IntN(min(len(b), 12))]
		for n := 1 + g.IntN(3); n > 0 && len(b) > 2; n-- {
			b[2+g.IntN(len(b)-2)] = []byte{0, 1, 0x7f, 0x80, 0xff, byte(g.Uint32())}[g.IntN(6)]
		}
	}
	return b
}
