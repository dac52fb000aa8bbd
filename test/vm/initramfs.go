// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// An archive is an initramfs in the making: cpio in the format "newc", as Documentation/driver-api/early-userspace/
// buffer-format.rst of the kernel describes it.
type archive struct {
	w     *bufio.Writer
	inode int // numbers files: those of one number would be links to one file
	err   error
}

const (
	cpioFolder = 0o040755
	cpioFile   = 0o100755
	cpioDevice = 0o020600 // character
)

// device numbers are major and minor ones.
type device struct{ major, minor int }

// entry writes a header and a name; size bytes of content have to follow.
func (a *archive) entry(name string, mode, size int, d device) {
	a.inode++
	const owner, group, links, time, onMajor, onMinor, checksum = 0, 0, 1, 0, 0, 0, 0
	header := "070701"
	for _, n := range []int{
		a.inode, mode, owner, group, links, time, size, onMajor, onMinor, d.major, d.minor, len(name) + 1, checksum,
	} {
		header += fmt.Sprintf("%08X", n)
	}
	a.write(header + name + "\x00")
	a.pad(len(header) + len(name) + 1)
}

func (a *archive) write(s string) {
	if a.err == nil {
		_, a.err = a.w.WriteString(s)
	}
}

// pad fills up what has n bytes to a multiple of four.
func (a *archive) pad(n int) { a.write("\x00\x00\x00"[:(4-n%4)%4]) }

func (a *archive) bytes(name string, content []byte) {
	a.entry(name, cpioFile, len(content), device{})
	a.write(string(content))
	a.pad(len(content))
}

func (a *archive) file(name, from string) {
	f, err := os.Open(from)
	if err != nil {
		a.fail(err)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		a.fail(err)
		return
	}
	a.entry(name, cpioFile, int(info.Size()), device{})
	if a.err == nil {
		_, a.err = io.CopyN(a.w, f, info.Size())
	}
	a.pad(int(info.Size()))
}

func (a *archive) fail(err error) {
	if a.err == nil {
		a.err = err
	}
}

// writeInitramfs writes to w: the console, files by their path in the machine, and contents by theirs.
func writeInitramfs(w io.Writer, files map[string]string, contents map[string][]byte) error {
	a := &archive{w: bufio.NewWriter(w)}
	made := map[string]bool{".": true}
	var folder func(name string)
	folder = func(name string) {
		if !made[name] {
			made[name] = true
			folder(path.Dir(name))
			a.entry(name, cpioFolder, 0, device{})
		}
	}
	// Before devtmpfs is mounted: without it nobody would read what init prints.
	folder("dev")
	a.entry("dev/console", cpioDevice, 0, device{5, 1})
	a.entry("dev/null", cpioDevice, 0, device{1, 3})
	for _, name := range slices.Sorted(maps.Keys(contents)) {
		name := strings.TrimPrefix(name, "/")
		folder(path.Dir(name))
		a.bytes(name, contents[name])
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		from := files[name]
		name := strings.TrimPrefix(name, "/")
		folder(path.Dir(name))
		a.file(name, from)
	}
	a.entry("TRAILER!!!", 0, 0, device{})
	if a.err != nil {
		return fmt.Errorf("initramfs: %w", a.err)
	}
	return a.w.Flush()
}
