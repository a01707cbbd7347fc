package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/secret"
)

const (
	fileName  = "audit.log"
	mostFile  = 4 << 20
	mostFiles = 5
	mostQueue = 256
	mostRAM   = 512
	mostKeys  = 64
	repeat    = time.Minute
	tellEvery = 100
)

// Who is refused over and over could otherwise have all that is kept roll over: strangers
// together, and each account, have so many refusals written one by one, and one more each
// refusalIn. The rest is one line of how many there were, each crowdFor.
const (
	refusals     = 60
	refusalIn    = 10 * time.Minute
	crowdFor     = time.Hour
	mostAccounts = 64
)

// What such a line has in the place of an act. Whoever shows it says it in the reader's words.
const (
	RefusedAccount   = "refused to one account"
	RefusedStrangers = "refused strangers"
)

// Words gives what a line has in the place of an act for people; false where it is an act itself.
func (e Entry) Words() (phrase.Message, bool) {
	switch e.Op {
	case RefusedAccount:
		return phrase.M("audit.refused_account"), true
	case RefusedStrangers:
		return phrase.M("audit.refused_strangers"), true
	}
	return phrase.Message{}, false
}

// Opts configure a Log.
type Opts struct {
	Dir   string
	Guard *guard.Guard
	Clock clock.Clock
	Log   *slog.Logger
	// Report is told what is wrong, and the zero Message when it is well again.
	Report func(why phrase.Message)
	// Head is told where the chain stands, now and then.
	Head func(n int64, hash string)
}

// Log is the audit's log. Use Open.
type Log struct {
	o     Opts
	queue chan Entry

	mu   sync.Mutex
	lost int64
	// recent are the last entries, for readers while the disk is dead.
	recent []Entry
	head   Chain
	// unwritten wait for the disk.
	unwritten []Entry

	// Owned by the writer.
	file    *os.File
	size    int64
	keys    map[string]*again
	refused map[string]*allowance // by account, "" for strangers
	said    bool                  // the disk's death was reported
	untold  int

	ended chan struct{}
}

// again is an act that repeats.
type again struct {
	e     Entry
	times int64
	until time.Time
}

// Open begins to write. It reads the disk in a goroutine of its own: one that hangs holds
// up nobody. It ends with ctx, and keeps what it was given by then.
func Open(ctx context.Context, o Opts) *Log {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	l := &Log{o: o, queue: make(chan Entry, mostQueue), keys: map[string]*again{}, refused: map[string]*allowance{}, ended: make(chan struct{})}
	o.Guard.GoIn(ctx, "keep", "audit", guard.Restart, l.run)
	return l
}

// Ended is closed once the end of Open's ctx has been kept and its head told.
func (l *Log) Ended() <-chan struct{} { return l.ended }

// Note hands an act over. It never waits.
func (l *Log) Note(e Entry) {
	now := l.o.Clock.Now()
	e.At, e.Trust, e.Mono, e.Boot = now.Wall.Round(0).UTC(), now.Trust.String(), now.Mono, now.Boot
	select {
	case l.queue <- e:
	default:
		l.mu.Lock()
		l.lost++
		l.mu.Unlock()
	}
}

func (l *Log) run(ctx context.Context) error {
	l.open()
	t := time.NewTicker(repeat / 6)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			for {
				select {
				case e := <-l.queue:
					l.take(e)
					continue
				default:
				}
				break
			}
			l.flush(time.Time{})
			l.tell()
			if l.file != nil {
				l.file.Close()
				l.file = nil
			}
			close(l.ended)
			return ctx.Err()
		case e := <-l.queue:
			l.take(e)
		case now := <-t.C:
			l.flush(now)
			if l.file == nil {
				l.open()
			}
		}
	}
}

// open takes the file up where it ends. A line that a power cut left half is cut off; a
// chain that is broken is called, and goes on.
func (l *Log) open() {
	name := filepath.Join(l.o.Dir, fileName)
	f, err := secret.Open(name, os.O_RDWR|os.O_CREATE|os.O_APPEND)
	if err != nil {
		l.dead(err)
		return
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		l.dead(err)
		return
	}
	end, whole, broken, err := ends(f, l.o.Dir)
	if err == nil && whole < st.Size() {
		l.o.Log.Warn("the audit's last line was cut by a power failure and is taken off", "bytes", st.Size()-whole)
		err = f.Truncate(whole)
	}
	if err != nil {
		f.Close()
		l.dead(err)
		return
	}
	l.file, l.size = f, whole
	l.mu.Lock()
	waiting := l.unwritten
	l.head, l.unwritten = end, nil
	if len(waiting) > 0 {
		l.recent = nil // they are sealed anew, behind what is there
	}
	l.mu.Unlock()
	l.said = false
	switch {
	case broken != nil:
		l.o.Report(phrase.M("audit.broken", "n", broken.N, "why", broken.Why))
	default:
		l.o.Report(phrase.Message{})
	}
	l.untold = tellEvery
	for _, e := range waiting {
		l.seal(e)
	}
}

// ends finds where the chain stands at the end of the file that is written, and how much of
// the file is whole lines.
func ends(f *os.File, dir string) (end Chain, whole int64, broken *Broken, err error) {
	// The file before it says where this one begins.
	if b, err := os.ReadFile(filepath.Join(dir, fileName+".1")); err == nil {
		b = bytes.TrimRight(b, "\n")
		if e, err := parse(b[bytes.LastIndexByte(b, '\n')+1:]); err == nil {
			end = Chain{N: e.N, Hash: e.Hash, Begun: true}
		}
	}
	if _, err := f.Seek(0, 0); err != nil {
		return end, 0, nil, err
	}
	r := bufio.NewReaderSize(f, 64<<10)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return end, whole, broken, nil // the rest is no whole line
		}
		whole += int64(len(line))
		e, bad := parse(bytes.TrimSuffix(line, []byte("\n")))
		if bad != nil {
			bad = &Broken{end.N + 1, bad.Error()}
		} else if bad = end.Next(e); bad != nil {
			end = Chain{N: e.N, Hash: e.Hash, Begun: true}
		}
		if broken == nil {
			errors.As(bad, &broken)
		}
	}
}

func (l *Log) dead(err error) {
	if !l.said {
		l.said = true
		l.o.Report(phrase.M("audit.in_ram", "err", err))
	}
}

func key(e Entry) string {
	return e.Op + "\x00" + strconv.Itoa(e.Status) + "\x00" + e.Via + "\x00" + e.Addr + "\x00" + e.Account + "\x00" + e.Who + "\x00" + e.Target + "\x00" + e.Old + "\x00" + e.New
}

// take writes an act, or counts it where the same was written a moment ago.
func (l *Log) take(e Entry) {
	now, lasts := time.Now(), repeat
	if e.Via != "socket" && e.Status >= 400 && !l.mayRefuse(e.Account, now) {
		e.Addr, e.Who, e.Target, e.Old, e.New, lasts = "", "", "", "", "", crowdFor
		if e.Op = RefusedAccount; e.Account == "" {
			e.Op = RefusedStrangers
		}
	}
	k := key(e)
	if a := l.keys[k]; a != nil {
		if a.until.After(now) {
			a.times++
			return
		}
		l.end(k, a)
	}
	if len(l.keys) >= mostKeys {
		l.flush(time.Time{})
	}
	l.keys[k] = &again{e: e, until: now.Add(lasts)}
	l.write(e)
}

// allowance is how many refusals may still be written one by one.
type allowance struct {
	left float64
	at   time.Time
}

func (l *Log) mayRefuse(account string, now time.Time) bool {
	a := l.refused[account]
	if a == nil {
		if len(l.refused) >= mostAccounts {
			l.forget(now)
		}
		a = &allowance{left: refusals, at: now}
		l.refused[account] = a
	}
	a.earn(now)
	if a.left < 1 {
		return false
	}
	a.left--
	return true
}

func (a *allowance) earn(now time.Time) {
	a.left = min(refusals, a.left+now.Sub(a.at).Seconds()/refusalIn.Seconds())
	a.at = now
}

// forget drops the account that was refused least.
func (l *Log) forget(now time.Time) {
	most, of := -1.0, ""
	for k, a := range l.refused {
		if a.earn(now); k != "" && a.left > most {
			most, of = a.left, k
		}
	}
	delete(l.refused, of)
}

// flush writes how often those were repeated whose time is over; the zero time for all.
func (l *Log) flush(now time.Time) {
	for k, a := range l.keys {
		if now.IsZero() || !a.until.After(now) {
			l.end(k, a)
		}
	}
}

func (l *Log) end(k string, a *again) {
	delete(l.keys, k)
	if a.times > 0 {
		e := a.e
		e.Times = a.times
		l.write(e)
	}
}

// write seals an entry and puts it in the file.
func (l *Log) write(e Entry) {
	l.mu.Lock()
	e.Lost, l.lost = l.lost, 0
	l.mu.Unlock()
	l.seal(e)
	if l.untold++; l.untold >= tellEvery {
		l.tell()
	}
}

// seal closes an entry behind the last and puts it in the file.
func (l *Log) seal(e Entry) {
	l.mu.Lock()
	e = e.seal(l.head.N+1, l.head.Hash)
	l.head = Chain{N: e.N, Hash: e.Hash, Begun: true}
	if l.recent = append(l.recent, e); len(l.recent) > mostRAM {
		l.recent = append([]Entry(nil), l.recent[len(l.recent)-mostRAM:]...)
	}
	l.mu.Unlock()
	if !l.put(e) {
		l.mu.Lock()
		if l.unwritten = append(l.unwritten, e); len(l.unwritten) > mostRAM {
			l.unwritten = l.unwritten[1:]
			l.lost++
		}
		l.mu.Unlock()
	}
}

func (l *Log) tell() {
	l.mu.Lock()
	h := l.head
	l.mu.Unlock()
	if l.o.Head != nil && h.N > 0 && l.untold > 0 {
		l.untold = 0
		l.o.Head(h.N, h.Hash)
	}
}

func (l *Log) put(e Entry) bool {
	if l.file == nil {
		return false
	}
	b, err := json.Marshal(e)
	if err != nil {
		l.o.Log.Error("an entry of the audit cannot be written", "err", err)
		return true
	}
	b = append(b, '\n')
	if l.size+int64(len(b)) > mostFile {
		l.turn()
		if l.file == nil {
			return false
		}
	}
	n, err := l.file.Write(b)
	l.size += int64(n)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		l.file.Close()
		l.file = nil
		l.dead(err)
	}
	return err == nil
}

// turn begins the next file.
func (l *Log) turn() {
	l.file.Close()
	l.file = nil
	name := filepath.Join(l.o.Dir, fileName)
	for i := mostFiles - 1; i > 0; i-- {
		from := name
		if i > 1 {
			from = fmt.Sprintf("%s.%d", name, i-1)
		}
		if err := os.Rename(from, fmt.Sprintf("%s.%d", name, i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.dead(err)
			return
		}
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		l.dead(err)
		return
	}
	l.file, l.size = f, 0
}

// Read gives entries after a number, the oldest first, as they stand in the files; from RAM
// where there are none.
func (l *Log) Read(after int64, limit int) ([]Entry, error) {
	var out []Entry
	name := filepath.Join(l.o.Dir, fileName)
	for i := mostFiles - 1; i >= 0; i-- {
		from := name
		if i > 0 {
			from = fmt.Sprintf("%s.%d", name, i)
		}
		f, err := os.Open(from)
		if err != nil {
			continue
		}
		sc := bufio.NewScanner(f)
		sc.Buffer(make([]byte, 0, mostLine), mostLine+1)
		for sc.Scan() && len(out) < limit {
			var e Entry
			// As it stands there, changed or not: whoever reads proves it.
			if json.Unmarshal(sc.Bytes(), &e) == nil && e.N > after {
				out = append(out, e)
			}
		}
		f.Close()
		if len(out) >= limit {
			return out, nil
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	last := after
	if len(out) > 0 {
		last = out[len(out)-1].N
	}
	for _, e := range l.recent {
		if e.N > last && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}
