// SPDX-License-Identifier: Apache-2.0

package namespaces

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

const (
	// patience bounds whatever should be quick but may not be on a busy machine.
	patience = time.Minute
	// caseTimeout bounds one test.
	caseTimeout = 5 * time.Minute
)

const (
	containerID = "3d1c5b7a90e2f48613a5c7e9b0d2f4168a9c0e1b3d5f7092b4d6e8fa1c3e5f70"
	outerID     = "b07d5e3a1c9f8264e0a2c4d6f8193b5d7f9e1c3a5b70d2f4e6a8c0b2d4f61835"
	podUID      = "5f0c1e2d-7a3b-4c9d-8e6f-1a2b3c4d5e6f"
	podUnits    = "5f0c1e2d_7a3b_4c9d_8e6f_1a2b3c4d5e6f" // as systemd's units have it
	podSlice    = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + podUnits + ".slice"
)

// An identity is what the labels of a process's series have to say; the empty
// string: no such label.
type identity struct{ pid, executable, service, container, pod string }

func identityOf(s collector.Sample) identity {
	l := s.Labels
	return identity{l["process_pid"], l["process_executable_name"], l["service_name"], l["container_id"], l["k8s_pod_uid"]}
}

// whole is the identity of a world's consumer that can be looked up.
func (w *world) whole(container, pod string) identity {
	return identity{strconv.Itoa(w.pid), programName, servicePrefix + w.name, container, pod}
}

// check compares what is published of a world with what its broker has
// acknowledged.
func (w *world) check(samples collector.Samples, committed map[string]int64, want identity) error {
	var errs []error
	ours := samples.With("kafka_cluster_id", w.name)
	for _, metric := range []string{"kafka_consumer_offset", "kafka_consumer_group_offset"} {
		series := ours.Named(metric)
		if len(series) != len(committed) {
			errs = append(errs, fmt.Errorf("%d series of %s in %s, not %d: %v", len(series), metric, w.name, len(committed), series))
		}
		for _, s := range series {
			if s.Value != float64(committed[s.Labels["partition"]]) || s.Labels["group"] != group || s.Labels["topic"] != topic {
				errs = append(errs, fmt.Errorf("%v, but the broker has %v", s, committed))
			}
			if got := identityOf(s); metric == "kafka_consumer_offset" && got != want {
				errs = append(errs, fmt.Errorf("it is the process %+v, not %+v", got, want))
			}
		}
	}
	return errors.Join(errs...)
}

// requirePublished has every world commit, twice, and awaits that it is
// published as theirs.
func requirePublished(ctx context.Context, t *testing.T, c *collector.Collector, want map[*world]identity) {
	t.Helper()
	for range 2 {
		committed := map[*world]map[string]int64{}
		for w := range want {
			committed[w] = w.commit(ctx, t)
		}
		patient, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		require.NoError(t, wait.Until(patient, func() error {
			samples, err := c.Metrics(ctx)
			for w, identity := range want {
				err = errors.Join(err, w.check(samples, committed[w], identity))
			}
			return err
		}), c.Log())
	}
}

func startCollector(ctx context.Context, t *testing.T, p place, set ...string) *collector.Collector {
	t.Helper()
	c, err := collector.Start(ctx, collector.Options{Dir: t.TempDir(), Wrap: p.wrap, Set: set})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Stop()) })
	return c
}

// TestContainers: one collector on the host, and containers whose pids,
// addresses, groups and topics are all the same.
func TestContainers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), caseTimeout)
	defer cancel()
	c := startCollector(ctx, t, place{})
	want := map[*world]identity{}
	for name, test := range map[string]struct{ cgroup, container, pod string }{
		"none":       {"", "", ""},
		"service":    {"/system.slice/kafka-orders.service", "", ""},
		"hash":       {"/system.slice/run-" + outerID + ".scope", "", ""},
		"docker":     {"/system.slice/docker-" + containerID + ".scope", containerID, ""},
		"podman":     {"/machine.slice/libpod-" + containerID + ".scope/container", containerID, ""},
		"kubernetes": {podSlice + "/cri-containerd-" + containerID + ".scope", containerID, podUID},
		"kind": {"/docker/" + outerID + "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" + podUnits +
			".slice/cri-containerd-" + containerID + ".scope", containerID, podUID},
	} {
		p := place{ownPIDs: true, ownNetwork: true}
		if test.cgroup != "" {
			p.cgroup = newCgroup(t, test.cgroup)
		}
		w := newWorld(ctx, t, name, p)
		want[w] = w.whole(test.container, test.pod)
	}
	requirePublished(ctx, t, c, want)
}

// TestCollectorInContainer: the collector sees other processes through the
// host's /proc, from its own pid, mount and cgroup namespaces. Its cgroup
// namespace hides what lies above itself: its own pod's uid.
func TestCollectorInContainer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), caseTimeout)
	defer cancel()
	const other = "1a2b3c4d-0000-4c9d-8e6f-5f0c1e2d7a3b"
	hostProc := newFolder(t, "proc")
	c := startCollector(ctx, t, place{
		ownPIDs: true, hostProc: hostProc,
		cgroup: newCgroup(t, podSlice+"/cri-containerd-"+outerID+".scope"),
	}, "receivers::ebpf_kafka::proc_path: "+hostProc)
	sidecar := newWorld(ctx, t, "sidecar", place{ownPIDs: true, ownNetwork: true,
		cgroup: newCgroup(t, podSlice+"/cri-containerd-"+containerID+".scope")})
	pod := newWorld(ctx, t, "pod", place{ownPIDs: true, ownNetwork: true,
		cgroup: newCgroup(t, "/kubepods.slice/kubepods-pod"+strings.ReplaceAll(other, "-", "_")+".slice/crio-"+containerID+".scope")})
	host := newWorld(ctx, t, "host", place{ownNetwork: true})
	requirePublished(ctx, t, c, map[*world]identity{
		sidecar: sidecar.whole(containerID, ""),
		pod:     pod.whole(containerID, other),
		host:    host.whole("", ""),
	})
	require.NotContains(t, c.Log(), foreignProc)
}

// foreignProc is what the receiver says of a /proc that is not the host's.
const foreignProc = "the pids of this proc mount are not the host's"

// TestCollectorWithoutHostPIDs: where the collector's /proc shows its own
// container, pids of the host say nothing there. Values and pids are published,
// and of the process no more than what the kernel says.
func TestCollectorWithoutHostPIDs(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), caseTimeout)
	defer cancel()
	for name, hidden := range map[string]struct{ place place }{
		"own /proc":     {place{ownPIDs: true}},
		"another's pod": {place{ownPIDs: true, cgroup: newCgroup(t, podSlice+"/cri-containerd-"+outerID+".scope")}},
	} {
		t.Run(name, func(t *testing.T) {
			c := startCollector(ctx, t, hidden.place)
			w := newWorld(ctx, t, "outside", place{ownNetwork: true})
			const commBytes = 15 // TASK_COMM_LEN without its end
			requirePublished(ctx, t, c, map[*world]identity{
				w: {pid: strconv.Itoa(w.pid), executable: programName[:commBytes]},
			})
			require.Equal(t, 1, strings.Count(c.Log(), foreignProc), "one warning in:\n%s", c.Log())
		})
	}
}

// TestSelectionWithoutHostPIDs: what cannot be looked up is refused, not guessed.
func TestSelectionWithoutHostPIDs(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), caseTimeout)
	defer cancel()
	_, err := collector.Start(ctx, collector.Options{
		Dir: filepath.Join(t.TempDir(), "collector"), Wrap: place{ownPIDs: true}.wrap,
		Set: []string{"receivers::ebpf_kafka::discovery::include::cgroups: [/system.slice]"},
	})
	require.ErrorContains(t, err, foreignProc)
	require.ErrorContains(t, err, "proc_path")
}
