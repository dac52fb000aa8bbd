// SPDX-License-Identifier: Apache-2.0

package watermarks

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// Kinds of errors that are none of Kafka's.
const (
	connectionFailed = "connection"        // refused, closed, no such host
	timedOut         = "timeout"           // no answer in time
	tlsFailed        = "tls"               // the broker's certificate, or no TLS at all
	otherCluster     = "cluster_mismatch"  // the address answers for another cluster
	noClusterID      = "cluster_unknown"   // the broker did not say which cluster it belongs to
	tooManyClusters  = "too_many_clusters" // beyond MaxClusters
)

// clusterError says that an answer cannot be filed under the cluster that was meant.
type clusterError struct{ kind, want, got string }

func (e *clusterError) Error() string {
	if e.kind == noClusterID {
		return "the broker does not tell its cluster's id"
	}
	return fmt.Sprintf("the broker belongs to cluster %q, not to %q", e.got, e.want)
}

// kindOf names an error for a counter: few kinds, none with an address in it.
func kindOf(err error) string {
	var kafka *kerr.Error
	var cluster *clusterError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var network net.Error
	switch {
	case errors.As(err, &cluster):
		return cluster.kind
	case errors.As(err, &kafka):
		return state.ErrorName(kafka.Code)
	case errors.As(err, &certificate), errors.As(err, &record):
		return tlsFailed
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return timedOut
	default:
		return connectionFailed
	}
}

// problems are what went wrong with one round of requests.
type problems struct {
	times map[string]int // by kind
	first error
}

func (p *problems) add(kind string, times int, err error) {
	if p.times == nil {
		p.times = make(map[string]int)
	}
	p.times[kind] += times
	if p.first == nil {
		p.first = err
	}
}

func (p *problems) addError(err error) { p.add(kindOf(err), 1, err) }

// kinds tells two rounds with the same problems apart from two with different ones.
func (p *problems) kinds() string {
	return strings.Join(slices.Sorted(maps.Keys(p.times)), ", ")
}
