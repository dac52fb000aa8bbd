// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sys/unix"
)

// What is too much to be dictated call by call.

// readFull reads exactly len(b) bytes; io.EOF at the end of the stream.
func readFull(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Read(fd, b)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return io.EOF
		}
		b = b[n:]
	}
	return nil
}

// readFrame reads as Java does: the size, then the rest.
func readFrame(fd int) ([]byte, error) {
	head := make([]byte, 4)
	if err := readFull(fd, head); err != nil {
		return nil, err
	}
	frame := make([]byte, 4+binary.BigEndian.Uint32(head))
	copy(frame, head)
	return frame, readFull(fd, frame[4:])
}

func writeFull(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		b = b[max(n, 0):]
	}
	return nil
}

// ServeArgs: Connections taken from Listener, each answered until its end. All answers are those of
// one script, in turn, with the correlation id of the request.
type ServeArgs struct {
	Listener, Connections int
	Answers               [][]byte
}

// Serve is a broker of few words.
func (h *Hands) Serve(a ServeArgs, _ *struct{}) error {
	var wg sync.WaitGroup
	failed := make(chan error, a.Connections)
	for range a.Connections {
		fd, err := acceptOn(a.Listener)
		if err != nil {
			return err
		}
		wg.Go(func() {
			defer unix.Close(fd)
			for i := 0; ; i++ {
				request, err := readFrame(fd)
				if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) {
					return
				}
				if err == nil {
					answer := append([]byte(nil), a.Answers[min(i, len(a.Answers)-1)]...)
					copy(answer[4:8], request[8:12])
					err = writeFull(fd, answer)
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(failed)
	return <-failed
}

// VisitArgs: Times over, connect, make the exchanges, close. Without exchanges: connect and close.
type VisitArgs struct {
	To       Address
	Times    int
	Requests [][]byte
}

// Visit makes short connections, one after the other.
func (h *Hands) Visit(a VisitArgs, _ *struct{}) error {
	for range a.Times {
		fd, err := dial(IPv4, a.To)
		if err != nil {
			return err
		}
		for _, request := range a.Requests {
			if err := writeFull(fd, request); err != nil {
				return err
			}
			if _, err := readFrame(fd); err != nil {
				return err
			}
		}
		if err := unix.Close(fd); err != nil {
			return err
		}
	}
	return nil
}

// PipelineArgs: on each of Connections a thread that writes commits and another that reads their
// answers, at most Depth behind. Topics are named by connection, "topic-0" and on.
type PipelineArgs struct {
	To                   Address
	Connections, Commits int
	Depth                int
}

// pipelined is what a connection of Pipeline commits: partition 0 of a topic of its own.
const pipelinedGroup = "pipelined"

func pipelinedTopic(connection int) string { return fmt.Sprintf("topic-%d", connection) }

// Pipeline returns once every commit was acknowledged.
func (h *Hands) Pipeline(a PipelineArgs, _ *struct{}) error {
	failed := make(chan error, 2*a.Connections)
	var wg sync.WaitGroup
	for c := range a.Connections {
		fd, err := dial(IPv4, a.To)
		if err != nil {
			return err
		}
		talk := talker{id: "pipelined"}
		if err := writeFull(fd, talk.apiVersions().request); err != nil {
			return err
		}
		if _, err := readFrame(fd); err != nil {
			return err
		}
		room := make(chan struct{}, a.Depth)
		first := talk.next
		wg.Go(func() {
			for i := range a.Commits {
				x := talk.commit(pipelinedGroup, pipelinedTopic(c), 1, int64(i))
				room <- struct{}{}
				if err := h.on(1+2*c, func() error { return writeFull(fd, x.request) }); err != nil {
					failed <- err
					return
				}
			}
		})
		wg.Go(func() {
			for i := range a.Commits {
				var answer []byte
				err := h.on(2+2*c, func() (err error) { answer, err = readFrame(fd); return err })
				if err == nil && binary.BigEndian.Uint32(answer[4:]) != uint32(int(first)+i) {
					err = fmt.Errorf("answer %d has correlation id %d", i, binary.BigEndian.Uint32(answer[4:]))
				}
				if err != nil {
					failed <- err
					return
				}
				<-room
			}
		})
	}
	wg.Wait()
	close(failed)
	return <-failed
}

// ServeCommits answers the commits of Pipeline, first each connection's ApiVersions.
func (h *Hands) ServeCommits(a ServeArgs, _ *struct{}) error {
	var wg sync.WaitGroup
	for range a.Connections {
		fd, err := acceptOn(a.Listener)
		if err != nil {
			return err
		}
		wg.Go(func() {
			defer unix.Close(fd)
			var talk talker
			for i := 0; ; i++ {
				request, err := readFrame(fd)
				if err != nil {
					return
				}
				answer := talk.apiVersions().response
				if i > 0 {
					topic := topicOf(request)
					answer = talk.commit(pipelinedGroup, topic, 1, 0).response
				}
				copy(answer[4:8], request[8:12])
				if writeFull(fd, answer) != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return nil
}
