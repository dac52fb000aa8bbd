// SPDX-License-Identifier: Apache-2.0

package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRunReturnsOutput(t *testing.T) {
	out, err := Run(t.Context(), "sh", exec.Command("sh", "-c", "echo one; echo two >&2"))
	require.NoError(t, err)
	require.Equal(t, "one\ntwo\n", out)
}

func TestRunFailureShowsOutput(t *testing.T) {
	_, err := Run(t.Context(), "sh", exec.Command("sh", "-c", "echo what went wrong; exit 3"))
	require.ErrorContains(t, err, "exit status 3")
	require.ErrorContains(t, err, "what went wrong")
}

func TestAwaitStopAndLog(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	p, err := Start("sh", log, exec.Command("sh", "-c", "echo pid $$; exec sleep 1000"))
	require.NoError(t, err)
	m, err := p.Await(t.Context(), regexp.MustCompile(`pid (\d+)`))
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(p.PID()), m[1])
	require.True(t, p.Running())
	require.NoError(t, p.Stop(10*time.Second))
	require.False(t, p.Running())
	require.NoError(t, p.Stop(0), "stopping twice is harmless")
	b, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Equal(t, p.Output(), string(b))
}

func TestStopKillsWhatIgnoresSIGTERM(t *testing.T) {
	p, err := Start("sh", "", exec.Command("sh", "-c", "trap '' TERM; echo ready; exec sleep 1000"))
	require.NoError(t, err)
	_, err = p.Await(t.Context(), regexp.MustCompile("ready"))
	require.NoError(t, err)
	require.NoError(t, p.Stop(50*time.Millisecond))
	require.False(t, p.Running())
}

func TestAwaitFailsWhenTheProgramEnds(t *testing.T) {
	p, err := Start("sh", "", exec.Command("sh", "-c", "echo bad option; exit 1"))
	require.NoError(t, err)
	_, err = p.Await(t.Context(), regexp.MustCompile("ready"))
	require.ErrorContains(t, err, "bad option")
}

func TestStartNamesTheMissingProgram(t *testing.T) {
	_, err := Start("nothing", "", exec.Command("/does/not/exist"))
	require.ErrorContains(t, err, "/does/not/exist")
}
