// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
)

// load reads one entry of a file in testdata/config as a collector does.
func load(t *testing.T, file, key string) (*Config, error) {
	t.Helper()
	conf, err := confmaptest.LoadConf(filepath.Join("testdata", "config", file))
	require.NoError(t, err)
	require.True(t, conf.IsSet(key), "%s has no %s", file, key)
	sub, err := conf.Sub(key)
	require.NoError(t, err)
	config := NewFactory().CreateDefaultConfig().(*Config)
	if err := sub.Unmarshal(config); err != nil {
		return nil, err
	}
	return config, confmap.Validate(config)
}

func TestConfigDefault(t *testing.T) {
	config, err := load(t, "good.yaml", "ebpf_kafka")
	require.NoError(t, err)
	assert.Equal(t, createDefaultConfig(), config)
	assert.Equal(t, 15*time.Second, config.CollectionInterval)
	assert.Equal(t, BackendAuto, config.Backend)
	assert.Equal(t, RoleAny, config.Discovery.Role)
	assert.Equal(t, LimitsConfig{Connections: 16384, Offsets: 131072, Watermarks: 131072, Names: 32768, Pending: 32768},
		config.Limits)
	assert.Equal(t, 10*time.Minute, config.IdleTimeout)
	assert.Equal(t, time.Minute, config.WatermarkMaxAge)
	assert.Equal(t, "/proc", config.ProcPath)
	assert.True(t, config.Metrics.KafkaConsumerGroupLag.Enabled)
	assert.False(t, config.Metrics.KafkaConsumerPosition.Enabled)
}

func TestConfigAll(t *testing.T) {
	config, err := load(t, "good.yaml", "ebpf_kafka/all")
	require.NoError(t, err)

	want := createDefaultConfig().(*Config)
	want.CollectionInterval = 5 * time.Second
	want.InitialDelay = 2 * time.Second
	want.Timeout = 4 * time.Second
	want.Backend = BackendSyscall
	want.Discovery = DiscoveryConfig{
		Ports:   []int{9092, 19092},
		Include: ProcessSelector{Executables: []string{"java"}, PIDs: []int{1, 4194304}, Cgroups: []string{"/system.slice/kafka.service"}},
		Exclude: ProcessSelector{Executables: []string{"kafka-topics"}},
		Role:    RoleClient,
	}
	want.Limits = LimitsConfig{Connections: 64, Offsets: 4194304, Watermarks: 1000, Names: 2000, Pending: 3000}
	want.IdleTimeout = time.Hour
	want.WatermarkMaxAge = 90 * time.Second
	want.Groups = FilterConfig{Include: []string{"^orders-"}, Exclude: []string{"-test$"}}
	want.Topics = FilterConfig{Exclude: []string{"^__"}}
	want.ProcPath = "/host/proc"

	// The generated sections remember which keys the user gave, in fields that a test cannot set.
	assert.True(t, config.Metrics.KafkaConsumerPosition.Enabled)
	assert.False(t, config.ResourceAttributes.ProcessPid.Enabled)
	want.MetricsBuilderConfig = config.MetricsBuilderConfig
	assert.Equal(t, want, config)
}

// Every message names the key, the value and what is allowed.
func TestConfigBad(t *testing.T) {
	for key, want := range map[string][]string{
		"backend":                       {`backend: "perf" is not a backend; allowed: auto, socket, fentry, kprobe, syscall`},
		"interval_zero":                 {`"collection_interval": requires positive value`},
		"interval_short":                {`collection_interval: 15ms is too short; allowed: 100ms or more`},
		"idle_short":                    {`idle_timeout: 10ms is out of range; allowed: 1s to 744h0m0s`},
		"idle_below_interval":           {`idle_timeout: 10s is less than collection_interval (15s)`, `allowed: collection_interval or more`},
		"watermark_age":                 {`watermark_max_age: 1000h0m0s is out of range; allowed: 1s to 744h0m0s`},
		"proc_path":                     {`proc_path: "host/proc" is not an absolute path; allowed: where the host's proc file system is mounted`},
		"limit_low":                     {`limits`, `connections: 1 is out of range; allowed: 64 to 4194304`},
		"limit_high":                    {`limits`, `names: 4194305 is out of range; allowed: 64 to 4194304`},
		"ports":                         {`discovery`, `ports: 0 is not a TCP port; allowed: 1 to 65535`, `ports: 70000 is not`},
		"role":                          {`discovery`, `role: "server" is not a role; allowed: any, client, broker`},
		"executables":                   {`discovery::include`, `executables: "/usr/bin/java" is not a file name; allowed: the name`},
		"pids":                          {`discovery::exclude`, `pids: -4 is not a process id; allowed: 1 to 4194304`},
		"cgroups":                       {`discovery::exclude`, `cgroups: "kafka.service" is not a cgroup path; allowed: a path`},
		"groups":                        {`groups`, `include: "(" is not a regular expression`, `allowed: RE2`},
		"topics":                        {`topics`, `exclude: "a{2,1}" is not a regular expression`, `allowed: RE2`},
		"unknown_key":                   {`has invalid keys: collection_intervall`},
		"unknown_nested_key":            {`has invalid keys: conections`},
		"unknown_metric":                {`has invalid keys: kafka.consumer_group.lags`},
		"watermarks_interval":           {`watermarks`, `interval: 30ms is too short; allowed: 1s or more`},
		"watermarks_interval_above_age": {`watermarks::interval: 31s is more than half of watermark_max_age (1m0s)`, `allowed: up to 30s`},
		"watermarks_age":                {`watermarks::interval: 30s is more than half of watermark_max_age (20s)`, `or raise watermark_max_age`},
		"watermarks_no_brokers":         {`watermarks: clusters::0: brokers: none is given; allowed: host:port`},
		"watermarks_broker":             {`"kafka-1" is not an address; allowed: host:port`, `":9092" is not`, `"kafka:0" is not`},
		"watermarks_mechanism":          {`clusters::0::sasl: mechanism: "GSSAPI" is not a mechanism; allowed: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512`},
		"watermarks_password":           {`username, password: one is empty`},
		"watermarks_tls":                {`watermarks: clusters::0::tls: `, `CA file or the PEM`},
		"watermarks_unknown_key":        {`has invalid keys: brokers`},
		"several_at_once":               {`backend: "perf"`, `idle_timeout: 10ms`, `pending: 0 is out of range`},
	} {
		t.Run(key, func(t *testing.T) {
			_, err := load(t, "bad.yaml", key)
			require.Error(t, err)
			for _, part := range want {
				assert.ErrorContains(t, err, part)
			}
		})
	}
}

// A case that is in the file and not in the test above would prove nothing.
func TestConfigBadEntriesAreAllRefused(t *testing.T) {
	conf, err := confmaptest.LoadConf(filepath.Join("testdata", "config", "bad.yaml"))
	require.NoError(t, err)
	for key := range conf.ToStringMap() {
		_, err := load(t, "bad.yaml", key)
		assert.Error(t, err, key)
	}
}
