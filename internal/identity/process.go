// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"strconv"
	"strings"
)

// Process is what is known of one process. The zero value of a string means
// "not known". All strings are valid UTF-8.
type Process struct {
	// PID is the thread-group id in the pid namespace of the proc mount
	// (process.pid).
	PID uint32
	// StartTime is when the thread-group leader started, in nanoseconds of
	// CLOCK_BOOTTIME, as the caller of Resolve gave it. With PID it names the
	// process for as long as the host is up.
	StartTime uint64
	// Executable is the base name of the program file, or the kernel's comm
	// (cut after 15 bytes) where the file cannot be known
	// (process.executable.name).
	Executable string
	// ServiceName follows the rules of the package comment (service.name).
	ServiceName string
	// ServiceInstanceID is never empty, and different for two processes unless
	// both declare the same one (service.instance.id).
	ServiceInstanceID string
	// ContainerID is the full id, 64 hexadecimal digits save for AWS Fargate's
	// "<32 digits>-<number>" (container.id).
	ContainerID string
	// PodUID is the uid in the pod's cgroup (k8s.pod.uid). Of a static pod that
	// is the hash of its manifest, 32 digits without dashes, which the
	// Kubernetes API keeps in the annotation kubernetes.io/config.hash.
	PodUID string
	// Gone says that this process has ended. The rest is then what was learnt
	// while it lived.
	Gone bool
}

// shortContainerID is how many leading characters of a container's id go into
// an instance id: as many as docker, podman and crictl print.
const shortContainerID = 12

// instanceID makes a service.instance.id for a process that declares none. The
// package comment says why it looks as it does.
func instanceID(containerID, hostname string, pid uint32) string {
	where := hostname
	if containerID != "" {
		where = containerID[:min(shortContainerID, len(containerID))]
	}
	return where + ":" + strconv.FormatUint(uint64(pid), 10)
}

// validUTF8 replaces what is not UTF-8 by U+FFFD: file names, arguments and
// environments are bytes, attribute values of OTLP are text.
func validUTF8(s string) string {
	return strings.ToValidUTF8(s, "\uFFFD")
}
