//go:build peers

package narrow

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
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
	"tocsin/firmware/reach/wire"
	"tocsin/hwtest/powercut"
)

// The test binary runs as its own child where the power goes. The child is a station: an end over the journal. It says
// "up HEX" for each message that it sends, "acted COUNTER" when it is about to act upon one, and takes "down HEX". What it acts
// upon it journals before it says Kept. With the role list it says "has TEXT" for all that it journaled.
const (
	childRole = "NARROW_CHILD"
	childDir  = "NARROW_CHILD_DIR"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		childStation(role, os.Getenv(childDir))
		return
	}
	os.Exit(m.Run())
}

// durable is the journal as a Keep.
type durable struct{ *journal.Journal }

func (d durable) Put(ctx context.Context, key string, v []byte) error {
	d.Commit(journal.Batch{State: map[string][]byte{key: v}})
	return d.Sync(ctx)
}

func childKeys() []*wire.Keys {
	k, err := wire.NewKeys(make([]byte, wire.RootSize), "441881102", 1)
	if err != nil {
		panic(err)
	}
	return []*wire.Keys{k}
}

func childStation(role, dir string) {
	die := func(what any) {
		fmt.Fprintln(os.Stderr, "DIED", what)
		os.Exit(3)
	}
	ctx := context.Background()
	g := guard.New(ctx, slog.New(slog.NewTextHandler(os.Stderr, nil)), func(e guard.Event) { die(fmt.Sprint(e.Err, e.Stack)) })
	j, err := journal.Open(dir, journal.Opts{Guard: g, Clock: clock.NewSystem(time.Time{}, clock.Set), Start: 30 * time.Second})
	if err != nil {
		die(err)
	}
	<-j.Loaded()
	var mu sync.Mutex
	say := func(format string, a ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf(format+"\n", a...)
	}
	if role == "list" {
		for after := int64(0); ; {
			recs, err := j.Read(ctx, after, journal.MaxRead)
			if err != nil || len(recs) == 0 {
				break
			}
			for _, r := range recs {
				if after = r.Seq; r.Kind == "came" {
					say("has %s", r.Cause)
				}
			}
		}
		say("end")
		return
	}
	e, err := New(Opts{Link: "beidou", Direction: wire.Up, Keys: childKeys(), Self: stationCard, Peer: hubCard, Keep: durable{j}, Patience: 5 * time.Second})
	if err != nil {
		die(err)
	}
	go func() {
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			text, ok := strings.CutPrefix(in.Text(), "down ")
			b, err := hex.DecodeString(text)
			if !ok || err != nil {
				continue // cut off
			}
			r, err := e.Hear(ctx, b, hubCard, clock.Mono())
			if err != nil {
				if !wire.Replayed(err) {
					die(err)
				}
				continue
			}
			for _, h := range r.Heard {
				say("acted %d", h.Counter)
				for _, i := range h.Items {
					j.Commit(journal.Batch{Records: []journal.Record{{Kind: "came", Cause: string(i.Bytes)}}})
				}
				if err := j.Sync(ctx); err != nil {
					die(err)
				}
				e.Kept(h.Counter)
			}
		}
	}()
	go powercut.Unsynced(dir, nil)
	for n := 0; ; n++ {
		size := 1 + rand.IntN(50)
		if rand.IntN(10) == 0 {
			size = 100 + rand.IntN(100)
		}
		frames, err := e.Pack(ctx, 78, []Part{{ID: fmt.Sprint(n), Class: wire.Class(rand.IntN(6)), Item: wire.Item{Type: wire.ItemText, Bytes: make([]byte, size)}}})
		if err != nil {
			die(err)
		}
		if f, ok, err := e.Acks(ctx, 78); ok && err == nil {
			frames = append(frames, f)
		}
		for _, f := range frames {
			say("up %x", f.Bytes)
		}
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
	}
}

// hubSide is the far end over all lives of the station.
type hubSide struct {
	mu    sync.Mutex
	e     *End
	acted map[string]int
	past  []string        // what went down
	acked map[string]bool // what the station says that it keeps
	n     int
	ups   int
	wrong []string
}

func newHubSide(t *testing.T) *hubSide {
	e, err := New(Opts{Link: "beidou", Direction: wire.Down, Keys: childKeys(), Self: hubCard, Peer: stationCard, Keep: newDisk()})
	if err != nil {
		t.Fatal(err)
	}
	return &hubSide{e: e, acted: map[string]int{}, acked: map[string]bool{}}
}

// stationLife is one run of the station.
type stationLife struct {
	cmd   *exec.Cmd
	first chan struct{} // it sent, acted and acknowledged
	done  chan struct{}
}

// live starts the station and talks with it until it dies: messages down, and copies of all that ever went down.
func (y *hubSide) live(t *testing.T, dir string) *stationLife {
	t.Helper()
	l := &stationLife{cmd: exec.Command(os.Args[0]), first: make(chan struct{}), done: make(chan struct{})}
	l.cmd.Env = append(os.Environ(), childRole+"=load", childDir+"="+dir)
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
	acted, acked := false, false
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
			case len(w) == 2 && w[0] == "up":
				acked = y.heard(t.Context(), w[1]) || acked
				for range rand.IntN(3) {
					fmt.Fprintln(in, "down "+y.down(t.Context()))
				}
			case len(w) == 2 && w[0] == "acted":
				acted = true
				if y.acted[w[1]]++; y.acted[w[1]] > 1 {
					y.wrong = append(y.wrong, "acted twice upon "+w[1])
				}
			default:
				y.wrong = append(y.wrong, line)
			}
			if acted && acked {
				acted = false
				select {
				case <-l.first:
				default:
					close(l.first)
				}
			}
			y.mu.Unlock()
		}
	}()
	return l
}

// heard takes a message of the station: true where it acknowledged anything.
func (y *hubSide) heard(ctx context.Context, text string) bool {
	b, err := hex.DecodeString(text)
	if err != nil {
		y.wrong = append(y.wrong, text)
		return false
	}
	y.ups++
	r, err := y.e.Hear(ctx, b, stationCard, 0)
	if err != nil {
		y.wrong = append(y.wrong, "from the station: "+err.Error()) // a counter that came before is one that was used twice
	}
	for _, h := range r.Heard {
		y.e.Kept(h.Counter)
	}
	for _, id := range r.Acked {
		y.acked[id] = true
	}
	return len(r.Acked) > 0
}

// down gives a message for the station, or a copy of one that went down in this or an earlier life.
func (y *hubSide) down(ctx context.Context) string {
	if len(y.past) > 0 && rand.IntN(2) == 0 {
		if rand.IntN(2) == 0 {
			return y.past[len(y.past)-1-rand.IntN(min(len(y.past), 30))]
		}
		return y.past[rand.IntN(len(y.past))]
	}
	id := fmt.Sprint("d", y.n)
	y.n++
	frames, err := y.e.Pack(ctx, 78, []Part{{ID: id, Class: wire.Class(1 + rand.IntN(5)), Item: wire.Item{Type: wire.ItemText, Bytes: []byte(id)}}})
	if err != nil {
		y.wrong = append(y.wrong, err.Error())
		return ""
	}
	text := hex.EncodeToString(frames[0].Bytes)
	y.past = append(y.past, text)
	return text
}

func (l *stationLife) ready(t *testing.T) {
	t.Helper()
	select {
	case <-l.first:
	case <-l.done:
	case <-time.After(60 * time.Second):
		l.cmd.Process.Kill()
		t.Fatal("the station does not come up")
	}
}

// settle holds the station to all that it acknowledged.
func (y *hubSide) settle(t *testing.T, dir string) (lost int) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childRole+"=list", childDir+"="+dir)
	out, err := c.Output()
	if err != nil || !strings.HasSuffix(string(out), "end\n") {
		t.Fatalf("%v %q", err, out[max(0, len(out)-100):])
	}
	has := map[string]bool{}
	for _, line := range strings.Split(string(out), "\n") {
		if id, ok := strings.CutPrefix(line, "has "); ok {
			has[id] = true
		}
	}
	for id := range y.acked {
		if !has[id] {
			lost++
		}
	}
	return lost
}
