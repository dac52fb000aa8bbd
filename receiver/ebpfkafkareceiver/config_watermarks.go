// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configtls"

	"github.com/ebpfkafka/ebpfkafka/internal/watermarks"
)

const (
	defaultWatermarksInterval = 30 * time.Second
	// minWatermarksInterval keeps a typing error (30ms) from becoming a load on the brokers.
	minWatermarksInterval = time.Second
	// maxBootstrap is more than anybody lists: a client needs one that answers.
	maxBootstrap = 64
)

// SASLMechanism is how the receiver authenticates at a broker.
type SASLMechanism string

// The mechanisms that need no more than a name and a password.
const (
	SASLPlain       SASLMechanism = "PLAIN"
	SASLScramSHA256 SASLMechanism = "SCRAM-SHA-256"
	SASLScramSHA512 SASLMechanism = "SCRAM-SHA-512"
)

// WatermarksConfig makes the receiver ask brokers for the ends of the partitions whose committed offsets it knows, so
// that the lag of a consumer that has stopped fetching stays known. This is the only thing that it ever asks a broker.
type WatermarksConfig struct {
	// Interval is the time between two requests to a broker.
	Interval time.Duration `mapstructure:"interval"`
	// Clusters are those to ask. If empty, each cluster that clients on this host talk to is asked, at the addresses
	// that they use and without encryption or authentication.
	Clusters []WatermarksClusterConfig `mapstructure:"clusters"`
}

// WatermarksClusterConfig says how to reach one cluster. Which one it is its brokers tell.
type WatermarksClusterConfig struct {
	// Brokers are addresses (host:port) of some of its brokers. They tell those of all others.
	Brokers []string `mapstructure:"brokers"`
	// TLS encrypts connections. Without it they are plaintext.
	TLS configoptional.Optional[configtls.ClientConfig] `mapstructure:"tls"`
	// SASL authenticates at the brokers.
	SASL configoptional.Optional[SASLConfig] `mapstructure:"sasl"`
}

// SASLConfig is a name and a password, and how to present them.
type SASLConfig struct {
	Mechanism SASLMechanism       `mapstructure:"mechanism"`
	Username  string              `mapstructure:"username"`
	Password  configopaque.String `mapstructure:"password"`
}

func defaultWatermarksConfig() WatermarksConfig {
	return WatermarksConfig{Interval: defaultWatermarksInterval}
}

// Validate reports every value that is not allowed.
func (w *WatermarksConfig) Validate() error {
	errs := []error{validateCount("clusters", len(w.Clusters), watermarks.MaxClusters)}
	if w.Interval < minWatermarksInterval {
		errs = append(errs, fmt.Errorf("interval: %v is too short; allowed: %v or more", w.Interval, minWatermarksInterval))
	}
	return errors.Join(errs...)
}

// validateAge makes sure that one request may fail without a gap.
func (w *WatermarksConfig) validateAge(maxAge time.Duration) error {
	if w.Interval <= maxAge/2 {
		return nil
	}
	return fmt.Errorf("watermarks::interval: %v is more than half of watermark_max_age (%v), so that lag would come and"+
		" go; allowed: up to %v, or raise watermark_max_age", w.Interval, maxAge, maxAge/2)
}

// Validate reports every value that is not allowed.
func (c *WatermarksClusterConfig) Validate() error {
	errs := []error{validateCount("brokers", len(c.Brokers), maxBootstrap)}
	if len(c.Brokers) == 0 {
		errs = append(errs, errors.New("brokers: none is given; allowed: host:port of one broker or more. To ask at the"+
			" addresses that clients on this host use, leave out the whole list clusters"))
	}
	for _, broker := range c.Brokers {
		host, port, err := net.SplitHostPort(broker)
		if n, notNumber := strconv.Atoi(port); err != nil || host == "" || notNumber != nil || n < 1 || n > maxPort {
			errs = append(errs, fmt.Errorf("brokers: %q is not an address; allowed: host:port, such as kafka-1:9093", broker))
		}
	}
	return errors.Join(errs...)
}

// Validate reports every value that is not allowed. It never repeats the password.
func (s *SASLConfig) Validate() error {
	var errs []error
	allowed := []SASLMechanism{SASLPlain, SASLScramSHA256, SASLScramSHA512}
	if !slices.Contains(allowed, s.Mechanism) {
		errs = append(errs, fmt.Errorf("mechanism: %q is not a mechanism; allowed: %s", s.Mechanism, list(allowed)))
	}
	if s.Username == "" || s.Password == "" {
		errs = append(errs, errors.New("username, password: one is empty; allowed: any text"))
	}
	return errors.Join(errs...)
}

// mechanism is nil without SASL.
func (s *SASLConfig) mechanism() sasl.Mechanism {
	if s == nil {
		return nil
	}
	password := string(s.Password)
	switch s.Mechanism {
	case SASLScramSHA256:
		return scram.Auth{User: s.Username, Pass: password}.AsSha256Mechanism()
	case SASLScramSHA512:
		return scram.Auth{User: s.Username, Pass: password}.AsSha512Mechanism()
	default:
		return plain.Auth{User: s.Username, Pass: password}.AsMechanism()
	}
}

// clusters reads the files that tls names.
func (w *WatermarksConfig) clusters(ctx context.Context) ([]watermarks.Cluster, error) {
	clusters := make([]watermarks.Cluster, len(w.Clusters))
	for i := range w.Clusters {
		c := &w.Clusters[i]
		clusters[i] = watermarks.Cluster{Brokers: c.Brokers, SASL: c.SASL.Get().mechanism()}
		if c.TLS.HasValue() {
			config, err := c.TLS.Get().LoadTLSConfig(ctx)
			if err != nil {
				return nil, fmt.Errorf("watermarks::clusters::%d::tls: %w", i, err)
			}
			clusters[i].TLS = config
		}
	}
	return clusters, nil
}
