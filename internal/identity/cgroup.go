// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"regexp"
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
	// containerUnit matches one element of a cgroup path that is a container:
	// the bare id (cgroupfs driver: docker, containerd, kubelet, ECS), or
	// "<runtime>-<id>.scope" (systemd driver: docker-, cri-containerd-, crio-,
	// libpod-, libpod-payload-, nerdctl-; CRI-O and podman leave out ".scope"
	// with cgroupfs). Any runtime will do: no other unit is named by 256 bits.
	containerUnit = regexp.MustCompile(`^(?:([a-z][a-z-]*)-)?([0-9a-f]{64})(?:\.scope)?$`)

	// fargateUnit is AWS Fargate's container id: task id and a number.
	fargateUnit = regexp.MustCompile(`^[0-9a-f]{32}-[0-9]+$`)

	// podUnit matches one element that is a pod: "pod<uid>" (cgroupfs driver) or
	// "kubepods-burstable-pod<uid>.slice" (systemd driver, dashes of the uid
	// written as underscores). A static pod's uid is a hash without dashes.
	podUnit = regexp.MustCompile(`(?:^|-)pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?$`)
)

// parseCgroup reads the contents of /proc/PID/cgroup (cgroups(7)), a line
// "hierarchy:controllers:path" for each hierarchy. Of several hierarchies (v1,
// or v1 and v2 together) the first that knows both container and pod counts,
// else the first that knows the container, else the first that knows anything.
func parseCgroup(b []byte) containment {
	var best containment
	for line := range strings.Lines(string(b)) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 {
			continue
		}
		if found := parseCgroupPath(parts[2]); found.rank() > best.rank() {
			best = found
		}
	}
	return best
}

// rank orders what several hierarchies say of the same process.
func (c containment) rank() int {
	rank := 0
	if c.containerID != "" {
		rank += 2
	}
	if c.podUID != "" {
		rank++
	}
	return rank
}

// parseCgroupPath reads one path from its end, so that of nested containers and
// pods (kind, k3d, docker in docker) the innermost count. Elements that are
// neither are passed over: what a container does below its own cgroup
// ("…/init.scope"), and "/../.." where the reader is in a cgroup namespace.
func parseCgroupPath(path string) containment {
	var c containment
	// cgroup v2 marks the path of a process whose cgroup was removed.
	elements := strings.Split(strings.TrimSuffix(path, " (deleted)"), "/")
	for i := len(elements) - 1; i >= 0; i-- {
		// containerd, when the kubelet's driver is systemd and its own is not,
		// makes "kubepods-pod<uid>.slice:cri-containerd:<id>" of runc's
		// "slice:prefix:name".
		units := strings.Split(elements[i], ":")
		if c.containerID == "" {
			var runtime string
			c.containerID, runtime = containerOf(units)
			if c.containerID != "" && (runtime == "cri-containerd" || runtime == "crio") {
				c.kubernetes = true
			}
		}
		if c.podUID == "" {
			c.podUID = podOf(units)
		}
	}
	c.kubernetes = c.kubernetes || c.podUID != ""
	return c
}

// containerOf gives the id of the container that an element is, and the name of
// the runtime if the element tells it. The monitor of a container
// ("crio-conmon-<id>.scope", "libpod-conmon-<id>.scope") is not in it.
func containerOf(units []string) (id, runtime string) {
	last := units[len(units)-1]
	if fargateUnit.MatchString(last) {
		return last, ""
	}
	match := containerUnit.FindStringSubmatch(last)
	if match == nil {
		return "", ""
	}
	runtime = match[1]
	if runtime == "" && len(units) > 1 {
		runtime = units[len(units)-2]
	}
	if runtime == "conmon" || strings.HasSuffix(runtime, "-conmon") {
		return "", ""
	}
	return strings.Clone(match[2]), runtime
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
