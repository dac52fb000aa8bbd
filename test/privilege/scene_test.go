// SPDX-License-Identifier: Apache-2.0

package privilege

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/process"
)

// Users. All but root are without a name and without anything else.
const (
	root          = 0
	collectorUser = 61000
)

const (
	_ = collectorUser + iota
	brokerUser
	earlyUser
	lateUser
)

// consumerName is longer than the 15 bytes that the kernel keeps of a name.
const consumerName = "consumer-with-a-long-name"

// declaredName is what the consumer that starts late says it is called.
const declaredName = "orders-service"

// grace is how long a program may take to end.
const grace = 15 * time.Second

// newPrograms is a scene without anybody: the programs alone, where every user
// may read them.
func newPrograms(t *testing.T) *scene {
	t.Helper()
	s := &scene{dir: openTempDir(t)}
	self, err := os.Executable()
	require.NoError(t, err)
	copyFile(t, self, s.path(consumerName))
	binary, err := collector.Binary()
	require.NoError(t, err)
	copyFile(t, binary, s.path("otelcol"))
	return s
}

// A scene is a broker and a consumer that work before any collector starts.
type scene struct {
	dir    string // readable by everybody
	broker string // its address
	admin  *kadm.Client
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := newPrograms(t)
	logs := s.path("kafka-logs")
	require.NoError(t, os.Mkdir(logs, 0o700))
	require.NoError(t, os.Chown(logs, brokerUser, brokerUser))

	broker := s.start(t, "broker", brokerUser, directoryVariable+"="+logs)
	m, err := broker.Await(t.Context(), regexp.MustCompile(`ready (\S+)`))
	require.NoError(t, err)
	s.broker = m[1]
	client, err := kgo.NewClient(kgo.SeedBrokers(s.broker))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	s.admin = kadm.NewClient(client)
	for _, topic := range []string{early, late} {
		for i := range records {
			record := &kgo.Record{Topic: topic, Value: []byte(strconv.Itoa(i))}
			require.NoError(t, client.ProduceSync(t.Context(), record).FirstErr())
		}
	}
	s.consume(t, early, earlyUser)
	return s
}

func (s *scene) path(name string) string { return filepath.Join(s.dir, name) }

// openTempDir is a temporary folder that other users can reach.
func openTempDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	require.NoError(t, err)
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	require.NoError(t, err)
	_, err = io.Copy(out, in)
	require.NoError(t, err)
	require.NoError(t, out.Close())
}

// start plays a role as a user, until the test ends.
func (s *scene) start(t *testing.T, role string, user uint32, variables ...string) *process.Process {
	t.Helper()
	cmd := exec.Command(s.path(consumerName))
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Env = append(cmd.Env, variables...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	p, err := process.Start(role, "", cmd)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop(grace)) })
	return p
}

// consume starts a consumer and waits for its first commit.
func (s *scene) consume(t *testing.T, work string, user uint32) *process.Process {
	t.Helper()
	p := s.start(t, "consumer", user, brokerVariable+"="+s.broker, workVariable+"="+work, "OTEL_SERVICE_NAME="+declaredName)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := p.Await(ctx, regexp.MustCompile("committed"))
	require.NoError(t, err)
	return p
}

// setpriv is a command that runs another with a privilege and nothing besides:
// no other capability in any set, and no way to come by one.
func (p *privilege) setpriv() []string {
	set := "-all"
	for _, c := range p.capabilities {
		set += ",+" + strings.ToLower(strings.TrimPrefix(c, "CAP_"))
	}
	return []string{"setpriv", fmt.Sprintf("--reuid=%d", p.user), fmt.Sprintf("--regid=%d", p.user), "--clear-groups",
		"--no-new-privs", "--pdeathsig=KILL", "--inh-caps=" + set, "--ambient-caps=" + set, "--bounding-set=" + set, "--"}
}

// run runs the collector behind a command that sets its privileges, with a
// backend. It fails as the collector does.
func (s *scene) run(ctx context.Context, t *testing.T, backend string, behind ...string) (*collector.Collector, error) {
	t.Helper()
	dir := openTempDir(t)
	script := filepath.Join(dir, "otelcol.sh")
	text := "#!/bin/sh\nexec " + strings.Join(behind, " ") + " " + s.path("otelcol") + " \"$@\"\n"
	require.NoError(t, os.WriteFile(script, []byte(text), 0o755))
	t.Setenv(collector.BinaryEnv, script)
	return collector.Start(ctx, collector.Options{Dir: dir, Backend: backend})
}

// declares asks the kernel whether a privilege lets the environment of a process
// be read. Linux 6.18 lets CAP_PERFMON stand for CAP_SYS_PTRACE there.
func (s *scene) declares(p *privilege, pid int) bool {
	args := append(p.setpriv(), "cat", fmt.Sprintf("/proc/%d/environ", pid))
	out, err := exec.Command(args[0], args[1:]...).Output()
	return err == nil && strings.Contains(string(out), declaredName)
}

// truth is the broker's own answer for a group: committed offset and lag.
func (s *scene) truth(ctx context.Context, t *testing.T, work string) (offset, lag float64) {
	t.Helper()
	offsets, err := s.admin.FetchOffsets(ctx, work)
	require.NoError(t, err)
	at, ok := offsets.Lookup(work, 0)
	require.True(t, ok, "the broker knows no offset of group %s", work)
	ends, err := s.admin.ListEndOffsets(ctx, work)
	require.NoError(t, err)
	end, ok := ends.Lookup(work, 0)
	require.True(t, ok, "the broker knows no end of topic %s", work)
	return float64(at.At), float64(end.Offset - at.At)
}
