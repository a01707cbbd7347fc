package slots

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
	"tocsin/firmware/update"
	"tocsin/firmware/update/pack"
)

const (
	slotSize = 4 << 20
	diskSize = 4<<20 + 2*slotSize
)

var errCut = errors.New("the power is gone")

// medium is a card: what is written is not on it before it is flushed. At a cut of the
// power each sector that waits was written, was not, or is half of each.
type medium struct {
	b    []byte
	wait []wrote
	ops  int // writes and flushes until the power goes; below 0 for never
	r    *rand.Rand
}

type wrote struct {
	at int64
	b  []byte
}

func (m *medium) step() error {
	if m.ops == 0 {
		for _, w := range m.wait {
			for at := 0; at < len(w.b); at += 512 {
				part := w.b[at:min(at+512, len(w.b))]
				switch m.r.IntN(3) {
				case 0:
					copy(m.b[w.at+int64(at):], part)
				case 1:
					copy(m.b[w.at+int64(at):], part[:m.r.IntN(len(part)+1)])
				}
			}
		}
		m.wait = nil
		return errCut
	}
	m.ops--
	return nil
}

func (m *medium) ReadAt(b []byte, at int64) (int, error) {
	n := copy(b, m.b[min(at, int64(len(m.b))):])
	for _, w := range m.wait { // what waits is read as if it were written
		for k, c := range w.b {
			if p := w.at + int64(k) - at; p >= 0 && p < int64(len(b)) {
				b[p] = c
			}
		}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (m *medium) WriteAt(b []byte, at int64) (int, error) {
	if err := m.step(); err != nil {
		return 0, err
	}
	m.wait = append(m.wait, wrote{at, bytes.Clone(b)})
	return len(b), nil
}

func (m *medium) Sync() error {
	if err := m.step(); err != nil {
		return err
	}
	for _, w := range m.wait {
		copy(m.b[w.at:], w.b)
	}
	m.wait = nil
	return nil
}

// part is a partition of it.
type part struct {
	*medium
	from, size int64
}

func (p part) Size() int64 { return p.size }
func (p part) ReadAt(b []byte, at int64) (int, error) {
	if at >= p.size {
		return 0, io.EOF
	}
	return p.medium.ReadAt(b[:min(int64(len(b)), p.size-at)], p.from+at)
}
func (p part) WriteAt(b []byte, at int64) (int, error) {
	if at+int64(len(b)) > p.size {
		return 0, io.ErrShortWrite
	}
	return p.medium.WriteAt(b, p.from+at)
}

// board is a card, and what a boot loader and an image do with it.
type board struct {
	t       testing.TB
	m       *medium
	keys    []trust.Signer
	rule    pack.Rule
	now     time.Duration
	reboots int
	crash   string
	open    int // how often the slot that does not run is open to be written
}

// toRead is a slot that is only read.
type toRead struct{ Slot }

func newBoard(t testing.TB) *board {
	b := &board{t: t, m: &medium{b: make([]byte, diskSize), ops: -1, r: rand.New(rand.NewPCG(1, 2))}}
	for _, k := range []trust.Kind{trust.Ed25519, trust.SM2} {
		s, err := trust.NewSigner(k)
		if err != nil {
			t.Fatal(err)
		}
		b.keys, b.rule.Keys, b.rule.Need = append(b.keys, s), append(b.rule.Keys, s.Public()), append(b.rule.Need, k)
	}
	b.factory(image(1))
	return b
}

// image is a slot's image of a version: much of it is as before.
func image(version byte) []byte {
	r := rand.New(rand.NewPCG(42, 42))
	b := make([]byte, 5<<19)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	for i := 900000; i < 903000; i++ {
		b[i] = version ^ byte(i)
	}
	b[0] = version
	return b
}

// pkg is a release in its package.
func (b *board) pkg(number uint64, img, base []byte, keys ...trust.Signer) []byte {
	b.t.Helper()
	if keys == nil {
		keys = b.keys
	}
	var w bytes.Buffer
	if _, err := pack.Write(&w, update.Release{Version: fmt.Sprintf("1.%d", number), Number: number, Hardware: []string{"pi"}}, img, base, keys...); err != nil {
		b.t.Fatal(err)
	}
	return w.Bytes()
}

func (b *board) part(slot string) part {
	if slot == "A" {
		return part{b.m, 4 << 20, slotSize}
	}
	return part{b.m, 4<<20 + slotSize, slotSize}
}

func (b *board) selector() Environment { return Environment{b.m, Standard} }

func (b *board) factory(img []byte) {
	b.t.Helper()
	h, err := pack.ReadHeader(bytes.NewReader(b.pkg(1, img, nil)))
	if err == nil {
		_, err = b.part("A").WriteAt(img, 0)
	}
	if err == nil {
		err = Seal(b.part("A"), h)
	}
	if err == nil {
		err = b.selector().Write(Choice{Good: "A"})
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// loader does what the boot script does: choose, count down, load; "" where nothing starts.
func (b *board) loader() string {
	for range 10 {
		env := map[string]string{"good": "A"}
		for _, at := range Standard {
			if m, ok := parse(b.m.b[at : at+EnvironmentSize]); ok {
				env = m
				break
			}
		}
		slot := env["good"]
		if env["next"] != "" {
			if left := strings.TrimSpace(env["left"]); left != "" && left != "0" {
				env["left"], slot = fmt.Sprintf("%x", left[0]-'0'-1), env["next"]
			} else {
				delete(env, "next")
				env["left"], env["why"] = "0", "tries"
			}
			var w bytes.Buffer
			for k, v := range env {
				w.WriteString(k + "=" + v + "\x00")
			}
			e := make([]byte, EnvironmentSize)
			copy(e[4:], w.Bytes())
			binary.LittleEndian.PutUint32(e, crc32.ChecksumIEEE(e[4:]))
			copy(b.m.b[Standard[1]:], e)
			copy(b.m.b[Standard[0]:], e)
		}
		if b.starts(slot) {
			return slot
		}
	}
	return ""
}

// starts tells whether a slot's image is whole enough for a start: all of it is.
func (b *board) starts(slot string) bool {
	h := headerOf(b.part(slot))
	return h != nil && prove(b.part(slot), h, func() error { return nil }) == nil
}

// boot is a start of the board, and the installer that its image opens.
func (b *board) boot() (*Installer, string) {
	b.t.Helper()
	b.m.ops, b.m.wait = -1, nil
	slot := b.loader()
	if slot == "" {
		b.t.Fatal("nothing starts")
	}
	write := func(use func(Partition) error) error {
		b.open++
		defer func() { b.open-- }()
		return use(b.part(otherOf(slot)))
	}
	i, err := Open(Opts{Selector: b.selector(), Slots: map[string]Slot{"A": toRead{b.part("A")}, "B": toRead{b.part("B")}}, Running: slot, Write: write, Hardware: "pi", Rule: b.rule,
		Now: func() clock.Stamp { return clock.Stamp{Mono: b.now} }, Reboot: func(string) error { b.reboots++; return nil }, Crash: b.crash})
	if err != nil {
		b.t.Fatal(err)
	}
	return i, slot
}

func (b *board) stage(i *Installer, pkg []byte) error {
	_, err := i.Stage(context.Background(), bytes.NewReader(pkg))
	return err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refused(t testing.TB, err error, code string) {
	t.Helper()
	if err == nil || phrase.Of(err).Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
}

func stands(t testing.TB, i *Installer, phase update.Phase, running uint64) update.State {
	t.Helper()
	s := i.State()
	if s.Phase != phase || s.Running.Number != running {
		t.Fatalf("phase %s running %d (%v), want %s and %d", s.Phase, s.Running.Number, s.Reason, phase, running)
	}
	return s
}

func TestAReleaseIsTriedAndStaysWhereItIsConfirmed(t *testing.T) {
	b := newBoard(t)
	i, _ := b.boot()
	stands(t, i, update.Idle, 1)
	must(t, b.stage(i, b.pkg(2, image(2), image(1))))
	if s := stands(t, i, update.Staged, 1); s.Next.Number != 2 {
		t.Fatal("what is staged is not what came")
	}
	must(t, i.Activate(10*time.Minute))
	if b.reboots != 1 {
		t.Fatal("nobody starts it")
	}
	i, slot := b.boot()
	s := stands(t, i, update.Trial, 2)
	if slot != "B" || s.Before.Number != 1 || s.Left != 10*time.Minute {
		t.Fatalf("slot %s, %+v", slot, s)
	}
	refused(t, b.stage(i, b.pkg(3, image(3), nil)), "update.on_trial")
	must(t, i.Confirm())
	for range 5 {
		if i, slot = b.boot(); slot != "B" {
			t.Fatal("it does not stay")
		}
	}
	stands(t, i, update.Idle, 2)
	refused(t, b.stage(i, b.pkg(1, image(1), nil)), "update.older")
	refused(t, b.stage(i, b.pkg(2, image(2), nil)), "update.older")
	// And back into A, as the next one.
	must(t, b.stage(i, b.pkg(3, image(3), image(2))))
	must(t, i.Activate(time.Minute))
	i, slot = b.boot()
	if stands(t, i, update.Trial, 3); slot != "A" {
		t.Fatal("what ran was overwritten")
	}
}

func TestATrialThatNobodyConfirmsGoesBackWithItsReason(t *testing.T) {
	prepared := func(t *testing.T) (*board, *Installer) {
		b := newBoard(t)
		i, _ := b.boot()
		must(t, b.stage(i, b.pkg(2, image(2), nil)))
		must(t, i.Activate(10*time.Minute))
		i, _ = b.boot()
		return b, i
	}
	t.Run("its time is over", func(t *testing.T) {
		b, i := prepared(t)
		b.now += 10*time.Minute - 1
		if took, _, err := i.Tick(); took || err != nil {
			t.Fatal("too early", err)
		}
		b.now++
		if took, why, err := i.Tick(); !took || err != nil || why.Code != "update.unconfirmed" {
			t.Fatal(took, why, err)
		}
		i, _ = b.boot()
		if s := stands(t, i, update.Idle, 1); s.Reason.Code != "update.unconfirmed" {
			t.Fatal(s.Reason)
		}
	})
	t.Run("somebody takes it back", func(t *testing.T) {
		b, i := prepared(t)
		must(t, i.Back(phrase.M("update.by_hand", "who", "陈技术员", "reason", "雷达没有回来")))
		i, _ = b.boot()
		if s := stands(t, i, update.Idle, 1); s.Reason.Params["reason"] != "雷达没有回来" {
			t.Fatal(s.Reason)
		}
	})
	t.Run("a reason that is too long for its place", func(t *testing.T) {
		b, i := prepared(t)
		must(t, i.Back(phrase.M("update.by_hand", "who", "x", "reason", strings.Repeat("雨", 300))))
		i, _ = b.boot()
		if s := stands(t, i, update.Idle, 1); s.Reason.Code != "update.why_long" {
			t.Fatal(s.Reason)
		}
	})
	t.Run("it never lives long enough", func(t *testing.T) {
		b, _ := prepared(t)
		for n := range 2 {
			if _, slot := b.boot(); slot != "B" {
				t.Fatal("start", n+2, "is not the trial")
			}
		}
		b.crash = "Kernel panic - not syncing: Attempted to kill init"
		i, slot := b.boot()
		if s := stands(t, i, update.Idle, 1); slot != "A" || s.Reason.Code != "update.tries_crash" || s.Reason.Params["crash"] != b.crash {
			t.Fatal(slot, s.Reason)
		}
		// The same again is for a person to bring, and then it is a trial as any.
		if s := i.State(); s.Next != nil {
			t.Fatal("what failed offers itself again")
		}
		must(t, b.stage(i, b.pkg(2, image(2), nil)))
		stands(t, i, update.Staged, 1)
	})
	t.Run("it is damaged after it was activated", func(t *testing.T) {
		b := newBoard(t)
		i, _ := b.boot()
		must(t, b.stage(i, b.pkg(2, image(2), nil)))
		must(t, i.Activate(10*time.Minute))
		for k := range 6000 {
			b.m.b[4<<20+slotSize+800000+k] ^= 0x5a
		}
		i, slot := b.boot()
		if s := stands(t, i, update.Idle, 1); slot != "A" || s.Reason.Code != "update.tries" {
			t.Fatal(slot, s.Reason)
		}
	})
}

func TestWhatIsNotForThisBoardNowLeavesAllAsItWas(t *testing.T) {
	b := newBoard(t)
	stranger, err := trust.NewSigner(trust.Ed25519)
	must(t, err)
	i, _ := b.boot()
	must(t, b.stage(i, b.pkg(2, image(2), nil)))
	other := func() []byte {
		var w bytes.Buffer
		_, err := pack.Write(&w, update.Release{Version: "x", Number: 9, Hardware: []string{"armv7"}}, image(3), nil, b.keys...)
		must(t, err)
		return w.Bytes()
	}
	large := make([]byte, slotSize)
	for _, c := range []struct {
		name, code string
		pkg        []byte
	}{
		{"a stranger's", "update.bad_signature", b.pkg(9, image(3), nil, stranger, b.keys[1])},
		{"half signed", "update.bad_signature", b.pkg(9, image(3), nil, b.keys[0])},
		{"an older one", "update.older", b.pkg(1, image(3), nil)},
		{"another board's", "update.other_board", other()},
		{"larger than the slot", "update.large", b.pkg(9, large, nil)},
		{"a delta of what does not run", "update.other_base", b.pkg(9, image(3), image(7))},
		{"something else", "update.no_release", []byte("hello, this is a picture of a dog")},
	} {
		t.Run(c.name, func(t *testing.T) {
			refused(t, b.stage(i, c.pkg), c.code)
			if s := stands(t, i, update.Staged, 1); s.Next.Number != 2 {
				t.Fatal("what was staged before is lost")
			}
		})
	}
}

func TestWhatIsBrokenOnItsWayIsNeverActivated(t *testing.T) {
	b := newBoard(t)
	i, _ := b.boot()
	p := b.pkg(2, image(2), image(1))
	h, err := pack.ReadHeader(bytes.NewReader(p))
	must(t, err)
	r := rand.New(rand.NewPCG(3, 3))
	for range 40 {
		bad := bytes.Clone(p)
		code := "update.bad_chunk"
		if r.IntN(2) == 0 {
			bad, code = bad[:h.Length+r.Int64N(int64(len(bad))-h.Length)], "update.cut_short"
		} else {
			bad[h.Length+r.Int64N(int64(len(bad))-h.Length)] ^= 1 << r.IntN(8)
		}
		if err := b.stage(i, bad); err != nil {
			refused(t, err, code)
		} else if code == "update.cut_short" {
			t.Fatal("half a release was taken")
		}
		if s := i.State(); s.Phase == update.Staged && !b.starts("B") {
			t.Fatal("something broken is staged")
		}
		must(t, unseal(b.part("B")))
		i, _ = b.boot()
	}
	// Damaged between staging and activation.
	must(t, b.stage(i, p))
	b.m.b[4<<20+slotSize+123456] ^= 1
	refused(t, i.Activate(time.Minute), "update.bad_chunk")
	if _, slot := b.boot(); slot != "A" {
		t.Fatal("it was activated")
	}
}

// link gives a package in parts, as a thin link does, and breaks off.
type link struct {
	b     []byte
	ops   int
	bytes int
}

func (l *link) ReadAt(b []byte, at int64) (int, error) {
	if l.ops == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	l.ops--
	n := copy(b, l.b[min(at, int64(len(l.b))):])
	if at > 20000 {
		l.bytes += n
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func TestATransferGoesOnWhereItBrokeOff(t *testing.T) {
	b := newBoard(t)
	p := b.pkg(2, image(2), nil)
	i, _ := b.boot()
	l := &link{b: p, ops: 4} // mark and length, header, two chunks
	_, err := i.Fetch(context.Background(), l)
	refused(t, err, "update.cut_short")
	i, _ = b.boot() // and the power was cut, too
	before := l.bytes
	l.ops = -1
	_, err = i.Fetch(context.Background(), l)
	must(t, err)
	if again := l.bytes - before; again > len(p)-2<<20+1<<16 {
		t.Fatalf("%d bytes were asked for again, of %d", again, len(p))
	}
	stands(t, i, update.Staged, 1)
}

// At every instant at which the card can lose its power, a whole and signed slot starts
// afterwards, and the update can be brought again.
func TestAPowerCutAtAnyInstantLeavesABoxThatStarts(t *testing.T) {
	p := newBoard(t)
	pkgs := [][]byte{p.pkg(2, image(2), image(1))}
	cuts := 0
	for ops := 0; ; ops++ {
		b := newBoard(t)
		b.keys, b.rule = p.keys, p.rule
		b.factory(image(1))
		b.m.r = rand.New(rand.NewPCG(uint64(ops), 7))
		i, _ := b.boot()
		b.m.ops = ops
		err := b.stage(i, pkgs[0])
		if err == nil {
			err = i.Activate(time.Minute)
		}
		done := err == nil
		var j *Installer
		if done {
			b.m.ops, b.m.wait = -1, nil
			j, _ = b.boot()
			stands(t, j, update.Trial, 2)
			b.m.ops = ops % 5
			done = j.Confirm() == nil
		}
		if !done {
			cuts++
		}
		k, _ := b.boot()
		s := k.State()
		if s.Running.Number != 1 && s.Running.Number != 2 {
			t.Fatalf("cut at %d: runs %d", ops, s.Running.Number)
		}
		if s.Phase == update.Staged && !b.starts("B") {
			t.Fatalf("cut at %d: what is staged is not whole", ops)
		}
		if s.Phase != update.Trial && s.Running.Number == 1 {
			if err := b.stage(k, pkgs[0]); err != nil {
				t.Fatalf("cut at %d: it cannot be brought again: %v", ops, err)
			}
			must(t, k.Activate(time.Minute))
			k, _ = b.boot()
			stands(t, k, update.Trial, 2)
		}
		if err == nil && ops > 10 && done {
			break
		}
		if ops > 200 {
			t.Fatal("it never gets through")
		}
	}
	if cuts < 10 {
		t.Fatalf("only %d cuts were tried", cuts)
	}
}

func TestTheSelectorStandsTheLossOfEitherCopy(t *testing.T) {
	b := newBoard(t)
	want := Choice{Good: "A", Next: "B", Left: 3, Floor: 17, Bad: 18, Within: 10 * time.Minute, Why: phrase.M("update.unconfirmed")}
	must(t, b.selector().Write(want))
	for n, at := range Standard {
		kept := bytes.Clone(b.m.b)
		clear(b.m.b[at : at+512])
		got, err := b.selector().Read()
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("without copy %d: %+v %v", n, got, err)
		}
		copy(b.m.b, kept)
	}
	for _, at := range Standard {
		clear(b.m.b[at : at+512])
	}
	if _, err := b.selector().Read(); !errors.Is(err, ErrNoEnvironment) {
		t.Fatal(err)
	}
	i, slot := b.boot() // the boot script takes A
	if stands(t, i, update.Idle, 1); slot != "A" {
		t.Fatal("slot", slot)
	}
	if why := i.State().Reason; why.Code != "update.choice_lost" {
		t.Fatalf("nobody is told: %+v", why)
	}
	if c, err := b.selector().Read(); err != nil || c.Good != "A" || c.Floor != 1 {
		t.Fatalf("it was not written anew: %+v %v", c, err)
	}
}

func TestAnEnvironmentOfAnotherKindNeverStopsTheBox(t *testing.T) {
	for name, env := range map[string]string{
		"a slot C": "good=A\x00next=C\x00left=3\x00", "left of letters": "good=A\x00next=B\x00left=zz\x00", "left of a thousand": "good=A\x00next=B\x00left=ffff\x00",
		"a reason of no form": "good=A\x00why={{{\x00", "a floor below nothing": "good=A\x00floor=-1\x00", "trial for ever": "good=A\x00within=99999999999\x00",
	} {
		e := make([]byte, EnvironmentSize)
		copy(e[4:], env)
		binary.LittleEndian.PutUint32(e, crc32.ChecksumIEEE(e[4:]))
		m, ok := parse(e)
		if !ok {
			t.Fatal(name)
		}
		c, err := choice(m)
		if err != nil || c.Good != "A" || c.Left > 9 || c.Within > 24*time.Hour {
			t.Errorf("%s: %+v %v", name, c, err)
		}
	}
}

func FuzzEnvironment(f *testing.F) {
	b, err := Choice{Good: "B", Next: "A", Left: 2, Floor: 9, Why: phrase.M("update.unconfirmed")}.Environment()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[4:])
	f.Add([]byte("good=A\x00left=2\x00next=B\x00why={\"code\":\"x\"}\x00\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > EnvironmentSize-4 {
			return
		}
		e := make([]byte, EnvironmentSize)
		copy(e[4:], body)
		binary.LittleEndian.PutUint32(e, crc32.ChecksumIEEE(e[4:]))
		m, ok := parse(e)
		if !ok {
			t.Fatal("the sum is right")
		}
		c, err := choice(m)
		if err != nil {
			return
		}
		if _, err := c.Environment(); err != nil {
			t.Fatalf("%+v cannot be written: %v", c, err)
		}
	})
}
