// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	maxPort = 1<<16 - 1
	// maxPID is PID_MAX_LIMIT of 64-bit kernels (include/linux/threads.h).
	maxPID = 1 << 22
	// maxPorts is how many the kernel side compares every new connection with: MAX_PORTS of bpf/config.h.
	maxPorts = 16
	// maxSelected bounds each list of processes: each is compared with every process that talks to Kafka.
	maxSelected = 1024
)

// DiscoveryConfig chooses the connections that are watched.
type DiscoveryConfig struct {
	// Ports are the brokers' TCP ports. If empty, Kafka is recognised by its protocol on any port.
	Ports []int `mapstructure:"ports"`
	// Include, if not empty, restricts watching to these processes.
	Include ProcessSelector `mapstructure:"include"`
	// Exclude takes processes away. It wins over Include.
	Exclude ProcessSelector `mapstructure:"exclude"`
	// Role restricts watching to one end: any, client or broker.
	Role Role `mapstructure:"role"`
}

// Validate reports every value that is not allowed.
func (d *DiscoveryConfig) Validate() error {
	var errs []error
	errs = append(errs, validateCount("ports", len(d.Ports), maxPorts))
	for _, port := range d.Ports {
		if port < 1 || port > maxPort {
			errs = append(errs, fmt.Errorf("ports: %d is not a TCP port; allowed: 1 to %d", port, maxPort))
		}
	}
	if allowed := []Role{RoleAny, RoleClient, RoleBroker}; !slices.Contains(allowed, d.Role) {
		errs = append(errs, fmt.Errorf("role: %q is not a role; allowed: %s", d.Role, list(allowed)))
	}
	return errors.Join(errs...)
}

// ProcessSelector names processes. A process is selected if any of the lists names it.
type ProcessSelector struct {
	// Executables are names of executable files without their folder, such as java.
	Executables []string `mapstructure:"executables"`
	// PIDs are process ids in the namespace of the host.
	PIDs []int `mapstructure:"pids"`
	// Cgroups are paths below the root of the cgroup file system, such as /system.slice/kafka.service. A path stands
	// for everything below it too.
	Cgroups []string `mapstructure:"cgroups"`
}

// Empty reports whether the selector names nothing.
func (s *ProcessSelector) Empty() bool {
	return len(s.Executables) == 0 && len(s.PIDs) == 0 && len(s.Cgroups) == 0
}

// Validate reports every value that is not allowed.
func (s *ProcessSelector) Validate() error {
	errs := []error{
		validateCount("executables", len(s.Executables), maxSelected),
		validateCount("pids", len(s.PIDs), maxSelected),
		validateCount("cgroups", len(s.Cgroups), maxSelected),
	}
	for _, name := range s.Executables {
		if name == "" || strings.ContainsAny(name, "/\x00") {
			errs = append(errs, fmt.Errorf("executables: %q is not a file name; allowed: the name of an executable without"+
				" its folder, such as java", name))
		}
	}
	for _, pid := range s.PIDs {
		if pid < 1 || pid > maxPID {
			errs = append(errs, fmt.Errorf("pids: %d is not a process id; allowed: 1 to %d", pid, maxPID))
		}
	}
	for _, path := range s.Cgroups {
		if !strings.HasPrefix(path, "/") || strings.Contains(path, "\x00") {
			errs = append(errs, fmt.Errorf("cgroups: %q is not a cgroup path; allowed: a path from the root of the cgroup"+
				" file system, such as /system.slice/kafka.service", path))
		}
	}
	return errors.Join(errs...)
}

func validateCount(key string, count, most int) error {
	if count > most {
		return fmt.Errorf("%s: %d entries are too many; allowed: up to %d", key, count, most)
	}
	return nil
}
