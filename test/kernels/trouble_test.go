// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/process"
	"github.com/ebpfkafka/ebpfkafka/test/vm"
)

// TestTrouble: a machine in which something goes wrong does not look as if all were well.
func TestTrouble(t *testing.T) {
	all, err := parse(list)
	require.NoError(t, err)
	image, _, err := fetch(t.Context(), all[slices.IndexFunc(all, func(k kernel) bool { return k.arch == "amd64" })])
	require.NoError(t, err)
	binary := filepath.Join(t.TempDir(), "trouble")
	build := exec.Command("go", "build", "-o", binary, "./trouble")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	_, err = process.Run(t.Context(), "go build", build)
	require.NoError(t, err)
	boot := func(ctx context.Context, trouble string) (*vm.Result, error) {
		job := vm.Job{Binary: binary, Args: []string{trouble}, Memory: 256}
		return vm.Boot(ctx, vm.Kernel{Arch: "amd64", Image: image}, job)
	}
	for trouble, want := range map[string]vm.Result{
		"none":      {},
		"exit":      {ExitCode: 3},
		"signal":    {ExitCode: 128 + 9},
		"complaint": {Complaints: []string{"WARNING: this is a test"}},
	} {
		t.Run(trouble, func(t *testing.T) {
			r, err := boot(t.Context(), trouble)
			require.NoError(t, err)
			require.Equal(t, want.ExitCode, r.ExitCode)
			require.Equal(t, "trouble: "+trouble+"\n", r.Output)
			require.Len(t, r.Complaints, len(want.Complaints))
			for i := range want.Complaints {
				require.Contains(t, r.Complaints[i], want.Complaints[i])
			}
		})
	}
	t.Run("panic", func(t *testing.T) {
		_, err := boot(t.Context(), "panic")
		require.ErrorContains(t, err, "before its job had ended")
		require.ErrorContains(t, err, "Kernel panic - not syncing: sysrq triggered crash")
	})
	t.Run("hang", func(t *testing.T) {
		late := errors.New("too late")
		const enough = 30 * time.Second // to boot
		ctx, cancel := context.WithTimeoutCause(t.Context(), enough, late)
		defer cancel()
		_, err := boot(ctx, "hang")
		require.ErrorIs(t, err, late)
		require.ErrorContains(t, err, "trouble: hang")
	})
}
