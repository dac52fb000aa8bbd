// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/scraper/scraperhelper"

	"github.com/ebpfkafka/ebpfkafka/receiver/ebpfkafkareceiver/internal/metadata"
)

// Defaults of the keys that stand beside discovery and limits.
const (
	defaultCollectionInterval = 15 * time.Second
	defaultInitialDelay       = time.Second
	defaultIdleTimeout        = 10 * time.Minute
	defaultWatermarkMaxAge    = time.Minute
	defaultProcPath           = "/proc"
)

// Ranges of the durations.
const (
	// minCollectionInterval keeps a typing error (15ms) from costing a whole CPU.
	minCollectionInterval = 100 * time.Millisecond
	// minAge is twice the longest pause that consumers make between two fetches by default (fetch.max.wait.ms 500): with
	// less, the watermark of a healthy but quiet partition would come and go.
	minAge = time.Second
	// maxAge bounds how long a value may be shown that nothing confirms any more. A month is more than any group's
	// offsets outlive it by default (offsets.retention.minutes, 7 days).
	maxAge = 31 * 24 * time.Hour
)

// Backend is a way to hook into the kernel.
type Backend string

const (
	// BackendAuto takes the cheapest backend that this kernel offers.
	BackendAuto Backend = "auto"
	// BackendSocket watches socket calls only, on kernels from 6.3.
	BackendSocket Backend = "socket"
	// BackendFentry watches TCP's own functions by trampolines, where the architecture has them.
	BackendFentry Backend = "fentry"
	// BackendKprobe watches TCP's own functions by kprobes.
	BackendKprobe Backend = "kprobe"
	// BackendSyscall watches the end of every system call, on any kernel with BTF.
	BackendSyscall Backend = "syscall"
)

// Role is the end of a connection that is on this host.
type Role string

const (
	// RoleAny takes both ends.
	RoleAny Role = "any"
	// RoleClient takes connections whose client is on this host.
	RoleClient Role = "client"
	// RoleBroker takes connections whose broker is on this host.
	RoleBroker Role = "broker"
)

// Config is the configuration of the receiver. Its zero value is not valid: start from the factory's default.
type Config struct {
	scraperhelper.ControllerConfig `mapstructure:",squash"`
	metadata.MetricsBuilderConfig  `mapstructure:",squash"`

	// Backend chooses the hooks: auto, socket, fentry, kprobe or syscall.
	Backend Backend `mapstructure:"backend"`
	// Discovery chooses the connections that are watched.
	Discovery DiscoveryConfig `mapstructure:"discovery"`
	// Limits are the capacities of the BPF maps.
	Limits LimitsConfig `mapstructure:"limits"`
	// IdleTimeout is how long the state of a group, partition or connection is kept after it was last seen.
	IdleTimeout time.Duration `mapstructure:"idle_timeout"`
	// WatermarkMaxAge is the age up to which a high watermark is good enough to compute a lag from.
	WatermarkMaxAge time.Duration `mapstructure:"watermark_max_age"`
	// Watermarks, if present, makes the receiver ask brokers for high watermarks.
	Watermarks configoptional.Optional[WatermarksConfig] `mapstructure:"watermarks"`
	// Groups chooses consumer groups by their id.
	Groups FilterConfig `mapstructure:"groups"`
	// Topics chooses topics by their name.
	Topics FilterConfig `mapstructure:"topics"`
	// ProcPath is where the host's /proc is mounted. It differs from /proc for a collector in a container.
	ProcPath string `mapstructure:"proc_path"`

	// prevent unkeyed literal initialization
	_ struct{}
}

var _ confmap.Validator = (*Config)(nil)

func createDefaultConfig() component.Config {
	controller := scraperhelper.NewDefaultControllerConfig()
	controller.CollectionInterval = defaultCollectionInterval
	controller.InitialDelay = defaultInitialDelay
	return &Config{
		ControllerConfig:     controller,
		MetricsBuilderConfig: metadata.NewDefaultMetricsBuilderConfig(),
		Backend:              BackendAuto,
		Discovery:            DiscoveryConfig{Role: RoleAny},
		Limits:               defaultLimits(),
		IdleTimeout:          defaultIdleTimeout,
		WatermarkMaxAge:      defaultWatermarkMaxAge,
		Watermarks:           configoptional.Default(defaultWatermarksConfig()),
		ProcPath:             defaultProcPath,
	}
}

// Validate reports every value that is not allowed. The collector itself validates the nested sections and puts their
// key in front.
func (c *Config) Validate() error {
	return errors.Join(
		c.validateBackend(),
		c.validateDurations(),
		c.validateProcPath(),
	)
}

func (c *Config) validateBackend() error {
	allowed := []Backend{BackendAuto, BackendSocket, BackendFentry, BackendKprobe, BackendSyscall}
	if slices.Contains(allowed, c.Backend) {
		return nil
	}
	return fmt.Errorf("backend: %q is not a backend; allowed: %s", c.Backend, list(allowed))
}

func (c *Config) validateDurations() error {
	var errs []error
	// Zero and less are refused by the controller's own validation.
	if c.CollectionInterval > 0 && c.CollectionInterval < minCollectionInterval {
		errs = append(errs, fmt.Errorf("collection_interval: %v is too short; allowed: %v or more",
			c.CollectionInterval, minCollectionInterval))
	}
	errs = append(errs,
		validateAge("idle_timeout", c.IdleTimeout),
		validateAge("watermark_max_age", c.WatermarkMaxAge))
	if c.IdleTimeout >= minAge && c.IdleTimeout < c.CollectionInterval {
		errs = append(errs, fmt.Errorf("idle_timeout: %v is less than collection_interval (%v), so that state would expire"+
			" unread; allowed: collection_interval or more", c.IdleTimeout, c.CollectionInterval))
	}
	if w := c.Watermarks.Get(); w != nil {
		errs = append(errs, w.validateAge(c.WatermarkMaxAge))
	}
	return errors.Join(errs...)
}

func validateAge(key string, age time.Duration) error {
	if age < minAge || age > maxAge {
		return fmt.Errorf("%s: %v is out of range; allowed: %v to %v", key, age, minAge, maxAge)
	}
	return nil
}

func (c *Config) validateProcPath() error {
	if !filepath.IsAbs(c.ProcPath) {
		return fmt.Errorf("proc_path: %q is not an absolute path; allowed: where the host's proc file system is mounted,"+
			" such as %s or /host/proc", c.ProcPath, defaultProcPath)
	}
	return nil
}

// list writes the allowed values of a key for a message.
func list[S ~string](values []S) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = string(v)
	}
	return strings.Join(quoted, ", ")
}
