// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// ErrForeignProc says that the proc mount numbers processes otherwise than the
// kernel does.
var ErrForeignProc = errors.New("the pids of this proc mount are not the host's")

// CheckNamespace makes sure that the proc mount shows processes by the pids that
// Resolve is asked for: those of the host's pid namespace, which eBPF programs
// report. ownPID is what such a program says that this process is. A proc mount
// names its reader, in the link "self", by the reader's pid in the mount's own
// namespace, and not at all where it has none: only in the host's namespace that
// is ownPID.
//
// After an error, which says what to do, Resolve no longer reads the mount and
// answers with what the kernel has told it. Without it a process of the
// container's own whose pid and start time are by chance those of one on the
// host would be taken for it.
func (r *Resolver) CheckNamespace(ownPID uint32) error {
	const cure = "share the host's pid namespace (hostPID, --pid=host), or mount the host's /proc and set proc_path"
	self := filepath.Join(r.root, "self")
	target, err := os.Readlink(self)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("%w: %s does not exist, so this process, %d on the host, is not in it: %s",
			ErrForeignProc, self, ownPID, cure)
	case err != nil:
		err = fmt.Errorf("%w, as far as can be seen: reading the link: %w: %s", ErrForeignProc, err, cure)
	case target != strconv.FormatUint(uint64(ownPID), 10):
		err = fmt.Errorf("%w: %s says that this process is %s, on the host it is %d: %s",
			ErrForeignProc, self, target, ownPID, cure)
	}
	r.foreign.Store(err != nil)
	return err
}
