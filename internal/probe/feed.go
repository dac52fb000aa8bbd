// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/ebpfkafka/ebpfkafka/bpf"
)

// A FeedConnection is a made-up connection of a Detached probe.
type FeedConnection struct {
	Key           uint64 // any number that is not in use
	Local, Remote netip.AddrPort
}

// Direction of bytes on a connection, seen from its local end.
type Direction uint64

// The directions.
const (
	Sent Direction = iota
	Received
)

const (
	feedUnseen = 1 << iota
	feedVector
	feedClose
)

// feedAttempts is how often the decoder is run until it has run. The kernel skips a program that another thread was
// preempted in on the same CPU; that thread ends within a few slices of time.
const feedAttempts = 1000

// ErrRefused is returned by Feed for a connection that is not looked at: given up, or no room.
var ErrRefused = errors.New("the connection is not looked at")

type feedArgs struct {
	key, direction, address, bytes, flags, vectors, local, remote, number uint64

	_ [3]uint64 // the kernel takes up to twelve
}

// Feed hands the bytes of one call to the decoder of a Detached probe: the shipped program, in the
// calling thread, over the caller's memory.
func (p *Probe) Feed(c *FeedConnection, d Direction, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	defer runtime.KeepAlive(data)
	return p.feed(feedArgs{
		key: c.Key, direction: uint64(d), address: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(data)))),
		bytes: uint64(len(data)), local: endpoint(c.Local), remote: endpoint(c.Remote),
	})
}

// FeedVector hands over the bytes of one call that uses several buffers. Of the last only so much is
// taken as bytes says, like a short readv.
func (p *Probe) FeedVector(c *FeedConnection, d Direction, buffers [][]byte, bytes int) error {
	var pin runtime.Pinner
	defer pin.Unpin()
	type iovec struct{ base, length uint64 }
	vectors := make([]iovec, 0, len(buffers)+1)
	for _, b := range buffers {
		v := iovec{length: uint64(len(b))}
		if len(b) > 0 {
			pin.Pin(unsafe.SliceData(b))
			v.base = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
		}
		vectors = append(vectors, v)
	}
	vectors = append(vectors, iovec{})
	pin.Pin(&vectors[0])
	return p.FeedVectorAt(c, d, unsafe.Pointer(&vectors[0]), len(buffers), bytes)
}

// FeedVectorAt is FeedVector with an array of n struct iovec that the caller has made, and keeps where it is.
func (p *Probe) FeedVectorAt(c *FeedConnection, d Direction, array unsafe.Pointer, n, bytes int) error {
	return p.feed(feedArgs{
		key: c.Key, direction: uint64(d), address: uint64(uintptr(array)),
		bytes: uint64(bytes), flags: feedVector, vectors: uint64(n),
		local: endpoint(c.Local), remote: endpoint(c.Remote),
	})
}

// FeedUnseen tells the decoder that bytes passed which it cannot see, as sendfile's.
func (p *Probe) FeedUnseen(c *FeedConnection, d Direction, bytes int) error {
	return p.feed(feedArgs{
		key: c.Key, direction: uint64(d), bytes: uint64(bytes), flags: feedUnseen,
		local: endpoint(c.Local), remote: endpoint(c.Remote),
	})
}

// FeedClose ends a connection.
func (p *Probe) FeedClose(c *FeedConnection) error {
	return p.feed(feedArgs{key: c.Key, flags: feedClose})
}

func endpoint(a netip.AddrPort) uint64 {
	ip := a.Addr().As4()
	return uint64(*(*uint32)(unsafe.Pointer(&ip)))<<16 | uint64(a.Port())
}

func (p *Probe) feed(args feedArgs) error {
	if p.objects.FeedTest == nil {
		return fmt.Errorf("feeding needs the backend %q, this is %q", Detached, p.backend)
	}
	for range feedAttempts {
		args.number = p.fed.Add(1)
		code, err := p.objects.FeedTest.Run(&ebpf.RunOptions{Context: &args})
		if err != nil {
			return fmt.Errorf("running the decoder: %w", err)
		}
		switch bpf.KafkaFeedResult(code - uint32(args.number<<1)) {
		case bpf.KafkaFeedResultFEED_DONE:
			return nil
		case bpf.KafkaFeedResultFEED_REFUSED:
			return ErrRefused
		}
	}
	return fmt.Errorf("running the decoder: skipped %d times", feedAttempts)
}

// Reports opens the ring buffer in which every report stands, when Options.TraceReports is set.
func (p *Probe) Reports() (*ringbuf.Reader, error) {
	return ringbuf.NewReader(p.objects.Trace)
}

// Report is one entry of that ring buffer.
type Report = bpf.KafkaTraceRecord

// FedConnection is what the decoder keeps of a fed connection, nil if nothing: for tests.
func (p *Probe) FedConnection(c *FeedConnection) (*bpf.KafkaConnection, error) {
	var v bpf.KafkaConnection
	err := p.objects.Connections.Lookup(c.Key, &v)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil, nil
	}
	return &v, err
}

// Name is the string, or the 16 bytes of the topic id, that an id of a Report stands for: for tests.
func (p *Probe) Name(id uint64) (bytes []byte, topicID bool, err error) {
	var v bpf.KafkaName
	if err := p.objects.Names.Lookup(id, &v); err != nil {
		return nil, false, fmt.Errorf("name %d: %w", id, err)
	}
	return v.Bytes[:v.Length], v.Kind == uint8(bpf.KafkaNameKindNAME_UUID), nil
}
