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
// # Limits of what can be known
//
// The pid and the start time must be those that the proc mount's pid namespace
// and the reader's time namespace show: a collector in a container needs the
// host's /proc mounted (and Options.ProcRoot set to it), and finds every
// process gone when it has a time namespace with an offset of its own. In a
// cgroup namespace of its own the reader sees paths relative to its own cgroup
// ("/../../kubepods-pod….slice/…"): other pods are seen, its own pod's uid and
// its own container's id are hidden. Under hidepid a process that may not be
// seen cannot be told from one that has ended.
package identity
