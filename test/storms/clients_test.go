// SPDX-License-Identifier: Apache-2.0

package storms

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ebpfkafka/ebpfkafka/test/process"
)

const (
	roleClients = "clients"

	// What each worker of the clients does over and over, until it is told to end.
	modeKafka    = "kafka"     // connect, ApiVersions, commit one more, close
	modeSamePort = "same port" // the same, always from one port of its own
	modeForeign  = "foreign"   // connect, say something else, close
	modeSteady   = "steady"    // commit one more on one connection

	workers = 4
	// steadyPause is the time between two commits of a steady worker.
	steadyPause = 5 * time.Millisecond
)

// A tally is what one worker has done so far. Both processes see it.
type tally struct {
	// asked is the last offset that a commit was sent for, acknowledged the last
	// that the broker has said yes to.
	asked, acknowledged atomic.Int64
	connections         atomic.Int64
	_                   [5]int64 // a cache line each
}

// A board is a file of tallies that two processes have in memory.
type board [workers]tally

func openBoard(f *os.File) (*board, error) {
	var b board
	size := int(unsafe.Sizeof(b))
	if err := f.Truncate(int64(size)); err != nil {
		return nil, err
	}
	memory, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return (*board)(unsafe.Pointer(unsafe.SliceData(memory))), nil
}

// playClients works until its input ends.
func playClients(args []string) error {
	flags := flag.NewFlagSet(roleClients, flag.ContinueOnError)
	mode := flags.String("mode", "", "")
	to := flags.String("to", "", "")
	file := flags.String("board", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	f, err := os.OpenFile(*file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	b, err := openBoard(f)
	if err != nil {
		return err
	}
	var at []netip.AddrPort
	for _, address := range strings.Split(*to, ",") {
		a, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		at = append(at, a)
	}
	var done atomic.Bool
	failed := make([]error, workers)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			w := worker{partition: int32(i), to: at, tally: &b[i], done: &done}
			failed[i] = w.work(*mode)
		})
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	done.Store(true)
	wg.Wait()
	return errors.Join(append(failed, err)...)
}

type worker struct {
	partition int32
	to        []netip.AddrPort
	tally     *tally
	done      *atomic.Bool
}

func (w *worker) work(mode string) error {
	if mode == modeSteady {
		return w.steady()
	}
	port := 0
	if mode == modeSamePort {
		fd, a, err := listen(w.to[0].Addr()) // a port that nobody else is given
		if err != nil {
			return err
		}
		if err := unix.Close(fd); err != nil {
			return err
		}
		port = int(a.Port())
	}
	for i := w.tally.connections.Load(); !w.done.Load(); i++ {
		fd, err := connect(w.to[int(i)%len(w.to)], port)
		if err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
		if mode == modeForeign {
			err = w.shout(fd)
		} else {
			err = errors.Join(ask(fd, hello()), w.commit(fd, 1))
		}
		err = errors.Join(err, hangUp(fd, port != 0 || i%2 == 0))
		if err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
		w.tally.connections.Add(1)
	}
	return nil
}

func (w *worker) commit(fd int, correlation int32) error {
	offset := w.tally.asked.Add(1)
	if err := ask(fd, commit(w.partition, offset, correlation)); err != nil {
		return err
	}
	w.tally.acknowledged.Store(offset)
	return nil
}

func (w *worker) shout(fd int) error {
	if err := writeFull(fd, shout); err != nil {
		return err
	}
	return readFull(fd, make([]byte, len(shout)))
}

func (w *worker) steady() error {
	fd, err := connect(w.to[0], 0)
	if err != nil {
		return err
	}
	w.tally.connections.Add(1)
	err = ask(fd, hello())
	for i := int32(1); err == nil && !w.done.Load(); i++ {
		err = w.commit(fd, i)
		time.Sleep(steadyPause) // a pace, not a wait
	}
	return errors.Join(err, unix.Close(fd))
}

// Clients are a process that works.
type clients struct {
	*board
	process *process.Process
	in      io.Closer
	began   time.Time
}

// newClients starts one, which goes on from what is on the board.
func newClients(t *testing.T, b *broker, mode string, on *tallies) *clients {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", roleClients, "-mode="+mode, "-to="+strings.Join(b.addresses, ","), "-board="+on.file)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	p, err := process.Start(mode, filepath.Join(t.TempDir(), "clients.log"), cmd)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop(0)) })
	return &clients{board: on.board, process: p, in: in, began: time.Now()}
}

// end returns once the clients have ended, whatever they were doing.
func (c *clients) end(t *testing.T) {
	t.Helper()
	require.NoError(t, c.in.Close())
	require.NoError(t, c.process.Wait(t.Context()))
	took := time.Since(c.began).Seconds()
	n := c.connections()
	t.Logf("%s: %d connections, %.0f a second", c.process.Name, n, float64(n)/took)
}

// tallies are a board and its file.
type tallies struct {
	*board
	file string
}

func newTallies(t *testing.T) *tallies {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "board"))
	require.NoError(t, err)
	defer f.Close()
	b, err := openBoard(f)
	require.NoError(t, err)
	return &tallies{b, f.Name()}
}

func (b *board) connections() (n int64) {
	for i := range b {
		n += b[i].connections.Load()
	}
	return n
}

func (b *board) asked() (n [workers]int64) {
	for i := range b {
		n[i] = b[i].asked.Load()
	}
	return n
}

func (b *board) acknowledged() (n [workers]int64) {
	for i := range b {
		n[i] = b[i].acknowledged.Load()
	}
	return n
}
