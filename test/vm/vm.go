// SPDX-License-Identifier: Apache-2.0

// Package vm runs one program under a kernel of its own: QEMU emulates the machine, an initramfs holds the program and
// a small init, and the serial console is the way out. It needs no root, no disk, no network and no KVM.
package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/ebpfkafka/ebpfkafka/test/process"
	"github.com/ebpfkafka/ebpfkafka/test/vm/guest"
)

// Kernel is what to boot.
type Kernel struct {
	Arch  string // as GOARCH has it
	Image string // path of the image
}

// Job is what to run: a static program for the kernel's architecture.
type Job struct {
	Binary string
	Args   []string
	Env    []string
	Files  map[string]string // by path in the machine, path here
	Memory int               // MiB; 0: enough for the collector

	// Instructions makes the machine's clock count them, a nanosecond each, and pass over the time in which the
	// processor has nothing to do.
	Instructions bool
}

// Result is what became of a job that ran to its end, well or not.
type Result struct {
	Output     string
	ExitCode   int
	Complaints []string      // of the kernel about itself
	Boot, Took time.Duration // until the job began, and the job itself
}

const defaultMemory = 1536

// A machine is how QEMU emulates an architecture.
type machine struct {
	program string
	args    []string
	console string

	// counting is -cpu where instructions are counted. A string instruction counts once for each repetition: without
	// the features by which kernels prefer them, copies are made of ordinary instructions.
	counting string
}

var machines = map[string]machine{
	// Without cmpxchg16b: QEMU 7.2 leaves other flags after it that are none, the direction flag among them. If an
	// interrupt comes there, the kernel goes on with them and dies somewhere, once in some ten boots.
	"amd64": {"qemu-system-x86_64", []string{"-machine", "q35", "-cpu", "max,-cx16"}, "ttyS0", "max,-cx16,-erms,-fsrm"},
	// -cpu max costs twice the time, mostly for pointer authentication. On older ones, which lack ARMv8.1's access
	// flag and PAN, Linux 7.3 now and then fails to read memory of a process that is there.
	"arm64": {"qemu-system-aarch64", []string{"-machine", "virt", "-cpu", "cortex-a76"}, "ttyAMA0", "cortex-a76"},
}

// Boot boots the kernel, runs the job and returns when the machine is off. A job that fails is no error; a kernel that
// panics, and a machine that is still on when ctx ends, are errors which hold the end of the console's output.
func Boot(ctx context.Context, k Kernel, j Job) (*Result, error) {
	m, ok := machines[k.Arch]
	if !ok {
		return nil, fmt.Errorf("no machine for architecture %q: amd64 and arm64 are known", k.Arch)
	}
	program, err := exec.LookPath(m.program)
	if err != nil {
		return nil, fmt.Errorf("QEMU for %s: %w; run test/install.sh kernels", k.Arch, err)
	}
	dir, err := os.MkdirTemp("", "ebpfkafka-vm")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	initramfs, err := pack(ctx, dir, k.Arch, j)
	if err != nil {
		return nil, err
	}
	memory := j.Memory
	if memory == 0 {
		memory = defaultMemory
	}
	// One processor: 6.12 dies of int3 now and then when two are emulated by two threads.
	args := append(m.args, "-accel", "tcg,thread=single", "-smp", "1", "-m", fmt.Sprint(memory),
		"-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio", "-kernel", k.Image, "-initrd", initramfs,
		"-append", "console="+m.console+" quiet panic=-1 oops=panic random.trust_cpu=on rdinit=/"+guest.Init)
	if j.Instructions {
		args = append(args, "-icount", "shift=0,sleep=off", "-cpu", m.counting)
	}
	c := &console{on: time.Now()}
	cmd := exec.Command(program, args...)
	cmd.Stdout = c
	p, err := process.Start(m.program, "", cmd)
	if err != nil {
		return nil, err
	}
	err = errors.Join(p.Wait(ctx), p.Stop(0)) // if QEMU itself fails, it says why on standard error
	if r := c.result(); r != nil && err == nil {
		return r, nil
	}
	if err == nil {
		err = errors.New("the machine went off before its job had ended")
	}
	return nil, fmt.Errorf("%s %s under %s: %w; the end of the console:\n%s",
		filepath.Base(j.Binary), strings.Join(j.Args, " "), k.Image, err, c.tail())
}

// pack builds init and makes an initramfs of it and the job.
func pack(ctx context.Context, dir, arch string, j Job) (path string, err error) {
	init := filepath.Join(dir, guest.Init)
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", init, "./init")
	build.Dir = sourceDir()
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if _, err := process.Run(ctx, "go build", build); err != nil {
		return "", err
	}
	job, err := json.Marshal(guest.Job{Args: j.Args, Env: j.Env})
	if err != nil {
		return "", err
	}
	files := map[string]string{guest.Init: init, guest.Binary: j.Binary}
	maps.Copy(files, j.Files)
	f, err := os.Create(filepath.Join(dir, "initramfs"))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.Name(), writeInitramfs(f, files, map[string][]byte{guest.JobFile: job})
}

// sourceDir is where this file is.
func sourceDir() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(file)
}
