// SPDX-License-Identifier: Apache-2.0

package frames

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Exchange is a request and the response to it.
type Exchange struct {
	Connection  uint32
	Key         int16 // of the API
	Version     int16
	Correlation int32
	ClientID    string // empty also when null
	// Request and Response are whole frames. Response is nil when the broker
	// sent none: Produce with acks=0, or the connection ended first.
	Request, Response []byte
}

// Name returns the name of the exchange's API.
func (e Exchange) Name() string { return kmsg.NameForKey(e.Key) }

// Exchanges pairs the frames of a capture, in the order of the requests. A
// broker answers in order, so that a request whose answer is missing is known
// by the next response's correlation id.
func Exchanges(frames []Frame) ([]Exchange, error) {
	var all []Exchange
	waiting := map[uint32][]int{} // connection: indexes into all, oldest first
	for i, f := range frames {
		body := f.Bytes[4:]
		if f.Direction == Request {
			e, err := request(f)
			if err != nil {
				return nil, fmt.Errorf("frame %d: %w", i, err)
			}
			waiting[f.Connection] = append(waiting[f.Connection], len(all))
			all = append(all, e)
			continue
		}
		if len(body) < 4 {
			return nil, fmt.Errorf("frame %d: a response of %d bytes", i, len(body))
		}
		correlation := int32(binary.BigEndian.Uint32(body))
		queue := waiting[f.Connection]
		for len(queue) > 0 && all[queue[0]].Correlation != correlation {
			queue = queue[1:]
		}
		if len(queue) == 0 {
			return nil, fmt.Errorf("frame %d: no request of connection %d has correlation id %d", i, f.Connection, correlation)
		}
		all[queue[0]].Response = f.Bytes
		waiting[f.Connection] = queue[1:]
	}
	return all, nil
}

// request reads the fields that every request header has had since version 1.
func request(f Frame) (Exchange, error) {
	body := f.Bytes[4:]
	if len(body) < 10 {
		return Exchange{}, fmt.Errorf("a request of %d bytes", len(body))
	}
	e := Exchange{
		Connection:  f.Connection,
		Key:         int16(binary.BigEndian.Uint16(body)),
		Version:     int16(binary.BigEndian.Uint16(body[2:])),
		Correlation: int32(binary.BigEndian.Uint32(body[4:])),
		Request:     f.Bytes,
	}
	if n := int(int16(binary.BigEndian.Uint16(body[8:]))); n > 0 {
		if len(body) < 10+n {
			return Exchange{}, fmt.Errorf("a client id of %d bytes in a request of %d", n, len(body))
		}
		e.ClientID = string(body[10 : 10+n])
	}
	return e, nil
}
