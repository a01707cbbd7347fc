package inbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

type memory map[string][]byte

func (m memory) Get(k string) ([]byte, bool) { b, ok := m[k]; return b, ok }
func (m memory) Put(k string, v []byte)      { m[k] = v }

// village is a place with real files, and what the box judged and told.
type village struct {
	t   *testing.T
	dir string

	mu     sync.Mutex
	now    clock.Stamp
	took   []string
	answer func(kind, raw string) (bool, phrase.Message, error)
	told   []phrase.Message
	mem    memory
}

func newVillage(t *testing.T) *village {
	return &village{t: t, dir: filepath.Join(t.TempDir(), "in"), mem: memory{},
		now: clock.Stamp{Mono: time.Hour, Wall: time.Date(2026, 7, 1, 14, 40, 0, 0, time.UTC), Boot: "b", Trust: clock.Set}}
}

func (v *village) opts() Opts {
	take := func(kind string) Take {
		return func(_ context.Context, raw []byte, way string) (bool, phrase.Message, error) {
			v.mu.Lock()
			defer v.mu.Unlock()
			if !strings.HasSuffix(way, " usb") {
				v.t.Errorf("way %q", way)
			}
			v.took = append(v.took, kind+" "+string(raw))
			if v.answer != nil {
				return v.answer(kind, string(raw))
			}
			return true, phrase.Message{}, nil
		}
	}
	return Opts{Name: "usb", Dir: v.dir, TakeAlert: take("alert"), TakeCommand: take("command"), Memory: v.mem, Log: slog.New(slog.DiscardHandler),
		Clock: clock.Func(func() clock.Stamp { v.mu.Lock(); defer v.mu.Unlock(); return v.now }),
		Fault: func(thing string, why phrase.Message) { v.mu.Lock(); defer v.mu.Unlock(); v.told = append(v.told, why) },
		Start: func(_ string, run func()) { go run() }}
}

func (v *village) open(make func(Opts) (*Inbox, error), change ...func(*Opts)) *Inbox {
	v.t.Helper()
	os.MkdirAll(v.dir, 0o755)
	o := v.opts()
	for _, f := range change {
		f(&o)
	}
	b, err := make(o)
	if err != nil {
		v.t.Fatal(err)
	}
	return b
}

// write makes a file as a program that still has it open would leave it: both
// times are those of the last write.
func (v *village) write(name, text string) {
	v.t.Helper()
	if err := os.WriteFile(filepath.Join(v.dir, name), []byte(text), 0o644); err != nil {
		v.t.Fatal(err)
	}
}

func (v *village) looks(b *Inbox, n int) phrase.Message {
	var r result
	for range n {
		v.mu.Lock()
		v.now = v.now.Add(2 * time.Second)
		v.mu.Unlock()
		r = b.look(v.t.Context())
	}
	return r.fault
}

func (v *village) wants(want ...string) {
	v.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	if !slices.Equal(v.took, want) {
		v.t.Errorf("took %q, want %q", v.took, want)
	}
	v.took = nil
}

// files gives the names below a folder of the place.
func (v *village) files(sub string) []string {
	l, _ := os.ReadDir(filepath.Join(v.dir, sub))
	var s []string
	for _, e := range l {
		s = append(s, e.Name())
	}
	return s
}

func TestAFileIsJudgedWhenItIsStillAndThenMoved(t *testing.T) {
	v := newVillage(t)
	b := v.open(NewFolder)
	v.write("a.xml", "half")
	v.looks(b, 1)
	v.wants()
	v.write("a.xml", "half and half")
	v.looks(b, 1)
	v.wants()
	v.looks(b, 3)
	v.wants("alert half and half")
	if d := v.files("done"); len(d) != 1 || !strings.HasPrefix(d[0], "20260701T1440") || !strings.HasSuffix(d[0], "-a.xml") {
		t.Errorf("done holds %q", d)
	}
	if f := v.files(""); !slices.Equal(f, []string{"done"}) {
		t.Errorf("the folder holds %q", f)
	}
	if s := b.Status(); s.Accepted != 1 || s.Waiting != 0 || !s.Present {
		t.Errorf("status %+v", s)
	}
	v.write("a.xml", "half and half")
	v.looks(b, 2)
	v.wants("alert half and half") // dropped in again, judged again
}

func TestAFileThatCameByRenameIsJudgedAtOnce(t *testing.T) {
	v := newVillage(t)
	b := v.open(NewFolder)
	v.write(".a.xml", "whole")
	old := time.Now().Add(-time.Second)
	os.Chtimes(filepath.Join(v.dir, ".a.xml"), old, old)
	v.looks(b, 2)
	v.wants()
	os.Rename(filepath.Join(v.dir, ".a.xml"), filepath.Join(v.dir, "a.xml"))
	v.looks(b, 1)
	v.wants("alert whole")
}

func TestOrdersComeBeforeAlertsAndOtherNamesAreLeftAlone(t *testing.T) {
	v := newVillage(t)
	b := v.open(NewFolder)
	for _, n := range []string{"a.xml", "B.XML", "stop.dsse.json", "Z.DSSE.JSON", "c.xml.tmp", ".d.xml", "e.json", "readme.txt"} {
		v.write(n, n)
	}
	v.looks(b, 2)
	v.wants("command Z.DSSE.JSON", "command stop.dsse.json", "alert B.XML", "alert a.xml")
	if f := v.files(""); !slices.Equal(f, []string{".d.xml", "c.xml.tmp", "done", "e.json", "readme.txt"}) {
		t.Errorf("the folder holds %q", f)
	}
}

func TestARefusedFileLiesBesideItsReasonInBothLanguages(t *testing.T) {
	for name, tc := range map[string]struct {
		why  phrase.Message
		err  error
		want string
	}{
		"a reason":  {phrase.M("inbox.read_only"), nil, "磁盘是只读的，请改为可写或检查磁盘\nthe disk is read-only"},
		"an error":  {phrase.Message{}, phrase.E("inbox.full"), "磁盘已满，请腾出空间\nthe disk is full"},
		"no reason": {phrase.Message{}, nil, "核验未通过\nit was not accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVillage(t)
			v.answer = func(_, _ string) (bool, phrase.Message, error) { return false, tc.why, tc.err }
			b := v.open(NewFolder)
			v.write("a.xml", "forged")
			v.looks(b, 4)
			v.wants("alert forged")
			l := v.files("refused")
			if len(l) != 2 || l[1] != l[0]+whyEnd {
				t.Fatalf("refused holds %q", l)
			}
			got, _ := os.ReadFile(filepath.Join(v.dir, "refused", l[1]))
			if !strings.HasPrefix(string(got), tc.want) {
				t.Errorf("%s", got)
			}
			if raw, _ := os.ReadFile(filepath.Join(v.dir, "refused", l[0])); string(raw) != "forged" {
				t.Errorf("the file became %q", raw)
			}
			// Moved back, it is judged again and its name does not grow.
			os.Rename(filepath.Join(v.dir, "refused", l[0]), filepath.Join(v.dir, l[0]))
			v.looks(b, 2)
			v.wants("alert forged")
			if n := v.files("refused"); len(n) < 2 || len(n[len(n)-2]) != len(l[0]) {
				t.Errorf("refused holds %q", n)
			}
		})
	}
}

func TestABusyVerifierLeavesTheFile(t *testing.T) {
	for name, make := range map[string]func(Opts) (*Inbox, error){"folder": NewFolder, "stick": NewStick} {
		t.Run(name, func(t *testing.T) {
			v := newVillage(t)
			busy := true
			v.answer = func(_, _ string) (bool, phrase.Message, error) {
				if busy {
					return false, phrase.Message{}, fmt.Errorf("full: %w", ErrLater)
				}
				return true, phrase.Message{}, nil
			}
			b := v.open(make)
			v.write("a.xml", "x")
			v.looks(b, 2)
			if s := b.Status(); s.Waiting != 1 || len(v.took) == 0 {
				t.Errorf("status %+v", s)
			}
			v.took, busy = nil, false
			v.looks(b, 3)
			v.wants("alert x")
		})
	}
}

func TestOnlyPlainFilesAreOpened(t *testing.T) {
	for name, make := range map[string]func(Opts) (*Inbox, error){"folder": NewFolder, "stick": NewStick} {
		t.Run(name, func(t *testing.T) {
			v := newVillage(t)
			b := v.open(make)
			secret := filepath.Join(filepath.Dir(v.dir), "secret")
			os.WriteFile(secret, []byte("secret"), 0o600)
			os.Symlink(secret, filepath.Join(v.dir, "link.xml"))
			os.Symlink("nowhere", filepath.Join(v.dir, "dangling.xml"))
			os.Mkdir(filepath.Join(v.dir, "dir.xml"), 0o755)
			if err := unix.Mkfifo(filepath.Join(v.dir, "pipe.xml"), 0o644); err != nil {
				t.Fatal(err)
			}
			if fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0); err == nil {
				defer unix.Close(fd)
				unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Join(v.dir, "socket.xml")})
			}
			v.write("empty.xml", "")
			before := v.files("")
			if f := v.looks(b, 4); !f.IsZero() {
				t.Error(f.In(phrase.EN))
			}
			v.wants()
			if s := b.Status(); len(s.Ignored) != len(before) {
				t.Errorf("ignored %v", s.Ignored)
			}
			if after := v.files(""); !slices.Equal(before, after) {
				t.Errorf("the place became %q", after)
			}
		})
	}
}

func TestAPlaceThatIsALinkIsRefused(t *testing.T) {
	v := newVillage(t)
	b := v.open(NewFolder)
	os.Remove(v.dir)
	os.Symlink(t.TempDir(), v.dir)
	if f := v.looks(b, 3); f.Code != "inbox.cannot_read" || !strings.Contains(f.In(phrase.EN), "link") {
		t.Error(f.In(phrase.EN))
	}
}

func TestAFileThatIsTooLargeIsRefusedUnread(t *testing.T) {
	v := newVillage(t)
	b := v.open(NewFolder, func(o *Opts) { o.Limits.Bytes = 1024 })
	v.write("a.xml", strings.Repeat("x", 1025))
	v.write("b.xml", strings.Repeat("y", 1024))
	v.looks(b, 3)
	v.wants("alert " + strings.Repeat("y", 1024))
	if l := v.files("refused"); len(l) != 2 {
		t.Errorf("refused holds %q", l)
	}
	if s := b.Status(); s.Refused != 1 {
		t.Errorf("status %+v", s)
	}
}

func TestAFileThatChangesWhileItIsJudgedStaysAndIsJudgedAgain(t *testing.T) {
	v := newVillage(t)
	b := v.open(NewFolder)
	first := true
	v.answer = func(_, raw string) (bool, phrase.Message, error) {
		if first {
			first = false
			v.write("a.xml", "the whole alert")
			return false, phrase.Message{}, nil
		}
		return true, phrase.Message{}, nil
	}
	v.write("a.xml", "the whole")
	v.looks(b, 4)
	v.wants("alert the whole", "alert the whole alert")
	if len(v.files("done")) != 1 || len(v.files("refused")) != 0 {
		t.Errorf("done %q, refused %q", v.files("done"), v.files("refused"))
	}
}

func TestAFilePutInPlaceOfTheJudgedOneGoesBack(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "a.xml"), []byte("judged"), 0o644)
	f, err := openFolder(dir, func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	m, _ := f.stat("a.xml")
	os.WriteFile(filepath.Join(dir, "b.xml"), []byte("another"), 0o644)
	os.Rename(filepath.Join(dir, "b.xml"), filepath.Join(dir, "a.xml"))
	to, err := f.sub("done")
	if err != nil {
		t.Fatal(err)
	}
	defer to.close()
	if err := f.move("a.xml", to, "k.xml", m); !errors.Is(err, errMoving) {
		t.Error(err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "a.xml")); string(b) != "another" {
		t.Errorf("a.xml is %q", b)
	}
	// Nor is anything that is there already replaced.
	os.WriteFile(filepath.Join(dir, "done", "k.xml"), []byte("old"), 0o644)
	m, _ = f.stat("a.xml")
	if err := f.move("a.xml", to, "k.xml", m); !errors.Is(err, unix.EEXIST) {
		t.Error(err)
	}
}

func TestWhatCannotBeMovedIsToldOnceAndNotJudgedAgain(t *testing.T) {
	v := newVillage(t)
	b := v.open(NewFolder)
	v.write("done", "a file where the folder should be")
	v.write("a.xml", "x")
	if f := v.looks(b, 4); f.Code != "inbox.cannot_move" {
		t.Errorf("fault %q", f.In(phrase.EN))
	}
	v.wants("alert x")
	v.looks(v.open(NewFolder), 4) // over a restart too
	v.wants()
	v.write("b.xml", "y") // others still come in
	v.looks(b, 2)
	v.wants("alert y")
	os.Remove(filepath.Join(v.dir, "done"))
	if f := v.looks(b, 1); !f.IsZero() {
		t.Error(f.In(phrase.EN))
	}
	v.wants()
	if l := v.files("done"); len(l) != 2 || string(v.mem["inbox/folder usb"]) != "[]" {
		t.Errorf("done holds %q, memory %s", l, v.mem["inbox/folder usb"])
	}
}

func TestADiskThatIsFullOrReadOnlyIsNamed(t *testing.T) {
	for err, want := range map[error]string{unix.ENOSPC: "inbox.full", unix.EDQUOT: "inbox.full", unix.EROFS: "inbox.read_only", unix.EACCES: "inbox.no_right", unix.EIO: "inbox.io", unix.EMFILE: "inbox.disk"} {
		if got := said(fmt.Errorf("rename: %w", err)).Code; got != want {
			t.Errorf("%v: %s", err, got)
		}
	}
}

func TestOnlyTheOldestOfItsOwnAreTidiedAway(t *testing.T) {
	v := newVillage(t)
	v.answer = func(_, raw string) (bool, phrase.Message, error) { return raw[0] == 'a', phrase.Message{}, nil }
	b := v.open(NewFolder, func(o *Opts) { o.Limits.Kept = 3 })
	for _, d := range []string{"done", "refused"} {
		os.MkdirAll(filepath.Join(v.dir, d), 0o755)
		v.write(d+"/mine.xml", "a person's")
		v.write(d+"/20200101T000000Z-notes.txt", "a person's")
	}
	for i := range 6 {
		v.write(fmt.Sprintf("a%d.xml", i), fmt.Sprint("a", i))
		v.write(fmt.Sprintf("r%d.xml", i), fmt.Sprint("r", i))
		v.looks(b, 2)
	}
	if l := v.files("done"); len(l) != 5 || !strings.HasSuffix(l[1], "-a3.xml") || !strings.HasSuffix(l[4], "mine.xml") {
		t.Errorf("done holds %q", l)
	}
	if l := v.files("refused"); len(l) != 8 {
		t.Errorf("refused holds %q", l)
	}
}

func TestAFloodIsTakenInPartsAndTold(t *testing.T) {
	v := newVillage(t)
	b := v.open(NewFolder, func(o *Opts) { o.Limits.Files, o.Limits.Candidates = 10, 40 })
	for i := range 50 {
		v.write(fmt.Sprintf("%02d.xml", i), fmt.Sprint(i))
	}
	if f := v.looks(b, 2); f.Code != "inbox.too_many" {
		t.Error(f.In(phrase.EN))
	}
	if len(v.took) != 10 || b.Status().Waiting != 30 {
		t.Errorf("took %d, %d wait", len(v.took), b.Status().Waiting)
	}
	if f := v.looks(b, 6); len(v.took) != 50 || !f.IsZero() {
		t.Errorf("took %d, %s", len(v.took), f.In(phrase.EN))
	}
}

func TestAMissingFolderIsAFaultAfterAWhileAndAStickIsNone(t *testing.T) {
	v := newVillage(t)
	b, s := v.open(NewFolder), v.open(NewStick)
	os.Remove(v.dir)
	if f := v.looks(b, 30); !f.IsZero() {
		t.Error(f.In(phrase.EN))
	}
	if f := v.looks(b, 2); f.Code != "inbox.absent" {
		t.Errorf("fault %q", f.In(phrase.EN))
	}
	if f := v.looks(s, 1000); !f.IsZero() || s.Status().Present {
		t.Error(f.In(phrase.EN))
	}
	os.Mkdir(v.dir, 0o755)
	if f := v.looks(b, 1); !f.IsZero() || !b.Status().Present {
		t.Error(f.In(phrase.EN))
	}
}

func TestAStickIsReadAtOnceNeverWrittenAndRememberedOverARestart(t *testing.T) {
	v := newVillage(t)
	v.answer = func(_, raw string) (bool, phrase.Message, error) { return raw != "forged", phrase.Message{}, nil }
	s := v.open(NewStick)
	v.write("a.xml", "x")
	v.write("b.dsse.json", "y")
	v.write("c.xml", "forged")
	os.Chmod(v.dir, 0o555)
	defer os.Chmod(v.dir, 0o755)
	v.looks(s, 200) // also when it is read afresh
	v.wants("command y", "alert x", "alert forged")
	if f := v.files(""); !slices.Equal(f, []string{"a.xml", "b.dsse.json", "c.xml"}) {
		t.Errorf("the stick holds %q", f)
	}
	// What was accepted stays known; what was refused is judged afresh when the
	// stick comes again, since the site may have come to trust its sender.
	s = v.open(NewStick)
	v.looks(s, 3)
	v.wants("alert forged")
	os.Rename(v.dir, v.dir+".pulled")
	v.looks(s, 1)
	os.Rename(v.dir+".pulled", v.dir)
	v.looks(s, 3)
	v.wants("alert forged")
}

func TestAStickWithTheSameNamesAndOtherContentIsReadAfresh(t *testing.T) {
	v := newVillage(t)
	s := v.open(NewStick)
	v.write("a.xml", "x")
	v.looks(s, 1)
	v.wants("alert x")
	v.write("a.xml", "y")
	v.looks(s, 2)
	v.wants("alert y")
}

func TestAStickThatGoesWhileItIsReadLosesNothing(t *testing.T) {
	for cut := range 12 { // at each call to the disk
		v := newVillage(t)
		s := v.open(NewStick)
		v.write("a.xml", strings.Repeat("x", 200<<10))
		n := 0
		s.before = func() {
			if n++; n == cut {
				os.Rename(v.dir, v.dir+".pulled")
				os.Truncate(v.dir+".pulled/a.xml", 10)
			}
		}
		if f := v.looks(s, 1); !f.IsZero() {
			t.Error(cut, f.In(phrase.EN))
		}
		s.before = nil
		for _, raw := range v.took {
			if len(raw) != len("alert ")+10 && len(raw) != len("alert ")+200<<10 {
				t.Errorf("%d: took %d bytes", cut, len(raw))
			}
		}
		v.took = nil
		os.Remove(v.dir)
		os.Rename(v.dir+".pulled", v.dir)
		v.write("a.xml", strings.Repeat("z", 200<<10))
		v.looks(s, 2)
		v.wants("alert " + strings.Repeat("z", 200<<10))
	}
}

func TestAStickThatHangsIsToldAndHoldsNothingElse(t *testing.T) {
	v := newVillage(t)
	told, tick, step := make(chan phrase.Message), make(chan time.Time), make(chan time.Time)
	s := v.open(NewStick, func(o *Opts) {
		o.Fault = func(_ string, why phrase.Message) { told <- why }
		o.After = func(d time.Duration) <-chan time.Time {
			switch d {
			case o.Every, 2 * time.Second:
				return tick
			}
			return step
		}
	})
	v.write("a.xml", "x")
	hang, in := make(chan bool), make(chan bool)
	once := sync.Once{}
	s.before = func() { once.Do(func() { in <- true; <-hang }) }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	<-in
	var why phrase.Message
	for why.IsZero() {
		select {
		case step <- time.Time{}:
		case why = <-told:
		}
	}
	if why.Code != "inbox.hangs" {
		t.Errorf("told %s", why.Code)
	}
	if s.Status().Fault.Code != "inbox.hangs" {
		t.Error("the status does not show it")
	}
	// Run ends although its look cannot.
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	// Started again, it waits for the same look and does not begin a second.
	ctx, cancel = context.WithCancel(t.Context())
	go func() { ended <- s.Run(ctx) }()
	close(hang)
	if why = <-told; !why.IsZero() {
		t.Errorf("told %s", why.Code)
	}
	tick <- time.Time{} // the next look
	tick <- time.Time{} // it has ended
	cancel()
	<-ended
	v.wants("alert x")
}

func TestALookThatPanicsIsAFaultUntilTheNext(t *testing.T) {
	v := newVillage(t)
	told, tick := make(chan phrase.Message), make(chan time.Time)
	b := v.open(NewStick, func(o *Opts) {
		o.Start = func(_ string, run func()) {
			go func() { defer func() { recover() }(); run() }()
		}
		o.Fault = func(_ string, why phrase.Message) { told <- why }
		o.After = func(time.Duration) <-chan time.Time { return tick }
	})
	v.write("a.xml", "x")
	once := sync.Once{}
	b.before = func() { once.Do(func() { panic("foreign bytes") }) }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	if why := <-told; why.Code != "inbox.failed" {
		t.Error(why.Code)
	}
	tick <- time.Time{}
	if why := <-told; !why.IsZero() {
		t.Error(why.Code)
	}
	cancel()
	<-ended
}

func TestVerdictsAreBoundedAndSurviveNonsense(t *testing.T) {
	m := memory{}
	w := loadVerdicts(m, "k", 3)
	for i := range 10 {
		w.add(digestOf([]byte{byte(i)}), verdict{Accepted: true, Why: phrase.M("inbox.judged", "why", strings.Repeat("x", 4<<10))})
	}
	got := loadVerdicts(m, "k", 3)
	if len(got.of) != 3 || !got.of[digestOf([]byte{9})].Accepted || len(m["k"]) > 1000 {
		t.Errorf("%d, %d bytes", len(got.of), len(m["k"]))
	}
	for _, s := range []string{"", "{", `[{"d":"zz"}]`, `[{"d":"` + strings.Repeat("a", 64) + `"}]`, "null"} {
		if w := loadVerdicts(memory{"k": []byte(s)}, "k", 3); len(w.of) != 0 {
			t.Errorf("%q gave %d", s, len(w.of))
		}
	}
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"a.xml", "停.DSSE.JSON", ".xml", "20260701T144000Z-0011223344556677-a.xml", strings.Repeat("警", 84) + ".xml", "a\xff\n.xml", "x/../y.xml"} {
		f.Add(s)
	}
	at := time.Date(2026, 7, 1, 14, 40, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, name string) {
		if s := shown(name); !utf8.ValidString(s) || strings.ContainsAny(s, "\n\x00") {
			t.Fatalf("shown %q", s)
		}
		k := kindOf(name)
		if k == other {
			return
		}
		as := keptName(at, digestOf([]byte(name)), name)
		if len(as)+len(whyEnd) > nameMost || strings.Contains(as, "/") || kindOf(as) != k {
			t.Fatalf("%q became %q", name, as)
		}
		if _, ok := parseKept(as); !ok {
			t.Fatalf("%q is not known as its own", as)
		}
		if _, ok := parseKept(as + whyEnd); ok {
			t.Fatal("a reason counts as a file")
		}
		if again := keptName(at, digestOf([]byte(name)), as); !bytes.Equal([]byte(again), []byte(as)) {
			t.Fatalf("%q grew to %q", as, again)
		}
	})
}

// mounted runs fn with a small file system of its own below the place, seen by
// this thread only.
func mounted(t *testing.T, v *village, flags uintptr, data string, fill func(), fn func()) {
	t.Helper()
	why := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its namespace
		var err error
		defer func() { why <- err }()
		err = unix.Unshare(unix.CLONE_NEWNS)
		if err == nil {
			err = unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
		if err == nil {
			err = unix.Mount("tmpfs", v.dir, "tmpfs", 0, data)
		}
		if err == nil {
			fill()
			err = unix.Mount("tmpfs", v.dir, "tmpfs", unix.MS_REMOUNT|flags, data)
		}
		if err == nil {
			fn()
		}
	}()
	if err := <-why; err != nil {
		t.Skipf("this machine lets no test mount: %v", err)
	}
}

func TestAFullDiskIsToldAndNothingIsLost(t *testing.T) {
	v := newVillage(t)
	b := v.open(NewFolder)
	v.answer = func(_, raw string) (bool, phrase.Message, error) { return false, phrase.Message{}, nil }
	mounted(t, v, 0, "size=64k,nr_inodes=16", func() {
		v.write("a.xml", "x")
		for i := range 20 { // until there is no inode left
			os.WriteFile(filepath.Join(v.dir, fmt.Sprint(i)), bytes.Repeat([]byte("x"), 4096), 0o644)
		}
	}, func() {
		if f := v.looks(b, 5); f.Code != "inbox.cannot_move" || !strings.Contains(f.In(phrase.EN), "full") {
			t.Error(f.In(phrase.EN))
		}
		v.wants("alert x")
		os.Remove(filepath.Join(v.dir, "0")) // room for the folder, not for the reason
		if f := v.looks(b, 1); f.Code != "inbox.cannot_note" {
			t.Error(f.In(phrase.EN))
		}
		if l := v.files("refused"); len(l) != 1 {
			t.Errorf("refused holds %q", l)
		}
		if f := v.looks(b, 1); !f.IsZero() {
			t.Error(f.In(phrase.EN))
		}
		v.wants()
	})
}

func TestAReadOnlyDiskIsToldAndTheAlertJudgedOnce(t *testing.T) {
	v := newVillage(t)
	b := v.open(NewFolder)
	mounted(t, v, unix.MS_RDONLY, "size=64k", func() { v.write("a.xml", "x") }, func() {
		if f := v.looks(b, 5); f.Code != "inbox.cannot_move" || !strings.Contains(f.In(phrase.EN), "read-only") {
			t.Error(f.In(phrase.EN))
		}
		v.wants("alert x")
		s := v.open(NewStick)
		if f := v.looks(s, 5); !f.IsZero() {
			t.Error(f.In(phrase.EN))
		}
		v.wants("alert x")
	})
}
