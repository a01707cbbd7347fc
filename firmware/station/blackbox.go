package station

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/guard/blackbox"
	"tocsin/firmware/keep/bundle"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/update/board"
)

// recorder keeps the black box: it looks at what the box knows, so that nothing of the alarm
// path ever writes into it, and waits for nobody but the disk.
type recorder struct {
	h     *House
	rules guard.BlackBox
	box   *blackbox.Box
	wake  chan string // that something happened
	lost  atomic.Int64

	mu     sync.Mutex // of a look
	logged int64
	frames map[string]uint64
	values map[point.ID]string
	valued time.Duration
}

const (
	blackboxDir = "blackbox"
	// blackboxLook is how often it looks at log and frames: a line holds its last 200.
	blackboxLook = time.Second
	// crashMost bounds what is taken of the runtime's last words, keptMost what the board
	// kept over a reset.
	crashMost = 128 << 10
	keptMost  = 96 << 10
)

func newRecorder(h *House, r guard.BlackBox) *recorder {
	return &recorder{h: h, rules: r, box: blackbox.New(r.Memory << 10), wake: make(chan string, 64), frames: map[string]uint64{}, values: map[point.ID]string{}, valued: -1}
}

// startRecorder begins to look and to write. Two goroutines: a disk that hangs costs no look.
func (h *House) startRecorder() {
	x := h.recorder
	h.guard.Go("keep", "black box", guard.Restart, x.run)
	h.guard.Go("keep", "black box writer", guard.Restart, x.write)
}

// blackboxAgain is how soon a region that could not be opened is tried again.
const blackboxAgain = 10 * time.Second

// happened says that everything is to be written now. It never blocks; a house without a
// black box has none.
func (x *recorder) happened(what string) {
	if x == nil {
		return
	}
	select {
	case x.wake <- what:
	default:
		x.lost.Add(1)
	}
}

// run looks.
func (x *recorder) run(ctx context.Context) error {
	t := time.NewTicker(blackboxLook)
	defer t.Stop()
	for {
		x.look(false)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}

// look takes what is new into memory; what was measured in its time, or now.
func (x *recorder) look(values bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, l := range x.h.diary.Lines(x.logged, slog.LevelDebug, diaryLines) {
		if x.logged > 0 && l.Seq > x.logged+1 {
			x.put(blackbox.Lost, x.h.clock.Now(), fmt.Sprintf("%d lines of the log came too fast", l.Seq-x.logged-1))
		}
		x.logged = l.Seq
		x.put(blackbox.Log, x.h.clock.StampAt(l.At), l.Level.String()+" "+l.Text)
	}
	x.lookAtLines()
	if now := x.h.clock.Now(); values || x.valued < 0 || now.Mono-x.valued >= x.rules.Values {
		x.valued = now.Mono
		x.lookAtValues(now)
	}
}

func (x *recorder) put(k blackbox.Kind, at clock.Stamp, text string) {
	x.box.Put(blackbox.Record{Kind: k, Wall: at.Wall, Mono: at.Mono, Text: text})
}

func (x *recorder) lookAtLines() {
	x.h.lines.mu.RLock()
	lines := maps.Clone(x.h.lines.lines)
	x.h.lines.mu.RUnlock()
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		r := lines[name]
		if r.regs == nil {
			continue // it shows no frames; what came of them is in the values
		}
		frames, next, lost := r.regs.Trace(x.frames[name])
		x.frames[name] = next
		if lost > 0 {
			x.put(blackbox.Lost, x.h.clock.Now(), fmt.Sprintf("%d frames of line %s came too fast", lost, name))
		}
		for _, f := range frames {
			text := name + " " + f.Kind + " " + strconv.Itoa(int(f.Unit))
			if f.Fault != "" {
				text += " " + f.Fault
			}
			x.put(blackbox.Frame, x.h.clock.StampAt(f.At), fmt.Sprintf("%s % X", text, f.Bytes))
		}
	}
}

// lookAtValues takes the points that have changed.
func (x *recorder) lookAtValues(now clock.Stamp) {
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			x.put(blackbox.Values, now, strings.TrimSpace(b.String()))
			b.Reset()
		}
	}
	bp := x.h.seen().bp
	x.h.mu.RLock()
	defer x.h.mu.RUnlock()
	for _, p := range bp.Points {
		s := x.h.latest[p.ID]
		if s == nil || s.last.Point == "" {
			continue
		}
		v := "!" + s.last.Quality.String()
		if s.last.Quality == point.Good {
			v = strconv.FormatFloat(s.last.Value, 'g', 7, 64)
			if s.last.Text != "" {
				v = strconv.Quote(s.last.Text)
			}
		}
		if x.values[p.ID] == v {
			continue
		}
		x.values[p.ID] = v
		if b.Len()+len(p.ID)+len(v)+2 > blackbox.MostText {
			flush()
		}
		b.WriteString(string(p.ID) + "=" + v + " ")
	}
	flush()
}

// write is the writer: it alone waits for the disk.
func (x *recorder) write(ctx context.Context) error {
	dir := filepath.Join(x.h.o.Data, blackboxDir)
	s, err := blackbox.Open(dir, x.rules.File<<10)
	for err != nil {
		x.h.setFault("black box", phrase.M("guard.no_black_box", "err", err))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(blackboxAgain):
		}
		s, err = blackbox.Open(dir, x.rules.File<<10)
	}
	defer s.Close()
	scrub := scrubber(x.h)
	if err := x.before(s, dir, scrub); err != nil {
		x.h.log.Warn("what was before is not in the black box", "err", err)
	}
	pen := blackbox.NewPen(x.rules, clock.Mono())
	t := time.NewTicker(blackboxLook)
	defer t.Stop()
	for last := false; !last; {
		select {
		case <-ctx.Done():
			last = true
			x.event("ends")
		case what := <-x.wake:
			x.event(what)
			pen.Happened(clock.Mono())
		case <-t.C:
		}
		now := clock.Mono()
		due, all := pen.Due(now)
		if !due && !last {
			continue
		}
		if due && !all {
			scrub = scrubber(x.h)
		}
		all = all || last
		x.look(all)
		err := x.box.Write(s, all, scrub.Scrub)
		pen.Wrote(now, all)
		if err != nil {
			x.h.setFault("black box", phrase.M("guard.no_black_box", "err", err))
		} else if !last {
			x.h.clearFault("black box")
		}
	}
	return ctx.Err()
}

func scrubber(h *House) *bundle.Scrubber { return bundle.NewScrubber(h.secrets()) }

func (x *recorder) event(what string) {
	if n := x.lost.Swap(0); n > 0 {
		what += fmt.Sprintf(" (and %d that came too fast)", n)
	}
	x.put(blackbox.Event, x.h.clock.Now(), what)
}

// before begins a run in the region, with what is left of the one before: what the runtime said when it died, and
// what the board kept over a reset.
func (x *recorder) before(s *blackbox.Store, dir string, scrub *bundle.Scrubber) error {
	now := x.h.clock.Now()
	old, _, err := blackbox.Read(dir)
	if err != nil {
		x.h.log.Warn("black box not read", "err", err)
	}
	sameBoot := slices.ContainsFunc(old, func(r blackbox.Record) bool {
		return r.Kind == blackbox.Boot && strings.HasPrefix(r.Text, now.Boot+" ")
	})
	var rs []blackbox.Record
	add := func(k blackbox.Kind, text string, most int) {
		text = scrub.Scrub(text)
		text = text[max(0, len(text)-most):]
		for len(text) > 0 {
			n := min(len(text), blackbox.MostText)
			if i := strings.LastIndexByte(text[:n], '\n'); i > 0 && n < len(text) {
				n = i + 1
			}
			rs = append(rs, blackbox.Record{Kind: k, Wall: now.Wall, Mono: now.Mono, Text: strings.TrimRight(text[:n], "\n")})
			text = text[n:]
		}
	}
	crash, err := x.crashes(dir)
	if err != nil {
		x.h.log.Warn("the runtime's last words will not be kept", "err", err)
	}
	add(blackbox.Crash, crash, crashMost)
	if at := initSocket(); at != "" && x.h.o.Bench == "" {
		// In one boot the init still has what edged said last; after a reset the kernel may.
		kept, err := board.Init{Socket: at}.Kept(!sameBoot)
		if err != nil {
			x.h.log.Warn("what the board kept is not known", "err", err)
		}
		add(blackbox.Kept, kept, keptMost)
	}
	rs = append(rs, blackbox.Record{Kind: blackbox.Boot, Wall: now.Wall, Mono: now.Mono, Text: fmt.Sprintf("%s version %s, built %s, clock %s", now.Boot, Version, BuildTime().Format(time.RFC3339), now.Trust)})
	return s.Write(rs)
}

// crashes gives what the runtime said when an earlier run died, and has it say so there again.
func (x *recorder) crashes(dir string) (string, error) {
	f, err := os.OpenFile(filepath.Join(dir, "crash"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, crashMost))
	if err != nil {
		return "", err
	}
	if err := f.Truncate(0); err != nil {
		return string(b), err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return string(b), err
	}
	if x.h.o.CrashOutput != nil {
		return string(b), x.h.o.CrashOutput(f)
	}
	return string(b), nil
}

// blackBoxText says in lines what a region holds, and at the end what is in memory alone.
func blackBoxText(rs, inMemory []blackbox.Record, damaged int) string {
	var b strings.Builder
	for _, r := range blackbox.InOrder(append(rs, inMemory...)) {
		b.WriteString(r.String() + "\n")
	}
	if damaged > 0 {
		fmt.Fprintf(&b, "%d bytes were damaged\n", damaged)
	}
	return b.String()
}

// text gives the black box for the support bundle.
func (x *recorder) text() string {
	if x == nil {
		return ""
	}
	x.look(true)
	rs, damaged, err := blackbox.Read(filepath.Join(x.h.o.Data, blackboxDir))
	s := blackBoxText(rs, x.box.Unwritten(), damaged)
	if err != nil {
		s += err.Error() + "\n"
	}
	return s
}

// BlackBox reads a region from a folder: of a box that does not run, or a card out of one.
func BlackBox(dir string) (string, error) {
	for _, d := range []string{dir, filepath.Join(dir, blackboxDir), filepath.Join(dir, "data", blackboxDir), filepath.Join(dir, "box", "data", blackboxDir)} {
		rs, damaged, err := blackbox.Read(d)
		if len(rs) == 0 && damaged == 0 {
			continue
		}
		if crash, e := os.ReadFile(filepath.Join(d, "crash")); e == nil && len(crash) > 0 {
			rs = append(rs, blackbox.Record{Kind: blackbox.Crash, Text: string(crash[:min(len(crash), crashMost)])})
		}
		return blackBoxText(rs, nil, damaged), err
	}
	return "", phrase.E("guard.no_region", "dir", dir)
}
