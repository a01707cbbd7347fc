package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// Case is one way in which an update goes wrong, or is cut: afterwards the box must run a
// working, signed release by itself, and say why it is not the new one.
type Case struct {
	Name string
	// Long ones are left out of the short form.
	Long bool
	Run  func(*Rig) error
}

// Cuts is how many cuts of the power each of the three stages gets in the long form.
const Cuts = 10

// Matrix gives the cases. seed is of the instants at which the power is cut.
func Matrix(seed uint64) []Case {
	all := []Case{
		{Name: "a signature of somebody else", Run: refused(Variant{Version: "v2", Above: 1, Forged: true}, nil, "update.bad_signature")},
		{Name: "an older version", Run: refused(Variant{Version: "v0", Above: -1}, nil, "update.older")},
		{Name: "the version that runs", Run: refused(Variant{Version: "v1", Above: 0}, nil, "update.older")},
		{Name: "another board's", Run: refused(Variant{Version: "v2", Above: 1, Hardware: []string{"pi5"}}, nil, "update.other_board")},
		{Name: "a file that ends early", Run: refused(Variant{Version: "v2", Above: 1}, func(b []byte) []byte { return b[:len(b)-100] }, "update.cut_short")},
		{Name: "a bit flipped in a chunk", Run: refused(Variant{Version: "v2", Above: 1}, func(b []byte) []byte { b[len(b)-50] ^= 4; return b }, "update.bad_chunk")},
		{Name: "a bit flipped in the manifest", Run: refused(Variant{Version: "v2", Above: 1}, func(b []byte) []byte { b[200] ^= 1; return b }, "update.bad_manifest", "update.bad_signature")},
		{Name: "an init that panics", Run: failing(Variant{Version: "v2-panic", Above: 1, Init: "panic"}, nil, "update.tries_crash")},
		{Name: "an init that hangs", Long: true, Run: failing(Variant{Version: "v2-hang", Above: 1, Init: "hang"}, cutOften, "update.tries", "update.tries_crash")},
		{Name: "an init that starves the watchdog", Long: true, Run: failing(Variant{Version: "v2-starve", Above: 1, Init: "starve"}, nil, "update.tries", "update.tries_crash")},
		{Name: "a root that is not there", Long: true, Run: failing(Variant{Version: "v2-rootless", Above: 1, Root: "none"}, nil, "update.tries", "update.tries_crash")},
		{Name: "an edged that hangs", Long: true, Run: failing(Variant{Version: "v2-deaf", Above: 1, Root: "hang"}, nil, "update.tries", "update.tries_crash")},
		{Name: "a gauge that answers no more", Run: neverHealthy},
		{Name: "a slot damaged after activation", Run: damaged(0, 8<<20)},
		{Name: "a root damaged after activation", Long: true, Run: damaged(60<<20, 40<<20)},
		{Name: "the first copy of the boot environment lost", Long: true, Run: lostEnvironment(0)},
		{Name: "the second copy of the boot environment lost", Long: true, Run: lostEnvironment(1)},
		{Name: "both copies of the boot environment lost", Run: lostEnvironment(0, 1)},
		{Name: "a full data partition", Long: true, Run: fullData},
	}
	r := rand.New(rand.NewPCG(seed, 8))
	for n := range Cuts {
		at := func(most time.Duration) time.Duration { return time.Duration(r.Int64N(int64(most))) }
		all = append(all,
			Case{Name: fmt.Sprintf("power cut while writing, %d", n+1), Long: n > 0, Run: cutWriting(at(15 * time.Second))},
			Case{Name: fmt.Sprintf("power cut while activating, %d", n+1), Long: n > 0, Run: cutActivating(at(12 * time.Second))},
			Case{Name: fmt.Sprintf("power cut while committing, %d", n+1), Long: n > 0, Run: cutCommitting(at(6 * time.Second))})
	}
	return all
}

// standing gives a box that is on, which cases share that leave it as it was.
func (r *Rig) standing() (*Box, *Technician, error) {
	if r.shared == nil {
		b, err := r.Box()
		if err != nil {
			return nil, nil, err
		}
		if r.tech, err = r.open(b); err != nil {
			b.Off()
			return nil, nil, err
		}
		r.shared = b
	}
	return r.shared, r.tech, nil
}

// Close takes what the rig has on away.
func (r *Rig) Close() {
	if r.shared != nil {
		r.shared.Off()
		r.shared = nil
	}
}

// fresh gives a box of its own, with the shared one out of the way.
func (r *Rig) fresh() (*Box, *Technician, error) {
	r.Close()
	b, err := r.Box()
	if err != nil {
		return nil, nil, err
	}
	t, err := r.open(b)
	if err != nil {
		b.Off()
	}
	return b, t, err
}

// own is the release that the card came with.
func (r *Rig) own() string { return r.Releases.Header.Version }

// refused: what is brought is refused with a code, told in the journal, and nothing changes.
func refused(v Variant, spoil func([]byte) []byte, codes ...string) func(*Rig) error {
	return func(r *Rig) error {
		file, err := r.Releases.Make(v)
		if err != nil {
			return err
		}
		bytes, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if spoil != nil {
			bytes = spoil(bytes)
		}
		b, t, err := r.standing()
		if err != nil {
			return err
		}
		before, err := t.Events()
		if err != nil {
			return err
		}
		err = t.BringFrom(strings.NewReader(string(bytes)))
		var no *Refused
		if !errors.As(err, &no) || !slices.Contains(codes, no.Code) {
			return fmt.Errorf("it was answered %v, not %v", err, codes)
		}
		if no.ZH == "" || no.EN == "" {
			return fmt.Errorf("refused without words: %+v", no)
		}
		s, err := b.Ends(t, r.own())
		if err != nil {
			return err
		}
		if s.Phase != "idle" {
			return fmt.Errorf("it is %s", s.Phase)
		}
		after, err := t.Events()
		if err == nil && (len(after) <= len(before) || !strings.HasPrefix(after[len(after)-1], "update.refused ")) {
			err = fmt.Errorf("the journal does not tell it: %q", after)
		}
		return err
	}
}

// try brings a release to a fresh box and activates it.
func (r *Rig) try(v Variant, within time.Duration) (*Box, *Technician, error) {
	b, t, err := r.fresh()
	if err != nil {
		return nil, nil, err
	}
	if err = r.bring(t, v); err == nil {
		err = t.Activate(within)
	}
	if err != nil {
		b.Off()
	}
	return b, t, err
}

// failing: a release that never stands watch goes back by itself, with the reason. help is
// what somebody does meanwhile.
func failing(v Variant, help func(*Rig, *Box) error, codes ...string) func(*Rig) error {
	return func(r *Rig) error {
		b, t, err := r.try(v, 2*time.Minute)
		if err != nil {
			return err
		}
		defer b.Off()
		if help != nil {
			if err := help(r, b); err != nil {
				return err
			}
		}
		return r.back(b, t, codes...)
	}
}

// back waits until the box is back on the card's own release, and holds the reason to its
// codes.
func (r *Rig) back(b *Box, t *Technician, codes ...string) error {
	if err := b.backOn(10 * time.Minute); err != nil {
		return err
	}
	if err := t.SignIn(); err != nil {
		return err
	}
	s, err := b.Ends(t, r.own())
	if err != nil {
		return err
	}
	if s.Reason == nil || !slices.Contains(codes, s.Reason.Code) || s.Reason.ZH == "" {
		return fmt.Errorf("it says %+v, not %v", s.Reason, codes)
	}
	r.Log("back, since: %s", s.Reason.EN)
	told, err := t.Events()
	if err == nil && !slices.ContainsFunc(told, func(e string) bool { return strings.HasPrefix(e, "update.back ") }) {
		err = fmt.Errorf("the journal does not tell it: %q", told)
	}
	return err
}

// cutOften is somebody, or a storm, who switches a box off and on that hangs.
func cutOften(r *Rig, b *Box) error {
	for n := range 3 {
		if err := b.Says("init: a broken one", 1, most); err != nil {
			return fmt.Errorf("start %d: %w", n+1, err)
		}
		b.Cut()
		if err := b.On(); err != nil {
			return err
		}
	}
	return nil
}

func neverHealthy(r *Rig) error {
	b, t, err := r.fresh()
	if err != nil {
		return err
	}
	defer b.Off()
	if err := b.watches(t); err != nil {
		return err
	}
	if err := r.bring(t, Variant{Version: "v2", Above: 1}); err != nil {
		return err
	}
	if err := b.watches(t); err != nil { // answers before
		return err
	}
	if err := t.Activate(time.Minute); err != nil {
		return err
	}
	b.line.Attach(2, nil)
	if err := b.Says("tocsin: slot B", 1, most); err != nil {
		return err
	}
	if err := b.Says(own, 2, most); err != nil {
		return err
	}
	b.line.Attach(2, b.Gauge)
	if err := b.backOn(most); err != nil {
		return err
	}
	if err := t.SignIn(); err != nil {
		return err
	}
	s, err := b.Ends(t, r.own())
	if err != nil {
		return err
	}
	if s.Reason == nil || s.Reason.Code != "update.unhealthy" || !strings.Contains(s.Reason.EN, GaugeName) {
		return fmt.Errorf("it says %+v", s.Reason)
	}
	return nil
}

// damaged: the medium loses a part of the new slot after it was activated.
func damaged(at, size int64) func(*Rig) error {
	return func(r *Rig) error {
		b, t, err := r.try(Variant{Version: "v2", Above: 1}, 2*time.Minute)
		if err != nil {
			return err
		}
		defer b.Off()
		b.Cut()
		from, _, err := b.Partition(SlotB)
		if err != nil {
			return err
		}
		noise := make([]byte, size)
		x := rand.New(rand.NewPCG(uint64(at), uint64(size)))
		for n := range noise {
			noise[n] = byte(x.Uint32())
		}
		if err := b.Overwrite(from+at, noise); err != nil {
			return err
		}
		if err := b.On(); err != nil {
			return err
		}
		return r.back(b, t, "update.tries", "update.tries_crash")
	}
}

// lostEnvironment: copies of the boot environment are lost during a trial that was
// activated. With one left the trial goes on; with none the box runs what it can, and says
// that the choice was lost.
func lostEnvironment(copies ...int) func(*Rig) error {
	return func(r *Rig) error {
		b, _, err := r.try(Variant{Version: "v2", Above: 1}, 2*time.Minute)
		if err != nil {
			return err
		}
		defer b.Off()
		b.Cut()
		for _, n := range copies {
			if err := b.Overwrite(Environments[n], make([]byte, 512)); err != nil {
				return err
			}
		}
		t, err := r.open(b)
		if err != nil {
			return err
		}
		if len(copies) == 1 {
			return b.Fine(t, "v2")
		}
		s, err := b.Ends(t, r.own())
		if err == nil && (s.Reason == nil || s.Reason.Code != "update.choice_lost") {
			err = fmt.Errorf("it says %+v", s.Reason)
		}
		return err
	}
}

func fullData(r *Rig) error {
	r.Close()
	b, err := r.Box()
	if err != nil {
		return err
	}
	defer b.Off()
	if err := b.Fill(); err != nil {
		return err
	}
	t, err := r.open(b)
	if err != nil {
		return err
	}
	if err := r.bring(t, Variant{Version: "v2", Above: 1}); err != nil {
		return err
	}
	if err := t.Activate(5 * time.Minute); err != nil {
		return err
	}
	if err := b.Says(Armed, 2, most); err != nil {
		return err
	}
	if err := t.SignIn(); err != nil {
		return err
	}
	return b.Fine(t, "v2")
}

// wary gives a fresh box whose card loses what was not flushed.
func (r *Rig) wary() (*Box, *Technician, error) {
	r.Close()
	b, err := r.Box()
	if err != nil {
		return nil, nil, err
	}
	b.Wary = true
	t, err := r.open(b)
	if err != nil {
		b.Off()
	}
	return b, t, err
}

// after switches a box on that was cut, and holds it to what it must be then: a working
// signed release, the new one or the old one; where it had been activated and is the old
// one, with the reason.
func (r *Rig) after(b *Box, activated bool) error {
	b.Cut()
	r.Log("cut; lost %d KiB that were not flushed", b.Lost()>>10)
	t, err := r.open(b)
	if err != nil {
		return err
	}
	s, err := b.Ends(t, r.own(), "v2")
	if err != nil {
		return err
	}
	r.Log("it runs %s, %s", s.Running.Version, s.Phase)
	if activated && s.Running.Version != "v2" && s.Reason == nil {
		return errors.New("it went back, and gives no reason")
	}
	if s.Running.Version == "v2" {
		return nil
	}
	// And it can still be updated.
	if s.Phase == "idle" {
		if err := r.bring(t, Variant{Version: "v2", Above: 1}); err != nil {
			return fmt.Errorf("after the cut: %w", err)
		}
	}
	return nil
}

func cutWriting(at time.Duration) func(*Rig) error {
	return func(r *Rig) error {
		file, err := r.Releases.Make(Variant{Version: "v2", Above: 1})
		if err != nil {
			return err
		}
		b, t, err := r.wary()
		if err != nil {
			return err
		}
		defer b.Off()
		go func() { _ = t.Bring(file) }() // ends with the box
		time.Sleep(at)
		r.Log("%.1f s into the writing", at.Seconds())
		return r.after(b, false)
	}
}

func cutActivating(at time.Duration) func(*Rig) error {
	return func(r *Rig) error {
		b, t, err := r.wary()
		if err != nil {
			return err
		}
		defer b.Off()
		if err := r.bring(t, Variant{Version: "v2", Above: 1}); err != nil {
			return err
		}
		done := make(chan error, 1)
		go func() { done <- t.Activate(5 * time.Minute) }()
		time.Sleep(at)
		acknowledged := false
		select {
		case err := <-done:
			acknowledged = err == nil
		default:
		}
		r.Log("%.1f s into the activation, acknowledged %v", at.Seconds(), acknowledged)
		return r.after(b, acknowledged)
	}
}

func cutCommitting(at time.Duration) func(*Rig) error {
	return func(r *Rig) error {
		b, t, err := r.wary()
		if err != nil {
			return err
		}
		defer b.Off()
		if err := r.bring(t, Variant{Version: "v2", Above: 1}); err != nil {
			return err
		}
		if err := t.Activate(time.Minute); err != nil {
			return err
		}
		if err := b.Says(Armed, 2, most); err != nil {
			return err
		}
		time.Sleep(18*time.Second + at) // what was good must be good for 20 s
		r.Log("%.1f s into the trial", 18+at.Seconds())
		return r.after(b, true)
	}
}

// Fill takes all room of a card's data partition.
func (b *Board) Fill() error {
	at, _, err := b.Partition(DataPart)
	if err != nil {
		return err
	}
	if err := b.debugfs("", true); err != nil {
		return err
	}
	out, err := exec.Command("dumpe2fs", "-h", fmt.Sprintf("%s?offset=%d", b.Disk, at)).Output()
	if err != nil {
		return err
	}
	var blocks, size int64
	for l := range strings.Lines(string(out)) {
		fmt.Sscanf(l, "Free blocks: %d", &blocks)
		fmt.Sscanf(l, "Block size: %d", &size)
	}
	if blocks == 0 || size == 0 {
		return errors.New("nobody knows how much room there is")
	}
	return b.Put(map[string][]byte{"/full": slices.Repeat([]byte{0xa5}, int((blocks-64)*size))})
}

// own is what the boot loader says when it starts what was good before, with nothing to try.
const own = "tocsin: slot A good=A next= "

// backOn waits until the boot loader has gone back to what was good before, and that stands
// watch.
func (b *Board) backOn(most time.Duration) error {
	n := 1
	if b.power == 1 {
		n = 2 // the first was when the release was brought
	}
	if err := b.Says(own, n, most); err != nil {
		return err
	}
	for end := time.Now().Add(most); ; time.Sleep(100 * time.Millisecond) {
		c := b.Console()
		if strings.Contains(c[strings.LastIndex(c, own):], Armed) {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("it is back, and does not stand watch: %s", b.last())
		}
	}
}
