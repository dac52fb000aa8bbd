// SPDX-License-Identifier: Apache-2.0

// Package namespaces tests, as root, that what a process does is put down to
// that process whichever pid, mount, network and cgroup namespaces it, or the
// collector, is in. Containers are made of what the kernel offers, namespaces
// and cgroups named as runtimes name them; no runtime is needed.
package namespaces
