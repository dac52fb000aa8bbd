// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
	"github.com/ebpfkafka/ebpfkafka/test/process"
)

type starter = func(context.Context, Client, Job) (*process.Process, error)

// consumer is test/kafka's own Java consumer.
func consumer(version string) starter {
	return func(ctx context.Context, c Client, j Job) (*process.Process, error) {
		return j.Broker.StartConsumer(ctx, kafka.Consumer{Group: j.Group, Topics: j.Topics, Protocol: c.Protocol,
			Commit: kafka.Commit(c.Commit), Hold: true, Version: version})
	}
}

// console is kafka-console-consumer, which takes several topics as a pattern.
func console(ctx context.Context, _ Client, j Job) (*process.Process, error) {
	return j.Broker.StartConsoleConsumer(ctx, kafka.Consumer{Group: j.Group, Topics: j.Topics, Version: javaVersion,
		Properties: map[string]string{"isolation.level": "read_committed"}})
}

// streams is Kafka Streams. Its jars are fetched, its program compiled.
func streams(ctx context.Context, c Client, j Job) (*process.Process, error) {
	dir, err := built("java", "streams", "", func(source, dir string) error {
		jars := filepath.Join(dir, "jars")
		return each(ctx,
			[]string{source, "mvn", "-B", "-q", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=" + jars},
			[]string{source, "javac", "-nowarn", "--release", "17", "-d", filepath.Join(dir, "classes"),
				"-cp", jars + "/*", "CopyStreams.java"})
	})
	if err != nil {
		return nil, err
	}
	cmd, err := command(j.Dir, "java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx128m",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-cp", filepath.Join(dir, "classes")+":"+filepath.Join(dir, "jars")+"/*", "CopyStreams")
	if err != nil {
		return nil, err
	}
	return run(c, j, cmd)
}

// The sets of Python packages: two releases of one do not go into one.
const (
	current = "requirements.txt"
	old     = "requirements-old.txt"
)

// python installs packages from wheels into a virtual environment.
func python(program, requirements string) starter {
	return func(ctx context.Context, c Client, j Job) (*process.Process, error) {
		const interpreter = "python3"
		version, err := command("", interpreter, "--version")
		if err != nil {
			return nil, err
		}
		said, err := process.Run(ctx, interpreter, version)
		if err != nil {
			return nil, err
		}
		dir, err := built("python", strings.TrimSuffix(requirements, ".txt"), said, func(source, dir string) error {
			return each(ctx,
				[]string{source, interpreter, "-m", "venv", dir},
				[]string{source, filepath.Join(dir, "bin", interpreter), "-m", "pip", "install", "-q", "-r", requirements})
		})
		if err != nil {
			return nil, err
		}
		cmd, err := command(j.Dir, filepath.Join(dir, "bin", interpreter), filepath.Join(sources("python"), program))
		if err != nil {
			return nil, err
		}
		return run(c, j, cmd, "PYTHONDONTWRITEBYTECODE=1")
	}
}

// node installs the packages of the lock file beside a copy of the program.
func node(ctx context.Context, c Client, j Job) (*process.Process, error) {
	dir, err := built("node", "kafkajs", "", func(source, dir string) error {
		if err := copyFiles(source, dir, "package.json", "package-lock.json", "consumer.js"); err != nil {
			return err
		}
		return each(ctx, []string{dir, "npm", "ci", "--no-audit", "--no-fund"})
	})
	if err != nil {
		return nil, err
	}
	cmd, err := command(j.Dir, "node", filepath.Join(dir, "consumer.js"))
	if err != nil {
		return nil, err
	}
	return run(c, j, cmd, "KAFKAJS_NO_PARTITIONER_WARNING=1")
}

// rust compiles librdkafka, too: most of what the clients take to build.
func rust(ctx context.Context, c Client, j Job) (*process.Process, error) {
	dir, err := built("rust", "rdkafka", "", func(source, dir string) error {
		target := filepath.Join(dir, "target")
		return each(ctx,
			[]string{source, "cargo", "build", "--quiet", "--locked", "--bin", "consumer", "--target-dir", target},
			[]string{source, "mv", filepath.Join(target, "debug", "consumer"), dir},
			[]string{source, "rm", "-r", target})
	})
	if err != nil {
		return nil, err
	}
	cmd, err := command(j.Dir, filepath.Join(dir, "consumer"))
	if err != nil {
		return nil, err
	}
	return run(c, j, cmd)
}

// golang builds all programs of the Go module at once. One of them is C for
// the most part, in an archive that comes with its module.
func golang(program string) starter {
	return func(ctx context.Context, c Client, j Job) (*process.Process, error) {
		dir, err := built("go", "all", runtime.Version(), func(source, dir string) error {
			return each(ctx, []string{source, "go", "build", "-o", dir + "/", "./..."})
		})
		if err != nil {
			return nil, err
		}
		cmd, err := command(j.Dir, filepath.Join(dir, program))
		if err != nil {
			return nil, err
		}
		return run(c, j, cmd)
	}
}
