package modem

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tocsin/drivers"
)

const (
	ringDefault    = 45 * time.Second
	lingerDefault  = 8 * time.Second
	longestDefault = 4 * time.Minute
	dialWait       = 20 * time.Second
	// unseenFor is how long a call may be in no list before it is over.
	unseenFor = 8 * time.Second
	hangWait  = 3 * time.Second
	mostKeys  = 32
	// soundTries is how often a modem is asked to let sound run: some refuse until a
	// moment after the answer.
	soundTries = 6
	soundPause = 300 * time.Millisecond
)

// callJob is a call on its way to the modem.
type callJob struct {
	drivers.Reply[drivers.Called]
	ctx  context.Context
	call drivers.Call
}

// Call is drivers.Caller.
func (d *Device) Call(ctx context.Context, c drivers.Call) (drivers.Called, error) {
	return d.calls.Give(ctx, func(r drivers.Reply[drivers.Called]) (*callJob, error) {
		if !phone.MatchString(c.Number) || c.Audio == nil {
			return nil, &drivers.Fault{Kind: drivers.FaultRefused, Detail: "a call needs a telephone number and something to say"}
		}
		if c.Ring <= 0 {
			c.Ring = ringDefault
		}
		if c.Linger <= 0 {
			c.Linger = lingerDefault
		}
		if c.Longest <= 0 {
			c.Longest = longestDefault
		}
		return &callJob{r, ctx, c}, d.mayCall()
	})
}

// Calls is drivers.Caller.
func (d *Device) Calls() drivers.CallState {
	l := d.Limits()
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.called
	switch {
	case !d.speaks():
		s.Bar = drivers.BarNoVoice
	default:
		s.Bar = l.Bar
	}
	return s
}

func (d *Device) speaks() bool { return d.plan() != nil && d.plan().Audio != nil && d.o.Audio != nil }

func (d *Device) plan() *CallPlan {
	if d.o.Profile == nil {
		return nil
	}
	return d.o.Profile.Call
}

func (d *Device) mayCall() error {
	if !d.speaks() {
		return &drivers.Fault{Kind: drivers.FaultBarred, Detail: string(drivers.BarNoVoice)}
	}
	return d.may()
}

// talk is the call that is on. Run's goroutine alone has it.
type talk struct {
	*CallPlan
	call drivers.Call
	r    drivers.Called
	now  func() time.Time

	why    string // what a line said of its end
	ended  bool   // a line said that it is over
	over   bool   // and the list does not say otherwise
	listed bool   // it was in a list
	seen   time.Time
	key    bool // one of those that end it
}

func (t *talk) reach(s drivers.CallStage, at time.Time) {
	if s <= t.r.Stage {
		return
	}
	t.r.Stage = s
	switch s {
	case drivers.CallRinging:
		t.r.Rang = at
	case drivers.CallAnswered:
		t.r.Answered = at
	}
	if t.call.Changed != nil {
		t.call.Changed(s)
	}
}

// line takes what the modem says by itself.
func (t *talk) line(l string, at time.Time) {
	switch means, key := t.meaning(l); means {
	case meansRinging:
		t.reach(drivers.CallRinging, at)
	case meansAnswered:
		t.reach(drivers.CallAnswered, at)
	case meansKey:
		t.press(key)
	case meansEnded, meansBusy, meansNoAnswer:
		t.ended = true
		if t.why == "" || t.why == meansEnded {
			t.why = means
		}
	}
}

func (t *talk) press(k byte) {
	if len(t.r.Keys) < mostKeys {
		t.r.Keys += string(rune(k))
	}
	t.key = t.key || strings.IndexByte(t.call.Keys, k) >= 0
}

// list takes an answer to +CLCC.
func (t *talk) list(lines []string, at time.Time) {
	state, there := ours(lines)
	if !there {
		t.over = t.listed || t.ended || at.Sub(t.seen) > unseenFor
		return
	}
	t.listed, t.seen = true, at
	// Networks that fall back to an older one for a call let modems say that it is
	// over before it has begun; as long as it is in the list, it is not.
	t.ended, t.why = false, ""
	switch state {
	case listActive, listHeld:
		t.reach(drivers.CallAnswered, at)
	case listAlerting:
		t.reach(drivers.CallRinging, at)
	}
}

// end gives why the other side or the network ended it.
func (t *talk) end() drivers.CallEnd {
	switch {
	case t.r.Stage == drivers.CallAnswered:
		return drivers.CallHungUp
	case t.why == meansBusy:
		return drivers.CallBusy
	case t.why == meansNoAnswer:
		return drivers.CallNoAnswer
	}
	return drivers.CallUnreachable
}

// makeCall makes one, from its beginning to its end. The error is for what ends the
// dialogue with the modem.
func (d *Device) makeCall(ctx context.Context, j *callJob) error {
	if err := d.mayCall(); err != nil { // others went before it
		j.Fail(err)
		return nil
	}
	both, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(j.ctx, cancel)()
	t := &talk{CallPlan: d.plan(), call: j.call, now: d.o.Now, seen: d.o.Now()}
	t.r.Began = t.seen
	d.talk = t
	d.countCalls(func(s *drivers.CallState) { s.Busy = true })
	err := d.dial(both, t)
	if err == nil {
		err = d.hold(both, t)
	}
	if both.Err() != nil && t.r.Why == "" {
		t.r.Why = drivers.CallCancelled
	}
	end, stop := context.WithTimeout(context.WithoutCancel(ctx), hangWait)
	defer stop()
	if !t.over && !lostPort(err) {
		if herr := d.hangUp(end); err == nil {
			err = herr
		}
	}
	for _, c := range append([]string{t.Keys.Off}, t.Audio.Off...) {
		if c != "" && !lostPort(err) {
			if _, aerr := d.at.Ask(end, c, hangWait); lost(aerr) && err == nil {
				err = aerr
			}
		}
	}
	d.talk = nil
	t.r.Ended = d.o.Now()
	d.countCalls(func(s *drivers.CallState) {
		s.Busy = false
		if t.r.Stage >= drivers.CallDialled {
			s.Made++
		}
		if t.r.Stage >= drivers.CallAnswered {
			s.Answered++
		}
	})
	var refused *drivers.Fault
	switch {
	case err == nil || t.r.Why == drivers.CallCancelled:
		j.Answer(t.r, nil)
	case errors.As(err, &refused) && refused.Kind == drivers.FaultRefused:
		j.Answer(t.r, err)
		return nil
	default:
		if t.r.Why == "" {
			t.r.Why = drivers.CallLost
		}
		j.Answer(t.r, err)
	}
	if lost(err) && ctx.Err() == nil && t.r.Why != drivers.CallCancelled {
		return err
	}
	return nil
}

func (d *Device) countCalls(f func(*drivers.CallState)) { d.mu.Lock(); f(&d.called); d.mu.Unlock() }

// lostPort tells whether nothing more can be said to the modem.
func lostPort(err error) bool { return drivers.KindOf(err) == drivers.FaultGone }

// dial gives the modem the number.
func (d *Device) dial(ctx context.Context, t *talk) error {
	if t.Keys.On != "" {
		_, err := d.at.Ask(ctx, t.Keys.On, askWait)
		if lost(err) {
			return err
		}
		t.r.Deaf = err != nil
	}
	if t.Audio.Before {
		if ok, err := d.soundOn(ctx, t); err != nil || !ok {
			t.over = true
			return cmp.Or(err, error(&drivers.Fault{Kind: drivers.FaultRefused, Detail: "the modem lets no sound run"}))
		}
	}
	wait := dialWait
	if t.OK == meansAnswered {
		wait += t.call.Ring
	}
	_, err := d.at.Ask(ctx, strings.ReplaceAll(t.Dial, "{number}", t.call.Number), wait)
	var f *drivers.Fault
	switch {
	case err == nil:
		t.reach(drivers.CallDialled, d.o.Now())
		if t.OK == meansAnswered {
			t.reach(drivers.CallAnswered, d.o.Now())
		}
		t.seen = d.o.Now()
		return nil
	case !errors.As(err, &f) || f.Kind != drivers.FaultRefused:
		return err
	}
	t.over = true
	means, _ := t.meaning(f.Detail)
	switch {
	case f.Code == 30 || f.Code == 31 || f.Code == 32 || strings.HasPrefix(f.Detail, "NO DIAL"): // TS 27.007, 9.2: no network service, timeout, emergency calls only
		t.r.Why = drivers.CallNoService
	case means != meansNothing:
		t.reach(drivers.CallDialled, d.o.Now())
		t.why = means
		t.r.Why = t.end()
	default:
		return &drivers.Fault{Kind: drivers.FaultRefused, Code: f.Code, Detail: "the modem does not dial: " + f.Detail}
	}
	return nil
}

// soundOn lets sound run, and tells whether it does.
func (d *Device) soundOn(ctx context.Context, t *talk) (bool, error) {
	for _, c := range t.Audio.On {
		for try := 1; ; try++ {
			_, err := d.at.Ask(ctx, c, askWait)
			if err == nil {
				break
			}
			if lost(err) {
				return false, err
			}
			if try == soundTries || !pause(ctx, soundPause) {
				return false, nil
			}
		}
	}
	return true, nil
}

// hold keeps a call until it ends: it plays, listens and looks whether it is still
// there.
func (d *Device) hold(ctx context.Context, t *talk) error {
	if t.over {
		return nil
	}
	var s *sound
	defer func() {
		if s != nil {
			s.stop()
			t.r.Played, t.r.Whole = s.played(), s.whole.Load()
		}
	}()
	var playing <-chan struct{}
	var keys <-chan byte
	var silentSince, listedAt time.Time
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	p, _, err := d.held.Ready()
	if err != nil {
		return err
	}
	for {
		now := d.o.Now()
		switch {
		case t.over:
			if t.r.Why == "" {
				t.r.Why = t.end()
			}
		case t.key:
			t.r.Why = drivers.CallKey
		case now.Sub(t.r.Began) > t.call.Longest:
			t.r.Why = drivers.CallLongest
		case t.r.Stage < drivers.CallAnswered && now.Sub(t.r.Began) > t.call.Ring:
			t.r.Why = drivers.CallNoAnswer
		case !silentSince.IsZero() && now.Sub(silentSince) > t.call.Linger:
			t.r.Why = drivers.CallPlayed
		}
		if t.r.Why != "" {
			return nil
		}
		if t.r.Stage == drivers.CallAnswered && s == nil && silentSince.IsZero() {
			if s, err = d.sound(ctx, t); err != nil {
				return err
			}
			if s == nil {
				t.r.Why = drivers.CallSilent
				return nil
			}
			playing, keys = s.over, s.keys
			continue
		}
		select {
		case c, ok := <-p.Received():
			if !ok {
				return &drivers.Fault{Kind: drivers.FaultGone, Err: p.Err()}
			}
			d.at.Listen(c)
		case <-playing:
			playing, silentSince = nil, d.o.Now()
			if !s.whole.Load() {
				t.r.Why = drivers.CallSilent
			}
		case k := <-keys:
			t.press(k)
		case <-tick.C:
			if t.List == "" {
				t.over = t.ended
			} else if t.ended || d.o.Now().Sub(listedAt) >= t.every {
				listedAt = d.o.Now()
				lines, err := d.at.Ask(ctx, t.List, askWait)
				if lost(err) {
					return err
				}
				if err == nil {
					t.list(lines, d.o.Now())
				} else {
					t.over = t.ended
				}
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// sound opens the second port and begins to play; nil where there is no sound.
func (d *Device) sound(ctx context.Context, t *talk) (*sound, error) {
	if !t.Audio.Before {
		if ok, err := d.soundOn(ctx, t); err != nil || !ok {
			return nil, err
		}
	}
	p, err := d.o.Audio()
	if err != nil {
		d.count(func(s *drivers.TerminalState) { s.Last = fmt.Sprintf("the port for sound does not open: %v", err) })
		return nil, nil
	}
	s := newSound(p, t.call.Audio, t.Keys.Line == "" || t.r.Deaf)
	d.o.Start("call sound "+p.String(), s.run)
	return s, nil
}

// hangUp ends every call that the modem has.
func (d *Device) hangUp(ctx context.Context) error {
	c := "AT+CHUP"
	if p := d.plan(); p != nil {
		c = p.HangUp
	}
	_, err := d.at.Ask(ctx, c, hangWait)
	if err != nil && !lost(err) && c != "ATH" {
		_, err = d.at.Ask(ctx, "ATH", hangWait)
	}
	if lost(err) {
		return err
	}
	return nil
}

// refuse ends a call that came.
func (d *Device) refuse(ctx context.Context) error {
	d.rung = false
	if !d.o.Transmit {
		return nil
	}
	if err := d.hangUp(ctx); err != nil {
		return err
	}
	d.countCalls(func(s *drivers.CallState) { s.Refused++ })
	return nil
}

var _ drivers.Caller = (*Device)(nil)
