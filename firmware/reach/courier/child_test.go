package courier

import (
	"bufio"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/keep/journal"
	"tocsin/hwtest/powercut"
)

// The test binary runs as its own child where a process must die. The child is a box: it
// posts messages with their records, says "kept ID" when one is durable, and has one link,
// whose far end is the test: it says "sent ID SUM" and takes "ack ID". What it finds when it
// starts and should not is said as "split ID". With the role drain it posts nothing and
// says "empty" when nothing waits.
const (
	childRole = "COURIER_CHILD"
	childDir  = "COURIER_CHILD_DIR"
	childName = "COURIER_CHILD_NAME"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		childBox(role, os.Getenv(childDir), os.Getenv(childName))
		return
	}
	os.Exit(m.Run())
}

// piped is the child's link.
type piped struct {
	mu   *sync.Mutex
	acks chan []Ack
}

func (p piped) Name() string       { return "fibre" }
func (p piped) Limits() Limits     { return Limits{May: true} }
func (p piped) Acks() <-chan []Ack { return p.acks }
func (p piped) Send(_ context.Context, parcel Parcel) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, part := range parcel.Parts {
		fmt.Printf("sent %s %08x\n", part.ID, crc32.ChecksumIEEE(part.Bytes))
	}
	return nil
}

func childBox(role, dir, name string) {
	die := func(what any) {
		fmt.Fprintln(os.Stderr, "DIED", what)
		os.Exit(3)
	}
	g := guard.New(context.Background(), slog.New(slog.NewTextHandler(os.Stderr, nil)), func(e guard.Event) { die(fmt.Sprint(e.Err, e.Stack)) })
	ck := clock.NewSystem(time.Time{}, clock.Set)
	j, err := journal.Open(dir, journal.Opts{Guard: g, Clock: ck, Start: 30 * time.Second})
	if err != nil {
		die(err)
	}
	var mu sync.Mutex
	say := func(format string, a ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf(format+"\n", a...)
	}
	split(j, say)
	rules := shippedChild()
	link := piped{&mu, make(chan []Ack, 1024)}
	c, err := Open(Opts{Guard: g, Clock: ck, Keep: j, Rules: rules, Links: []Link{link}})
	if err != nil {
		die(err)
	}
	go func() {
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			if id, ok := strings.CutPrefix(in.Text(), "ack "); ok {
				link.acks <- []Ack{{ID: id}}
			}
		}
	}()
	if role == "load" {
		go powercut.Unsynced(dir, nil)
	}
	for n := 0; role == "load"; n++ {
		var posted []string
		for i := range 1 + rand.IntN(3) {
			id := fmt.Sprintf("%s/%d.%d", name, n, i)
			m := Message{ID: id, Class: Class(rand.IntN(5)), Payload: fmt.Appendf(nil, "%s %0*d", id, 1+rand.IntN(900), 0)}
			if err := c.Post(m, journal.Batch{Records: []journal.Record{{Kind: "alarm.raised", Cause: id}}}); err != nil {
				die(err)
			}
			posted = append(posted, id)
		}
		if err := j.Sync(context.Background()); err != nil {
			die(err)
		}
		for _, id := range posted {
			say("kept %s", id)
		}
		time.Sleep(time.Duration(rand.IntN(4000)) * time.Microsecond)
	}
	for len(j.Letters()) > 0 {
		time.Sleep(5 * time.Millisecond)
	}
	say("empty")
	io.Copy(io.Discard, os.Stdin)
}

// split looks for messages whose record is there without the letter or the receipt, and for
// letters without their record: what committed as one must be there as one.
func split(j *journal.Journal, say func(string, ...any)) {
	raised, settled, letters := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, l := range j.Letters() {
		letters[l.ID] = true
	}
	for after := int64(0); ; {
		recs, err := j.Read(context.Background(), after, journal.MaxRead)
		if err != nil || len(recs) == 0 {
			break
		}
		for _, r := range recs {
			after = r.Seq
			switch r.Kind {
			case "alarm.raised":
				raised[r.Cause] = true
			case "receipt.county":
				settled[r.Cause] = true
			}
		}
	}
	for id := range letters {
		if !raised[id] {
			say("split letter-without-record %s", id)
		}
		if settled[id] {
			say("split letter-after-receipt %s", id)
		}
	}
	for id := range settled {
		if !raised[id] {
			say("split receipt-without-record %s", id)
		}
	}
}

func shippedChild() *Rules {
	b, err := os.ReadFile("../../../configs/" + RulesName)
	if err != nil {
		panic(err)
	}
	r, err := ParseRules(b)
	if err != nil {
		panic(err)
	}
	return r
}

// county is the far end over all lives of the box.
type county struct {
	mu     sync.Mutex
	has    map[string]string // id to sum
	kept   map[string]bool
	copies int
	wrong  []string
}

// life is one run of the box.
type life struct {
	cmd   *exec.Cmd
	first chan struct{}
	empty chan struct{}
	done  chan struct{}
}

// live starts the box; the county answers all but loss of what it gets, and where anything is
// lost none at all before it has seen one that the box also says it keeps: first is closed
// then, so that a life always leaves something for the next to send again.
func (y *county) live(t *testing.T, role, dir, name string, loss float64) *life {
	t.Helper()
	l := &life{cmd: exec.Command(os.Args[0]), first: make(chan struct{}), empty: make(chan struct{}), done: make(chan struct{})}
	l.cmd.Env = append(os.Environ(), childRole+"="+role, childDir+"="+dir, childName+"="+name)
	l.cmd.Stderr = os.Stderr
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := l.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	unheard, begun := map[string]bool{}, loss == 0
	go func() {
		defer close(l.done)
		r := bufio.NewReader(out)
		for {
			line, err := r.ReadString('\n')
			if err != nil { // a line that was cut off was not said
				io.Copy(io.Discard, out)
				return
			}
			w := strings.Fields(line)
			y.mu.Lock()
			switch {
			case len(w) == 2 && w[0] == "kept":
				y.kept[w[1]] = true
			case len(w) == 3 && w[0] == "sent":
				if sum, known := y.has[w[1]]; known && sum != w[2] {
					y.wrong = append(y.wrong, "twisted "+line)
				} else if known {
					y.copies++
				}
				y.has[w[1]] = w[2]
				if !begun {
					unheard[w[1]] = true
				} else if rand.Float64() >= loss {
					fmt.Fprintf(in, "ack %s\n", w[1])
				}
			case len(w) == 1 && w[0] == "empty":
				close(l.empty)
			default:
				y.wrong = append(y.wrong, line)
			}
			if len(w) > 1 && !begun && unheard[w[1]] && y.kept[w[1]] {
				begun = true
				close(l.first)
			}
			y.mu.Unlock()
		}
	}()
	return l
}

func (l *life) ready(t *testing.T) {
	t.Helper()
	select {
	case <-l.first:
	case <-time.After(60 * time.Second):
		l.cmd.Process.Kill()
		t.Fatal("the box acknowledges nothing")
	}
}

func (l *life) end() {
	<-l.done
	l.cmd.Wait()
}

// settle lets the last box deliver what waits, and holds the county to all that was kept.
func (y *county) settle(t *testing.T, dir string) {
	t.Helper()
	l := y.live(t, "drain", dir, "-", 0)
	select {
	case <-l.empty:
	case <-time.After(90 * time.Second):
		t.Error("something waits for ever")
	}
	l.cmd.Process.Kill()
	l.end()
	y.mu.Lock()
	defer y.mu.Unlock()
	lost := 0
	for id := range y.kept {
		if y.has[id] == "" {
			lost++
		}
	}
	if lost > 0 || len(y.wrong) > 0 {
		t.Errorf("%d of %d acknowledged messages lost; %q", lost, len(y.kept), y.wrong[:min(len(y.wrong), 10)])
	}
	if y.copies == 0 {
		t.Error("nothing came twice: the test proves nothing about copies")
	}
	t.Logf("%d messages acknowledged, %d at the county, %d copies known by their ids", len(y.kept), len(y.has), y.copies)
}

func newCounty() *county { return &county{has: map[string]string{}, kept: map[string]bool{}} }

// rounds is how often a test that takes long repeats: LONG=1 asks for all.
func rounds(short, long int) int {
	if os.Getenv("LONG") != "" {
		return long
	}
	return short
}

func TestNothingAcknowledgedIsLostByKill9(t *testing.T) {
	dir, y := t.TempDir(), newCounty()
	for i := range rounds(3, 100) {
		l := y.live(t, "load", dir, fmt.Sprint("k", i), 0.3)
		l.ready(t)
		time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
		l.cmd.Process.Kill()
		l.end()
	}
	y.settle(t, dir)
}
