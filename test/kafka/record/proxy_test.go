// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/frames"
)

// TestProxyNotesWholeFrames: however the bytes are split, frames are noted
// whole, in order, with their connection, and passed on unchanged.
func TestProxyNotesWholeFrames(t *testing.T) {
	broker, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer broker.Close()
	r := &recorder{}
	p, err := listen(r)
	require.NoError(t, err)
	defer p.listener.Close()
	go p.serve(broker.Addr().String())

	request, response := []byte{0, 0, 0, 3, 1, 2, 3}, []byte{0, 0, 0, 0}
	for range 2 {
		client, err := net.Dial("tcp", p.addr())
		require.NoError(t, err)
		accepted, err := broker.Accept()
		require.NoError(t, err)
		for _, b := range request {
			_, err := client.Write([]byte{b})
			require.NoError(t, err)
		}
		got := make([]byte, len(request))
		_, err = io.ReadFull(accepted, got)
		require.NoError(t, err)
		require.Equal(t, request, got)
		_, err = accepted.Write(response)
		require.NoError(t, err)
		got = make([]byte, len(response))
		_, err = io.ReadFull(client, got)
		require.NoError(t, err)
		require.NoError(t, client.Close())
		_, err = io.ReadAll(accepted)
		require.NoError(t, err, "the client's end is passed on")
		require.NoError(t, accepted.Close())
	}
	taken, err := r.take()
	require.NoError(t, err)
	require.Equal(t, []frames.Frame{
		{Direction: frames.Request, Connection: 0, Bytes: request}, {Direction: frames.Response, Connection: 0, Bytes: response},
		{Direction: frames.Request, Connection: 1, Bytes: request}, {Direction: frames.Response, Connection: 1, Bytes: response},
	}, taken)
	taken, err = r.take()
	require.NoError(t, err)
	require.Empty(t, taken)
}
