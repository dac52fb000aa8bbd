// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/internal/schema"
	"github.com/ebpfkafka/ebpfkafka/test/page"
)

const (
	// frameRounds is how often it is each frame's turn, for frameTurn: short, so that a machine that becomes slower for a
	// while does so for all.
	frameRounds = 20
	frameTurn   = 50 * time.Millisecond
)

// An exchange is a request and the response to it.
type exchange struct {
	request  kmsg.Request
	response kmsg.Response
}

// newest is an exchange in the newest version that the decoder and kmsg know.
func newest(request kmsg.Request, response kmsg.Response) exchange {
	x := exchange{request, response}
	return x.version(min(apiOf(request).Versions.Max, request.MaxVersion()))
}

func (x exchange) version(v int16) exchange {
	x.request.SetVersion(v)
	return x
}

func apiOf(request kmsg.Request) schema.API {
	apis := schema.APIs()
	return apis[slices.IndexFunc(apis, func(a schema.API) bool { return a.Key == request.Key() })]
}

// A frameRow is what is measured.
type frameRow struct {
	extent extent // of partitions in the frames, if any
	what   string // else is in them, if that says anything
	exchange
	before []exchange // what it takes for them to be about something; not measured
	read   int        // bytes of the response in a call; 0: all
	buffer int        // bytes of the request in a buffer; 0: all
}

func (r frameRow) api() string {
	return fmt.Sprintf("%s %d", apiOf(r.request).Name, r.request.GetVersion())
}

func (r frameRow) String() string {
	var parts []string
	if r.extent.count() > 0 {
		parts = append(parts, r.extent.String())
	}
	if r.what != "" {
		parts = append(parts, r.what)
	}
	if len(parts) == 0 {
		return r.api()
	}
	return r.api() + ": " + strings.Join(parts, ", ")
}

// A frameCost is what runs of the decoder took, in nanoseconds.
type frameCost struct {
	frameRow
	bytes [2]int
	reads int
	took  [2][]float64 // for whole frames, by direction; sorted
}

// TestFrames measures what the decoder takes for the frames of each API that it looks into. It fails if one of them
// was not understood; times are no reason to fail.
func TestFrames(t *testing.T) {
	found := &frameReport{date: time.Now()}
	m := newMeter(t)
	var all []*meteredRow
	for _, row := range slices.Concat(partitionRows(), otherRows(), recordRows()) {
		all = append(all, m.row(row))
	}
	requireEveryAPI(t, all)
	stranger := m.stranger()
	for range frameRounds {
		m.turn(func() { found.empty = append(found.empty, m.runs(1, stranger)) })
		for _, row := range all {
			row.turn()
		}
	}
	for _, row := range all {
		slices.Sort(row.took[0])
		slices.Sort(row.took[1])
		found.costs = append(found.costs, row.frameCost)
	}
	slices.Sort(found.empty)
	text := found.text()
	fmt.Print("\n" + text)
	if *writePage {
		require.NoError(t, page.Write(framesCommand, text))
	}
}

// requireEveryAPI fails when the decoder comes to look into a message that is not measured.
func requireEveryAPI(t *testing.T, rows []*meteredRow) {
	for _, message := range schema.Messages() {
		if schema.Captured(message.Name) {
			require.True(t, slices.ContainsFunc(rows, func(r *meteredRow) bool { return r.request.Key() == message.APIKey }),
				"%s is decoded, and not measured", message.Name)
		}
	}
}
