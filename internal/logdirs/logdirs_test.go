// SPDX-License-Identifier: Apache-2.0

package logdirs

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	idOrders  = "0-9AbCdEfGhIjKlMnOpQrQ"
	idRefunds = "AAAAAAAAAAAAAAAAAAAAAQ"
)

// A broker is a process of a made-up proc file system with log directories.
func broker(t *testing.T, dirs ...string) (proc string, root string) {
	t.Helper()
	proc = t.TempDir()
	root = filepath.Join(proc, "7", "root")
	fd := filepath.Join(proc, "7", "fd")
	require.NoError(t, os.MkdirAll(root, 0o755))
	require.NoError(t, os.MkdirAll(fd, 0o755))
	require.NoError(t, os.Symlink("socket:[1]", filepath.Join(fd, "3")))
	require.NoError(t, os.Symlink("/var/lib/other/.lock", filepath.Join(fd, "4")))
	for i, dir := range dirs {
		write(t, filepath.Join(root, dir, "meta.properties"), "#Sun Nov 01\nversion=1\ncluster.id=abc\n")
		require.NoError(t, os.Symlink(filepath.Join("/", dir, ".lock"), filepath.Join(fd, fmt.Sprint(10+i))))
	}
	return proc, root
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

func metadata(id string) string { return "version: 0\ntopic_id: " + id + "\n" }

func TestRead(t *testing.T) {
	proc, root := broker(t, "data/a", "data/b")
	write(t, filepath.Join(root, "data/a/orders-0/partition.metadata"), metadata(idOrders))
	write(t, filepath.Join(root, "data/a/orders-1/partition.metadata"), metadata(idOrders))
	write(t, filepath.Join(root, "data/b/re-funds-12/partition.metadata"), metadata(idRefunds))
	write(t, filepath.Join(root, "data/b/gone-0.8f4d-delete/partition.metadata"), metadata(idOrders))
	write(t, filepath.Join(root, "data/b/old-0/00000000000000000000.log"), "")
	write(t, filepath.Join(root, "data/b/recovery-point-offset-checkpoint"), "0\n")

	b, err := Read(proc, 7)
	require.NoError(t, err)
	assert.Equal(t, "abc", b.ClusterID)
	names := b.Topics
	assert.Len(t, names, 2)
	assert.Equal(t, "re-funds", names[TopicID{15: 1}])
	assert.Contains(t, names, func() TopicID {
		dir, err := os.OpenRoot(root)
		require.NoError(t, err)
		defer dir.Close()
		id, err := readMetadata(dir, "data/a/orders-0/partition.metadata")
		require.NoError(t, err)
		return id
	}())
}

func TestNoLogDirectory(t *testing.T) {
	proc, _ := broker(t)
	b, err := Read(proc, 7)
	require.NoError(t, err)
	assert.Empty(t, b.Topics)
	assert.Empty(t, b.ClusterID)

	_, err = Read(proc, 8)
	assert.ErrorContains(t, err, "process 8")
}

func TestWhatCannotBeReadIsLeftOut(t *testing.T) {
	for name, text := range map[string]string{
		"no id":     "version: 0\n",
		"short":     metadata("AAAA"),
		"no base64": metadata("????????????????======"),
		"zero":      metadata("AAAAAAAAAAAAAAAAAAAAAA"),
		"too long":  "topic_id: " + string(make([]byte, 2*maxFileBytes)),
	} {
		t.Run(name, func(t *testing.T) {
			proc, root := broker(t, "data")
			write(t, filepath.Join(root, "data/bad-0/partition.metadata"), text)
			write(t, filepath.Join(root, "data/good-0/partition.metadata"), metadata(idRefunds))
			b, err := Read(proc, 7)
			assert.ErrorContains(t, err, "bad-0")
			assert.Equal(t, map[TopicID]string{{15: 1}: "good"}, b.Topics)
		})
	}
}

// A process that only looks like a broker has the collector neither wait nor read what is not the process's.
func TestHostileDirectory(t *testing.T) {
	proc, root := broker(t, "data")
	outside := filepath.Join(t.TempDir(), "partition.metadata")
	write(t, outside, metadata(idOrders))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "data/pipe-0"), 0o755))
	require.NoError(t, syscall.Mkfifo(filepath.Join(root, "data/pipe-0/partition.metadata"), 0o644))
	for name, target := range map[string]string{"absolute-0": outside, "relative-0": "../../../../../../../.." + outside} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, "data", name), 0o755))
		require.NoError(t, os.Symlink(target, filepath.Join(root, "data", name, "partition.metadata")))
	}
	write(t, filepath.Join(root, "data/good-0/partition.metadata"), metadata(idRefunds))
	b, err := Read(proc, 7)
	assert.ErrorContains(t, err, "pipe-0")
	assert.ErrorContains(t, err, "absolute-0")
	assert.ErrorContains(t, err, "relative-0")
	assert.Equal(t, map[TopicID]string{{15: 1}: "good"}, b.Topics)
}
