// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/snappy"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ebpfkafka/ebpfkafka/test/otlp"
)

// A decoder reads a request's body.
type decoder func(body []byte) ([]committed, error)

// A sink takes what exporters send.
type sink struct {
	URL string

	decode decoder
	mu     sync.Mutex
	bodies [][]byte // since the last look
	bytes  int64    // since forget
	keep   bool
}

func newSink(t *testing.T, decode decoder) *sink {
	s := &sink{decode: decode, keep: true}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.bytes += int64(len(body))
		if s.keep {
			s.bodies = append(s.bodies, body)
		}
	}))
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// forget begins to count anew, and keeps nothing from now on.
func (s *sink) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes, s.bodies, s.keep = 0, nil, false
}

func (s *sink) received() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}

// committed is what has come so far, the oldest first.
func (s *sink) committed() (all []committed, err error) {
	s.mu.Lock()
	bodies := s.bodies
	s.mu.Unlock()
	for _, body := range bodies {
		found, err := s.decode(body)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func otlpSent(body []byte) (all []committed, err error) {
	err = otlp.EachGauge(body, func(metric string, p pmetric.NumberDataPoint) {
		label := func(key string) string {
			v, _ := p.Attributes().Get(key)
			return v.AsString()
		}
		if x, ok := newCommitted(strings.ReplaceAll(metric, ".", "_"), label, float64(p.IntValue())); ok {
			all = append(all, x)
		}
	})
	return all, err
}

// remoteWritten reads prometheus.WriteRequest: repeated TimeSeries 1, of repeated Label 1 (name 1, value 2) and
// repeated Sample 2 (value 1).
func remoteWritten(body []byte) (all []committed, err error) {
	plain, err := snappy.Decode(nil, body)
	if err != nil {
		return nil, err
	}
	err = fields(plain, func(number protowire.Number, series []byte, _ uint64) error {
		if number != 1 {
			return nil
		}
		labels := map[string]string{}
		var value float64
		err := fields(series, func(number protowire.Number, text []byte, _ uint64) error {
			switch number {
			case 1:
				var pair [3]string
				err := fields(text, func(number protowire.Number, text []byte, _ uint64) error {
					pair[min(number, 2)] = string(text)
					return nil
				})
				labels[pair[1]] = pair[2]
				return err
			case 2:
				return fields(text, func(number protowire.Number, _ []byte, fixed uint64) error {
					if number == 1 {
						value = math.Float64frombits(fixed)
					}
					return nil
				})
			}
			return nil
		})
		if x, ok := newCommitted(labels["__name__"], func(l string) string { return labels[l] }, value); ok {
			all = append(all, x)
		}
		return err
	})
	return all, err
}

// fields goes through a protobuf message: bytes and 64-bit numbers are given, others left out.
func fields(message []byte, f func(number protowire.Number, text []byte, fixed uint64) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		var text []byte
		var fixed uint64
		switch kind {
		case protowire.BytesType:
			text, n = protowire.ConsumeBytes(message)
		case protowire.Fixed64Type:
			fixed, n = protowire.ConsumeFixed64(message)
		case protowire.VarintType:
			_, n = protowire.ConsumeVarint(message)
		default:
			return errors.New("a field of an unexpected type")
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		if kind != protowire.VarintType {
			if err := f(number, text, fixed); err != nil {
				return err
			}
		}
		message = message[n:]
	}
	return nil
}
