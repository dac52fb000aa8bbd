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
		"ECS on Fargate, task alone": {
			"11:hugetlb:/ecs/" + ecsTask + "\n",
			containment{},
		},
		"like Fargate's, elsewhere": {
			"0::/jobs/" + ecsTask + "-2495160603\n",
			containment{},
		},
		"32 hexadecimal digits are no container": {
			"4:memory:/process_api/" + ecsTask + "\n0::/\n",
			containment{},
		},
		"a scope of systemd-run, named by a hash": {
			"0::/system.slice/run-" + innerID + ".scope\n",
			containment{},
		},
		"a scope that is a hash": {
			"0::/user.slice/user-1000.slice/user@1000.service/app.slice/" + innerID + ".scope\n",
			containment{},
		},
		"a service that is a hash": {
			"0::/system.slice/" + innerID + ".service\n",
			containment{},
		},
		"a service's name ends in a hash": {
			"0::/system.slice/docker-" + innerID + ".service\n",
			containment{},
		},
		"an instance that is a hash": {
			"0::/system.slice/system-worker.slice/worker@" + innerID + ".service\n",
			containment{},
		},
		"a template's slice with a uid": {
			"0::/system.slice/shop-pod" + podUnits + ".slice/orders.service\n",
			containment{},
		},
		"a colon in a name": {
			"0::/system.slice/job:" + innerID + "\n",
			containment{},
		},
		"63 digits": {
			"0::/docker/" + innerID[1:] + "\n",
			containment{},
		},
		"hybrid: v2 for systemd alone": {
			"11:cpuset:/docker/" + innerID + "\n1:name=systemd:/docker/" + innerID + "\n0::/\n",
			containment{containerID: innerID},
		},
		"hybrid: v1 for one controller alone": {
			"1:net_cls:/\n0::/kubepods.slice/kubepods-pod" + podUnits + ".slice/cri-containerd-" + innerID + ".scope\n",
			containment{innerID, podUID, true},
		},
		"docker in docker, a controller that the inner one does not know": {
			"13:misc:/docker/" + outerID + "\n12:cpu:/docker/" + outerID + "/docker/" + innerID + "\n",
			containment{containerID: innerID},
		},
		"docker in a pod, a controller that docker does not know": {
			"13:misc:/kubepods/pod" + podUID + "/" + outerID + "\n12:cpu:/kubepods/pod" + podUID + "/" + outerID + "/docker/" + innerID + "\n",
			containment{innerID, podUID, true},
		},
		"kind in a pod": {
			"0::/kubepods.slice/kubepods-pod" + strings.ReplaceAll(outerPod, "-", "_") + ".slice/cri-containerd-" + outerID + ".scope/docker/" + ecsTask + ecsTask +
				"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" + podUnits + ".slice/cri-containerd-" + innerID + ".scope\n",
			containment{innerID, podUID, true},
		},
		"k3d": {
			"0::/system.slice/docker-" + outerID + ".scope/kubepods/besteffort/pod" + podUID + "/" + innerID + "\n",
			containment{innerID, podUID, true},
		},
		"rootless kind": {
			"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + outerID + ".scope/container/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod" + podUnits + ".slice/cri-containerd-" + innerID + ".scope\n",
			containment{innerID, podUID, true},
		},
		"docker in LXD": {
			"0::/lxc.payload.web/system.slice/docker-" + innerID + ".scope\n",
			containment{containerID: innerID},
		},
		"podman, rootless, cgroupfs": {
			"0::/user.slice/user-1000.slice/user@1000.service/libpod_parent/libpod-" + innerID + "/container\n",
			containment{containerID: innerID},
		},
		"podman, rootless on v1: the session's cgroup": {
			"9:pids:/user.slice/user-1000.slice/session-2.scope\n1:name=systemd:/user.slice/user-1000.slice/session-2.scope\n0::/user.slice/user-1000.slice/session-2.scope\n",
			containment{},
		},
		"quadlet": {
			"0::/user.slice/user-1000.slice/user@1000.service/app.slice/kafka.service/libpod-payload-" + innerID + "\n",
			containment{containerID: innerID},
		},
		"quadlet, podman's own processes": {
			"0::/system.slice/kafka.service/runtime\n",
			containment{},
		},
		"cri-dockerd": {
			"0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + podUnits + ".slice/docker-" + innerID + ".scope\n",
			containment{innerID, podUID, true},
		},
		"kubelet systemd, crun, guaranteed": {
			"0::/kubepods.slice/kubepods-pod" + podUnits + ".slice/crio-" + innerID + ".scope/container/init.scope\n",
			containment{innerID, podUID, true},
		},
		"MicroK8s": {
			"0::/kubepods/besteffort/pod" + podUID + "/" + innerID + "\n",
			containment{innerID, podUID, true},
		},
		"the kubelet itself": {
			"0::/system.slice/kubelet.service\n",
			containment{},
		},
		"containerd and its shims": {
			"0::/system.slice/containerd.service\n",
			containment{},
		},
		"runc alone": {
			"0::/system.slice/runc-" + innerID + ".scope\n",
			containment{containerID: innerID},
		},
		"ctr": {
			"0::/default/" + innerID + "\n",
			containment{containerID: innerID},
		},
		"ctr, systemd, with containerd's own driver": {
			"0::/system.slice/containerd.service/system.slice:containerd:" + innerID + "\n",
			containment{containerID: innerID},
		},
		"buildkit": {
			"0::/system.slice/docker.service/buildkit/p0kt4qmt1lmy2y6rd9qgh8sxa\n",
			containment{},
		},
		"buildkit in docker": {
			"0::/docker/" + innerID + "/buildkit/p0kt4qmt1lmy2y6rd9qgh8sxa\n",
			containment{containerID: innerID},
		},
		"docker's --cgroup-parent": {
			"0::/actions_job/" + innerID + "\n",
			containment{containerID: innerID},
		},
		"garden": {
			"11:memory:/system.slice/garden.service/garden/5c7e1f0a-9d6b-4b5e-6a1c-0f7b/init\n",
			containment{},
		},
		"Nomad": {
			"0::/nomad.slice/share.slice/" + podUID + ".orders.scope\n",
			containment{},
		},
		"Slurm": {
			"0::/system.slice/slurmstepd.scope/job_4711/step_0/user/task_0\n",
			containment{},
		},
		"Mesos": {
			"3:cpu:/mesos/" + podUID + "\n",
			containment{},
		},
		"snap": {
			"0::/user.slice/user-1000.slice/user@1000.service/app.slice/snap.kafka.broker-" + podUID + ".scope\n",
			containment{},
		},
		"nspawn, a service of the host": {
			"0::/machine.slice/systemd-nspawn@debian.service/payload/init.scope\n",
			containment{},
		},
		"lxc, v1": {
			"5:cpuset:/lxc/web\n1:name=systemd:/lxc/web/init.scope\n",
			containment{},
		},
		"other container, seen from docker's cgroup namespace": {
			"0::/../docker-" + innerID + ".scope\n",
			containment{containerID: innerID},
		},
		"other container, seen from a cgroup namespace, cgroupfs": {
			"0::/../" + innerID + "\n",
			containment{containerID: innerID},
		},
		"pod of another class, seen from a cgroup namespace": {
			"0::/../../../burstable/pod" + podUID + "/" + innerID + "\n",
			containment{innerID, podUID, true},
		},
		"guaranteed pod, seen from a burstable one's cgroup namespace": {
			"0::/../../../kubepods-pod" + podUnits + ".slice/crio-" + innerID + ".scope\n",
			containment{innerID, podUID, true},
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
