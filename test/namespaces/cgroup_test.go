// SPDX-License-Identifier: Apache-2.0

package namespaces

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

// newCgroup makes a cgroup by its path in the hierarchy of cgroup v2, and
// returns its folder. It is removed at the end of the test, as far as it was not
// there before.
func newCgroup(t *testing.T, path string) string {
	t.Helper()
	folder := cgroupRoot(t)
	var made []string
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience) // the test's has ended
		defer cancel()
		// A process that was killed leaves its cgroup some time later.
		require.NoError(t, wait.Until(ctx, func() error { return removeAll(made) }))
	})
	for _, element := range strings.Split(strings.Trim(path, "/"), "/") {
		folder = filepath.Join(folder, element)
		err := os.Mkdir(folder, 0o755)
		leftover := strings.Contains(element, containerID) || strings.Contains(element, outerID) // of a test that was killed
		if os.IsExist(err) && !leftover {
			continue
		}
		if !leftover {
			require.NoError(t, err, "needs root")
		}
		made = append(made, folder)
	}
	return folder
}

// cgroupRoot is where cgroup v2 is mounted, alone or beside v1.
func cgroupRoot(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if before, after, ok := strings.Cut(line, " - "); ok && strings.HasPrefix(after, "cgroup2 ") {
			return strings.Fields(before)[4] // proc_pid_mountinfo(5)
		}
	}
	// v1 alone: a mount of one's own shows the same hierarchy.
	folder := newFolder(t, "cgroup")
	require.NoError(t, unix.Mount("cgroup2", folder, "cgroup2", 0, ""), "this kernel has no cgroup v2")
	t.Cleanup(func() { require.NoError(t, unix.Unmount(folder, 0)) })
	return folder
}
