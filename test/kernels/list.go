// SPDX-License-Identifier: Apache-2.0

// Package kernels runs the tests that need a kernel under several kernels, on x86-64 and arm64, in emulated machines.
package kernels

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/ebpfkafka/ebpfkafka/internal/probe"
)

//go:embed kernels.txt
var list string

// kernel is a line of kernels.txt.
type kernel struct {
	name, arch, suite, source string
	backends                  []probe.Backend
	skips                     []probe.Backend // those of them of which the kernel skips programs
}

func (k kernel) String() string { return k.name + "-" + k.arch }

// none stands for no backends.
const none = "none"

// skipsMark follows a backend of which the kernel skips programs.
const skipsMark = "(skips)"

// parse reads the format of kernels.txt.
func parse(text string) (all []kernel, err error) {
	for number, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) != 5 {
			return nil, fmt.Errorf("kernels.txt, line %d: %d columns, not name, architecture, suite, package, backends",
				number+1, len(f))
		}
		k := kernel{name: f[0], arch: f[1], suite: f[2], source: f[3]}
		if f[4] != none {
			for name := range strings.SplitSeq(f[4], ",") {
				name, skips := strings.CutSuffix(name, skipsMark)
				k.backends = append(k.backends, probe.Backend(name))
				if skips {
					k.skips = append(k.skips, probe.Backend(name))
				}
			}
		}
		all = append(all, k)
	}
	return all, nil
}
