package journal

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
)

// The test binary runs as its own child where a process must die: childLoad writes
// without end and says on standard output what Follow gave it; childDump says what
// the journal holds.
const (
	childRole = "JOURNAL_CHILD"
	childDir  = "JOURNAL_CHILD_DIR"
)

func TestMain(m *testing.M) {
	switch os.Getenv(childRole) {
	case "load":
		childLoad(os.Getenv(childDir))
	case "dump":
		childDump(os.Getenv(childDir))
	default:
		os.Exit(m.Run())
	}
}

// dump is what childDump says.
type dump struct {
	Records  []Record
	State    map[string]string
	OK       bool
	Why      string
	Replaced int64
	Opened   time.Duration
}

func childJournal(dir string) *Journal {
	g := guard.New(context.Background(), slog.New(slog.NewTextHandler(os.Stderr, nil)), func(e guard.Event) {
		fmt.Fprintln(os.Stderr, "DIED", e.Err, e.Stack)
		os.Exit(3)
	})
	j, err := Open(dir, Opts{Guard: g, Clock: clock.NewSystem(time.Time{}, clock.Set), Start: 30 * time.Second})
	if err != nil {
		panic(err)
	}
	return j
}

// childLoad appends batches of records with a counter in the state, as rooms would.
func childLoad(dir string) {
	j := childJournal(dir)
	n := 0
	if v, ok := j.Get("n"); ok {
		fmt.Sscan(string(v), &n)
	}
	last := int64(0)
	if r := j.Recent(1); len(r) == 1 {
		last = r[0].Seq
	}
	go noise(dir)
	go func() {
		for {
			n++
			b := Batch{State: map[string][]byte{"n": fmt.Append(nil, n)}}
			for i := range 1 + rand.IntN(4) {
				kind := "alarm.raised"
				if i > 0 {
					kind = "reading.sample"
				}
				b.Records = append(b.Records, Record{
					Kind: kind, Cause: fmt.Sprint("c", n), Message: phrase.M("journal.damaged", "seq", n),
					Body: fmt.Appendf(nil, `{"n":%d,"pad":"%0*d"}`, n, 1+rand.IntN(1500), 0),
				})
			}
			j.Commit(b)
			if rand.IntN(3) > 0 {
				time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
			}
			if j.Stats().Waiting > 2000 {
				time.Sleep(20 * time.Millisecond)
			}
		}
	}()
	j.Follow(context.Background(), last, func(r Record) error {
		line, _ := json.Marshal(r)
		os.Stdout.Write(append(line, '\n'))
		return nil
	})
}

// noise writes beside the journal without ever syncing, and has the kernel send it to
// the disk, so that a cut finds unflushed writes of others between the journal's.
func noise(dir string) {
	f, err := os.Create(filepath.Join(dir, "noise"))
	if err != nil {
		return
	}
	block := make([]byte, 16<<10)
	for {
		for i := range block {
			block[i] = byte(rand.Uint32())
		}
		at := int64(rand.IntN(128)) * int64(len(block))
		if _, err := f.WriteAt(block, at); err != nil {
			return
		}
		unix.SyncFileRange(int(f.Fd()), at, int64(len(block)), unix.SYNC_FILE_RANGE_WRITE)
		time.Sleep(time.Duration(rand.IntN(8000)) * time.Microsecond)
	}
}

func childDump(dir string) {
	began := time.Now()
	j := childJournal(dir)
	d := dump{State: map[string]string{}, Opened: time.Since(began)}
	for after := int64(0); ; {
		recs, err := j.Read(context.Background(), after, MaxRead)
		if err != nil {
			fmt.Fprintln(os.Stderr, "read:", err)
			os.Exit(4)
		}
		if len(recs) == 0 {
			break
		}
		after = recs[len(recs)-1].Seq
		d.Records = append(d.Records, recs...)
	}
	for _, k := range j.Keys("") {
		v, _ := j.Get(k)
		d.State[k] = string(v)
	}
	ok, why := j.State()
	d.OK, d.Why, d.Replaced = ok, why.In(phrase.EN), j.Stats().Replaced
	json.NewEncoder(os.Stdout).Encode(d)
	j.Close()
}

func childCommand(role, dir string) *exec.Cmd {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childRole+"="+role, childDir+"="+dir)
	c.Stderr = os.Stderr
	return c
}

// loader is a childLoad that runs.
type loader struct {
	cmd   *exec.Cmd
	acked chan []Record
	first chan struct{}
}

func startLoad(t *testing.T, dir string) *loader {
	t.Helper()
	l := &loader{cmd: childCommand("load", dir), acked: make(chan []Record, 1), first: make(chan struct{})}
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		var acked []Record
		in := bufio.NewReaderSize(out, 1<<20)
		for {
			line, err := in.ReadBytes('\n')
			if err != nil { // a line that was cut off was not said
				break
			}
			var r Record
			if json.Unmarshal(line, &r) == nil {
				if acked = append(acked, r); len(acked) == 1 {
					close(l.first)
				}
			}
		}
		io.Copy(io.Discard, out)
		l.acked <- acked
	}()
	return l
}

// ready waits until the child has acknowledged something.
func (l *loader) ready(t *testing.T) {
	t.Helper()
	select {
	case <-l.first:
	case <-time.After(60 * time.Second):
		l.cmd.Process.Kill()
		t.Fatal("the child acknowledges nothing")
	}
}

// ended waits for the killed child and gives what it had acknowledged.
func (l *loader) ended() []Record {
	acked := <-l.acked
	l.cmd.Wait()
	return acked
}

func dumped(t *testing.T, dir string) dump {
	t.Helper()
	out, err := childCommand("dump", dir).Output()
	if err != nil {
		t.Fatalf("dump: %v", err)
	}
	var d dump
	if err := json.Unmarshal(out, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// ledger holds all that was ever acknowledged against what the journal holds.
type ledger struct {
	acked map[int64]Record
	lost  int
}

func (l *ledger) hold(t *testing.T, round int, acked []Record, d dump) {
	t.Helper()
	if l.acked == nil {
		l.acked = map[int64]Record{}
	}
	if !d.OK || d.Replaced != 0 {
		t.Errorf("round %d: the journal came up as ok=%v (%s), replaced %d", round, d.OK, d.Why, d.Replaced)
	}
	for _, r := range acked {
		if old, twice := l.acked[r.Seq]; twice {
			t.Errorf("round %d: number %d was given twice: %s and %s", round, r.Seq, old.Cause, r.Cause)
		}
		l.acked[r.Seq] = r
	}
	kept := make(map[int64]Record, len(d.Records))
	last, newest := int64(0), 0
	for _, r := range d.Records {
		if r.Seq <= last {
			t.Errorf("round %d: number %d after %d", round, r.Seq, last)
		}
		last = r.Seq
		kept[r.Seq] = r
		var b struct{ N int }
		if json.Unmarshal(r.Body, &b) == nil {
			newest = max(newest, b.N)
		}
	}
	for seq, r := range l.acked {
		if k, ok := kept[seq]; !ok || k.Cause != r.Cause || string(k.Body) != string(r.Body) {
			l.lost++
			delete(l.acked, seq)
		}
	}
	if d.State["n"] != fmt.Sprint(newest) {
		t.Errorf("round %d: the state says %s, the records %d: a batch was split", round, d.State["n"], newest)
	}
}

// rounds is how often a test that takes long repeats: LONG=1 asks for all.
func rounds(short, long int) int {
	if os.Getenv("LONG") != "" {
		return long
	}
	return short
}

func TestNothingAcknowledgedIsLostByKill9(t *testing.T) {
	dir := t.TempDir()
	var l ledger
	for i := range rounds(8, 200) {
		c := startLoad(t, dir)
		c.ready(t)
		time.Sleep(time.Duration(rand.IntN(120)) * time.Millisecond)
		c.cmd.Process.Kill()
		l.hold(t, i, c.ended(), dumped(t, dir))
	}
	if l.lost > 0 {
		t.Errorf("lost %d of %d acknowledged records", l.lost, len(l.acked)+l.lost)
	}
	t.Logf("%d acknowledged records", len(l.acked))
}
