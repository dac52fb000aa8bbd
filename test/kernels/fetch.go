// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/ebpfkafka/ebpfkafka/test/kafka"
	"github.com/ebpfkafka/ebpfkafka/test/process"
)

// MirrorEnv names the environment variable with the address of a Debian mirror, for machines that are not Debian. On
// Debian it is where the machine itself installs from.
const MirrorEnv = "EBPFKAFKA_TEST_DEBIAN_MIRROR"

// Debian's keys: of the package debian-archive-keyring, which Ubuntu has too.
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

const (
	imageFile   = "image"
	versionFile = "version"
)

// Fetch returns the path of the image of a kernel that stands in kernels.txt, and the package and version it is of.
func Fetch(ctx context.Context, name, arch string) (image, version string, err error) {
	all, err := parse(list)
	if err != nil {
		return "", "", err
	}
	for _, k := range all {
		if k.name == name && k.arch == arch {
			return fetch(ctx, k)
		}
	}
	return "", "", fmt.Errorf("kernels.txt has no kernel %q for %s", name, arch)
}

// fetch returns the path of a kernel's image and the package and version it is of. It asks Debian once: remove the
// folder from the cache to have a newer one.
func fetch(ctx context.Context, k kernel) (image, version string, err error) {
	dir, err := kafka.Cached(strings.Join([]string{"kernel", k.suite, k.source}, "-"), func(dir string) error {
		return download(ctx, k, dir)
	})
	if err != nil {
		return "", "", fmt.Errorf("kernel %s: %w", k, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, versionFile))
	return filepath.Join(dir, imageFile), strings.TrimSpace(string(text)), err
}

// download fetches a package through a view of apt's own, with its own sources, lists and cache: those of the machine
// stay as they are. apt checks the signatures and sums.
func download(ctx context.Context, k kernel, to string) error {
	dir, err := os.MkdirTemp("", "ebpfkafka-apt")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	v := view{dir: dir, arch: k.arch}
	mirror, err := mirror(ctx)
	if err != nil {
		return err
	}
	if err := v.make(mirror, k.suite); err != nil {
		return err
	}
	if _, err := v.run(ctx, "apt-get", "update"); err != nil {
		return err
	}
	name, err := v.resolve(ctx, k.source)
	if err != nil {
		return err
	}
	if _, err := v.run(ctx, "apt-get", "download", name); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(dir, name+"_*.deb"))
	if err != nil || len(debs) != 1 {
		return fmt.Errorf("apt-get download %s left %d packages in %s (%w)", name, len(debs), dir, err)
	}
	if err := unpack(debs[0], filepath.Join(to, imageFile)); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(debs[0]), err)
	}
	version := strings.TrimSuffix(filepath.Base(debs[0]), ".deb")
	return os.WriteFile(filepath.Join(to, versionFile), []byte(version+"\n"), 0o644)
}

// mirror is the address of a Debian mirror.
func mirror(ctx context.Context) (string, error) {
	if m := os.Getenv(MirrorEnv); m != "" {
		return m, nil
	}
	// apt itself reads its sources, in whatever format they are.
	out, err := process.Run(ctx, "apt-get indextargets",
		exec.Command("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"))
	if err != nil {
		return "", fmt.Errorf("finding a Debian mirror: %w; set %s", err, MirrorEnv)
	}
	for address := range strings.FieldsSeq(out) {
		if strings.HasSuffix(strings.TrimSuffix(address, "/"), "/debian") {
			return address, nil
		}
	}
	return "", fmt.Errorf("no Debian mirror among the sources of apt, %q: set %s to one", strings.Fields(out), MirrorEnv)
}

// A view is a folder in which apt knows one suite of one architecture.
type view struct{ dir, arch string }

func (v view) make(mirror, suite string) error {
	for _, d := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(v.dir, d), 0o755); err != nil {
			return err
		}
	}
	source := fmt.Sprintf("deb [signed-by=%s] %s %s main\n", keyring, mirror, suite)
	return errors.Join(
		os.WriteFile(filepath.Join(v.dir, "sources.list"), []byte(source), 0o644),
		os.WriteFile(filepath.Join(v.dir, "status"), nil, 0o644)) // nothing is installed
}

func (v view) run(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.Command(program, append([]string{"-q",
		"-o", "Dir::Etc::SourceList=" + filepath.Join(v.dir, "sources.list"),
		"-o", "Dir::Etc::SourceParts=-",
		"-o", "Dir::Etc::Preferences=-",
		"-o", "Dir::Etc::PreferencesParts=-",
		"-o", "Dir::State::Lists=" + filepath.Join(v.dir, "lists"),
		"-o", "Dir::State::Status=" + filepath.Join(v.dir, "status"),
		"-o", "Dir::Cache=" + filepath.Join(v.dir, "cache"),
		"-o", "APT::Architecture=" + v.arch,
		"-o", "APT::Architectures=" + v.arch,
		"-o", "APT::Sandbox::User=", // which could not write here
		"-o", "Acquire::Languages=none",
	}, args...)...)
	cmd.Dir = v.dir
	return process.Run(ctx, program+" "+strings.Join(args, " "), cmd)
}

// dependency finds what holds the kernel in what `apt-cache depends` prints: packages without a version in their name
// depend on one with it, and newer ones of these keep the image in another package.
var dependency = regexp.MustCompile(`(?m)^\s*Depends: (linux-(?:image|binary)-\S+)`)

func (v view) resolve(ctx context.Context, name string) (string, error) {
	const chain = 4 // packages at most
	for range chain {
		out, err := v.run(ctx, "apt-cache", "depends", name)
		if err != nil {
			return "", err
		}
		m := dependency.FindStringSubmatch(out)
		if m == nil {
			return name, nil
		}
		name = m[1]
	}
	return "", fmt.Errorf("package %s: more than %d packages deep", name, chain)
}

// unpack takes the kernel's image out of a package.
func unpack(deb, to string) error {
	cmd := exec.Command("dpkg-deb", "--fsys-tarfile", deb)
	var failure bytes.Buffer
	cmd.Stderr = &failure
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	image, errRead := findImage(tar.NewReader(out))
	_, errRest := io.Copy(io.Discard, out) // lest dpkg-deb finds nobody listening
	if err := errors.Join(errRead, errRest, cmd.Wait()); err != nil {
		return fmt.Errorf("%w %s", err, failure.String())
	}
	return os.WriteFile(to, image, 0o644)
}

func findImage(r *tar.Reader) ([]byte, error) {
	for {
		h, err := r.Next()
		if err != nil {
			return nil, fmt.Errorf("no vmlinuz: %w", err)
		}
		if h.Typeflag != tar.TypeReg || !strings.HasPrefix(filepath.Base(h.Name), "vmlinuz") {
			continue
		}
		b, err := io.ReadAll(r)
		if err != nil || !bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
			return b, err
		}
		// arm64 has no code that unpacks the kernel: the boot loader has to.
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(z)
	}
}
