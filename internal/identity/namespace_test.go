// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckNamespace(t *testing.T) {
	const ownPID = 54321
	tests := map[string]struct {
		self string // the link's target, none if empty
		says string // part of the error
	}{
		"the host's":        {self: "54321"},
		"another's":         {self: "17", says: "this process is 17, on the host it is 54321"},
		"one without us":    {says: "does not exist"},
		"nothing of proc's": {self: "elsewhere", says: "elsewhere"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			orders.write(t, root) // the same pid and start time: only the namespace tells
			if test.self != "" {
				if err := os.Symlink(test.self, filepath.Join(root, "self")); err != nil {
					t.Fatal(err)
				}
			}
			r := New(Options{ProcRoot: root, Hostname: "host-1"})
			err := r.CheckNamespace(ownPID)
			got := r.Resolve(orders.pid, orders.startTime(), "from-kernel")
			if test.says == "" {
				if err != nil || got.ServiceName != "orders" {
					t.Errorf("%v, %+v", err, got)
				}
				return
			}
			if !errors.Is(err, ErrForeignProc) || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "proc_path") {
				t.Errorf("the error %v, want one that says %q", err, test.says)
			}
			check(t, got, Process{PID: orders.pid, StartTime: orders.startTime(),
				Executable: "from-kernel", ServiceInstanceID: "host-1:4711"})
		})
	}
}

// A file that is no link says nothing of the namespace.
func TestCheckNamespaceUnreadable(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "self"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := New(Options{ProcRoot: root}).CheckNamespace(1); !errors.Is(err, ErrForeignProc) {
		t.Errorf("got %v", err)
	}
}
