package history

import (
	"context"
	"errors"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

// linger is how long the writer still takes what is flushed after the guard's
// context has ended.
const linger = 2 * time.Second

// atOnce is how many batches go into one transaction.
const atOnce = 64

// write owns the file.
func (h *History) write(ctx context.Context) error {
	if h.over() {
		<-ctx.Done()
		return ctx.Err()
	}
	pause := time.Duration(0)
	ending := ctx.Done()
	var end <-chan time.Time
	for last := false; !last; {
		var again <-chan time.Time
		wake := h.wake
		err := h.turn()
		h.opened()
		if err != nil {
			pause = min(max(2*pause, h.o.Retry), h.o.RetryMax)
			again, wake = time.After(pause), nil
		} else {
			pause = 0
		}
		select {
		case <-wake:
		case <-again:
		case f := <-h.condemned:
			if f == h.file {
				if err := h.setAside(errDamaged); err != nil {
					h.fail(err)
				}
			}
		case <-ending:
			ending, end = nil, time.After(linger)
		case <-end:
			last = true
		case <-h.closing:
			h.turn()
			last = true
		}
	}
	h.drop()
	close(h.done)
	<-ctx.Done()
	return ctx.Err()
}

// opened tells the queries that what is on the disk can be asked now.
func (h *History) opened() {
	select {
	case <-h.tried:
	default:
		close(h.tried)
	}
}

func (h *History) over() bool {
	select {
	case <-h.done:
		return true
	default:
		return false
	}
}

// turn brings the file to work and writes what waits. Its error means that it
// should be tried again after a pause.
func (h *History) turn() error {
	var err error
	for range 3 { // a damaged or vanished file is replaced at once by a new one
		if err = h.attempt(); err == nil {
			h.settle(true, phrase.Message{})
			return nil
		}
		switch c, _ := classify(err); c {
		case anew:
			if e := h.setAside(err); e != nil {
				return h.fail(errors.Join(e, err))
			}
		case reopen:
			h.gone()
		default:
			return h.fail(err)
		}
	}
	return h.fail(err)
}

func (h *History) fail(err error) error {
	h.drop()
	h.count(func(s *Stats) { s.Failures++ })
	why := explain(h.dir, err)
	h.o.Log.Warn("history not written", "err", err)
	h.settle(false, why)
	return err
}

func (h *History) attempt() error {
	if h.file == nil {
		f, err := openFile(h.dir)
		if err != nil {
			return err
		}
		h.fmu.Lock()
		h.file = f
		h.fmu.Unlock()
	}
	for {
		h.mu.Lock()
		batches := append([]*batch(nil), h.pending[:min(len(h.pending), atOnce)]...)
		h.mu.Unlock()
		if len(batches) == 0 {
			return nil
		}
		if err := h.file.commit(batches); err != nil {
			return err
		}
		h.landed(batches)
		if err := h.upkeep(batches[len(batches)-1]); err != nil {
			return err
		}
	}
}

// upkeepEvery is after how many writes size and age are looked at.
const upkeepEvery = 20

// upkeep rolls up the hours that are over and drops what is too much or too old.
func (h *History) upkeep(newest *batch) error {
	if err := h.file.rollUp(newest); err != nil {
		return err
	}
	if h.pruneAge++; h.pruneAge < upkeepEvery {
		return nil
	}
	h.pruneAge = 0
	for range 100 {
		used, err := h.file.used()
		if err != nil {
			return err
		}
		if used <= h.o.Most {
			break
		}
		n, err := h.file.dropOldest(50)
		if err == nil && n == 0 {
			n, err = h.file.dropHours(20)
		}
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
	}
	now := h.o.Clock.Now()
	if now.Trust < clock.Set {
		return nil // nobody knows how old it is
	}
	return h.file.age(now.Wall.Add(-h.o.Keep).UnixMilli(), now.Wall.Add(-h.o.Rollups).UnixMilli())
}

// ageAtOnce is how many batches may go for their age at a time: of 30 s each it is
// four hours of values in the ten minutes between two looks, so that a clock that
// is wrong for an hour takes a day of them and not all.
const ageAtOnce = 500

func (f *file) age(raw, hours int64) error {
	rows, err := f.w.Query(`SELECT seq, t1 FROM batch ORDER BY seq LIMIT ?`, ageAtOnce)
	if err != nil {
		return err
	}
	upto := int64(0)
	for rows.Next() {
		var seq, t1 int64
		if err := rows.Scan(&seq, &t1); err != nil {
			rows.Close()
			return err
		}
		if t1 >= raw || seq == f.seq {
			break
		}
		upto = seq
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	if upto > 0 {
		if _, err := f.dropUpTo(upto); err != nil {
			return err
		}
	}
	return f.ageHours(hours / hourMS)
}
