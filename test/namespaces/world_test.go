// SPDX-License-Identifier: Apache-2.0

package namespaces

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/test/process"
)

const (
	// roleWorld is the first process of a container: it starts the others.
	roleWorld = "world"
	// programName is the consumer's file, which only its own mount namespace has.
	programName = "orders-of-the-shop"
	// servicePrefix begins what the consumer calls itself in its environment.
	servicePrefix = "service-of-"
)

// A world is a container with a broker and a consumer in it. Every world has the
// same addresses, groups and topics; its name is its cluster's id.
type world struct {
	name    string
	process *process.Process
	in      io.Writer
	pid     int // the consumer's, on the host
	rounds  int
}

func newWorld(ctx context.Context, t *testing.T, name string, p place) *world {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", roleWorld, name, newFolder(t, "files"))
	cmd = p.wrap(cmd)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	w := &world{name: name, in: in}
	w.process, err = process.Start(name, filepath.Join(t.TempDir(), "world.log"), cmd)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.process.Stop(0)) }) // with all others, if it is an init
	inside := w.await(ctx, t, `consumer is (\d+)`)
	w.pid = hostPID(t, w.process.PID(), inside)
	return w
}

func (w *world) await(ctx context.Context, t *testing.T, pattern string) string {
	t.Helper()
	match, err := w.process.Await(ctx, regexp.MustCompile(pattern))
	require.NoError(t, err)
	return match[1]
}

// commit makes the consumer commit further, and returns what the broker has
// acknowledged, by partition.
func (w *world) commit(ctx context.Context, t *testing.T) map[string]int64 {
	t.Helper()
	w.rounds++
	_, err := fmt.Fprintln(w.in, w.rounds)
	require.NoError(t, err)
	text := w.await(ctx, t, fmt.Sprintf(`round %d committed (.*)`, w.rounds))
	committed := map[string]int64{}
	require.NoError(t, json.Unmarshal([]byte(text), &committed))
	return committed
}

// hostPID finds the process that has a pid in the pid namespace of another.
func hostPID(t *testing.T, neighbour int, inside string) int {
	t.Helper()
	namespace := func(pid string) string {
		link, _ := os.Readlink(filepath.Join("/proc", pid, "ns", "pid"))
		return link
	}
	wanted := namespace(strconv.Itoa(neighbour))
	require.NotEmpty(t, wanted)
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || namespace(e.Name()) != wanted {
			continue
		}
		status, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "status"))
		for line := range strings.Lines(string(status)) {
			pids := strings.Fields(line)
			if pids[0] == "NSpid:" && pids[len(pids)-1] == inside {
				return pid
			}
		}
	}
	require.Fail(t, "no such process", "pid %s in the pid namespace %s", inside, wanted)
	return 0
}

// playWorld starts broker and consumer and stays until its input ends.
func playWorld(args []string) error {
	name, folder := args[0], args[1]
	if err := ownFiles(folder); err != nil {
		return err
	}
	broker := exec.Command(filepath.Join(folder, "broker"), roleBroker, name)
	out, err := broker.StdoutPipe()
	if err != nil {
		return err
	}
	broker.Stderr = os.Stderr
	if err := broker.Start(); err != nil {
		return err
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the broker does not start: %w", err)
	}
	consumer := exec.Command(filepath.Join(folder, programName), roleConsumer, strings.TrimSpace(address))
	consumer.Env = append(os.Environ(), "OTEL_SERVICE_NAME="+servicePrefix+name)
	consumer.Stdin, consumer.Stdout, consumer.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = consumer.Run()
	if killed := broker.Process.Kill(); killed != nil {
		return killed
	}
	broker.Wait() // says that it was killed
	return err
}

// ownFiles puts this binary under other names where no other mount namespace has
// it, if this one is not the test's.
func ownFiles(folder string) error {
	if os.Getpid() == 1 {
		if err := unix.Mount("tmpfs", folder, "tmpfs", 0, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", folder, err)
		}
	}
	text, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	for _, name := range []string{"broker", programName} {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o755); err != nil {
			return err
		}
	}
	return nil
}
