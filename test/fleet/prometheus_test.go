// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/test/collector"
	"github.com/ebpfkafka/ebpfkafka/test/ports"
	"github.com/ebpfkafka/ebpfkafka/test/process"
	"github.com/ebpfkafka/ebpfkafka/test/wait"
)

// A view is what one set of agents says. All views are kept and joined by one
// server: it takes each for a cluster of its own.
type view struct {
	name    string
	scrapes []scrape
}

// A scrape is a set of agents, and which of their metrics Prometheus keeps.
type scrape struct {
	agents []*collector.Collector
	keep   string // a regular expression
}

// cluster is what a view's series have in place of the cluster's id.
func (v view) cluster(id string) string { return id + " from " + v.name }

// prometheus is a running Prometheus server.
type prometheus struct {
	address string
	process *process.Process
}

// queryTimeout bounds a query, which takes milliseconds on an idle machine.
const queryTimeout = 10 * time.Second

var listening = regexp.MustCompile(`Server is ready to receive web requests`)

// startPrometheus runs a server that scrapes and evaluates deploy/rules each second.
func startPrometheus(ctx context.Context, t *testing.T, views []view) *prometheus {
	program, err := exec.LookPath("prometheus")
	require.NoError(t, err, "run test/install.sh prometheus")
	dir := t.TempDir()
	configuration := filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(configuration, []byte(prometheusConfig(views)), 0o644))
	free, err := ports.Free(1)
	require.NoError(t, err)
	p := &prometheus{address: fmt.Sprintf("127.0.0.1:%d", free[0])}
	cmd := exec.Command(program, "--config.file="+configuration, "--web.listen-address="+p.address,
		"--storage.tsdb.path="+filepath.Join(dir, "data"))
	p.process, err = process.Start("prometheus", filepath.Join(dir, "log"), cmd)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.process.Stop(10*time.Second)) })
	_, err = p.process.Await(ctx, listening)
	require.NoError(t, err)
	return p
}

func prometheusConfig(views []view) string {
	var b strings.Builder
	fmt.Fprintf(&b, "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%q]\nscrape_configs:\n",
		rulesFile("kafka.rules.yml"))
	for _, v := range views {
		for i, s := range v.scrapes {
			var targets []string
			for _, agent := range s.agents {
				targets = append(targets, strconv.Quote(agent.Addr))
			}
			fmt.Fprintf(&b, "  - job_name: %q\n    honor_labels: true\n    static_configs: [{targets: [%s]}]\n"+
				"    metric_relabel_configs:\n"+
				"      - {source_labels: [__name__], regex: %q, action: keep}\n"+
				"      - {source_labels: [kafka_cluster_id], regex: (.+), target_label: kafka_cluster_id, replacement: %q}\n",
				fmt.Sprintf("%s %d", v.name, i), strings.Join(targets, ", "), s.keep, v.cluster("$1"))
		}
	}
	return b.String()
}

// rulesFile returns the path of what users get in deploy/rules.
func rulesFile(name string) string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "deploy", "rules", name)
}

// query returns the series that an expression selects now.
func (p *prometheus) query(ctx context.Context, expression string) (collector.Samples, error) {
	// When the caller's time is up, what was wrong last is to be said, and not that a query was broken off.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), queryTimeout)
	defer cancel()
	address := "http://" + p.address + "/api/v1/query?" + url.Values{"query": {expression}}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any // time, and the value as text
			}
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("query %s: %w", expression, err)
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("query %s: %s", expression, answer.Error)
	}
	var samples collector.Samples
	for _, r := range answer.Data.Result {
		value, err := strconv.ParseFloat(fmt.Sprint(r.Value[1]), 64)
		if err != nil {
			return nil, fmt.Errorf("query %s: %w", expression, err)
		}
		name := r.Metric["__name__"]
		delete(r.Metric, "__name__")
		samples = append(samples, collector.Sample{Name: name, Labels: r.Metric, Value: value})
	}
	return samples, nil
}

// catchUp returns when everything that has happened so far, and that the
// agents of a cluster see, is in what is recorded. An agent whose host is dead
// is not waited for.
func (p *prometheus) catchUp(ctx context.Context, cluster, dead string) error {
	// The time of a sample is that of the agent's snapshot: send_timestamps.
	snapshots := fmt.Sprintf(`min(max by (instance) (timestamp(kafka_consumer_group_offset{%[1]s}))`+
		` or max by (instance) (timestamp(kafka_partition_current_offset{%[1]s})))`,
		fmt.Sprintf(`kafka_cluster_id=%q, instance!=%q`, cluster, dead))
	evaluation := fmt.Sprintf(`min(timestamp(%s{kafka_cluster_id=%q}))`, recordedSum, cluster)
	for _, expression := range []string{snapshots, evaluation} {
		since := float64(time.Now().UnixMilli()) / 1000
		if err := wait.Until(ctx, func() error {
			samples, err := p.query(ctx, expression)
			if err == nil && (len(samples) != 1 || samples[0].Value <= since) {
				err = fmt.Errorf("%s is %v, not yet after %.3f", expression, samples, since)
			}
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}
