// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"regexp"
	"strings"
	"testing"
)

const (
	outerID   = "1f3a8e0c5b7d9264a1e3f5c7092b4d6e8fa0c2e4168b3d5f7a9c0e2b4d6f8a1c"
	innerID   = "9e4c0b7a52d84f1e6c3a90b8d7f5e2146a8c0d3b5e7f9124c6a8b0d2e4f60718"
	podUID    = "74c13223-5a00-11e9-b385-42010a80018d"
	podUnits  = "74c13223_5a00_11e9_b385_42010a80018d" // as systemd units have it
	outerPod  = "0e1f4b5a-93c2-4d7e-8a6b-1c2d3e4f5a6b"
	staticUID = "d0a3c1e5f7b92468ace013579bdf2468"
	ecsTask   = "cd189a933e5849daa93386466019ab50"
)

func TestParseCgroup(t *testing.T) {
	tests := map[string]struct {
		cgroup string
		want   containment
	}{
		"empty": {"", containment{}},
		"systemd service, v2": {
			"0::/system.slice/kafka.service\n",
			containment{},
		},
		"login session, v2": {
			"0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.slice/vte-spawn-6a4e3a0c-9c0e-4f0e-9d2c-6b1f0f6f5d3e.scope\n",
			containment{},
		},
		"host, v1 and v2": {
			"12:pids:/user.slice/user-0.slice/session-3.scope\n11:cpuset:/\n1:name=systemd:/user.slice/user-0.slice/session-3.scope\n0::/user.slice/user-0.slice/session-3.scope\n",
			containment{},
		},
		"docker, cgroupfs, v1": {
			"12:rdma:/\n11:devices:/docker/" + innerID + "\n10:cpu,cpuacct:/docker/" + innerID + "\n1:name=systemd:/docker/" + innerID + "\n0::/system.slice/containerd.service\n",
			containment{containerID: innerID},
		},
		"docker, cgroupfs, v2": {
			"0::/docker/" + innerID + "\n",
			containment{containerID: innerID},
		},
		"docker, systemd, v1": {
			"11:memory:/system.slice/docker-" + innerID + ".scope\n1:name=systemd:/system.slice/docker-" + innerID + ".scope\n",
			containment{containerID: innerID},
		},
		"docker, systemd, v2": {
			"0::/system.slice/docker-" + innerID + ".scope\n",
			containment{containerID: innerID},
		},
		"docker, rootless": {
			"0::/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" + innerID + ".scope\n",
			containment{containerID: innerID},
		},
		"docker, id at the root": {
			"4:cpuset:/" + innerID + "\n",
			containment{containerID: innerID},
		},
		"systemd in docker": {
			"0::/docker/" + innerID + "/system.slice/kafka.service\n",
			containment{containerID: innerID},
		},
		"docker in docker": {
			"0::/docker/" + outerID + "/docker/" + innerID + "\n",
			containment{containerID: innerID},
		},
		"removed cgroup": {
			"0::/system.slice/docker-" + innerID + ".scope (deleted)\n",
			containment{containerID: innerID},
		},
		"docker's own unit named like one": {
			"0::/system.slice/docker-" + innerID[:12] + ".scope\n",
			containment{},
		},
		"nerdctl, systemd": {
			"0::/system.slice/nerdctl-" + innerID + ".scope\n",
			containment{containerID: innerID},
		},
		"nerdctl, cgroupfs": {
			"0::/default/" + innerID + "\n",
			containment{containerID: innerID},
		},
		"podman": {
			"0::/machine.slice/libpod-" + innerID + ".scope/container\n",
			containment{containerID: innerID},
		},
		"podman, systemd in it": {
			"0::/machine.slice/libpod-" + innerID + ".scope/container/system.slice/kafka.service\n",
			containment{containerID: innerID},
		},
		"podman, rootless": {
			"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + innerID + ".scope\n",
			containment{containerID: innerID},
		},
		"podman, cgroupfs": {
			"0::/libpod_parent/libpod-" + innerID + "\n",
			containment{containerID: innerID},
		},
		"podman, split cgroups": {
			"0::/system.slice/kafka.service/libpod-payload-" + innerID + "\n",
			containment{containerID: innerID},
		},
		"podman pod": {
			"0::/machine.slice/machine-libpod_pod_" + outerID + ".slice/libpod-" + innerID + ".scope/container\n",
			containment{containerID: innerID},
		},
		"podman pod, no container": {
			"0::/machine.slice/machine-libpod_pod_" + outerID + ".slice\n",
			containment{},
		},
		"podman's monitor": {
			"0::/machine.slice/libpod-conmon-" + innerID + ".scope\n",
			containment{},
		},
		"lxc": {
			"0::/lxc.payload.web/system.slice/kafka.service\n",
			containment{},
		},
		"lxc's monitor": {
			"0::/lxc.monitor.web\n",
			containment{},
		},
		"systemd-nspawn": {
			"0::/machine.slice/machine-debian.scope/payload/system.slice/kafka.service\n",
			containment{},
		},
		"kubelet cgroupfs, containerd, burstable, v1": {
			"11:devices:/kubepods/burstable/pod" + podUID + "/" + innerID + "\n1:name=systemd:/kubepods/burstable/pod" + podUID + "/" + innerID + "\n",
			containment{innerID, podUID, true},
		},
		"kubelet cgroupfs, guaranteed": {
			"0::/kubepods/pod" + podUID + "/" + innerID + "\n",
			containment{innerID, podUID, true},
		},
		"kubelet systemd, containerd, burstable": {
			"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + podUnits + ".slice/cri-containerd-" + innerID + ".scope\n",
			containment{innerID, podUID, true},
		},
		"kubelet systemd, containerd, guaranteed": {
			"0::/kubepods.slice/kubepods-pod" + podUnits + ".slice/cri-containerd-" + innerID + ".scope\n",
			containment{innerID, podUID, true},
		},
		"kubelet systemd, docker, besteffort, v1": {
			"9:cpu,cpuacct:/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + podUnits + ".slice/docker-" + innerID + ".scope\n",
			containment{innerID, podUID, true},
		},
		"EKS, Amazon Linux 2": {
			"11:pids:/kubepods/besteffort/pod" + podUID + "/" + innerID + "\n1:name=systemd:/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + podUnits + ".slice/" + innerID + "\n",
			containment{innerID, podUID, true},
		},
		"EKS, Bottlerocket": {
			"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + podUnits + ".slice/cri-containerd-" + innerID + ".scope/runtime\n",
			containment{innerID, podUID, true},
		},
		"containerd and kubelet of different drivers": {
			"0::/system.slice/containerd.service/kubepods-burstable-pod" + podUnits + ".slice:cri-containerd:" + innerID + "\n",
			containment{innerID, podUID, true},
		},
		"CRI-O, systemd": {
			"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + podUnits + ".slice/crio-" + innerID + ".scope\n",
			containment{innerID, podUID, true},
		},
		"CRI-O, crun's cgroup": {
			"0::/kubepods.slice/kubepods-pod" + podUnits + ".slice/crio-" + innerID + ".scope/container\n",
			containment{innerID, podUID, true},
		},
		"CRI-O, cgroupfs": {
			"0::/kubepods/besteffort/pod" + podUID + "/crio-" + innerID + "\n",
			containment{innerID, podUID, true},
		},
		"CRI-O's monitor is not in the container": {
			"0::/kubepods.slice/kubepods-pod" + podUnits + ".slice/crio-conmon-" + innerID + ".scope\n",
			containment{"", podUID, true},
		},
		"k3s": {
			"0::/kubepods/burstable/pod" + podUID + "/" + innerID + "\n",
			containment{innerID, podUID, true},
		},
		"k3s, below its service": {
			"0::/system.slice/k3s.service/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + podUnits + ".slice/cri-containerd-" + innerID + ".scope\n",
			containment{innerID, podUID, true},
		},
		"kind, v1": {
			"12:memory:/docker/" + outerID + "/kubelet/kubepods/besteffort/pod" + podUID + "/" + innerID + "\n1:name=systemd:/docker/" + outerID + "/kubelet/kubepods/besteffort/pod" + podUID + "/" + innerID + "\n",
			containment{innerID, podUID, true},
		},
		"kind, v2": {
			"0::/system.slice/docker-" + outerID + ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod" + podUnits + ".slice/cri-containerd-" + innerID + ".scope\n",
			containment{innerID, podUID, true},
		},
		"kind, the node's kubelet": {
			"0::/system.slice/docker-" + outerID + ".scope/kubelet.slice/kubelet.service\n",
			containment{containerID: outerID},
		},
		"pod in a pod": {
			"0::/kubepods/pod" + outerPod + "/" + outerID + "/kubepods/burstable/pod" + podUID + "/" + innerID + "\n",
			containment{innerID, podUID, true},
		},
		"docker in a pod": {
			"0::/kubepods/burstable/pod" + podUID + "/" + outerID + "/docker/" + innerID + "\n",
			containment{innerID, podUID, true},
		},
		"static pod, cgroupfs": {
			"0::/kubepods/burstable/pod" + staticUID + "/" + innerID + "\n",
			containment{innerID, staticUID, true},
		},
		"static pod, systemd": {
			"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + staticUID + ".slice/cri-containerd-" + innerID + ".scope\n",
			containment{innerID, staticUID, true},
		},
		"pod without a container": {
			"0::/kubepods.slice/kubepods-pod" + podUnits + ".slice\n",
			containment{"", podUID, true},
		},
		"other pod, seen from a cgroup namespace": {
			"0::/../../kubepods-besteffort.slice/kubepods-besteffort-pod" + podUnits + ".slice/cri-containerd-" + innerID + ".scope\n",
			containment{innerID, podUID, true},
		},
		"own pod, seen from a cgroup namespace": {
			"0::/../cri-containerd-" + innerID + ".scope\n",
			containment{innerID, "", true},
		},
		"host service, seen from a cgroup namespace": {
			"0::/../../../../system.slice/kafka.service\n",
			containment{},
		},
		"own cgroup, seen from a cgroup namespace": {
			"0::/\n",
			containment{},
		},
		"ECS on EC2": {
			"9:perf_event:/ecs/" + ecsTask + "/" + innerID + "\n0::/\n",
			containment{containerID: innerID},
		},
		"ECS on EC2, v2": {
			"0::/ecstasks.slice/ecstasks-" + ecsTask + ".slice/docker-" + innerID + ".scope\n",
			containment{containerID: innerID},
		},
		"ECS on Fargate": {
			"11:hugetlb:/ecs/" + ecsTask + "/" + ecsTask + "-2495160603\n",
			containment{containerID: ecsTask + "-2495160603"},
		},
		"the hierarchy that knows most": {
			"12:cpu:/docker/" + outerID + "\n11:memory:/kubepods/pod" + podUID + "/" + innerID + "\n",
			containment{innerID, podUID, true},
		},
		"garbage": {
			"::\n:\nkubepods\n0:/docker/" + innerID + "\n",
			containment{},
		},
		"no newline at the end": {
			"0::/docker/" + innerID,
			containment{containerID: innerID},
		},
		"upper case is no id": {
			"0::/docker/" + strings.ToUpper(innerID) + "\n",
			containment{},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := parseCgroup([]byte(test.cgroup)); got != test.want {
				t.Errorf("got  %+v\nwant %+v\nof %s", got, test.want, test.cgroup)
			}
		})
	}
}

func FuzzParseCgroup(f *testing.F) {
	f.Add("0::/kubepods/burstable/pod"+podUID+"/"+innerID+"\n", "/docker/"+outerID)
	f.Add("12:cpu:/a:b:c\n1:name=systemd:/x.slice:cri-containerd:"+innerID, "/../..")
	f.Add("0::/kubepods-pod"+podUnits+".slice/crio-conmon-"+innerID+".scope (deleted)", "")
	container := regexp.MustCompile(`^([0-9a-f]{64}|[0-9a-f]{32}-[0-9]+)?$`)
	pod := regexp.MustCompile(`^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32})?$`)
	f.Fuzz(func(t *testing.T, raw, prefix string) {
		got := parseCgroup([]byte(raw))
		if !container.MatchString(got.containerID) || !pod.MatchString(got.podUID) {
			t.Errorf("got %+v of %q", got, raw)
		}
		if !strings.Contains(raw, got.containerID) {
			t.Errorf("container id %s is not in %q", got.containerID, raw)
		}
		if got.podUID != "" && !got.kubernetes {
			t.Errorf("a pod outside Kubernetes: %+v", got)
		}
		// Whatever stands before it, the innermost container is found.
		prefix = strings.ReplaceAll(prefix, "\n", "")
		line := "0::" + prefix + "/kubepods-pod" + podUnits + ".slice/cri-containerd-" + innerID + ".scope\n"
		if got, want := parseCgroup([]byte(line)), (containment{innerID, podUID, true}); got != want {
			t.Errorf("got %+v of %q", got, line)
		}
	})
}
