// SPDX-License-Identifier: Apache-2.0

// Package identity tells what a process is: its executable, its service.name
// and service.instance.id, its container and its Kubernetes pod. All of it is
// read from a proc file system; nothing is asked of a container runtime or of
// the Kubernetes API, so it needs no socket, no credentials and no network.
//
// # What needs which privilege
//
// /proc/PID/stat, cgroup and cmdline are readable by everybody (unless the
// mount says hidepid). The exe link of another user's process needs
// CAP_SYS_PTRACE, its environ CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH. Without
// them the executable is the kernel's 15-byte comm and nothing that the process
// declares in OTEL_* variables is known; nothing fails.
//
// # service.name
//
// The first rule that applies:
//
//  1. OTEL_SERVICE_NAME of the process's environment;
//  2. service.name in its OTEL_RESOURCE_ATTRIBUTES;
//  3. in a Kubernetes pod: nothing. The collector's k8sattributes processor
//     knows the workload's name, and never overwrites a name that is there;
//  4. for an interpreter, whose own name says nothing, the program it runs (see
//     below), as far as the command line names it;
//  5. the executable's name.
//
// Rule 4 takes one word of the command line and never an argument of the
// program:
//
//   - java: base name of the -jar file without ".jar" (as OpenTelemetry's
//     JarServiceNameDetector for Java has it), else the main class with its
//     package, else of "-m module/class" the class or the module. Nothing when
//     an @argument-file stands before it.
//   - python, pypy: the module of -m, else the script's base name without its
//     extension. Nothing for -c and standard input.
//   - node, ruby: the script's base name without its extension. Nothing for -e
//     and standard input.
//   - dotnet: base name of the application's .dll, without ".dll".
//
// # service.instance.id
//
// The semantic conventions ask for an id that is unique among the instances of
// one service.namespace and service.name. Several processes may share a
// container, and a pre-fork server's children share everything but the pid, so
// the pid is always part of it: "<first 12 digits of the container id>:<pid>",
// or "<host name>:<pid>" outside containers. The pid is unique on the host, the
// first part only has to tell hosts apart: twelve digits, those that `docker
// ps` prints, are 48 bits. service.instance.id in OTEL_RESOURCE_ATTRIBUTES
// wins; as it is inherited by children, it is up to who sets it that it is
// unique, as it is for the process's own SDK.
//
// # container.id and k8s.pod.uid
//
// Both come from the cgroup path: docker, containerd, CRI-O, podman, their
// rootless kinds, ECS and Fargate; the kubelet's cgroups of every QoS class with
// both drivers; v1, v2 and hybrid. An id is only taken from what such a runtime
// makes: a unit that systemd or somebody else names by a hash is none. Runtimes
// whose containers have no such id (LXC, systemd-nspawn, garden, buildkit,
// Nomad) give none.
//
// Of nested containers (docker in docker, kind) the innermost counts. It is the
// one whose image the process runs and whose id the process's own SDK reads off
// its cgroup, so that both name the same resource; the semantic conventions
// speak of the container of the process and know no other. The runtime that runs
// on this host itself knows the outermost: of kind's pods it knows the node. Pod
// and container are told apart: in docker in a pod they are the pod, and docker's
// container within it. So a pod is found by its uid and not by container.id.
//
// # Pid namespaces
//
// The kernel reports pids of the host's pid namespace, whichever namespace the
// process is in. CheckNamespace compares them with the proc mount, and without
// the host's Resolve reads nothing.
//
// # Limits of what can be known
//
// The pid must be that of the proc mount's pid namespace: a collector in a
// container needs the host's /proc mounted (and Options.ProcRoot set to it). The
// start time must be that of the reader's time namespace: with an offset of its
// own it finds every process gone. In a cgroup namespace of its own the reader
// sees paths relative to its own cgroup ("/../../kubepods-pod….slice/…"): other
// pods are seen, its own pod's uid and its own container's id are hidden. Under
// hidepid a process that may not be seen cannot be told from one that has ended.
package identity
