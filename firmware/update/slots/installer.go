package slots

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/update"
	"tocsin/firmware/update/pack"
)

// tries is how often the boot loader starts a release that nobody confirms.
const tries = 3

// startTakes is how long a board may take to stand watch, besides a trial's own time.
const startTakes = 2 * time.Minute

// Opts configure an Installer.
type Opts struct {
	Selector Selector
	// Slots are A's and B's places; Running is the one that this boot came from.
	Slots   map[string]Slot
	Running string
	// Write has use write into the other one, which is open to it until use returns and no
	// longer: what is on trial, or about to be, leaves nobody a way to what was before it.
	Write func(use func(Partition) error) error
	// Hardware is this board's name in manifests.
	Hardware string
	Rule     pack.Rule
	Now      func() clock.Stamp
	// Reboot starts the board anew, soon; the reason goes to the log of whoever does it.
	Reboot func(why string) error
	// May says why no release may be started now, nil where one may; nil for nobody is asked.
	// It is asked right before the choice is written, since reading a slot whole takes minutes.
	May func() error
	// Crash is what a boot before this one left of how it ended, "" for nothing: a line.
	Crash string
	// Factory is what runs where no slot says what it is.
	Factory update.Release
}

// Installer installs into the slot that does not run. Use Open.
type Installer struct {
	o Opts

	staging sync.Mutex // held while the other slot is written or read whole

	mu     sync.Mutex
	choice Choice
	// running, other are the headers of the two slots, nil where one says nothing.
	running, other *pack.Header
	until          time.Duration // of a trial, on the monotonic clock
}

var _ update.Installer = (*Installer)(nil)

// Open reads what both slots hold and what the selector says, and begins a trial's time
// where this boot is one. A selector of which no copy is whole is written anew: what runs
// is good, since it runs.
func Open(o Opts) (*Installer, error) {
	if o.Slots[o.Running] == nil || o.Slots[otherOf(o.Running)] == nil || o.Write == nil {
		return nil, errors.New("the slots A and B are needed, which of them runs, and a way into the other")
	}
	i := &Installer{o: o}
	c, err := o.Selector.Read()
	if err != nil {
		c = Choice{Good: o.Running, Why: phrase.M("update.choice_lost")}
		if h := i.believed(o.Running); h != nil {
			c.Floor = h.Number
		}
		// A higher one in the other slot may have been confirmed: it alone may follow.
		if h := i.believed(otherOf(o.Running)); h != nil && h.Number > c.Floor {
			c.Floor = h.Number - 1
		}
		if err := o.Selector.Write(c); err != nil {
			return nil, err
		}
	}
	if c.Next == "" && c.Good != o.Running {
		// The boot loader found that the good slot does not start, and took what was there.
		c.Good, c.Why, c.ByTries = o.Running, phrase.M("update.good_lost", "slot", c.Good), false
		if err := o.Selector.Write(c); err != nil {
			return nil, err
		}
	}
	i.choice = c
	i.running, i.other = i.believed(o.Running), i.believed(otherOf(o.Running))
	if i.trial() {
		now := o.Now().Mono
		i.until = min(now+c.Within, max(now, c.Within+startTakes)) // from the boot on, however often edged starts
	}
	return i, nil
}

func otherOf(slot string) string {
	if slot == "A" {
		return "B"
	}
	return "A"
}

// believed gives a slot's header if those who may release signed it.
func (i *Installer) believed(slot string) *pack.Header {
	h := headerOf(i.o.Slots[slot])
	if h == nil || h.Verify(i.o.Rule) != nil {
		return nil
	}
	return h
}

// trial tells whether this boot is one. Under mu or before anybody else.
func (i *Installer) trial() bool { return i.choice.Next == i.o.Running && i.choice.Good != i.o.Running }

func (i *Installer) write(c Choice) error {
	if err := i.o.Selector.Write(c); err != nil {
		return phrase.Wrap(err, "update.disk", "err", err)
	}
	i.choice = c
	return nil
}

func release(h *pack.Header) *update.Release {
	if h == nil {
		return nil
	}
	r := h.Release
	return &r
}

// State tells how it stands.
func (i *Installer) State() update.State {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := update.State{Phase: update.Idle, Running: release(i.running), Reason: i.reason(), Hardware: i.o.Hardware}
	if i.running != nil {
		s.Base = i.running.SHA256.String()
	}
	if s.Running == nil {
		f := i.o.Factory
		s.Running = &f
	}
	if i.other != nil && !i.trial() && i.choice.Next == "" && i.other.Number == i.choice.Bad {
		s.Failed = release(i.other)
	}
	switch {
	case i.trial():
		s.Phase, s.Before, s.Left, s.Within = update.Trial, release(i.other), max(0, i.until-i.o.Now().Mono), i.choice.Within
	case i.staged():
		s.Phase, s.Next = update.Staged, release(i.other)
	}
	return s
}

// staged tells whether the other slot holds what could be activated.
func (i *Installer) staged() bool {
	return i.other != nil && i.other.Number > i.floor() && i.other.Number != i.choice.Bad && slices.Contains(i.other.Hardware, i.o.Hardware)
}

// floor is the number that a release must be above.
func (i *Installer) floor() uint64 {
	n := i.choice.Floor
	if i.running != nil && !i.trial() {
		n = max(n, i.running.Number)
	}
	return n
}

// WentBack is the number of the release that was tried last and did not stay, 0 for none.
func (i *Installer) WentBack() uint64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.trial() || i.choice.Next != "" {
		return 0
	}
	return i.choice.Bad
}

// reason is why the last trial did not stay.
func (i *Installer) reason() phrase.Message {
	if !i.choice.ByTries {
		return i.choice.Why
	}
	if i.o.Crash != "" {
		return phrase.M("update.tries_crash", "tries", tries, "crash", i.o.Crash)
	}
	return phrase.M("update.tries", "tries", tries)
}

// Stage reads a whole release from a stream.
func (i *Installer) Stage(ctx context.Context, r io.Reader) (update.Release, error) {
	h, err := pack.ReadHeader(r)
	if err != nil {
		return update.Release{}, err
	}
	// A stream brings every chunk, wanted or not.
	at, buffer := h.Length, []byte(nil)
	return i.install(ctx, h, func(n int) ([]byte, error) {
		if _, err := io.CopyN(io.Discard, r, h.Offset(n)-at); err != nil {
			return nil, cutShort(err, n)
		}
		size := int(h.Offset(n+1) - h.Offset(n))
		buffer = slices.Grow(buffer[:0], size)[:size]
		if _, err := io.ReadFull(r, buffer); err != nil {
			return nil, cutShort(err, n)
		}
		at = h.Offset(n + 1)
		return buffer, nil
	})
}

func cutShort(err error, n int) error {
	return phrase.Wrap(err, "update.cut_short", "file", "#"+strconv.Itoa(n+1))
}

// Fetch installs from something that gives any part of a package: what stands in its place
// already is not asked for, so that it goes on where it broke off.
func (i *Installer) Fetch(ctx context.Context, r io.ReaderAt) (update.Release, error) {
	h, err := pack.ReadHeader(io.NewSectionReader(r, 0, 1<<62))
	if err != nil {
		return update.Release{}, err
	}
	var buffer []byte
	return i.install(ctx, h, func(n int) ([]byte, error) {
		size := int(h.Offset(n+1) - h.Offset(n))
		buffer = slices.Grow(buffer[:0], size)[:size]
		if m, err := r.ReadAt(buffer, h.Offset(n)); m < size {
			return nil, cutShort(err, n)
		}
		return buffer, nil
	})
}

// fits tells whether a release is genuine and one for this board, now.
func (i *Installer) fits(h *pack.Header) error {
	if err := h.Verify(i.o.Rule); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.trial() || i.choice.Next != "" {
		return phrase.E("update.on_trial")
	}
	if !slices.Contains(h.Hardware, i.o.Hardware) {
		return phrase.E("update.other_board", "here", i.o.Hardware, "for", strings.Join(h.Hardware, ", "))
	}
	if floor := i.floor(); h.Number <= floor {
		have := update.Release{Number: floor}
		if i.running != nil {
			have.Version = i.running.Version
			if i.running.Number == floor {
				have.Built = i.running.Built
			}
		}
		return phrase.E("update.older", "version", h.Version, "dated", h.Dated(), "running", have.Version, "have", have.Dated())
	}
	if most := room(i.o.Slots[otherOf(i.o.Running)]); h.Size > most {
		return phrase.E("update.large", "most", most>>20)
	}
	if h.Base != nil && (i.running == nil || h.Base.SHA256 != i.running.SHA256 || h.Base.Size != i.running.Size) {
		return phrase.E("update.other_base", "version", h.Version)
	}
	return nil
}

func (i *Installer) install(ctx context.Context, h *pack.Header, fetch func(int) ([]byte, error)) (update.Release, error) {
	if !i.staging.TryLock() {
		return update.Release{}, phrase.E("update.busy")
	}
	defer i.staging.Unlock()
	if err := i.fits(h); err != nil {
		return update.Release{}, err
	}
	if err := i.o.Write(func(p Partition) error { return i.put(ctx, p, h, fetch) }); err != nil {
		return update.Release{}, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	c := i.choice
	c.Why, c.ByTries, c.Bad = phrase.Message{}, false, 0
	if err := i.write(c); err != nil {
		return update.Release{}, err
	}
	i.other = h
	return h.Release, nil
}

// put writes a release into the slot that does not run.
func (i *Installer) put(ctx context.Context, p Partition, h *pack.Header, fetch func(int) ([]byte, error)) error {
	i.mu.Lock()
	i.other = nil
	i.mu.Unlock()
	if err := unseal(p); err != nil {
		return phrase.Wrap(err, "update.disk", "err", err)
	}
	pause := func() error { return rest(ctx) }
	if err := fill(p, h, i.o.Slots[i.o.Running], fetch, pause); err != nil {
		return err
	}
	if err := prove(p, h, pause); err != nil {
		return err
	}
	if err := Seal(p, h); err != nil {
		return phrase.Wrap(err, "update.disk", "err", err)
	}
	return nil
}

// rest leaves the disk and the processor to others for a moment.
func rest(ctx context.Context) error {
	t := time.NewTimer(breath)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return phrase.Wrap(ctx.Err(), "update.stopped")
	case <-t.C:
		return nil
	}
}

// Activate reads what is staged once more, whole, and lets the boot loader try it.
func (i *Installer) Activate(within time.Duration) error {
	if !i.staging.TryLock() {
		return phrase.E("update.busy")
	}
	defer i.staging.Unlock()
	i.mu.Lock()
	h, ok := i.other, i.staged() && !i.trial()
	i.mu.Unlock()
	if !ok {
		return phrase.E("update.not_staged")
	}
	if err := prove(i.o.Slots[otherOf(i.o.Running)], h, func() error { return nil }); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.o.May != nil {
		if err := i.o.May(); err != nil {
			return err
		}
	}
	before := i.choice
	c := before
	c.Next, c.Left, c.Within = otherOf(i.o.Running), tries, within
	c.Why, c.ByTries, c.Bad = phrase.Message{}, false, h.Number // bad until it is confirmed
	if err := i.write(c); err != nil {
		return err
	}
	if err := i.o.Reboot("update to " + h.Version); err != nil {
		// Not at whatever later time the power goes: it stays staged.
		if e := i.write(before); e != nil {
			return e
		}
		return phrase.Wrap(err, "update.no_reboot", "err", err)
	}
	return nil
}

// Confirm lets a trial stay.
func (i *Installer) Confirm() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.trial() {
		return phrase.E("update.no_trial")
	}
	c := Choice{Good: i.o.Running, Floor: i.choice.Floor}
	if i.running != nil {
		c.Floor = max(c.Floor, i.running.Number)
	}
	return i.write(c)
}

// Back ends a trial and starts what ran before.
func (i *Installer) Back(why phrase.Message) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.trial() {
		return phrase.E("update.no_trial")
	}
	return i.back(why)
}

func (i *Installer) back(why phrase.Message) error {
	c := i.choice
	c.Next, c.Left, c.Within, c.Why = "", 0, 0, why
	if err := i.write(c); err != nil {
		return err
	}
	if err := i.o.Reboot("update taken back"); err != nil {
		return phrase.Wrap(err, "update.no_reboot", "err", err)
	}
	return nil
}

// Tick takes a trial back whose time is over.
func (i *Installer) Tick() (bool, phrase.Message, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.trial() || i.o.Now().Mono < i.until {
		return false, phrase.Message{}, nil
	}
	why := phrase.M("update.unconfirmed")
	return true, why, i.back(why)
}
