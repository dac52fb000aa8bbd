// SPDX-License-Identifier: Apache-2.0

package watermarks

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
	"github.com/twmb/franz-go/pkg/sasl"
)

const (
	// A round of requests to one cluster may take as long as the interval, within these.
	minTimeout, maxTimeout = time.Second, 10 * time.Second
	// Connections live from one round to the next, within what the client library allows. Brokers close them after 10
	// minutes by default (connections.max.idle.ms).
	maxIdle = 15 * time.Minute
)

// Cluster says how to reach a cluster.
type Cluster struct {
	Brokers []string       // host:port of some of its brokers
	TLS     *tls.Config    // nil: plaintext
	SASL    sasl.Mechanism // nil: none
}

func (p *Poller) timeout() time.Duration {
	return max(minTimeout, min(p.options.Interval, maxTimeout))
}

// connect makes a client, which connects when it is first asked. The end of ctx ends all that it waits for.
func (p *Poller) connect(ctx context.Context, c *Cluster) (*kgo.Client, error) {
	timeout := p.timeout()
	options := []kgo.Opt{
		kgo.WithContext(ctx),
		kgo.ClientID(ClientID),
		kgo.SeedBrokers(c.Brokers...),
		kgo.WithHooks(&p.counts),
		// From here on Metadata tells the cluster's id without creating topics, and ListOffsets tells one offset.
		kgo.MinVersions(kversion.V0_11_0()),
		kgo.ConnIdleTimeout(min(2*p.options.Interval+timeout, maxIdle)),
		// Give up before the round does: its error would only say that time is over, and not why.
		kgo.DialTimeout(timeout / 2),
		kgo.RequestTimeoutOverhead(timeout / 2),
		kgo.RetryTimeout(timeout / 2),
		// No requests that nobody asked for.
		kgo.DisableClientMetrics(),
	}
	if c.TLS != nil {
		options = append(options, kgo.DialTLSConfig(c.TLS))
	}
	if c.SASL != nil {
		options = append(options, kgo.SASL(c.SASL))
	}
	return kgo.NewClient(options...)
}
