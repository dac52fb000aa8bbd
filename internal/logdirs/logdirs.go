// SPDX-License-Identifier: Apache-2.0

// Package logdirs reads the id of a broker's cluster and the names of topic ids from the broker's log directories, where
// each partition's folder holds a partition.metadata file (KIP-516, Kafka 2.8 and later). It needs nothing but the broker's process id: a broker keeps
// the .lock file of each of its log directories open.
package logdirs

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	lockFile       = ".lock"
	propertiesFile = "meta.properties" // only a log directory has both
	metadataFile   = "partition.metadata"

	// maxFileBytes is far more than the few short lines that partition.metadata and meta.properties have.
	maxFileBytes = 4096
	// maxDescriptors bounds the look through a process's open files. A broker keeps a few for each log segment; the
	// lock files are opened first and have low numbers.
	maxDescriptors = 1024
	// maxFolders is more than the partitions that a broker can hold.
	maxFolders = 200_000
)

// A TopicID is a topic id as it is on the wire.
type TopicID [16]byte

// A Broker is what a broker's log directories say.
type Broker struct {
	ClusterID string // empty: not said
	Topics    map[TopicID]string
}

// Read reads the log directories of a process. Proc is where the host's proc file system is mounted. A process without
// any is a Broker without anything. What cannot be read is left out; the error says what that was, and what was found is
// right all the same. It takes a look into one folder for each topic.
//
// The process may be anybody's: nothing outside its root is read, and nothing but regular files. A file system that hangs
// holds up the caller all the same.
func Read(proc string, pid uint32) (Broker, error) {
	b := Broker{Topics: make(map[TopicID]string)}
	process := filepath.Join(proc, strconv.FormatUint(uint64(pid), 10))
	root, err := os.OpenRoot(filepath.Join(process, "root"))
	if err != nil {
		return b, fmt.Errorf("opening the root of process %d: %w", pid, err)
	}
	defer root.Close()
	dirs, err := find(process, root)
	errs := []error{err}
	for _, dir := range dirs {
		id, err := property(root, filepath.Join(dir, propertiesFile), "cluster.id=")
		if b.ClusterID == "" {
			b.ClusterID = id
		}
		errs = append(errs, err, readTopics(root, dir, b.Topics))
	}
	return b, errors.Join(errs...)
}

// find tells the log directories of a process, as paths below its root.
func find(process string, root *os.Root) ([]string, error) {
	open, err := os.Open(filepath.Join(process, "fd"))
	if err != nil {
		return nil, fmt.Errorf("listing the open files of a broker: %w", err)
	}
	defer open.Close()
	descriptors, err := open.Readdirnames(maxDescriptors)
	if err != nil {
		return nil, fmt.Errorf("listing the open files of a broker: %w", err)
	}
	var dirs []string
	for _, d := range descriptors {
		target, err := os.Readlink(filepath.Join(open.Name(), d))
		if err != nil || filepath.Base(target) != lockFile || !filepath.IsAbs(target) {
			continue // closed meanwhile, or none of ours
		}
		dir := strings.TrimPrefix(filepath.Dir(target), "/")
		if _, err := root.Stat(filepath.Join(dir, propertiesFile)); err == nil {
			dirs = append(dirs, dir)
		}
	}
	return dirs, nil
}

// readTopics adds the topics of a log directory to names.
func readTopics(root *os.Root, dir string, names map[TopicID]string) error {
	open, err := root.Open(dir)
	if err != nil {
		return fmt.Errorf("listing log directory %s: %w", dir, err)
	}
	defer open.Close()
	folders, err := open.ReadDir(maxFolders)
	if err != nil {
		return fmt.Errorf("listing log directory %s: %w", dir, err)
	}
	seen := make(map[string]bool)
	var errs []error
	for _, folder := range folders {
		topic, ok := topicOf(folder)
		if !ok || seen[topic] {
			continue
		}
		id, err := readMetadata(root, filepath.Join(dir, folder.Name(), metadataFile))
		switch {
		case errors.Is(err, fs.ErrNotExist): // deleted meanwhile, or of a broker from before topic ids
		case err != nil:
			errs = append(errs, err)
		default:
			seen[topic] = true
			names[id] = topic
		}
	}
	return errors.Join(errs...)
}

// topicOf is the topic of a partition's folder, "<topic>-<partition>". Folders of partitions that are being deleted or
// moved have a suffix behind the number.
func topicOf(folder fs.DirEntry) (string, bool) {
	name := folder.Name()
	at := strings.LastIndexByte(name, '-')
	if at <= 0 || !folder.IsDir() {
		return "", false
	}
	if _, err := strconv.ParseUint(name[at+1:], 10, 31); err != nil {
		return "", false
	}
	return name[:at], true
}

func readMetadata(root *os.Root, path string) (TopicID, error) {
	value, err := property(root, path, "topic_id:")
	if err != nil {
		return TopicID{}, err
	}
	// Kafka writes ids in URL-safe base64 without padding.
	raw, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(raw) != len(TopicID{}) || TopicID(raw) == (TopicID{}) {
		return TopicID{}, fmt.Errorf("%s: %q is no topic id", path, value)
	}
	return TopicID(raw), nil
}

// property reads the rest of the one line that begins with prefix.
func property(root *os.Root, path, prefix string) (string, error) {
	// Not to wait for whoever may write into a pipe.
	file, err := root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no regular file, but %s", path, info.Mode())
	}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxFileBytes)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), prefix); ok {
			return strings.TrimSpace(value), nil
		}
	}
	if err := lines.Err(); err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	return "", fmt.Errorf("%s: no line %q", path, prefix)
}
