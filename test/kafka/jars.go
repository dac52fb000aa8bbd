// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/ebpfkafka/ebpfkafka/test/process"
)

// DefaultVersion is the Apache Kafka release that tests run unless they say
// otherwise. 3.9.2 and 2.8.2 work too.
const DefaultVersion = "4.3.1"

// AtLeast compares releases by their first two numbers.
func AtLeast(version, least string) bool {
	var a, b [2]int
	// What is no number counts as 0: an unknown release is taken for an old one.
	fmt.Sscanf(version, "%d.%d", &a[0], &a[1])
	fmt.Sscanf(least, "%d.%d", &b[0], &b[1])
	return slices.Compare(a[:], b[:]) >= 0
}

//go:embed pom.xml
var pom []byte

// Jars returns a folder with the jars of that Kafka release and its command
// line tools, fetching them from Maven Central on first use (45 MB).
func Jars(ctx context.Context, version string) (string, error) {
	// A changed pom.xml is another set of jars.
	name := fmt.Sprintf("kafka-%s-%x", version, sha256.Sum256(pom))[:len("kafka--")+len(version)+12]
	return Cached(name, func(dir string) error {
		mvn, err := exec.LookPath("mvn")
		if err != nil {
			return needs("Maven", "mvn", err)
		}
		work, err := os.MkdirTemp("", "ebpfkafka-pom")
		if err != nil {
			return err
		}
		defer os.RemoveAll(work)
		if err := os.WriteFile(filepath.Join(work, "pom.xml"), pom, 0o644); err != nil {
			return err
		}
		cmd := exec.Command(mvn, "-B", "-q", "-Dkafka.version="+version, "dependency:copy-dependencies",
			"-DincludeScope=runtime", "-DexcludeArtifactIds=slf4j-reload4j,slf4j-log4j12", "-DoutputDirectory="+dir)
		cmd.Dir = work
		if _, err := process.Run(ctx, "mvn dependency:copy-dependencies", cmd); err != nil {
			return fmt.Errorf("fetch the jars of Apache Kafka %s: %w", version, err)
		}
		return nil
	})
}
