// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"regexp"
	"slices"
	"strings"
)

// maxCgroupBytes bounds /proc/PID/cgroup: cgroup v1 has a dozen hierarchies,
// each a line with a path of at most PATH_MAX (4 KiB).
const maxCgroupBytes = 64 << 10

// containment is what the cgroups of a process say of where it runs.
type containment struct {
	containerID string
	podUID      string
	// kubernetes is set by a pod's uid, and by the name of a runtime that only
	// the kubelet drives where the reader's cgroup namespace hides the pod.
	kubernetes bool
}

var (
	// containerUnit matches one element of a cgroup path that may be a container:
	// the bare id (cgroupfs driver: docker, containerd, kubelet, ECS), or
	// "<runtime>-<id>.scope" (systemd driver; CRI-O and podman leave out ".scope"
	// with cgroupfs).
	containerUnit = regexp.MustCompile(`^(?:([a-z][a-z-]*)-)?([0-9a-f]{64})(\.scope)?$`)

	// fargateUnit is AWS Fargate's container id: the task's id and a number. The
	// element before it is the task.
	fargateUnit = regexp.MustCompile(`^([0-9a-f]{32})-[0-9]+$`)

	// podUnit matches one element that is a pod: "pod<uid>" (cgroupfs driver) or
	// "kubepods-burstable-pod<uid>.slice" (systemd driver, dashes of the uid
	// written as underscores; kind has "kubelet-" before it). A static pod's uid is
	// a hash without dashes.
	podUnit = regexp.MustCompile(`^(?:pod|(?:[a-z0-9_]+-)*kubepods-(?:[a-z]+-)?pod)` +
		`([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?$`)
)

// runtimes are those that may stand before a container's id. A unit that
// somebody else names by 256 bits ("run-<hash>.scope" of systemd-run) is no
// container: no id is better than a wrong one. An id alone needs no name, as
// systemd makes no unit without a suffix.
var runtimes = []string{
	"docker", "nerdctl", "containerd", "cri-containerd", "crio", "libpod", "libpod-payload",
	// the OCI runtimes' own, where nothing above them has chosen a name
	"runc", "crun", "youki",
}

// parseCgroup reads the contents of /proc/PID/cgroup (cgroups(7)), a line
// "hierarchy:controllers:path" for each hierarchy. Several hierarchies (v1, or
// v1 and v2 together) need not agree: a runtime in a container does not know the
// controllers that are newer than itself, and leaves its containers in its own
// cgroup there. The first that says most counts.
func parseCgroup(b []byte) containment {
	var best containment
	var deepest int
	for line := range strings.Lines(string(b)) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 {
			continue
		}
		found, depth := parseCgroupPath(parts[2])
		if depth > deepest || depth == deepest && found.saysMore(best) {
			best, deepest = found, depth
		}
	}
	return best
}

// saysMore compares what two hierarchies say of the same container.
func (c containment) saysMore(than containment) bool {
	return than.podUID == "" && (c.podUID != "" || c.kubernetes && !than.kubernetes)
}

// parseCgroupPath reads one path from its end, so that of nested containers and
// pods the innermost count; depth is the number of containers. Elements that are
// neither are passed over: what a container does below its own cgroup
// ("…/init.scope"), and "/../.." where the reader is in a cgroup namespace.
func parseCgroupPath(path string) (c containment, depth int) {
	// cgroup v2 marks the path of a process whose cgroup was removed.
	elements := strings.Split(strings.TrimSuffix(path, " (deleted)"), "/")
	for i := len(elements) - 1; i >= 0; i-- {
		// containerd, when the kubelet's driver is systemd and its own is not,
		// makes "kubepods-pod<uid>.slice:cri-containerd:<id>" of runc's
		// "slice:prefix:name".
		units := strings.Split(elements[i], ":")
		id, runtime := containerOf(units, elements[max(i-1, 0)])
		if id != "" {
			depth++
		}
		if id != "" && depth == 1 {
			c.containerID = strings.Clone(id)
			c.kubernetes = runtime == "cri-containerd" || runtime == "crio"
		}
		if c.podUID == "" {
			c.podUID = podOf(units)
		}
	}
	c.kubernetes = c.kubernetes || c.podUID != ""
	return c, depth
}

// containerOf gives the id of the container that an element is, and the name of
// the runtime if the element tells it. The monitor of a container
// ("crio-conmon-<id>.scope", "libpod-conmon-<id>.scope") is not in it.
func containerOf(units []string, parent string) (id, runtime string) {
	last := units[len(units)-1]
	if match := fargateUnit.FindStringSubmatch(last); match != nil && match[1] == parent {
		return last, ""
	}
	match := containerUnit.FindStringSubmatch(last)
	if match == nil {
		return "", ""
	}
	id, runtime = match[2], match[1]
	bare := runtime == "" && match[3] == ""
	if len(units) > 1 && bare { // of runc's "slice:prefix:name" the prefix names the runtime
		bare, runtime = false, units[len(units)-2]
	}
	if !bare && !slices.Contains(runtimes, runtime) {
		return "", ""
	}
	return id, runtime
}

// podOf gives the uid of the pod that an element is, in the API's spelling.
func podOf(units []string) string {
	for _, unit := range units {
		if match := podUnit.FindStringSubmatch(unit); match != nil {
			return strings.ReplaceAll(strings.Clone(match[1]), "_", "-")
		}
	}
	return ""
}
