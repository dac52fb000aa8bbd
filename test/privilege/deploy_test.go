// SPDX-License-Identifier: Apache-2.0

package privilege

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
)

const unit = "deploy/systemd/otelcol-ebpfkafka.service"

// TestServiceCapabilities requires the unit to ask for the documented
// capabilities and for none besides.
func TestServiceCapabilities(t *testing.T) {
	settings := map[string][]string{}
	for line := range strings.Lines(file(t, unit)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			settings[key] = append(settings[key], value)
		}
	}
	want := []string{strings.Join(documented, " ")}
	assert.Equal(t, want, settings["AmbientCapabilities"])
	assert.Equal(t, want, settings["CapabilityBoundingSet"])
	// What would take away again what the capabilities give.
	assert.Empty(t, settings["PrivateUsers"])
	assert.Equal(t, []string{"default"}, settings["ProtectProc"])
	assert.Equal(t, []string{"all"}, settings["ProcSubset"])
	assert.Contains(t, settings["SystemCallFilter"], "@system-service bpf perf_event_open")
	assert.Empty(t, settings["User"], "DynamicUser is enough")
}

// mostExposed is the highest level of exposure that systemd may find, of 10.
// Without the sandbox it would be 9; the capabilities alone make up 1.
const mostExposed = 2.5

// TestService lets systemd itself look at the unit.
func TestService(t *testing.T) {
	binary, err := collector.Binary()
	require.NoError(t, err)
	installed := strings.ReplaceAll(file(t, unit), "/usr/local/bin/otelcol-ebpfkafka", binary)
	path := filepath.Join(t.TempDir(), filepath.Base(unit))
	require.NoError(t, os.WriteFile(path, []byte(installed), 0o644))
	out, err := exec.Command("systemd-analyze", "verify", path).CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Empty(t, string(out), "systemd warns")
	out, err = exec.Command("systemd-analyze", "security", "--offline=yes", "--no-pager", path).CombinedOutput()
	require.NoError(t, err, "%s", out)
	m := regexp.MustCompile(`Overall exposure level for \S+: (\d+\.\d+)`).FindSubmatch(out)
	require.NotNil(t, m, "%s", out)
	level, err := strconv.ParseFloat(string(m[1]), 64)
	require.NoError(t, err)
	assert.LessOrEqual(t, level, mostExposed, "%s", out)
}

// containerNames are the documented capabilities as container runtimes write them.
func containerNames() []string {
	var out []string
	for _, c := range documented {
		out = append(out, strings.TrimPrefix(c, "CAP_"))
	}
	return out
}

// decode reads a YAML file of the project, of whose fields the test knows some.
func decode(t *testing.T, path string, to any) {
	t.Helper()
	require.NoError(t, yaml.NewDecoder(bytes.NewBufferString(file(t, path))).Decode(to))
}

func TestCompose(t *testing.T) {
	const path = "deploy/container/compose.yaml"
	var compose struct {
		Services map[string]struct {
			User        string   `yaml:"user"`
			PID         string   `yaml:"pid"`
			Privileged  bool     `yaml:"privileged"`
			Drop        []string `yaml:"cap_drop"`
			Add         []string `yaml:"cap_add"`
			SecurityOpt []string `yaml:"security_opt"`
			ReadOnly    bool     `yaml:"read_only"`
			Volumes     []string `yaml:"volumes"`
		} `yaml:"services"`
	}
	decode(t, path, &compose)
	require.Len(t, compose.Services, 1)
	for _, s := range compose.Services {
		assert.Equal(t, containerNames(), s.Add)
		assert.Equal(t, []string{"ALL"}, s.Drop)
		assert.False(t, s.Privileged)
		assert.True(t, s.ReadOnly)
		assert.Equal(t, "host", s.PID)
		assert.Equal(t, "0:0", s.User)
		assert.Contains(t, s.SecurityOpt, "no-new-privileges:true")
		for _, volume := range s.Volumes {
			assert.True(t, strings.HasSuffix(volume, ":ro"), volume)
		}
	}
	var added []string
	for _, m := range regexp.MustCompile(`--cap-add (\w+)`).FindAllStringSubmatch(file(t, path), -1) {
		added = append(added, m[1])
	}
	assert.Equal(t, containerNames(), added, "docker run, in the comment")
}

func TestDaemonSet(t *testing.T) {
	var set struct {
		Spec struct {
			Template struct {
				Spec struct {
					HostPID    bool `yaml:"hostPID"`
					HostUsers  bool `yaml:"hostUsers"`
					Containers []struct {
						Security struct {
							Privileged   bool `yaml:"privileged"`
							Escalation   bool `yaml:"allowPrivilegeEscalation"`
							ReadOnly     bool `yaml:"readOnlyRootFilesystem"`
							Capabilities struct {
								Drop []string `yaml:"drop"`
								Add  []string `yaml:"add"`
							} `yaml:"capabilities"`
						} `yaml:"securityContext"`
						Mounts []struct {
							ReadOnly bool `yaml:"readOnly"`
						} `yaml:"volumeMounts"`
					} `yaml:"containers"`
				} `yaml:"spec"`
			} `yaml:"template"`
		} `yaml:"spec"`
	}
	decode(t, "deploy/container/daemonset.yaml", &set)
	pod := set.Spec.Template.Spec
	assert.True(t, pod.HostPID)
	assert.True(t, pod.HostUsers)
	require.Len(t, pod.Containers, 1)
	security := pod.Containers[0].Security
	assert.Equal(t, containerNames(), security.Capabilities.Add)
	assert.Equal(t, []string{"ALL"}, security.Capabilities.Drop)
	assert.False(t, security.Privileged)
	assert.False(t, security.Escalation)
	assert.True(t, security.ReadOnly)
	for _, mount := range pod.Containers[0].Mounts {
		assert.True(t, mount.ReadOnly)
	}
}
