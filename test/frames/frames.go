// SPDX-License-Identifier: Apache-2.0

// Package frames reads and writes captured Kafka frames: what real clients
// and a real broker said to one another, in order. The captures are in
// testdata/frames, whose README.md describes the format; test/kafka/record
// makes them.
package frames

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

// Direction says who sent a frame.
type Direction byte

const (
	// Request is a frame from the client to the broker.
	Request Direction = '>'
	// Response is a frame from the broker to the client.
	Response Direction = '<'
)

// maxSize bounds a frame, as the broker's socket.request.max.bytes does: a
// size beyond it is a damaged file.
const maxSize = 100 << 20

// Frame is one Kafka request or response.
type Frame struct {
	Direction Direction
	// Connection numbers the connections of a capture, from 0.
	Connection uint32
	// Bytes are the frame as it was sent: the size in four bytes, then as many bytes.
	Bytes []byte
}

// Write writes frames in the format of testdata/frames.
func Write(w io.Writer, frames []Frame) error {
	for i, f := range frames {
		if len(f.Bytes) < 4 || binary.BigEndian.Uint32(f.Bytes) != uint32(len(f.Bytes)-4) {
			return fmt.Errorf("frame %d: %d bytes do not begin with their own size", i, len(f.Bytes))
		}
		head := binary.BigEndian.AppendUint32([]byte{byte(f.Direction)}, f.Connection)
		if _, err := w.Write(append(head, f.Bytes...)); err != nil {
			return err
		}
	}
	return nil
}

// Read reads all frames of a capture.
func Read(r io.Reader) ([]Frame, error) {
	in := bufio.NewReader(r)
	var frames []Frame
	for {
		var head [9]byte
		if _, err := io.ReadFull(in, head[:]); errors.Is(err, io.EOF) {
			return frames, nil
		} else if err != nil {
			return nil, fmt.Errorf("frame %d: %w", len(frames), err)
		}
		f := Frame{Direction: Direction(head[0]), Connection: binary.BigEndian.Uint32(head[1:])}
		size := binary.BigEndian.Uint32(head[5:])
		if f.Direction != Request && f.Direction != Response || size > maxSize {
			return nil, fmt.Errorf("frame %d: not a capture: direction %q, size %d", len(frames), head[0], size)
		}
		f.Bytes = make([]byte, 4+size)
		copy(f.Bytes, head[5:])
		if _, err := io.ReadFull(in, f.Bytes[4:]); err != nil {
			return nil, fmt.Errorf("frame %d: %w", len(frames), err)
		}
		frames = append(frames, f)
	}
}

// Load reads the capture in a file.
func Load(path string) ([]Frame, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	frames, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return frames, nil
}

// Dir returns the folder of the captures, testdata/frames of the project,
// wherever the test runs.
func Dir() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "testdata", "frames")
}

// Captures returns the paths of all captures in Dir, sorted.
func Captures() ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(Dir(), "*.bin"))
	slices.Sort(paths)
	return paths, err
}
