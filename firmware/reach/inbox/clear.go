package inbox

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"tocsin/firmware/phrase"
)

// clear moves a judged file of the watched folder to done/ or refused/. What
// cannot be moved is remembered, so that it is not judged again and again.
func (b *Inbox) clear(s *sight, name string, w settled) error {
	err := b.put(s, name, w)
	switch {
	case err == nil:
		delete(s.seen, name)
		b.known.drop(w.digest)
		return nil
	case errors.Is(err, errMoving) || gone(err):
		// It is another file by now; that one is looked at next time.
		b.known.drop(w.digest)
		return err
	}
	if s.stuckN++; s.stuckN == 1 {
		s.stuck, s.stuckWhy = name, err
	}
	if _, ok := b.known.of[w.digest]; !ok {
		b.known.add(w.digest, w.verdict)
		b.o.Log.Warn("judged file cannot be moved", "place", b.thing, "file", shown(name), "err", err)
	}
	s.settled[name] = w
	return nil
}

func (b *Inbox) put(s *sight, name string, w settled) error {
	// What is renamed must still be what was read.
	if m, err := s.f.stat(name); err != nil {
		return err
	} else if m != w.mark {
		return errMoving
	}
	where := "refused"
	if w.Accepted {
		where = "done"
	}
	to, err := s.f.sub(where)
	if err != nil {
		if gone(err) {
			err = unix.EIO // of the folder, not of the file
		}
		return err
	}
	defer to.close()
	as := keptName(w.at.Wall, w.digest, name)
	noted := false
	if !w.Accepted {
		text := w.Why.In(phrase.ZH) + "\n" + w.Why.In(phrase.EN) + "\n"
		err := to.write(as+whyEnd, []byte(text))
		if noted = err == nil; !noted && !errors.Is(err, unix.EEXIST) {
			s.noteWhy = err
		}
	}
	if err := s.f.move(name, to, as, w.mark); err != nil {
		if noted {
			to.remove(as + whyEnd)
		}
		return err
	}
	if w.Accepted {
		s.doneMoved = true
	} else {
		s.badMoved = true
	}
	return nil
}

// tidy removes the oldest of what the box itself put into done/ or refused/.
func (b *Inbox) tidy(s *sight, where string) {
	d, err := s.f.sub(where)
	if err != nil {
		return
	}
	defer d.close()
	ours := func(n string) bool { _, ok := parseKept(n); return ok }
	names, _, err := d.names(ours, b.o.Limits.Names, 2*b.o.Limits.Names)
	if err != nil || len(names) <= b.o.Limits.Kept {
		return
	}
	slices.Sort(names)
	for _, n := range names[:len(names)-b.o.Limits.Kept] {
		if m, err := d.stat(n); err != nil || !m.regular() {
			continue
		}
		if d.remove(n) == nil && where == "refused" {
			d.remove(n + whyEnd)
		}
	}
}
