// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/ebpfkafka/ebpfkafka/test/process"
)

//go:embed java/*.java
var javaSources embed.FS

// smallJVM keeps a test JVM small and quick to start: no optimising compiler,
// one garbage collector thread.
var smallJVM = []string{
	"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
	"-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
}

// Classpath returns the Java class path of that Kafka release: its jars, and
// the programs of the java folder, compiled on first use.
func Classpath(ctx context.Context, version string) (string, error) {
	jars, err := Jars(ctx, version)
	if err != nil {
		return "", err
	}
	sources := map[string][]byte{}
	hash := sha256.New()
	names, err := fs.Glob(javaSources, "java/*.java")
	if err != nil {
		return "", err
	}
	for _, name := range names {
		b, err := javaSources.ReadFile(name)
		if err != nil {
			return "", err
		}
		sources[filepath.Base(name)] = b
		fmt.Fprintf(hash, "%s %d\n", name, len(b))
		hash.Write(b)
	}
	classes, err := Cached(fmt.Sprintf("classes-%s-%.12x", version, hash.Sum(nil)), func(dir string) error {
		javac, err := exec.LookPath("javac")
		if err != nil {
			return needs("The Java compiler", "javac", err)
		}
		args := []string{"-nowarn", "--release", "17", "-d", dir, "-cp", jars + "/*"}
		work, err := os.MkdirTemp("", "ebpfkafka-java")
		if err != nil {
			return err
		}
		defer os.RemoveAll(work)
		for name, text := range sources {
			path := filepath.Join(work, name)
			if err := os.WriteFile(path, text, 0o644); err != nil {
				return err
			}
			args = append(args, path)
		}
		_, err = process.Run(ctx, "javac", exec.Command(javac, args...))
		return err
	})
	return classes + ":" + jars + "/*", err
}

// client returns the command that runs a Java client of that Kafka release,
// which logs what goes wrong and no more.
func client(ctx context.Context, version, class string, args ...string) (*exec.Cmd, error) {
	return java(ctx, version, []string{"-Xmx96m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"}, class, args...)
}

// java returns the command that runs a Java class of that Kafka release.
func java(ctx context.Context, version string, options []string, class string, args ...string) (*exec.Cmd, error) {
	classpath, err := Classpath(ctx, version)
	if err != nil {
		return nil, err
	}
	program, err := exec.LookPath("java")
	if err != nil {
		return nil, needs("Java", "java", err)
	}
	argv := slices.Concat(smallJVM, options, []string{"-cp", classpath, class})
	return exec.Command(program, append(argv, args...)...), nil
}
