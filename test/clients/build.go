// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
	"github.com/ebpfkafka/ebpfkafka/test/process"
)

// sources returns the folder of a language's programs. They are built from the
// checkout: a Go module within another cannot be embedded.
func sources(language string) string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), language)
}

// built returns a folder of the cache that make has filled from the files of
// a source folder. Its name tells the files' contents and version, the
// version of what builds them.
func built(language, part, version string, make func(source, dir string) error) (string, error) {
	source := sources(language)
	hash := sha256.New()
	fmt.Fprintln(hash, version)
	err := filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		fmt.Fprintln(hash, path[len(source):], len(text))
		hash.Write(text)
		return err
	})
	if err != nil {
		return "", err
	}
	return kafka.Cached(fmt.Sprintf("client-%s-%s-%.12x", language, part, hash.Sum(nil)), func(dir string) error {
		begin := time.Now()
		err := make(source, dir)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, tookFile), []byte(time.Since(begin).Round(time.Second/10).String()), 0o644)
		}
		return err
	})
}

// tookFile tells how long a cached folder took to fill.
const tookFile = "took"

// command returns a command in a folder, or an error that says what to install.
func command(dir, program string, args ...string) (*exec.Cmd, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, fmt.Errorf("%s is needed to build test clients: %w; run test/install.sh clients as root", program, err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	return cmd, nil
}

// each runs commands one after the other, to the first that fails.
func each(ctx context.Context, commands ...[]string) error {
	for _, c := range commands {
		cmd, err := command(c[0], c[1], c[2:]...)
		if err != nil {
			return err
		}
		if _, err := process.Run(ctx, filepath.Base(c[1]), cmd); err != nil {
			return err
		}
	}
	return nil
}

// copyFiles copies files of one folder to another.
func copyFiles(from, to string, names ...string) error {
	var errs []error
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(from, name))
		errs = append(errs, err, os.WriteFile(filepath.Join(to, name), text, 0o644))
	}
	return errors.Join(errs...)
}
