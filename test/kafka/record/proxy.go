// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/ebpfkafka/ebpfkafka/test/frames"
)

// maxSize is the broker's own limit, socket.request.max.bytes: beyond it the
// bytes are not Kafka.
const maxSize = 100 << 20

// recorder keeps the frames that pass through its proxies, in the order that
// they passed: each is noted before it is handed on, so a response never
// stands before its request.
type recorder struct {
	mu          sync.Mutex
	frames      []frames.Frame
	connections uint32
	failed      error
}

// take returns the frames noted since the last take, their connections
// numbered from 0.
func (r *recorder) take() ([]frames.Frame, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.frames
	r.frames = nil
	numbers := map[uint32]uint32{}
	for i := range taken {
		n, ok := numbers[taken[i].Connection]
		if !ok {
			n = uint32(len(numbers))
			numbers[taken[i].Connection] = n
		}
		taken[i].Connection = n
	}
	return taken, r.failed
}

func (r *recorder) connection() uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.connections++
	return r.connections
}

func (r *recorder) note(f frames.Frame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frames = append(r.frames, f)
}

func (r *recorder) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = errors.Join(r.failed, err)
}

// proxy passes connections on to the address of target, which it is told
// after it has begun to listen: the broker must know the proxy's address first.
type proxy struct {
	listener net.Listener
	recorder *recorder
	target   string
}

func listen(r *recorder) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &proxy{listener: l, recorder: r}, nil
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// serve accepts connections until the listener is closed.
func (p *proxy) serve(target string) {
	p.target = target
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		go p.pass(client)
	}
}

func (p *proxy) pass(client net.Conn) {
	broker, err := net.Dial("tcp", p.target)
	if err != nil {
		p.recorder.fail(fmt.Errorf("the proxy cannot reach the broker: %w", err))
		client.Close()
		return
	}
	connection := p.recorder.connection()
	var both sync.WaitGroup
	direct := func(d frames.Direction, from, to net.Conn) {
		defer both.Done()
		p.copyFrames(frames.Frame{Direction: d, Connection: connection}, from, to)
		// Either side's end is the connection's end.
		client.Close()
		broker.Close()
	}
	both.Add(2)
	go direct(frames.Request, client, broker)
	go direct(frames.Response, broker, client)
	both.Wait()
}

// copyFrames passes on whole frames until the connection ends.
func (p *proxy) copyFrames(f frames.Frame, from io.Reader, to io.Writer) {
	for {
		f.Bytes = make([]byte, 4)
		if _, err := io.ReadFull(from, f.Bytes); err != nil {
			return
		}
		size := binary.BigEndian.Uint32(f.Bytes)
		if size > maxSize {
			p.recorder.fail(fmt.Errorf("a frame of %d bytes in direction %c: not Kafka", size, f.Direction))
			return
		}
		f.Bytes = append(f.Bytes, make([]byte, size)...)
		if _, err := io.ReadFull(from, f.Bytes[4:]); err != nil {
			return // the connection ended within a frame: nobody saw it whole
		}
		p.recorder.note(f)
		if _, err := to.Write(f.Bytes); err != nil {
			return
		}
	}
}
