// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// CacheEnv names the environment variable that overrides the cache folder.
const CacheEnv = "EBPFKAFKA_TEST_CACHE"

func cacheDir() (string, error) {
	if dir := os.Getenv(CacheEnv); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder: %w; set %s", err, CacheEnv)
	}
	return filepath.Join(dir, "ebpfkafka-test"), nil
}

// Cached returns the folder of the cache called name, having filled it first
// if it is not there. fill writes to a folder that becomes visible under its
// name only when fill has succeeded, so an interrupted run leaves no half of
// it. Test binaries that want the same folder at once wait for one another.
func Cached(name string, fill func(dir string) error) (dir string, err error) {
	root, err := cacheDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(root, name)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Close()) }() // closing unlocks
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	if _, err := os.Stat(dir); err == nil {
		return dir, nil // another process filled it meanwhile
	}
	tmp, err := os.MkdirTemp(root, name+".*.part")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	if err := fill(tmp); err != nil {
		return "", err
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return "", err
	}
	return dir, os.Rename(tmp, dir)
}

// needs says what to install when a program that the tests need is missing.
func needs(program, path string, err error) error {
	return fmt.Errorf("%s (%s) is needed for tests with real Kafka: %w; run test/install.sh as root, "+
		"or install openjdk-17-jdk-headless and maven", program, path, err)
}
