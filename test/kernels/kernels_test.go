// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
	"github.com/ebpfkafka/ebpfkafka/test/kernels/privileges"
	"github.com/ebpfkafka/ebpfkafka/test/process"
	"github.com/ebpfkafka/ebpfkafka/test/vm"
)

var (
	only  = flag.String("only", "", "a regular expression: kernels to boot, such as '6.1-arm64'; all if empty")
	write = flag.Bool("write", false, "write "+figuresFile+" instead of comparing with it")
)

// A job is a package of tests that runs in a machine, and which tests of it: emulated, they take 20 to 50 times as long
// as on the machine itself, and loading a backend takes five seconds.
type job struct {
	name, folder string
	tests        []string // each has to pass; as with -test.run, what follows a slash chooses among the test's own
	args         []string
}

var (
	verifierJob = job{name: "verifier", folder: "kernels/verifier", tests: []string{"TestBackends"}}
	decoderJob  = job{name: "decoder", folder: "decoder", tests: []string{
		// The APIs that every consumer uses, in every version.
		"TestDifferential/^(OffsetCommit|OffsetFetch|Fetch|ListOffsets)$",
		"TestResponseBeforeRequest", "TestTransactionCommitted",
	}, args: []string{"-exchanges", "3", "-seed", "1"}}
	// Every system call and every way of splitting, and every other way that bytes take. The others of this package load
	// a backend for each of what they try.
	hooksJob    = job{name: "hooks", folder: "hooks", tests: []string{"TestSplittings", "TestWays"}}
	receiverJob = job{name: "receiver", folder: "kernels/receiver", tests: []string{"TestReceiver"}}
	// What each backend needs, and without it says. test/privilege has the rest, on the kernel that it runs on.
	privilegesJob = job{name: "privileges", folder: "kernels/privileges", tests: []string{
		"TestPrivileges", "TestLockdown",
	}}

	jobs = []job{verifierJob, decoderJob, hooksJob, receiverJob, privilegesJob}
)

// privilegesOn are the kernels of which the privileges are measured: the last of these where maps count as locked
// memory, and one that has every backend. The architecture does not matter to them.
var privilegesOn = []string{"5.10-amd64", "6.12-amd64"}

// pattern is the job's tests for -test.run.
func (j job) pattern() string {
	var patterns []string
	for _, test := range j.tests {
		name, within, sub := strings.Cut(test, "/")
		if name = "^" + name + "$"; sub {
			name += "/" + within
		}
		patterns = append(patterns, name)
	}
	return strings.Join(patterns, "|")
}

// missing are the job's tests that the output does not say passed: a pattern that fits nothing fails nothing either.
func (j job) missing(output string) (missing []string) {
	for _, test := range j.tests {
		name, _, _ := strings.Cut(test, "/")
		if !strings.Contains(output, "\n--- PASS: "+name+" (") {
			missing = append(missing, test)
		}
	}
	return missing
}

// backends are all that there are; detached is fed by the decoder's tests and stands for the decoder.
var backends = []probe.Backend{probe.Socket, probe.Fentry, probe.Kprobe, probe.Syscall}

// jobTimeout is for a machine that hangs. The slowest job takes a minute on two busy cores.
const jobTimeout = 5 * time.Minute

// TestKernels boots every kernel and runs there what a kernel can spoil.
func TestKernels(t *testing.T) {
	all, err := parse(list)
	require.NoError(t, err)
	wanted, err := regexp.Compile(*only)
	require.NoError(t, err)
	all = slices.DeleteFunc(all, func(k kernel) bool { return !wanted.MatchString(k.String()) })
	require.NotEmpty(t, all, "-only %s", *only)
	binaries := build(t, all)
	known, err := readFigures()
	require.NoError(t, err)

	var booted results
	t.Run("boot", func(t *testing.T) { // returns when all have ended
		for _, k := range all {
			image, version, err := fetch(t.Context(), k)
			require.NoError(t, err)
			r := booted.add(k, version)
			t.Run(k.String(), func(t *testing.T) {
				t.Parallel()
				m := machine{kernel: k, image: image, binaries: binaries, known: known, result: r}
				m.test(t)
			})
		}
	})
	fmt.Print(booted.table())
	if *write {
		require.NoError(t, writeFigures(known, booted.figures()))
	}
}

// build compiles the jobs for each architecture: paths by architecture and job.
func build(t *testing.T, all []kernel) map[string]string {
	t.Helper()
	paths := make(map[string]string)
	dir := t.TempDir()
	for _, k := range all {
		for _, j := range jobs {
			key := k.arch + " " + j.name
			if paths[key] != "" {
				continue
			}
			paths[key] = filepath.Join(dir, j.name+"-"+k.arch)
			cmd := exec.Command("go", "test", "-c", "-trimpath", "-o", paths[key], "./"+j.folder)
			cmd.Dir = ".."
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+k.arch)
			_, err := process.Run(t.Context(), "go test -c "+j.folder, cmd)
			require.NoError(t, err)
		}
	}
	return paths
}

// A machine boots one kernel, once for each job.
type machine struct {
	kernel
	image    string
	binaries map[string]string
	known    figures
	result   *result
}

func (m *machine) test(t *testing.T) {
	expected := ""
	if len(m.backends) > 0 {
		expected = join(append([]probe.Backend{probe.Detached}, m.backends...))
	}
	t.Run("verifier", func(t *testing.T) {
		all := join(append([]probe.Backend{probe.Detached}, backends...))
		output := m.run(t, verifierJob, "", "-all", all, "-expects", expected)
		loaded, err := readLoaded(output)
		require.NoError(t, err)
		m.result.loaded = loaded
		if !*write {
			for _, difference := range m.known.compare(m.kernel, loaded) {
				t.Error(difference)
			}
		}
	})
	if len(m.backends) == 0 {
		return
	}
	t.Run("decoder", func(t *testing.T) { m.run(t, decoderJob, probe.Detached) })
	if slices.Contains(privilegesOn, m.String()) {
		t.Run("privileges", func(t *testing.T) {
			output := m.run(t, privilegesJob, "", "-backends", join(m.backends))
			t.Log(strings.Join(attempts.FindAllString(output, -1), "\n"))
		})
	}
	for _, b := range m.backends {
		t.Run(string(b), func(t *testing.T) {
			if slices.Contains(m.skips, b) {
				t.Run("receiver", func(t *testing.T) { m.skipping(t, b) })
				return
			}
			t.Run("hooks", func(t *testing.T) { m.run(t, hooksJob, b, "-backends", string(b)) })
			t.Run("receiver", func(t *testing.T) { m.run(t, receiverJob, b, "-backends", string(b)) })
		})
	}
}

// join makes a flag's value of backends.
func join(backends []probe.Backend) string {
	var names []string
	for _, b := range backends {
		names = append(names, string(b))
	}
	return strings.Join(names, ",")
}

// skipping tests a backend of which the kernel skips programs: values may be absent, and nothing may be wrong. The hooks'
// tests expect that every call is seen, so they are not run.
func (m *machine) skipping(t *testing.T, b probe.Backend) {
	output := m.run(t, receiverJob, b, "-backends", string(b), "-skips")
	found := skipped.FindStringSubmatch(output)
	require.NotNil(t, found, "what was skipped: %s", output)
	m.result.note(receiverJob, b, found[1])
	m.result.note(hooksJob, b, "not run: skips")
}

var (
	attempts = regexp.MustCompile(`(?m)^` + privileges.Line + `.*`)
	lacking  = regexp.MustCompile(`(?m)^kernel lacks: .*`) // test/hooks says so
	skipped  = regexp.MustCompile(`(?m)^receiver: (.*)$`)
	verdict  = regexp.MustCompile(`(?m)^\s*--- (PASS|FAIL|SKIP): `)
	passed   = regexp.MustCompile(`(?m)^--- PASS: .*`) // with their times
)

// run boots the kernel for a job and returns what it printed. b is the backend that the result is filed under.
func (m *machine) run(t *testing.T, j job, b probe.Backend, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), jobTimeout, fmt.Errorf("not within %s", jobTimeout))
	defer cancel()
	args = slices.Concat([]string{"-test.v", "-test.run", j.pattern()}, j.args, args)
	binary := m.binaries[m.arch+" "+j.name]
	r, err := vm.Boot(ctx, vm.Kernel{Arch: m.arch, Image: m.image}, vm.Job{Binary: binary, Args: args})
	require.NoError(t, err)
	counts := map[string]int{}
	for _, v := range verdict.FindAllStringSubmatch(r.Output, -1) {
		counts[v[1]]++
	}
	lacks := lacking.FindAllString(r.Output, -1)
	counts[lacked] = len(lacks)
	m.result.add(j, b, counts, r)
	t.Logf("booted in %.1f s, ran for %.1f s:\n%s", r.Boot.Seconds(), r.Took.Seconds(),
		strings.Join(append(passed.FindAllString(r.Output, -1), lacks...), "\n"))
	if r.ExitCode != 0 || counts["FAIL"] > 0 {
		t.Errorf("ended with %d:\n%s", r.ExitCode, r.Output)
	}
	assert.Empty(t, j.missing(r.Output), "tests that did not run, or did not pass")
	assert.Zero(t, counts["SKIP"], "tests that were left out:\n%s", r.Output)
	assert.Empty(t, r.Complaints, "the kernel complains")
	return r.Output
}
