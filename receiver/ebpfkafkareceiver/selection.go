// SPDX-License-Identifier: Apache-2.0

package ebpfkafkareceiver

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/ebpfkafka/ebpfkafka/internal/state"
)

// A selection answers discovery.include and discovery.exclude for the process behind a link. Answers are
// kept for as long as the process has links.
type selection struct {
	config   *DiscoveryConfig
	procPath string
	resolver resolver
	known    map[state.ProcessKey]bool
}

func newSelection(config *DiscoveryConfig, procPath string, r resolver) *selection {
	return &selection{config: config, procPath: procPath, resolver: r, known: make(map[state.ProcessKey]bool)}
}

// keep reports whether what this link says is to be published. On a broker's host that is a question of
// the broker's process.
func (s *selection) keep(l *state.Link) bool {
	if s.config.Include.Empty() && s.config.Exclude.Empty() {
		return true
	}
	key := l.Process
	key.Remote = ""
	kept, ok := s.known[key]
	if !ok {
		kept = !s.selects(&s.config.Exclude, &key) && (s.config.Include.Empty() || s.selects(&s.config.Include, &key))
		s.known[key] = kept
	}
	return kept
}

// sweep forgets the processes that have no link any more.
func (s *selection) sweep(links map[state.LinkID]state.Link) {
	if len(s.known) == 0 {
		return
	}
	alive := make(map[state.ProcessKey]bool, len(s.known))
	for _, l := range links {
		key := l.Process
		key.Remote = ""
		alive[key] = true
	}
	for key := range s.known {
		if !alive[key] {
			delete(s.known, key)
		}
	}
}

func (s *selection) selects(names *ProcessSelector, p *state.ProcessKey) bool {
	if slices.Contains(names.PIDs, int(p.PID)) {
		return true
	}
	if len(names.Executables) > 0 &&
		slices.Contains(names.Executables, s.resolver.Resolve(p.PID, p.StartTime, p.Comm).Executable) {
		return true
	}
	return len(names.Cgroups) > 0 && s.inCgroup(names.Cgroups, p.PID)
}

// inCgroup reads /proc/PID/cgroup, whose lines are hierarchy:controllers:path. A process that is gone is
// in none.
func (s *selection) inCgroup(wanted []string, pid uint32) bool {
	text, err := os.ReadFile(filepath.Join(s.procPath, strconv.FormatUint(uint64(pid), 10), "cgroup"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) < 3 {
			continue
		}
		for _, path := range wanted {
			path = strings.TrimSuffix(path, "/")
			if parts[2] == path || strings.HasPrefix(parts[2], path+"/") {
				return true
			}
		}
	}
	return false
}
