package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
)

type run struct {
	*Log
	heads   map[int64]string
	reports chan phrase.Message
	end     func()
}

func begin(t *testing.T, dir string) *run {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	g := guard.New(ctx, slog.New(slog.DiscardHandler), nil)
	r := &run{heads: map[int64]string{}, reports: make(chan phrase.Message, 100)}
	now := clock.Stamp{Wall: time.Date(2026, 6, 14, 22, 40, 8, 123, time.UTC), Trust: clock.Held, Boot: "b0a1", Mono: 7}
	r.Log = Open(ctx, Opts{Dir: dir, Guard: g, Clock: clock.Func(func() clock.Stamp { return now }), Log: slog.New(slog.DiscardHandler),
		Report: func(m phrase.Message) { r.reports <- m }, Head: func(n int64, h string) { r.heads[n] = h }})
	r.end = func() {
		cancel()
		if left := g.Wait(10 * time.Second); left != nil {
			t.Fatal(left)
		}
	}
	t.Cleanup(r.end)
	return r
}

func act(n int) Entry {
	return Entry{Op: "POST /api/v1/users", Status: 200, Via: "page", Addr: "192.168.1.77", Account: "chen", Who: "陈志强", Target: fmt.Sprintf("a%d", n), Old: "cadre", New: "owner"}
}

func verify(dir string) (Chain, error) {
	var c Chain
	b, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		return c, err
	}
	return c, Verify(bytes.NewReader(b), &c)
}

func written(t *testing.T, n int) (dir string) {
	dir = t.TempDir()
	r := begin(t, dir)
	for i := range n {
		r.Note(act(i))
	}
	r.end()
	return dir
}

func TestEveryActIsKeptInAChainThatGoesOnAfterAStart(t *testing.T) {
	dir := written(t, 5)
	r := begin(t, dir)
	r.Note(act(9))
	r.end()
	c, err := verify(dir)
	if err != nil || c.N != 6 {
		t.Fatalf("%+v %v", c, err)
	}
	if st, _ := os.Stat(filepath.Join(dir, fileName)); st.Mode().Perm() != 0o600 {
		t.Error(st.Mode())
	}
	all, err := r.Read(4, 10)
	if err != nil || len(all) != 2 || all[1].Target != "a9" || all[1].Who != "陈志强" || all[1].Trust != "held" || all[1].Hash != c.Hash {
		t.Errorf("%+v %v", all, err)
	}
	if r.heads[6] != c.Hash {
		t.Errorf("the head is not told: %v", r.heads)
	}
}

func TestWhateverIsTamperedWithIsFound(t *testing.T) {
	dir := written(t, 6)
	b, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(strings.TrimSuffix(string(b), "\n"), "\n")
	lines[5] += "\n"
	join := func(l ...string) string { return strings.Join(l, "") }
	for name, s := range map[string]string{
		"another name":       strings.Replace(string(b), "陈志强", "李雷", 1),
		"a line left out":    join(lines[0], lines[1], lines[3], lines[4], lines[5]),
		"two lines swapped":  join(lines[0], lines[2], lines[1], lines[3], lines[4], lines[5]),
		"a line twice":       join(lines[0], lines[1], lines[1], lines[2]),
		"a blank more":       strings.Replace(string(b), `"op":`, `"op": `, 1),
		"another key":        strings.Replace(string(b), `"op":`, `"x":1,"op":`, 1),
		"a line from before": join(lines[0], strings.Replace(lines[0], `"n":1`, `"n":2`, 1)),
		"half a line":        join(lines[0], lines[1][:40]),
		"not JSON":           join(lines[0], "rm -rf\n"),
		"sealed anew alone":  join(lines[0], resealed(t, lines[1]), lines[2], lines[3]),
	} {
		var c Chain
		var broken *Broken
		if err := Verify(strings.NewReader(s), &c); !errors.As(err, &broken) {
			t.Errorf("%s is not found: %v", name, err)
		}
	}
	// What was cut off at the end shows by the head that the journal has.
	var c Chain
	if err := Verify(strings.NewReader(join(lines[:4]...)), &c); err != nil || c.N != 4 {
		t.Errorf("%+v %v", c, err)
	}
	// A box that starts on such a file says so and goes on.
	if err := os.WriteFile(filepath.Join(dir, fileName), []byte(strings.Replace(string(b), "陈志强", "李雷", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	r := begin(t, dir)
	if m := <-r.reports; m.Code != "audit.broken" {
		t.Errorf("%v", m)
	}
}

func resealed(t *testing.T, line string) string {
	e, err := parse([]byte(strings.TrimSuffix(line, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	e.Who = "李雷"
	e.Hash = e.digest()
	b, _ := jsonOf(e)
	return string(b) + "\n"
}

func TestAPowerCutInALineCostsThatLineAlone(t *testing.T) {
	dir := written(t, 3)
	name := filepath.Join(dir, fileName)
	b, _ := os.ReadFile(name)
	for cut := 1; cut < 60; cut += 7 {
		if err := os.WriteFile(name, b[:len(b)-cut], 0o600); err != nil {
			t.Fatal(err)
		}
		r := begin(t, dir)
		r.Note(act(7))
		r.end()
		if c, err := verify(dir); err != nil || c.N != 3 {
			t.Errorf("cut by %d: %+v %v", cut, c, err)
		}
	}
}

func TestADeadDiskLeavesItInRAMAndIsCaughtUpWith(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	r := begin(t, dir)
	if m := <-r.reports; m.Code != "audit.in_ram" {
		t.Fatal(m)
	}
	r.Note(act(1))
	r.Note(act(2))
	r.end()
	all, err := r.Read(0, 10)
	if err != nil || len(all) != 2 || all[1].Target != "a2" {
		t.Errorf("%+v %v", all, err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	r.open() // as the writer does each 10 s
	r.file.Close()
	if c, err := verify(dir); err != nil || c.N != 2 {
		t.Errorf("%+v %v", c, err)
	}
}

func TestStrangersDoNotWearTheFlashOut(t *testing.T) {
	dir := t.TempDir()
	r := begin(t, dir)
	<-r.reports
	for i := range 5000 {
		r.Note(Entry{Op: "POST /sign-in", Status: 401, Via: "page", Addr: fmt.Sprintf("10.0.%d.%d", i/250, i%250)})
		if i%100 == 0 {
			time.Sleep(time.Millisecond) // lets the writer turn over
		}
	}
	for range 300 {
		r.Note(Entry{Op: "POST /api/v1/talk/x/voice", Status: 200, Via: "page", Account: "chen"})
	}
	r.end()
	all, err := r.Read(0, 1000)
	if err != nil || len(all) > refusals+6 {
		t.Errorf("%d entries, %v", len(all), err)
	}
	var times, lost int64
	for _, e := range all {
		times += e.Times
		lost += e.Lost
	}
	if n := times + lost + int64(len(all)); n < 5000 {
		t.Errorf("%d of 5300 acts are accounted for", n)
	}
	if c, err := verify(dir); err != nil {
		t.Errorf("%+v %v", c, err)
	}
}

func TestNobodyRollsTheAuditOverByBeingRefused(t *testing.T) {
	for name, account := range map[string]string{"strangers": "", "one account": "li"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			r := begin(t, dir)
			<-r.reports
			r.end()
			synctest.Test(t, func(t *testing.T) {
				r.open()
				const days = 2
				refused, honest := int64(0), 0
				for i := range days * 24 * 60 * 60 {
					r.take(Entry{Op: fmt.Sprint("POST /api/v1/x", i), Status: 401 + i%3, Via: "page", Addr: fmt.Sprint("10.0.0.", i%254), Account: account, Who: "李", Target: fmt.Sprint(i)})
					refused++
					if i%7200 == 5 {
						r.take(act(i))
						honest++
					}
					if i%10 == 0 {
						r.flush(time.Now())
					}
					time.Sleep(time.Second)
				}
				r.flush(time.Time{})
				r.file.Close()
				all, err := r.Read(0, 10000)
				if err != nil {
					t.Fatal(err)
				}
				kept, acts := int64(0), 0
				for _, e := range all {
					if e.Status == 200 {
						acts++
						continue
					}
					if kept += e.Times; e.Times == 0 {
						kept++
					}
					if strings.HasPrefix(e.Op, "refused") && (e.Account != account || e.Target != "" || e.Addr != "") {
						t.Fatalf("%+v", e)
					}
				}
				if kept != refused || acts != honest {
					t.Errorf("%d of %d refusals and %d of %d acts are accounted for", kept, refused, acts, honest)
				}
				if lasts := mostFile * (mostFiles - 1) / (r.size / days); lasts < 100 {
					t.Errorf("all of it is rolled over after %d days", lasts)
				}
				if c, err := verify(dir); err != nil {
					t.Errorf("%+v %v", c, err)
				}
			})
		})
	}
}

func TestAccountsThatAreRefusedAreBounded(t *testing.T) {
	r := begin(t, t.TempDir())
	<-r.reports
	r.end()
	for range refusals {
		r.mayRefuse("li", time.Now())
	}
	for i := range 1000 {
		r.mayRefuse(fmt.Sprint("a", i), time.Now())
	}
	if len(r.refused) > mostAccounts || r.mayRefuse("li", time.Now()) {
		t.Errorf("%d accounts are known, and who was refused most is forgotten: %v", len(r.refused), r.refused["li"] == nil)
	}
}

func TestItIsCappedAndTheChainGoesOverFiles(t *testing.T) {
	dir := t.TempDir()
	r := begin(t, dir)
	<-r.reports
	r.end()
	r.open()
	e := act(0)
	e.Target = strings.Repeat("x", 4000)
	for range (mostFiles + 1) * mostFile / 4000 {
		l := e.seal(r.head.N+1, r.head.Hash)
		r.head = Chain{l.N, l.Hash, true}
		b, _ := jsonOf(l)
		if r.size+int64(len(b))+1 > mostFile {
			r.turn()
		}
		n, _ := r.file.Write(append(b, '\n')) // put, without its Sync
		r.size += int64(n)
	}
	r.file.Close()
	files, _ := filepath.Glob(filepath.Join(dir, fileName+"*"))
	if len(files) != mostFiles {
		t.Errorf("%v", files)
	}
	var c Chain
	for i := mostFiles - 1; i >= 0; i-- {
		name := filepath.Join(dir, fileName)
		if i > 0 {
			name += fmt.Sprintf(".%d", i)
		}
		b, _ := os.ReadFile(name)
		if err := Verify(bytes.NewReader(b), &c); err != nil {
			t.Fatal(i, err)
		}
	}
	again := begin(t, dir)
	again.Note(act(1))
	again.end()
	if again.head.N != c.N+1 {
		t.Errorf("goes on at %d after %d", again.head.N, c.N)
	}
}

func FuzzLines(f *testing.F) {
	b, _ := jsonOf(act(1).seal(1, ""))
	f.Add(b)
	f.Add([]byte(`{"n":1}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := parse(line)
		if err != nil {
			return
		}
		if again, _ := jsonOf(e); !bytes.Equal(again, line) {
			t.Errorf("%q is read and written as %q", line, again)
		}
		var c Chain
		if c.Next(e) == nil && e.digest() != e.Hash {
			t.Error("a forged line is believed")
		}
	})
}

func jsonOf(e Entry) ([]byte, error) { return json.Marshal(e) }
