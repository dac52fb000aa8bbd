// SPDX-License-Identifier: Apache-2.0

package situations

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"
)

// roleVariable makes this binary a child, in one of two roles.
const (
	roleVariable = "EBPFKAFKA_TEST_CONTENTION"
	roleBroker   = "broker"
	roleClient   = "client"
)

func TestMain(m *testing.M) {
	var err error
	switch role := os.Getenv(roleVariable); role {
	case "":
		os.Exit(m.Run())
	case roleBroker:
		err = acknowledgeAll(os.NewFile(3, "listener"))
	case roleClient:
		err = commitAll(os.Args[1:])
	default:
		err = fmt.Errorf("%s=%s is no role", roleVariable, role)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// acknowledgeAll is a broker that does nothing but answer, as fast as it can:
// all requests that one read has brought in one write.
func acknowledgeAll(listener *os.File) error {
	l, err := net.FileListener(listener)
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			buffer := make([]byte, 64<<10)
			held := 0
			for {
				n, err := c.Read(buffer[held:])
				if err != nil {
					return
				}
				held += n
				var answers []byte
				used := 0
				for _, request := range split(buffer[:held]) {
					used += 4 + len(request)
					answer, err := answerTo(request)
					if err != nil {
						fmt.Fprintln(os.Stderr, err)
						os.Exit(1)
					}
					answers = append(answers, answer...)
				}
				held = copy(buffer, buffer[used:held])
				if _, err := c.Write(answers); err != nil {
					return
				}
			}
		}()
	}
}

// commitAll is a client: one thread writes commits, another reads the answers.
// Arguments: the broker, the client's number, how many. Each call of both
// blocks its thread, as in Java or C: Go's own sockets would take turns.
func commitAll(args []string) error {
	to, err := net.ResolveTCPAddr("tcp", args[0])
	if err != nil {
		return err
	}
	client, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	if inBulk(client) {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, socketBuffer); err != nil {
			return err
		}
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}); err != nil {
		return err
	}
	formatter := kmsg.NewRequestFormatter(kmsg.FormatterClientID(fmt.Sprintf("contender-%d", client)))
	metadata := kmsg.NewPtrMetadataRequest()
	metadata.Version = 12
	answers := answerReader{fd: fd, byFrame: client%2 == 0}
	if err := writeAll(fd, formatter.AppendRequest(nil, metadata, -1)); err != nil {
		return err
	}
	if _, err := answers.next(); err != nil {
		return err
	}

	room := make(chan struct{}, contendedDepth)
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		var b []byte
		for i := range count {
			room <- struct{}{}
			// The formatter counts sizes from the beginning of what it is given.
			b = append(b, formatter.AppendRequest(nil, contendedCommit(client, i), int32(i))...)
			if inBulk(client) && (i+1)%bulk != 0 && i+1 < count {
				continue
			}
			if err := writeAll(fd, b); err != nil {
				failed <- fmt.Errorf("write commit %d: %w", i, err)
				return
			}
			b = b[:0]
		}
	}()
	read := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		for i := range count {
			frame, err := answers.next()
			if err == nil {
				err = acknowledges(frame, i)
			}
			if err != nil {
				read <- fmt.Errorf("answer %d: %w", i, err)
				return
			}
			<-room
		}
		read <- nil
	}()
	select {
	case err = <-failed:
	case err = <-read:
	}
	if err != nil {
		return err
	}
	fmt.Printf("acknowledged %d\n", count)
	return unix.Close(fd)
}

// A client that writes in bulk says more in one call than both sockets hold.
// The call lasts until the broker has read nearly all of it, and the other
// thread reads the first answers before the hook of the call has run.
const (
	bulk         = 16
	bulkBytes    = 4 << 10 // each
	socketBuffer = 8 << 10
)

var bulkMetadata = strings.Repeat("m", bulkBytes)

func inBulk(client int) bool { return client%4 == 3 }

// contendedCommit is the i-th commit of a client.
func contendedCommit(client, i int) *kmsg.OffsetCommitRequest {
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset = int32(i%contended), goodOffset+int64(i)
	if inBulk(client) {
		p.Metadata = kmsg.StringPtr(bulkMetadata)
	}
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic, topic.Partitions = contendedTopic(client), []kmsg.OffsetCommitRequestTopicPartition{p}
	q := kmsg.NewPtrOffsetCommitRequest()
	q.Version, q.Group, q.Topics = 9, contendedGroup, []kmsg.OffsetCommitRequestTopic{topic}
	return q
}

// acknowledges checks that a frame is the good answer to the i-th commit.
func acknowledges(frame []byte, i int) error {
	if correlation := binary.BigEndian.Uint32(frame); correlation != uint32(i) {
		return fmt.Errorf("has correlation id %d", correlation)
	}
	r := kmsg.NewPtrOffsetCommitResponse()
	r.Version = 9
	if err := r.ReadFrom(frame[5:]); err != nil { // behind the header's tags
		return err
	}
	if p := r.Topics[0].Partitions[0]; p.ErrorCode != 0 {
		return fmt.Errorf("has error %d", p.ErrorCode)
	}
	return nil
}

// answerReader reads frames as Java does, the size and then the rest, or as
// others do, as much as there is.
type answerReader struct {
	fd      int
	byFrame bool
	held    []byte
}

func (a *answerReader) next() ([]byte, error) {
	for {
		want := 64 << 10
		if a.byFrame {
			want = 4
			if len(a.held) >= 4 {
				want += int(binary.BigEndian.Uint32(a.held))
			}
			want -= len(a.held)
		}
		if frames := split(a.held); len(frames) > 0 {
			a.held = a.held[4+len(frames[0]):]
			return frames[0], nil
		}
		b := make([]byte, want)
		n, err := unix.Read(a.fd, b)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, err
		case n == 0:
			return nil, io.EOF
		}
		a.held = append(a.held, b[:n]...)
	}
}

func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		b = b[max(n, 0):]
	}
	return nil
}
