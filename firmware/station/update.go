package station

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/configs"
	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/guard/power"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/update"
	"tocsin/firmware/update/board"
	"tocsin/firmware/update/directory"
)

// How long a release is on trial.
const (
	trialUsual = 10 * time.Minute
	trialLeast = time.Minute
	trialMost  = time.Hour
)

// updates is what installs releases on this board.
type updates struct {
	ready chan struct{}
	by    update.Installer
	// why it does not open, as long as it does not.
	why atomic.Pointer[error]
	// trial judges itself on a board; on a bench a person does.
	trial *probation
	// stick: releases are taken off USB sticks.
	stick bool
	// spared is since when a trial that may be to end waits for a level's end.
	spared clock.Stamp
	told   atomic.Pointer[updateTold]
	// shops are links by which software is fetched, by their names.
	shops    sync.Map
	fetching atomic.Pointer[fetching]
	coming   atomic.Pointer[coming]
	// refused is the number of an offered release that was none for this box.
	refused atomic.Uint64
	slot    string // where this boot lies: A, B or ""
	// taking: a release is being taken in or activated, one at a time.
	taking sync.Mutex
	order  atomic.Pointer[updateOrder]
	// carried is the order that is being carried out, nil for none.
	carried atomic.Pointer[updateOrder]
	// orderKept keeps what is stored of it in the order in which it changed.
	orderKept sync.Mutex
	// declined are the commands that were told as declined lately, as long as this runs; the county's.
	declined []string
}

// initSocket is where the board's init answers: it names it in the environment.
func initSocket() string { return os.Getenv("TOCSIN_INIT") }

// openInstaller opens what installs here; nil for a board whose own system does.
func (h *House) openInstaller() (update.Installer, error) {
	running := update.Release{Version: Version, Number: 1, Built: BuildTime()}
	if h.o.Bench != "" {
		dir := filepath.Join(h.o.Bench, "update")
		return directory.Open(directory.Opts{Dir: dir, Keys: releaseKeys(filepath.Join(dir, "keys")), Hardware: "bench", Now: h.clock.Now, Running: update.Release{Version: Version, Number: 1}})
	}
	b, err := fs.ReadFile(configs.FS, "update.yaml")
	if err != nil {
		return nil, err
	}
	c, err := board.ParseConfig(b)
	if err != nil {
		return nil, fmt.Errorf("update.yaml: %w", err)
	}
	i, err := board.Open(initSocket(), c, h.clock.Now, running, h.mayActivate)
	if err != nil {
		return nil, err
	}
	f, err := h.footing()
	if err != nil {
		h.log.Warn("nobody knows what answered before the update", "err", err)
	}
	h.updates.trial, h.updates.stick = &probation{asked: f}, c.Stick.Enabled
	return i, nil
}

// reopenAfter is how soon an installer that did not open is tried again: without it a trial
// would have no judge.
const reopenAfter = 5 * time.Second

// untilOpen opens the installer, again and again; nil when the box ends first.
func (h *House) untilOpen(ctx context.Context) update.Installer {
	for {
		i, err := h.openInstaller()
		if err == nil {
			h.clearFault("update")
			return i
		}
		h.updates.why.Store(&err)
		h.setFault("update", phrase.M("update.closed", "err", err))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(reopenAfter):
		}
	}
}

// startUpdates opens the board's installer; a bench has one in a folder.
func (h *House) startUpdates() {
	u := &h.updates
	u.ready, u.slot = make(chan struct{}), os.Getenv("TOCSIN_SLOT")
	if h.o.Bench == "" && initSocket() == "" {
		close(u.ready)
		return
	}
	h.guard.Go("station", "board", guard.Once, h.lookAtBoard)
	h.guard.Go("update", "installer", guard.Restart, func(ctx context.Context) error {
		if u.by == nil {
			i := h.untilOpen(ctx)
			if i == nil {
				return nil
			}
			u.by = i
			close(u.ready)
			select {
			case <-h.journal.Loaded():
			case <-time.After(memoryWaits): // a disk that hangs: it is told once more
			case <-ctx.Done():
			}
			h.recallOutcome(i.State())
			h.recallOrder()
			if f, ok := i.(fetcher); ok { // a bench's takes none part by part
				h.guard.Go("update", "fetch", guard.Restart, func(ctx context.Context) error { return h.keepFetching(ctx, i, f) })
			}
		}
		t := time.NewTicker(time.Second)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-t.C:
			}
			spare := u.by.State().Phase == update.Trial && h.spares(&u.spared)
			if u.trial != nil {
				h.judgeRelease(u.trial, u.by, time.Now(), spare)
			}
			if spare {
				continue
			}
			running := u.by.State().Running
			took, why, err := u.by.Tick()
			if err != nil {
				h.setFault("update", phrase.M("update.closed", "err", err))
			}
			if took {
				h.outcome(wire.UpdateBack, running, phrase.M("update.told_back", "why", why))
			}
			h.followOrder(u.by)
		}
	})
}

// releaseKeys reads the keys of those who may release: PEM files.
func releaseKeys(dir string) []ed25519.PublicKey {
	var out []ed25519.PublicKey
	files, _ := filepath.Glob(filepath.Join(dir, "*.pem"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil || len(b) > secretMost {
			continue
		}
		if block, _ := pem.Decode(b); block != nil {
			if k, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
				if e, ok := k.(ed25519.PublicKey); ok {
					out = append(out, e)
				}
			}
		}
	}
	return out
}

func (h *House) installer() (update.Installer, error) {
	u := &h.updates
	select {
	case <-u.ready:
	default:
		if why := u.why.Load(); why != nil {
			return nil, phrase.Wrap(*why, "update.closed", "err", *why)
		}
		return nil, phrase.E("update.opening")
	}
	if u.by == nil {
		return nil, phrase.E("update.none_here")
	}
	return u.by, nil
}

// barred says why nothing may be activated now.
func (h *House) barred() error {
	if h.seen().worst > point.Calm {
		return phrase.E("update.level")
	}
	if v, ok := h.economy.stands(); ok && v.State >= power.Low {
		return phrase.E("update.power", "state", supplyText(v.State))
	}
	if len(h.announcer.Sounding()) > 0 {
		return phrase.E("update.sounding")
	}
	if h.roll.drills() {
		return phrase.E("update.drill")
	}
	return nil
}

// mayActivate says the same, and that the order which is being carried out was withdrawn or gave way to another: a
// slot takes a while to be read before it is started from.
func (h *House) mayActivate() error {
	if o := h.updates.carried.Load(); o != nil && h.updates.order.Load() != o {
		return phrase.E("update.not_staged")
	}
	return h.barred()
}

// unfit says why what runs may not be confirmed yet.
func (h *House) unfit() error {
	if !h.ready.Load() {
		return phrase.E("update.not_armed")
	}
	return nil
}

func versionOf(r *update.Release) string {
	if r == nil {
		return ""
	}
	return r.Version
}

func releaseOf(r *update.Release) *api.Release {
	if r == nil {
		return nil
	}
	x := api.Release{Version: r.Version, Number: int64(r.Number), Notes: r.Notes, Size: r.Size}
	if !r.Built.IsZero() {
		x.Built = &r.Built
	}
	return &x
}

// Update tells how the software stands.
func (h *House) Update() api.Update {
	out := api.Update{Phase: string(update.Idle), Running: api.Release{Version: Version}, Trial: trialUsual}
	said := func(err error) *api.Text {
		if err == nil {
			return nil
		}
		t := api.TextOf(phrase.Of(err))
		return &t
	}
	out.Barred = said(h.barred())
	i, err := h.installer()
	if err != nil {
		out.Why = said(err)
		return out
	}
	if o := h.updates.order.Load(); o != nil && o.State == orderWaits {
		said := api.TextOf(o.says())
		out.Ordered = &said
	}
	s := i.State()
	out.Phase, out.Running, out.Before, out.Next, out.Left = string(s.Phase), *releaseOf(s.Running), releaseOf(s.Before), releaseOf(s.Next), s.Left
	out.Coming = h.viewComing()
	h.viewTrial(&out, s)
	if s.Phase == update.Trial {
		out.Unfit = said(h.unfit())
	}
	return out
}

// StageRelease verifies a release and puts it beside what runs.
func (h *House) StageRelease(ctx context.Context, r io.Reader, who api.Who) (api.Release, error) {
	i, err := h.installer()
	if err != nil {
		return api.Release{}, err
	}
	h.yieldFetch()
	rel, err := h.takeStream(ctx, i, r, who)
	if err != nil {
		if phrase.Of(err).Code == "update.busy" {
			return api.Release{}, err
		}
		h.outcome(wire.UpdateRefused, nil, phrase.M("update.told_refused", "who", who.Name, "why", phrase.Of(err)))
		return api.Release{}, err
	}
	h.outcome(wire.UpdateStaged, &rel, phrase.M("update.told_staged", "version", rel.Version, "who", who.Name))
	return *releaseOf(&rel), nil
}

// takeStream stages what comes in one stream, unless another release is being taken.
func (h *House) takeStream(ctx context.Context, i update.Installer, r io.Reader, who api.Who) (update.Release, error) {
	if !h.updates.taking.TryLock() {
		return update.Release{}, phrase.E("update.busy")
	}
	defer h.updates.taking.Unlock()
	c := &counted{Reader: r}
	defer h.comes(who.Name, sizeOf(r), c.n.Load)()
	return i.Stage(ctx, c)
}

// ActivateRelease runs what is staged, on trial; never while a level stands.
func (h *House) ActivateRelease(within time.Duration, who api.Who) error {
	i, err := h.installer()
	if err != nil {
		return err
	}
	if err := h.barred(); err != nil {
		return err
	}
	if within == 0 {
		within = trialUsual
	}
	if within < trialLeast || within > trialMost {
		return phrase.E("update.within", "least", spanText(trialLeast), "most", spanText(trialMost))
	}
	return h.activate(i, within, who.Name, nil)
}

// activate has what is staged run, on trial; for an order only exactly the release that it names.
func (h *House) activate(i update.Installer, within time.Duration, who string, o *updateOrder) error {
	if !h.updates.taking.TryLock() {
		return phrase.E("update.busy")
	}
	defer h.updates.taking.Unlock()
	next := i.State().Next
	if o != nil && (next == nil || next.Number != o.Number) {
		return phrase.E("update.not_staged")
	}
	if h.updates.trial != nil {
		if err := h.keepFooting(h.stand(answeredLately)); err != nil {
			h.log.Warn("what answers before the update is not kept: the trial asks only for the watch", "err", err)
		}
	}
	h.updates.carried.Store(o)
	defer h.updates.carried.Store(nil)
	if err := h.mayActivate(); err != nil {
		return err
	}
	if err := i.Activate(within); err != nil {
		return err
	}
	if o != nil {
		h.endOrder(o, orderDone, phrase.Message{})
	}
	told := phrase.M("update.told_trial", "version", versionOf(next), "who", who, "within", spanText(within))
	if h.updates.trial != nil {
		told = phrase.M("update.told_trial_self", "version", versionOf(next), "who", who, "within", spanText(within))
	}
	h.outcome(wire.UpdateTrial, next, told)
	return nil
}

// ConfirmRelease lets a trial stay.
func (h *House) ConfirmRelease(who api.Who) error {
	i, err := h.installer()
	if err != nil {
		return err
	}
	if err := h.unfit(); err != nil {
		return err
	}
	if err := i.Confirm(); err != nil {
		return err
	}
	running := i.State().Running
	h.outcome(wire.UpdateConfirmed, running, phrase.M("update.told_confirmed", "version", versionOf(running), "who", who.Name))
	return nil
}

// RollBackRelease ends a trial in a person's name.
func (h *House) RollBackRelease(reason string, who api.Who) error {
	i, err := h.installer()
	if err != nil {
		return err
	}
	if err := h.barred(); err != nil {
		return err
	}
	why := phrase.M("update.by_hand", "who", who.Name, "reason", reason)
	running := i.State().Running
	if err := i.Back(why); err != nil {
		return err
	}
	h.outcome(wire.UpdateBack, running, phrase.M("update.told_back", "why", why))
	return nil
}
