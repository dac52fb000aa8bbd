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
func Read(proc string, pid uint32) (Broker, error) {
	dirs, err := find(proc, pid)
	b := Broker{Topics: make(map[TopicID]string)}
	errs := []error{err}
	for _, dir := range dirs {
		id, err := property(filepath.Join(dir, propertiesFile), "cluster.id=")
		if b.ClusterID == "" {
			b.ClusterID = id
		}
		errs = append(errs, err, readTopics(dir, b.Topics))
	}
	return b, errors.Join(errs...)
}

// find tells the log directories of a process, as paths that can be opened from here: it may live in another mount
// namespace.
func find(proc string, pid uint32) ([]string, error) {
	process := filepath.Join(proc, strconv.FormatUint(uint64(pid), 10))
	open, err := os.Open(filepath.Join(process, "fd"))
	if err != nil {
		return nil, fmt.Errorf("listing the open files of process %d: %w", pid, err)
	}
	defer open.Close()
	descriptors, err := open.Readdirnames(maxDescriptors)
	if err != nil {
		return nil, fmt.Errorf("listing the open files of process %d: %w", pid, err)
	}
	var dirs []string
	for _, d := range descriptors {
		target, err := os.Readlink(filepath.Join(open.Name(), d))
		if err != nil || filepath.Base(target) != lockFile {
			continue // closed meanwhile, or none of ours
		}
		dir := filepath.Join(process, "root", filepath.Dir(target))
		if _, err := os.Stat(filepath.Join(dir, propertiesFile)); err == nil {
			dirs = append(dirs, dir)
		}
	}
	return dirs, nil
}

// readTopics adds the topics of a log directory to names.
func readTopics(dir string, names map[TopicID]string) error {
	folders, err := os.ReadDir(dir)
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
		id, err := readMetadata(filepath.Join(dir, folder.Name(), metadataFile))
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

func readMetadata(path string) (TopicID, error) {
	value, err := property(path, "topic_id:")
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
func property(path, prefix string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
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
