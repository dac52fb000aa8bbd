// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
	"github.com/ebpfkafka/ebpfkafka/test/process"
)

// Its client is newer than what test/kafka compiles its programs for: it is
// compiled when it is run.
//
//go:embed java/TestShareMember.java
var shareMember []byte

const sharePartitions, shareRecords = 2, 40

// shareGroups: members of share groups (KIP-932) that acknowledge each record,
// in each of the ways that their client has.
func (s *scene) shareGroups(t *testing.T) {
	for _, mode := range []string{"implicit", "sync", "async"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			topic, name := named(t, "t"), named(t, "g")
			s.main.topic(t, topic, sharePartitions, shareRecords)
			s.main.shareFromStart(t, name)
			p := s.main.startShareMember(t, name, topic, mode)
			for _, v := range s.views() {
				v.await(t, time.Now(), equals("kafka_share_group_members", name, 1))
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, err := p.Await(ctx, regexp.MustCompile(`(?m)^done$`))
			require.NoError(t, err)
			want := map[string]float64{}
			for _, m := range acknowledgedLine.FindAllStringSubmatch(p.Output(), -1) {
				n, err := strconv.ParseFloat(m[3], 64)
				require.NoError(t, err)
				want[m[1]+" "+m[2]] = n
			}
			require.NotEmpty(t, want)
			t.Log(want)
			for _, v := range s.views() {
				v.await(t, time.Now(), acknowledgedAs(name, topic, want))
			}
			require.NoError(t, p.Stop(patience))
			for _, v := range s.views() {
				v.await(t, time.Now(), equals("kafka_share_group_members", name, 0))
				v.await(t, time.Now(), acknowledgedAs(name, topic, want))
			}
		})
	}
}

var acknowledgedLine = regexp.MustCompile(`(?m)^acknowledged (\d+) (accept|release|reject) (\d+)$`)

// acknowledgedAs finds counts wrong that are not those of the client, by
// partition and type. What it never did is 0, or not there.
func acknowledgedAs(group, topic string, want map[string]float64) func(snapshot) error {
	return func(s snapshot) error {
		var errs []error
		got := map[string]float64{}
		for _, sample := range s.Named("kafka_share_group_acknowledged_total").With("group", group).With("topic", topic) {
			got[sample.Labels["partition"]+" "+sample.Labels["acknowledgement"]] = sample.Value
		}
		for k, n := range want {
			if got[k] != n {
				errs = append(errs, fmt.Errorf("%s: %v, the client acknowledged %v", k, got[k], n))
			}
		}
		for k, n := range got {
			if _, ok := want[k]; !ok && n != 0 {
				errs = append(errs, fmt.Errorf("%s: %v, the client acknowledged none", k, n))
			}
		}
		return errors.Join(errs...)
	}
}

// shareFromStart lets a share group begin with the oldest record.
func (c *cluster) shareFromStart(t *testing.T, group string) {
	t.Helper()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeGroupConfig, group
	config := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	config.Name, config.Value = "share.auto.offset.reset", kmsg.StringPtr("earliest")
	r.Configs = append(r.Configs, config)
	q := kmsg.NewPtrIncrementalAlterConfigsRequest()
	q.Resources = append(q.Resources, r)
	answer, err := q.RequestWith(t.Context(), c.hidden)
	require.NoError(t, err)
	require.Zero(t, answer.Resources[0].ErrorCode)
}

func (c *cluster) startShareMember(t *testing.T, group, topic, mode string) *process.Process {
	t.Helper()
	source := filepath.Join(t.TempDir(), "TestShareMember.java")
	require.NoError(t, os.WriteFile(source, shareMember, 0o600))
	classpath, err := kafka.Classpath(t.Context(), c.Version)
	require.NoError(t, err)
	p, err := process.Start("share member of "+group, "", exec.Command("java",
		"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx96m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", classpath, source,
		c.Addr, group, topic, strconv.Itoa(sharePartitions*shareRecords), mode))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop(0)) })
	return p
}
