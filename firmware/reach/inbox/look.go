package inbox

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

// settled is a file that was judged and still lies there.
type settled struct {
	mark   mark
	digest digest
	verdict
	at clock.Stamp
}

// result is what a look found wrong; the zero Message is nothing.
type result struct{ fault phrase.Message }

// sight collects one look.
type sight struct {
	f                   *folder
	judged              int
	waiting             int
	accepted, refused   int
	ignored             []Ignored
	seen                map[string]mark
	settled             map[string]settled
	stuck               string // the first file that could not be moved
	stuckN              int
	stuckWhy, noteWhy   error
	err                 error // of the disk
	over                bool
	doneMoved, badMoved bool
}

const ignoredMost = 16

// touch counts a call to the disk, for the deadline.
func (b *Inbox) touch() {
	b.steps.Add(1)
	if b.before != nil {
		b.before()
	}
}

// look goes through the place once.
func (b *Inbox) look(ctx context.Context) result {
	now := b.o.Clock.Now()
	f, err := openFolder(b.o.Dir, b.touch)
	if gone(err) {
		return b.missing(now)
	}
	s := &sight{f: f, seen: map[string]mark{}, settled: map[string]settled{}}
	if err == nil {
		defer f.close()
		b.absent = clock.Stamp{}
		b.through(ctx, s)
	} else {
		s.err = err
	}
	b.seen, b.settled = s.seen, s.settled
	switch {
	case s.err == nil:
		b.broken = clock.Stamp{}
	case b.broken.IsZero():
		b.broken = now
	}
	b.mu.Lock()
	st := &b.status
	st.Present, st.LastLook = err == nil, now
	st.Waiting, st.Ignored = s.waiting, s.ignored
	st.Accepted += s.accepted
	st.Refused += s.refused
	b.mu.Unlock()
	return result{b.wrong(s, now)}
}

// missing is a look at a place that is not there.
func (b *Inbox) missing(now clock.Stamp) result {
	b.seen, b.settled, b.broken = nil, nil, clock.Stamp{}
	clear(b.refused)
	if b.absent.IsZero() {
		b.absent = now
	}
	b.mu.Lock()
	b.status.Present, b.status.LastLook, b.status.Waiting, b.status.Ignored = false, now, 0, nil
	b.mu.Unlock()
	if d, _ := now.Since(b.absent); b.o.AbsentAfter > 0 && d >= b.o.AbsentAfter {
		return result{phrase.M("inbox.absent", "place", b.place(), "dir", b.o.Dir)}
	}
	return result{}
}

// place names it in a sentence.
func (b *Inbox) place() phrase.Message {
	if b.stick {
		return phrase.M("inbox.stick", "name", b.o.Name)
	}
	return phrase.M("inbox.folder", "name", b.o.Name)
}

// wrong gives the one sentence that matters most.
func (b *Inbox) wrong(s *sight, now clock.Stamp) phrase.Message {
	// A stick that was pulled gives errors until the system has let go of it.
	patience := b.o.Every
	if b.stick {
		patience = b.o.Limits.Step
	}
	broken, _ := now.Since(b.broken)
	switch {
	case s.err != nil && broken >= patience:
		return phrase.M("inbox.cannot_read", "place", b.place(), "dir", b.o.Dir, "why", said(s.err))
	case s.stuckN > 0:
		return phrase.M("inbox.cannot_move", "place", b.place(), "count", s.stuckN, "file", shown(s.stuck), "why", said(s.stuckWhy))
	case s.noteWhy != nil:
		return phrase.M("inbox.cannot_note", "place", b.place(), "why", said(s.noteWhy))
	case s.over:
		return phrase.M("inbox.too_many", "place", b.place(), "most", b.o.Limits.Candidates)
	}
	return phrase.Message{}
}

// through lists, reads and judges, orders before alerts: one may say stop.
func (b *Inbox) through(ctx context.Context, s *sight) {
	names, over, err := s.f.names(func(n string) bool { return kindOf(n) != other }, b.o.Limits.Candidates, b.o.Limits.Names)
	s.over = over
	if err != nil {
		s.err = err
	}
	slices.SortFunc(names, func(x, y string) int {
		if kx, ky := kindOf(x), kindOf(y); kx != ky {
			return int(kx) - int(ky)
		}
		return strings.Compare(x, y)
	})
	for _, name := range names {
		if ctx.Err() != nil {
			return
		}
		if err := b.one(ctx, s, name); err != nil && !gone(err) && !errors.Is(err, errMoving) {
			s.waiting++
			s.err = err
		}
	}
	if s.doneMoved {
		b.tidy(s, "done")
	}
	if s.badMoved {
		b.tidy(s, "refused")
	}
}

// one looks at one file.
func (b *Inbox) one(ctx context.Context, s *sight, name string) error {
	m, err := s.f.stat(name)
	if err != nil {
		return err
	}
	if why := never(m); !why.IsZero() {
		if len(s.ignored) < ignoredMost {
			s.ignored = append(s.ignored, Ignored{shown(name), why})
		}
		return nil
	}
	before, known := b.seen[name]
	s.seen[name] = m
	now := b.o.Clock.Now()
	if w, ok := b.settled[name]; ok && w.mark == m {
		if !b.stick {
			return b.clear(s, name, w)
		}
		if age, _ := now.Since(w.at); age < b.o.Limits.Afresh {
			s.settled[name] = w
			return nil
		}
	}
	if !b.stick && before != m && (known || !m.renamed()) {
		s.waiting++ // it may still be written
		return nil
	}
	if s.judged >= b.o.Limits.Files {
		s.waiting++
		return nil
	}
	s.judged++
	w, ok, err := b.judge(ctx, s, name, m)
	if err != nil || !ok {
		s.waiting++
		return err
	}
	w.mark, w.at = m, now
	if !b.stick {
		return b.clear(s, name, w)
	}
	s.settled[name] = w
	return nil
}

// never says why a thing of that mode is not opened at all.
func never(m mark) phrase.Message {
	switch m.mode & unix.S_IFMT {
	case unix.S_IFREG:
		if m.size == 0 {
			return phrase.M("inbox.empty")
		}
		return phrase.Message{}
	case unix.S_IFLNK:
		return phrase.M("inbox.is_link")
	case unix.S_IFDIR:
		return phrase.M("inbox.is_folder")
	}
	return phrase.M("inbox.is_special")
}

// judge reads a file and lets the verifier judge it, unless it is known; false
// leaves it for the next look.
func (b *Inbox) judge(ctx context.Context, s *sight, name string, m mark) (w settled, ok bool, err error) {
	if m.size > b.o.Limits.Bytes {
		sum := sha256.Sum256(fmt.Append(nil, "large ", m.size, m.mtime, name))
		w.digest = digest(sum[:16])
		w.Why = phrase.M("inbox.too_large", "kib", b.o.Limits.Bytes>>10)
		b.count(s, name, w, b.known.of, b.refused)
		return w, true, nil
	}
	raw, err := s.f.read(name, m)
	if err != nil {
		return w, false, err
	}
	w.digest = digestOf(raw)
	for _, of := range []map[digest]verdict{b.known.of, b.refused} {
		if v, ok := of[w.digest]; ok {
			w.verdict = v
			return w, true, nil
		}
	}
	take := b.o.TakeAlert
	if kindOf(name) == command {
		take = b.o.TakeCommand
	}
	ctx, cancel := context.WithTimeout(ctx, b.o.Limits.Judge)
	defer cancel()
	b.judging.Store(true)
	accepted, why, err := take(ctx, raw, b.thing)
	b.judging.Store(false)
	switch {
	case errors.Is(err, ErrLater), err != nil && ctx.Err() != nil:
		return w, false, nil
	case err != nil:
		accepted, why = false, phrase.M("inbox.judged", "why", phrase.Text{ZH: phrase.In(err, phrase.ZH), EN: phrase.In(err, phrase.EN)})
	case !accepted && why.IsZero():
		why = phrase.M("inbox.refused_plain")
	}
	w.verdict = verdict{accepted, why}
	b.count(s, name, w)
	if b.stick {
		// A refusal holds only while this stick is in: the site may come to trust
		// the sender, and the stick is brought again.
		if accepted {
			b.known.add(w.digest, verdict{Accepted: true})
		} else if len(b.refused) < b.o.Limits.Candidates {
			b.refused[w.digest] = w.verdict
		}
	}
	return w, true, nil
}

// count counts and logs a file that was judged, unless one of the maps knows it.
func (b *Inbox) count(s *sight, name string, w settled, unless ...map[digest]verdict) {
	for _, of := range unless {
		if _, ok := of[w.digest]; ok {
			return
		}
	}
	if w.Accepted {
		s.accepted++
	} else {
		s.refused++
	}
	b.o.Log.Info("file judged", "place", b.thing, "file", shown(name), "accepted", w.Accepted, "why", w.Why.In(phrase.EN))
}
