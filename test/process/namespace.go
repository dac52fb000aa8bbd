// SPDX-License-Identifier: Apache-2.0

package process

import (
	"os/exec"
	"slices"
)

// In makes cmd run in the network namespace that is mounted at path, as ip
// netns leaves it in /run/netns. It needs root and nsenter, which becomes the
// program: its process id is the program's. An empty path changes nothing.
func In(path string, cmd *exec.Cmd) *exec.Cmd {
	if path == "" {
		return cmd
	}
	inside := exec.Command("nsenter", slices.Concat([]string{"--net=" + path, "--", cmd.Path}, cmd.Args[1:])...)
	inside.Dir, inside.Env = cmd.Dir, cmd.Env
	inside.Stdin, inside.Stdout, inside.Stderr = cmd.Stdin, cmd.Stdout, cmd.Stderr
	return inside
}
