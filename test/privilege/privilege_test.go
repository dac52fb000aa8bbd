// SPDX-License-Identifier: Apache-2.0

package privilege

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

// patience is for a busy machine: the collector looks into log directories
// every 10 seconds.
const patience = 2 * time.Minute

// TestPrivileges measures each row of the table.
func TestPrivileges(t *testing.T) {
	s := newScene(t)
	for i := range privileges {
		p := &privileges[i]
		t.Run(strings.Trim(unspeakable.ReplaceAllString(p.name, "-"), "-"), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			s.measure(ctx, t, p, "auto", p.setpriv()...)
		})
	}
}

// TestBackends shows that each backend of this kernel does with the two
// capabilities without which none starts.
func TestBackends(t *testing.T) {
	s := newScene(t)
	p := &privilege{capabilities: []string{"CAP_BPF", "CAP_PERFMON"}, user: collectorUser,
		gains: gains{starts: true, offsets: true}}
	for _, backend := range []string{"socket", "syscall"} {
		t.Run(backend, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			s.measure(ctx, t, p, backend, p.setpriv()...)
		})
	}
}

// TestSetcap shows that the way by hand gains the same: capabilities of the file,
// for whoever runs it.
func TestSetcap(t *testing.T) {
	s := newScene(t)
	set := strings.ToLower(strings.Join(documented, ",")) + "+ep"
	out, err := exec.Command("setcap", set, s.path("otelcol")).CombinedOutput()
	require.NoError(t, err, "setcap %s: %s", set, out)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p := &privilege{user: collectorUser,
		gains: gains{starts: true, offsets: true, executable: true, declared: always, named: true}}
	user := strconv.Itoa(p.user)
	s.measure(ctx, t, p, "auto", "setpriv", "--reuid="+user, "--regid="+user, "--clear-groups", "--")
}

// TestHidepid shows that CAP_SYS_PTRACE is enough where /proc hides processes
// from other users, and that without it nothing is lost
// but names.
func TestHidepid(t *testing.T) {
	s := newScene(t)
	for name, p := range map[string]*privilege{
		"all four": {capabilities: documented, user: collectorUser,
			gains: gains{starts: true, offsets: true, executable: true, declared: always, named: true}},
		"without CAP_SYS_PTRACE": {capabilities: without("CAP_SYS_PTRACE"), user: collectorUser, blind: true,
			gains: gains{starts: true, offsets: true}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			hide := []string{"unshare", "--mount", "--propagation=private", "--", "sh", "-c",
				`'mount -t proc -o hidepid=invisible none /proc && exec "$@"'`, "sh"}
			s.measure(ctx, t, p, "auto", append(hide, p.setpriv()...)...)
		})
	}
}

// unspeakable is what does not belong into the name of a test.
var unspeakable = regexp.MustCompile(`[^A-Za-z_]+`)

// measure runs the collector behind a command that sets its privileges, beside
// a consumer that comes after it.
func (s *scene) measure(ctx context.Context, t *testing.T, p *privilege, backend string, behind ...string) {
	t.Helper()
	c, err := s.run(ctx, t, backend, behind...)
	if !p.gains.starts {
		checkRefusal(t, err, fmt.Sprintf("runs as uid %d without %s (CapEff: ", p.user, p.lacks))
		return
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Stop()) })
	consumer := s.consume(t, late, lateUser)
	s.check(ctx, t, p, c, consumer.PID())
}

// check compares what the collector says with the broker's answer and with what
// the privilege is to gain. The question is asked when the collector is gone,
// which would overhear the answer.
func (s *scene) check(ctx context.Context, t *testing.T, p *privilege, c *collector.Collector, pid int) {
	t.Helper()
	var samples collector.Samples
	require.NoError(t, wait.Until(ctx, func() error {
		var err error
		samples, err = c.Metrics(ctx)
		if err != nil {
			return err
		}
		return s.complete(ctx, p, c, samples)
	}), "log:\n%s", c.Log())
	require.NoError(t, c.Stop())

	offset, lag := s.truth(ctx, t, late)
	assert.Equal(t, []float64{offset}, values(samples, "kafka_consumer_group_offset", late))
	assert.Equal(t, []float64{lag}, values(samples, "kafka_consumer_group_lag", late))
	owner := samples.Named("kafka_consumer_lag").With("group", late)
	require.Len(t, owner, 1)
	assert.Equal(t, lag, owner[0].Value)
	executable := consumerName[:15]
	if p.gains.executable {
		executable = consumerName
	}
	service := executable
	if p.blind {
		service = ""
	} else if p.gains.declared == always || p.gains.declared == byKernel && s.declares(p, pid) {
		service = declaredName
	}
	assert.Equal(t, strconv.Itoa(pid), owner[0].Labels["process_pid"])
	assert.Equal(t, executable, owner[0].Labels["process_executable_name"])
	assert.Equal(t, service, owner[0].Labels["service_name"])
	if !p.gains.named {
		assert.Empty(t, values(samples, "kafka_consumer_group_offset", early), "nobody has told the name of the topic")
		return
	}
	offset, _ = s.truth(ctx, t, early)
	assert.Equal(t, []float64{offset}, values(samples, "kafka_consumer_group_offset", early))
}

// complete reports what has still to come before the metrics can be judged.
func (s *scene) complete(ctx context.Context, p *privilege, c *collector.Collector, samples collector.Samples) error {
	if len(values(samples, "kafka_consumer_group_lag", late)) == 0 || len(values(samples, "kafka_consumer_lag", late)) == 0 {
		return errors.New("no lag of the group that is seen from its start")
	}
	if p.gains.named {
		if len(values(samples, "kafka_consumer_group_offset", early)) == 0 {
			return errors.New("no offset of the group that is older than the collector")
		}
		return nil
	}
	// What will not come can only be waited for by what is said instead.
	const warning = "Reading names from brokers' log directories failed"
	if !strings.Contains(c.Log(), warning) {
		return fmt.Errorf("not yet: %s", warning)
	}
	own, err := c.Telemetry(ctx)
	if err != nil {
		return err
	}
	for name := range own.Own() {
		if strings.HasPrefix(name, "held") && strings.HasSuffix(name, " topic_id_unknown") {
			return nil
		}
	}
	return fmt.Errorf("nothing is held back for want of a topic's name: %v", own.Own())
}

// values are those of a group's series of one metric.
func values(samples collector.Samples, metric, group string) []float64 {
	var out []float64
	for _, s := range samples.Named(metric).With("group", group) {
		out = append(out, s.Value)
	}
	return out
}
