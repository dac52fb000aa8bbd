// SPDX-License-Identifier: Apache-2.0

package frames

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestWriteRead(t *testing.T) {
	want := []Frame{
		{Request, 0, []byte{0, 0, 0, 2, 1, 2}},
		{Response, 0, []byte{0, 0, 0, 0}},
		{Request, 70000, []byte{0, 0, 0, 1, 9}},
	}
	var b bytes.Buffer
	require.NoError(t, Write(&b, want))
	got, err := Read(bytes.NewReader(b.Bytes()))
	require.NoError(t, err)
	require.Equal(t, want, got)

	_, err = Read(bytes.NewReader(b.Bytes()[:b.Len()-1]))
	require.ErrorContains(t, err, "frame 2")
	_, err = Read(bytes.NewReader([]byte("something else")))
	require.ErrorContains(t, err, "not a capture")
	require.Error(t, Write(&b, []Frame{{Request, 0, []byte{0, 0, 0, 5}}}))
}

func TestExchangesPairsAroundMissingResponses(t *testing.T) {
	frame := func(d Direction, body ...byte) Frame {
		return Frame{d, 3, append([]byte{0, 0, 0, byte(len(body))}, body...)}
	}
	got, err := Exchanges([]Frame{
		frame(Request, 0, 0, 0, 13, 0, 0, 0, 1, 0, 1, 'a'), // acks=0: never answered
		frame(Request, 0, 3, 0, 12, 0, 0, 0, 2, 0xff, 0xff),
		frame(Response, 0, 0, 0, 2),
	})
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, "Produce", got[0].Name())
	require.Equal(t, "a", got[0].ClientID)
	require.Nil(t, got[0].Response)
	require.Equal(t, int16(12), got[1].Version)
	require.NotNil(t, got[1].Response)

	_, err = Exchanges([]Frame{frame(Response, 0, 0, 0, 2)})
	require.ErrorContains(t, err, "correlation id 2")
}

// TestCaptures proves that the committed captures are whole, and that they
// hold the conversations that they are kept for.
func TestCaptures(t *testing.T) {
	paths, err := Captures()
	require.NoError(t, err)
	require.NotEmpty(t, paths, "no captures in %s", Dir())
	seen := map[int16]map[int16]bool{}
	for _, path := range paths {
		frames, err := Load(path)
		require.NoError(t, err)
		exchanges, err := Exchanges(frames)
		require.NoError(t, err, path)
		for _, e := range exchanges {
			if e.Response == nil {
				require.Contains(t, []string{"Produce", "Fetch"}, e.Name(), "%s: not answered", filepath.Base(path))
				continue
			}
			if seen[e.Key] == nil {
				seen[e.Key] = map[int16]bool{}
			}
			seen[e.Key][e.Version] = true
		}
	}
	for _, key := range []kmsg.Key{
		kmsg.ApiVersions, kmsg.Metadata, kmsg.FindCoordinator, kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat,
		kmsg.LeaveGroup, kmsg.ConsumerGroupHeartbeat, kmsg.OffsetFetch, kmsg.ListOffsets, kmsg.Fetch, kmsg.Produce,
		kmsg.OffsetCommit, kmsg.InitProducerID, kmsg.AddOffsetsToTxn, kmsg.TxnOffsetCommit, kmsg.EndTxn,
		kmsg.SASLHandshake, kmsg.SASLAuthenticate, kmsg.OffsetDelete, kmsg.DeleteGroups,
	} {
		require.NotEmpty(t, seen[key.Int16()], "no capture of %s", key.Name())
	}
	require.True(t, seen[kmsg.OffsetCommit.Int16()][9], "OffsetCommit 9: names")
	require.True(t, seen[kmsg.OffsetCommit.Int16()][10], "OffsetCommit 10: topic ids")
}
