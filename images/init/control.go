package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const controlPath = "/run/tocsin-init.sock"

// request is what edged asks for: one JSON object on a line, answered by one.
type request struct {
	Do string `json:"do"`
	// Why goes to the log, of a restart.
	Why string `json:"why,omitempty"`
	// Network is what interfaces shall be, as reach/network has it.
	Network map[string]setting `json:"network,omitempty"`
	// Slot is the one that shall start by itself, of autoboot; of restart, that shall be tried
	// once, where the board's firmware does that; or of slot, that is opened.
	Slot string `json:"slot,omitempty"`
	// Write opens it to be written.
	Write bool `json:"write,omitempty"`
	// Environment is a sector of the boot loader's, whole.
	Environment []byte `json:"environment,omitempty"`
}

type answer struct {
	Err    string `json:"err,omitempty"`
	Status *state `json:"status,omitempty"`
	Bytes  []byte `json:"bytes,omitempty"`
	Text   string `json:"text,omitempty"`

	// file goes with the answer, as a descriptor, and is closed here.
	file *os.File
}

// state is what init says of the board.
type state struct {
	Version string            `json:"version"`
	Slot    string            `json:"slot"`
	Args    map[string]string `json:"args"`
	// Firmware: the board's firmware chooses the slot, by autoboot.txt.
	Firmware bool      `json:"firmware,omitempty"`
	Data     dataState `json:"data"`
	Cycles   cycles    `json:"cycles"`
	Starts   int       `json:"starts"`
	LastEnd  string    `json:"last_end,omitempty"`
	// Crash is the last that a boot before this one said before it died.
	Crash string `json:"crash,omitempty"`
	// ResetUntil is until when the button allows a reset; zero for not.
	ResetUntil time.Time `json:"reset_until,omitzero"`
}

// serveControl answers edged. The socket is edged's and nobody else's.
func (b *board) serveControl(ctx context.Context) {
	_ = os.Remove(controlPath)
	l, err := net.Listen("unix", controlPath)
	if err == nil {
		err = os.Chmod(controlPath, 0o660)
	}
	if err == nil {
		err = os.Chown(controlPath, 0, boxUser)
	}
	if err != nil {
		b.say("control: %v", err)
		return
	}
	b.answerAll(ctx, l)
}

// answerAll answers who asks, as long as that is the edged that runs.
func (b *board) answerAll(ctx context.Context, l net.Listener) {
	for ctx.Err() == nil {
		c, err := l.Accept()
		if err != nil {
			b.say("control: %v", err)
			return
		}
		b.beside("control", func() {
			defer c.Close()
			if pid := callerOf(c); !b.box.is(pid) {
				b.say("control: process %d asks, and is not edged: not answered", pid)
				return
			}
			b.answerOn(c)
		})
	}
}

// callerOf is the process that opened a connection (SO_PEERCRED, unix(7)); 0 for nobody
// knows. edged's children run as its user: the socket's rights alone do not tell them apart.
func callerOf(c net.Conn) int {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return 0
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0
	}
	pid := 0
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	return pid
}

func (b *board) answerOn(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
	r := bufio.NewReaderSize(c, 64<<10)
	for range 1000 {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		var q request
		var a answer
		if err := json.Unmarshal(line, &q); err != nil {
			a.Err = "no request: " + err.Error()
		} else {
			a = b.answer(q)
		}
		if err := a.send(c); err != nil {
			return
		}
	}
}

// send sends an answer, and with it the file that it has (unix(7), SCM_RIGHTS).
func (a answer) send(c net.Conn) error {
	if a.file != nil {
		defer a.file.Close()
	}
	t, err := json.Marshal(a)
	if err != nil {
		return err
	}
	t = append(t, '\n')
	if a.file != nil {
		u, ok := c.(*net.UnixConn)
		if !ok {
			return errors.New("a descriptor goes over a Unix socket alone")
		}
		n, _, err := u.WriteMsgUnix(t, unix.UnixRights(int(a.file.Fd())), nil)
		if err != nil {
			return err
		}
		t = t[n:] // its first byte brought the descriptor
	}
	_, err = c.Write(t)
	return err
}

func (b *board) answer(q request) (a answer) {
	fail := func(err error) {
		if err != nil {
			a.Err = err.Error()
		}
	}
	switch q.Do {
	case "status":
		a.Status = b.state()
	case "log":
		a.Text = b.log.text()
	case "kept":
		a.Text = kept("/sys/fs/pstore")
	case "restart":
		if q.Slot != "" && b.firmware && q.Slot != b.slots.Slot && b.reboot != nil {
			b.reboot = tryOnce
		}
		b.beside("restart", func() {
			time.Sleep(300 * time.Millisecond) // the answer goes out first
			b.restart(clean(q.Why))
		})
	case "autoboot":
		var err error
		a.Text, err = b.autoboot(q.Slot)
		fail(err)
	case "network":
		fail(b.net.apply(q.Network))
	case "environment":
		var err error
		a.Bytes, err = b.environment(q.Environment)
		fail(err)
	case "slot":
		var err error
		a.file, err = b.openSlot(q.Slot, q.Write)
		fail(err)
	case "reset":
		fail(b.reset(q.Why))
	default:
		a.Err = "nothing is known of " + clean(q.Do)
	}
	return a
}

func (b *board) state() *state {
	s := &state{Version: Version, Slot: b.slots.Slot, Args: b.args, Firmware: b.firmware, Data: b.data, Cycles: b.cycles, Crash: lastWords("/sys/fs/pstore")}
	s.Data.Mended = s.Data.How == "memory" && b.dataMended.Load()
	b.box.mu.Lock()
	s.Starts, s.LastEnd = b.box.starts, b.box.lastEnd
	b.box.mu.Unlock()
	if u := b.allowReset.Load(); u > 0 && time.Now().UnixNano() < u {
		s.ResetUntil = time.Unix(0, u)
	}
	return s
}

// Where the copies of the boot environment are, in bytes.
var environmentAt = [2]int64{2048 * 512, 6144 * 512}

const environmentSize = 512

// environment reads the copies of the boot loader's environment, and writes them where
// a new one is given: the second first, each flushed, so that one is whole at any instant.
func (b *board) environment(e []byte) ([]byte, error) {
	if b.slots.Disk == "" {
		return nil, errors.New("this board was not started from slots")
	}
	f, err := os.OpenFile(b.slots.Disk, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if e != nil {
		if len(e) != environmentSize {
			return nil, errors.New("an environment has 512 bytes")
		}
		now := make([]byte, 2*environmentSize)
		for n, at := range environmentAt {
			if _, err := f.ReadAt(now[n*environmentSize:][:environmentSize], at); err != nil {
				return nil, err
			}
		}
		if err := fitsEnvironment(e, now); err != nil {
			return nil, err
		}
		m, err := parseEnvironment(e)
		if err != nil {
			return nil, err
		}
		if m["next"] != "" {
			b.trialAsked.Store(true)
		}
		for _, at := range []int64{environmentAt[1], environmentAt[0]} {
			if _, err := f.WriteAt(e, at); err != nil {
				return nil, err
			}
			if err := f.Sync(); err != nil {
				return nil, err
			}
		}
		b.trialAsked.Store(m["next"] != "")
	}
	both := make([]byte, 2*environmentSize)
	for n, at := range environmentAt {
		if _, err := f.ReadAt(both[n*environmentSize:][:environmentSize], at); err != nil {
			return nil, err
		}
	}
	return both, nil
}

// reset forgets what the box keeps, while the button allows it: edged has asked for the
// secret before it asks for this. What was there is set aside, not destroyed.
func (b *board) reset(who string) error {
	if u := b.allowReset.Load(); u == 0 || time.Now().UnixNano() > u {
		return errors.New("the button has not allowed a reset: hold it for ten seconds first")
	}
	b.say("reset: asked for by %s", clean(who))
	b.box.end()
	// Whatever comes of it: edged has ended, and only a start brings it back. Not before it is done, which
	// takes a slow card seconds: a start amid it would be that of the box as it was.
	defer b.beside("restart", func() {
		time.Sleep(300 * time.Millisecond)
		b.restart("reset")
	})
	// Before: what comes back from it would be the box that was reset.
	err := b.forgetSpare()
	if err == nil && b.data.How == "memory" && b.slots.Disk != "" { // what is in memory goes by itself
		err = markReset(b.slots.Disk, true)
	}
	if err == nil {
		err = setBoxAside(boxDir)
	}
	if err != nil {
		b.say("reset: nothing was reset: %v", err)
	}
	return err
}

// resetsKept is how many boxes that were reset are kept beside the one that is.
const resetsKept = 5

// setBoxAside puts what the box keeps beside its place, each under a number of its own, and
// lets go of the oldest when there are too many. With it goes what it once kept in memory, which
// would else be the next one's.
func setBoxAside(box string) error {
	aside := func(n int) string { return filepath.Join(filepath.Dir(box), fmt.Sprintf("before-reset-%d", n)) }
	have, err := numbered(filepath.Dir(box), "before-reset-")
	if err != nil {
		return err
	}
	memory, _, err := memories(filepath.Dir(box))
	if err != nil {
		return err
	}
	next := 1
	if len(have) > 0 {
		next = have[len(have)-1] + 1
	}
	err = os.Rename(box, aside(next))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		for _, name := range memory {
			from := filepath.Join(filepath.Dir(box), name)
			if os.Rename(from, filepath.Join(aside(next), name)) != nil {
				err = errors.Join(err, os.RemoveAll(from))
			}
		}
	}
	if err != nil {
		return err
	}
	for _, n := range have[:max(0, len(have)-resetsKept+1)] {
		_ = os.RemoveAll(aside(n))
	}
	return flush(filepath.Dir(box))
}

// numbered are the numbers of what has a name that begins so, in a folder.
func numbered(dir, prefix string) (have []int, err error) {
	all, err := os.ReadDir(dir)
	for _, e := range all {
		if n, err := strconv.Atoi(strings.TrimPrefix(e.Name(), prefix)); err == nil && n > 0 && e.Name() == prefix+strconv.Itoa(n) {
			have = append(have, n)
		}
	}
	slices.Sort(have)
	return have, err
}
