// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A work is what BenchmarkCalls compares with and without hooks.
type work struct {
	name string
	Calls
	kafka bool // both ends of its connection have to be recognised
}

// batchBytes is how large record batches are: what producers make by default (batch.size).
const batchBytes = 16 << 10

// batchHeadBytes is what stands in a record batch before its records.
const batchHeadBytes = 61

const (
	smallBytes = 64
	largeBytes = 64 << 10
	pageBytes  = 4 << 10
)

// newWorks makes the works and what they work on; the port is that of their connections.
func newWorks(t testing.TB, child *peer) (works []work, port uint16) {
	talk := talker{id: "benchmark"}
	// The name of the topic is what makes the answer longer.
	const shortest = 25
	commit := talk.commit("group", strings.Repeat("t", smallBytes-shortest), 1, 1)
	require.Len(t, commit.response, smallBytes)
	var records []byte
	for base := int64(1); len(records) < 8*largeBytes; base += 10 {
		records = append(records, batch(base, 10, batchBytes)...)
	}
	fetch := talk.fetch("topic", 1, records)
	recordsAt := bytes.Index(fetch.response, records)
	other := func(x exchange) exchange {
		return exchange{bytes.Repeat([]byte("x"), len(x.request)), bytes.Repeat([]byte("y"), len(x.response))}
	}
	large := Calls{Kind: "reads", Times: 7, Exchanges: 1, Skip: recordsAt, Bytes: largeBytes}
	small := Calls{Kind: "reads", Times: 64, Exchanges: 64, Bytes: smallBytes}
	within := Calls{Kind: "reads", Times: 64, Exchanges: 1, Skip: recordsAt + batchHeadBytes, Bytes: smallBytes}

	listener, address := child.listen(IPv4, 0)
	over := func(name string, c Calls, x exchange, kafka bool) {
		c.Request, c.Response = x.request, x.response
		c.FDs = [2]int{child.connect(IPv4, address), child.accept(listener)}
		child.do("Roomy", c.FDs, new(struct{}))
		works = append(works, work{name, c, kafka})
	}
	file := Calls{Kind: "file", Times: 64, Bytes: pageBytes}
	child.do("ReadyFile", ReadyFileArgs{filepath.Join(t.TempDir(), "file"), file.Times * file.Bytes}, &file.FDs[0])

	works = append(works,
		work{"getppid", Calls{Kind: "getppid", Times: 256}, false},
		work{"read 4 KiB of a file", file, false})
	over("read 64 bytes, not Kafka", small, other(commit), false)
	over("read 64 KiB, not Kafka", large, other(fetch), false)
	over("read 64 bytes, a commit's answer", small, commit, true)
	over("read 64 bytes of records", within, fetch, true)
	over("read 64 KiB of records", large, fetch, true)
	round := Calls{Kind: "rounds", Times: 16}
	over("64 bytes and back, not Kafka", round, other(commit), false)
	over("a commit and its answer", round, commit, true)
	over("a fetch and 64 KiB of records", round, talk.fetch("topic", 1, records[:largeBytes]), true)
	return works, address.Port()
}
