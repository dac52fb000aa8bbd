// SPDX-License-Identifier: Apache-2.0

package privilege

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// documented is the whole set, in the order in which it is written everywhere.
var documented = []string{"CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"}

// gains are what can be had of the receiver, each more or less by itself.
type gains struct {
	starts     bool // else the receiver refuses, and the collector with it
	offsets    bool // offsets and lag equal the broker's
	executable bool // process.executable.name whole, not cut after 15 bytes
	declared   some // service.name as the process's own environment has it
	named      bool // names of topic ids, from the broker's log directories
}

// some is a gain that not every kernel gives.
type some int

const (
	no some = iota
	always
	byKernel // TestPrivileges asks the kernel, by other means than the collector
)

func (s some) String() string { return []string{"no", "yes", "by kernel"}[s] }

// A privilege is one way to run the collector, and what it gains.
type privilege struct {
	name         string // in docs/privileges.md
	capabilities []string
	user         int  // 0: root
	blind        bool // /proc does not show the processes of others
	gains        gains
	lacks        string // what the refusal names
}

// privileges is the table of docs/privileges.md. TestPrivileges measures each
// row, TestDocumentation compares it with the page.
var privileges = []privilege{
	{
		name:         "all four",
		capabilities: documented,
		user:         collectorUser,
		gains:        gains{starts: true, offsets: true, executable: true, declared: always, named: true},
	},
	{
		name:         "all four, as root (containers)",
		capabilities: documented,
		user:         root,
		gains:        gains{starts: true, offsets: true, executable: true, declared: always, named: true},
	},
	{
		name:         "without `CAP_DAC_READ_SEARCH`",
		capabilities: without("CAP_DAC_READ_SEARCH"),
		user:         collectorUser,
		gains:        gains{starts: true, offsets: true, executable: true},
	},
	{
		name:         "without `CAP_SYS_PTRACE`",
		capabilities: without("CAP_SYS_PTRACE"),
		user:         collectorUser,
		gains:        gains{starts: true, offsets: true, declared: byKernel},
	},
	{
		name:         "without both",
		capabilities: []string{"CAP_BPF", "CAP_PERFMON"},
		user:         collectorUser,
		gains:        gains{starts: true, offsets: true},
	},
	{
		name:         "without both, as the broker's user",
		capabilities: []string{"CAP_BPF", "CAP_PERFMON"},
		user:         brokerUser,
		gains:        gains{starts: true, offsets: true, named: true},
	},
	{
		name:         "`CAP_SYS_ADMIN` alone",
		capabilities: []string{"CAP_SYS_ADMIN"},
		user:         collectorUser,
		gains:        gains{starts: true, offsets: true},
	},
	{name: "without `CAP_PERFMON`", capabilities: without("CAP_PERFMON"), user: collectorUser, lacks: "CAP_PERFMON"},
	{name: "without `CAP_BPF`", capabilities: without("CAP_BPF"), user: collectorUser, lacks: "CAP_BPF"},
	{name: "none", user: collectorUser, lacks: "CAP_BPF and CAP_PERFMON"},
}

func without(capability string) []string {
	return slices.DeleteFunc(slices.Clone(documented), func(c string) bool { return c == capability })
}

// table is what docs/privileges.md has to contain.
func table() string {
	var b strings.Builder
	b.WriteString("| runs with | starts | offsets, lag | whole executable name | `OTEL_*` names | names from log directories |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- |\n")
	for _, p := range privileges {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", p.name, yes(p.gains.starts), yes(p.gains.offsets),
			yes(p.gains.executable), p.gains.declared, yes(p.gains.named))
	}
	return b.String()
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// file reads a file of the project, by its path there.
func file(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(inProject(path))
	require.NoError(t, err)
	return string(b)
}

func inProject(path string) string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "..", "..", path)
}

func TestDocumentation(t *testing.T) {
	page := file(t, "docs/privileges.md")
	require.Contains(t, page, "\n"+table(), "the page has not the table that the test measures")
	var listed []string // the rows of the other table, in which each capability has one
	for _, m := range regexp.MustCompile("(?m)^\\| `(CAP_[A-Z_]+)` \\|").FindAllStringSubmatch(page, -1) {
		listed = append(listed, m[1])
	}
	require.Equal(t, documented, listed)
	setcap := regexp.MustCompile(`(?m)setcap (\S+)\+ep `)
	for _, path := range []string{"docs/privileges.md", "README.md"} {
		m := setcap.FindStringSubmatch(file(t, path))
		require.NotNil(t, m, "%s says no setcap", path)
		require.Equal(t, strings.ToLower(strings.Join(documented, ",")), m[1], path)
	}
}
