package journal

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"tocsin/firmware/phrase"
)

// look is how often the writer makes sure, with nothing to write, that its file
// still is in its place.
const look = 2 * time.Second

// linger is how long the writer still takes what the other rooms say while they
// end, after the guard's context has ended and before it closes by itself.
const linger = 2 * time.Second

// write owns the file. It ends with ctx, after what waits was tried once more.
func (j *Journal) write(ctx context.Context) error {
	if j.over() {
		<-ctx.Done() // closed earlier; a Restart goroutine ends with its context
		return ctx.Err()
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	ending := ctx.Done()
	var end <-chan time.Time
	pause := time.Duration(0)
	for last := false; ; {
		err := j.turn()
		j.started()
		if last {
			break
		}
		var again <-chan time.Time
		wake, idle := j.wake, tick.C
		if err != nil {
			pause = min(max(2*pause, j.o.Retry), j.o.RetryMax)
			again, wake, idle = time.After(pause), nil, nil
		} else {
			pause = 0
		}
		select {
		case <-wake:
		case <-again:
		case <-idle:
		case f := <-j.condemned:
			if f == j.file {
				j.replace(errDamaged)
			}
		case <-ending:
			ending, end = nil, time.After(linger)
		case <-end:
			last = true
		case <-j.closing:
			last = true
		}
	}
	j.drop()
	j.finish()
	<-ctx.Done()
	return ctx.Err()
}

func (j *Journal) over() bool {
	select {
	case <-j.done:
		return true
	default:
		return false
	}
}

func (j *Journal) started() {
	select {
	case <-j.loaded:
	default:
		close(j.loaded)
	}
}

func (j *Journal) finish() {
	j.settle(false, phrase.M("journal.closed"))
	close(j.done)
}

// turn brings the file to work and makes durable all that waits. Its error means
// that it should be tried again after a pause.
func (j *Journal) turn() error {
	slow := time.AfterFunc(j.o.Slow, j.stall)
	defer func() { slow.Stop(); j.unstall() }()
	err := j.attempt()
	for range 2 { // a corrupt or vanished file is replaced at once, by a new one
		switch classify(err) {
		case corrupt, newer:
			if e := j.replace(err); e != nil {
				return e
			}
		case gone:
			j.lost()
		case none:
			return nil
		default:
			j.fail(err)
			return err
		}
		err = j.attempt()
	}
	if err != nil {
		j.fail(err)
	}
	return err
}

// budget is how many files may be set aside in one refill: if it is not the file
// that is ill, replacing it again and again would only lose what it holds.
const (
	budget = 5
	refill = 10 * time.Minute
)

// replace sets the file aside, so that the next attempt makes a new one.
func (j *Journal) replace(why error) error {
	if time.Since(j.refilled) > refill {
		j.refilled, j.budget = time.Now(), budget
	}
	if j.budget--; j.budget < 0 {
		j.fail(why)
		return why
	}
	err := j.setAside(why)
	if err != nil {
		j.rescue()
		err = errors.Join(err, why)
		j.fail(err)
	}
	return err
}

func (j *Journal) fail(err error) {
	j.drop()
	j.mu.Lock()
	j.stats.Failures++
	j.mu.Unlock()
	j.settle(false, explain(j.dir, err))
}

// drop closes the file.
func (j *Journal) drop() {
	j.fmu.Lock()
	f := j.file
	j.file = nil
	j.fmu.Unlock()
	if f != nil {
		f.close()
	}
}

// attempt opens the file where it is not open and commits until nothing waits.
func (j *Journal) attempt() error {
	if j.file == nil {
		if err := j.reopen(); err != nil {
			return err
		}
	} else if err := j.file.there(); err != nil {
		return err
	}
	for {
		c, any := j.fetch(false)
		if !any {
			break
		}
		began := time.Now()
		if err := j.put(j.file, c); err != nil {
			return err
		}
		j.land(time.Since(began))
		j.announce()
	}
	j.announce()
	j.settle(true, phrase.Message{})
	j.confess()
	if n, err := j.file.prune(j.o.MaxRows, j.o.MaxBytes, j.o.Hold()); err != nil {
		return err
	} else if n > 0 {
		j.o.Log.Info("journal pruned", "records", n)
	}
	return nil
}

// fetch takes what waits and numbers it. With whole it gives all values and letters as
// they stand at that instant, else those that wait.
func (j *Journal) fetch(whole bool) (c change, any bool) {
	j.mu.Lock()
	if whole {
		c.state, c.letters = maps.Clone(j.state), maps.Clone(j.letters)
	}
	if !j.flight.full {
		if j.waiting.len() == 0 && len(j.dirty) == 0 && len(j.posted) == 0 {
			j.landed = max(j.landed, j.taken) // what was dropped is settled as well
			j.mu.Unlock()
			return c, false
		}
		q := j.waiting
		j.waiting = queue{ticket: q.ticket}
		j.flight = flight{queue: q, state: j.dirty, letters: j.posted, upto: j.taken, full: true}
		j.dirty, j.posted = map[string][]byte{}, map[string]*Letter{}
		next := j.next
		j.mu.Unlock()
		list := q.list()
		for i := range list {
			list[i].Seq = next + int64(i)
		}
		j.mu.Lock()
		j.flight.records = list
		j.next = next + int64(len(list))
	}
	defer j.mu.Unlock()
	if !whole {
		c.state, c.letters = j.flight.state, j.flight.letters
	}
	c.records = j.flight.records
	return c, true
}

// unfetch puts back what certainly is not durable. Its numbers are given again,
// since nobody has seen them.
func (j *Journal) unfetch() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.flight.full {
		return
	}
	if n := len(j.flight.records); n > 0 && j.next == j.flight.records[0].Seq+int64(n) {
		j.next = j.flight.records[0].Seq
	}
	for k, v := range j.flight.state {
		if _, newer := j.dirty[k]; !newer {
			j.dirty[k] = v
		}
	}
	for id, l := range j.flight.letters {
		if _, newer := j.posted[id]; !newer {
			j.posted[id] = l
		}
	}
	lost := j.waiting.putBack(j.flight.queue, j.o.Waiting, j.o.WaitingBytes)
	for i, n := range lost {
		j.stats.Dropped[i] += n
	}
	j.flight = flight{}
}

// land counts the batch that was under way as durable. Nobody is told until announce,
// so that who is told can read it.
func (j *Journal) land(took time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.landed = max(j.landed, j.flight.upto)
	j.remember(j.flight.records)
	j.stats.Records += int64(len(j.flight.records))
	j.stats.Commits++
	j.stats.LongestCommit = max(j.stats.LongestCommit, took)
	j.flight = flight{}
}

// announce tells who waits what has become durable.
func (j *Journal) announce() {
	j.mu.Lock()
	news := j.landed > j.durable
	j.durable = max(j.durable, j.landed)
	j.mu.Unlock()
	if news {
		j.ring()
	}
}

// remember keeps the newest records in RAM within bounds. The lock is held.
func (j *Journal) remember(records []Record) {
	j.recent = append(j.recent, records...)
	for i := range records {
		j.recentSize += records[i].size()
	}
	over := 0
	for over < len(j.recent) && (len(j.recent)-over > j.o.Recent || j.recentSize > recentBytes) {
		j.recentSize -= j.recent[over].size()
		over++
	}
	if j.recent = j.recent[over:]; cap(j.recent) > 4*len(j.recent)+64 {
		j.recent = slices.Clone(j.recent)
	}
}

// stall is called when the writer has been at one turn for longer than it may.
func (j *Journal) stall() {
	j.mu.Lock()
	tell := j.ok && !j.stalled
	j.stalled = true
	j.mu.Unlock()
	if tell {
		j.ring()
		j.o.Report(false, phrase.M("journal.slow"))
	}
}

func (j *Journal) unstall() {
	j.mu.Lock()
	tell := j.ok && j.stalled
	j.stalled = false
	j.mu.Unlock()
	if tell {
		j.ring()
		j.o.Report(true, phrase.Message{})
	}
}

// confess writes down how many records were lost while the disk was away, once it
// is back.
func (j *Journal) confess() {
	j.mu.Lock()
	lost := j.stats.Dropped
	for i := range lost {
		lost[i] -= j.confessed[i]
	}
	j.confessed = j.stats.Dropped
	j.mu.Unlock()
	if lost == [weights]int64{} {
		return
	}
	j.Append(Record{Kind: "journal.dropped", Message: phrase.M("journal.dropped",
		"n", lost[Low]+lost[Middle]+lost[High], "important", lost[High])})
}
