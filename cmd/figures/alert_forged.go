package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tocsin/hwtest/capgen"
)

// alertForgeries counts forged alerts that the running box took for something that
// their issuer did not sign. Two boxes stand side by side, and a third tells what
// the genuine alert looks like:
//
//   - the silent one gets all that must not stand. It must say so of each, its
//     journal must hold no beginning, and ear and coil must hear nothing; at the end a
//     genuine alert must sound there, or it was only deaf;
//   - the lively one gets what leaves the signed bytes as they were. It may refuse it; if it
//     takes it, then as exactly the same alert as the third box shows it. It gets
//     replays too: they must begin nothing anew.
//
// Each kind is tried with every algorithm and profile by turns, and each text is
// proved to differ from what it was made of.
func alertForgeries(b *bench) error {
	d, err := newDesk(b.seed)
	if err != nil {
		return err
	}
	t := &trial{b: b, f: &forger{d, b.rng()}}
	defer t.close()
	if err := t.begin(); err != nil {
		return err
	}
	rounds := b.n(8, 80)
	accepted, n, taken := 0, 0, 0
	counts := map[string]int{}
	for round := range rounds {
		for k, kind := range forgeries {
			m, forged, err := t.forge(kind, round*len(forgeries)+k)
			if err != nil {
				return err
			}
			if forged == nil {
				continue
			}
			counts[kind.name]++
			n++
			bad, took, err := t.judge(kind, m, forged)
			if err != nil {
				return fmt.Errorf("%s: %w", kind.name, err)
			}
			if took {
				taken++
			}
			if bad != "" {
				accepted++
				b.log("ACCEPTED: %s (%s, %s): %s\n%s\nmade of\n%s", kind.name, m.Key, m.Profile, bad, clipped(forged), clipped(m.Signed))
			}
		}
	}
	again, replays, err := t.replays()
	if err != nil {
		return err
	}
	accepted, n, counts["replay"] = accepted+again, n+replays, replays
	began, err := t.silence()
	if err != nil {
		return err
	}
	accepted += began
	for name, c := range counts {
		if c == 0 {
			return fmt.Errorf("nothing was tried of %q", name)
		}
	}
	if len(counts) != len(forgeries)+1 {
		return fmt.Errorf("%d kinds were tried of %d", len(counts), len(forgeries)+1)
	}
	var said []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		said = append(said, fmt.Sprintf("%s %d", name, counts[name]))
	}
	b.tellWhy("alert.forged_accepted", float64(accepted), n, fmt.Sprintf("%d layouts taken as what was signed; by kind: %s", taken, strings.Join(said, ", ")))
	return nil
}

// trial is the three boxes.
type trial struct {
	b                       *bench
	f                       *forger
	v                       *village
	silent, lively, genuine *box
	loose                   []*village
	calm                    message
	begun                   time.Time
	n                       int
}

func (t *trial) close() {
	for _, x := range []*box{t.silent, t.lively, t.genuine} {
		x.end()
	}
	for _, v := range t.loose {
		v.Close()
	}
}

func (t *trial) begin() (err error) {
	for i, x := range []**box{&t.silent, &t.lively, &t.genuine} {
		own := *t.b // each box has its folder, its socket and its village
		if own.dir, err = t.b.under(fmt.Sprint("box-", i)); err != nil {
			return err
		}
		v, err := own.warnedVillage(t.f.d, wired{siren: true, speaker: true})
		if err != nil {
			return err
		}
		t.loose = append(t.loose, v)
		if *x, err = v.beginWarned("data"); err != nil {
			return err
		}
	}
	t.v, t.begun = t.loose[0], time.Now()
	// What is true and says nothing here: a way that brings only lies is held to a rate.
	t.calm, err = t.f.d.make(capgen.Options{Profile: "cap", Sent: old(time.Minute), Lasts: 24 * time.Hour, Severity: "Minor", Away: true}, 0, "p-256", 0)
	return err
}

// forge makes one forgery of a genuine alert in the next algorithm and profile.
func (t *trial) forge(kind forgery, i int) (message, []byte, error) {
	for attempt := range 40 {
		t.n++
		o := kind.of
		o.Profile = capgen.Profiles[(i+attempt)%len(capgen.Profiles)]
		if o.Sent.IsZero() {
			// Each of another second: China's identifiers hold nothing finer.
			o.Sent = time.Now().Add(-time.Duration(60+t.n) * time.Second)
		} else {
			o.Sent = o.Sent.Add(time.Duration(t.n%1800) * time.Second)
		}
		if o.Lasts == 0 {
			o.Lasts = 24 * time.Hour
		}
		key := countyKinds[(i/len(capgen.Profiles)+i+attempt)%len(countyKinds)]
		var m message
		var err error
		if o.Severity == "" {
			m, err = t.f.d.loud(o, 0, key, t.n)
		} else {
			m, err = t.f.d.make(o, 0, key, t.n)
		}
		if err != nil {
			return m, nil, err
		}
		forged := kind.make(t.f, m)
		if forged == nil {
			continue
		}
		// Whose bytes are as they were signed must be wrong by what they say.
		asSigned := bytes.Equal(forged, m.Signed)
		if asSigned && kind.of.Sender == "" && kind.of.Sent.IsZero() {
			continue
		}
		return m, forged, nil
	}
	return message{}, nil, fmt.Errorf("%s: no alert could be altered so", kind.name)
}

// judge gives what is wrong with the box's answer, "" for nothing, and whether it
// took the text as the alert that was signed.
func (t *trial) judge(kind forgery, m message, forged []byte) (bad string, took bool, err error) {
	x := t.silent
	if kind.layout {
		x = t.lively
	}
	v, err := x.insist(forged)
	if err != nil {
		return "", false, err
	}
	if !kind.layout {
		if v.stands() {
			return "it stands: " + v.Outcome.EN, false, nil
		}
		return "", false, t.truth(x)
	}
	if !v.stands() {
		if kind.sure {
			return "", false, fmt.Errorf("refused, so that nothing was tried: %s", v.why())
		}
		return "", false, t.truth(x)
	}
	// It was taken: it must be what was signed, to the letter.
	want, err := t.shown(t.genuine, m.Signed)
	if err != nil {
		return "", false, err
	}
	got, err := find(x, v.Identity)
	if err != nil {
		return "", false, err
	}
	if got != want {
		return fmt.Sprintf("it stands as\n%s\nand was signed as\n%s", got, want), false, nil
	}
	return "", true, nil
}

// truth keeps the way from being held to a rate.
func (t *trial) truth(x *box) error {
	v, err := x.insist(t.calm.Signed)
	if err == nil && !v.stands() {
		err = fmt.Errorf("the genuine one in between was refused: %s", v.why())
	}
	return err
}

// shown hands a genuine alert over and gives how the box shows it.
func (t *trial) shown(x *box, text []byte) (string, error) {
	v, err := x.insist(text)
	if err != nil {
		return "", err
	}
	if !v.stands() {
		return "", fmt.Errorf("the genuine one was refused: %s", v.why())
	}
	return find(x, v.Identity)
}

// find gives what a box shows of an alert, without how and when it came.
func find(x *box, identity string) (string, error) {
	all, err := x.known()
	if err != nil {
		return "", err
	}
	for _, a := range all {
		v, _ := a["verdict"].(map[string]any)
		if v["identity"] != identity {
			continue
		}
		for _, k := range []string{"ways", "seen"} {
			delete(a, k)
		}
		p, err := json.Marshal(a)
		return string(p), err
	}
	return "", fmt.Errorf("the box does not show %s", identity)
}

// beginnings are the kinds of record that tell that something stands or sounds.
var beginnings = []string{"alert.began", "alert.replaced", "alert.quiet", "alarm.raised", "alarm.escalated", "sounding.began", "receipt.ordered", "receipt.started"}

// began counts the beginnings in a box's journal, and names some.
func (x *box) beganSince(after int64) (n int, last int64, some []string, err error) {
	last = after
	for {
		var all []record
		if err := x.get(fmt.Sprintf("/journal?after=%d&limit=500", last), &all); err != nil {
			return 0, 0, nil, err
		}
		if len(all) == 0 {
			return n, last, some, nil
		}
		for _, r := range all {
			last = r.Seq
			if slices.Contains(beginnings, r.Kind) {
				if n++; len(some) < 5 {
					some = append(some, r.Kind+" "+r.Cause)
				}
			}
		}
	}
}

// replays hands the lively box what it knows again, as it was: nothing may begin anew,
// whether it stands still or was cancelled.
func (t *trial) replays() (bad, n int, err error) {
	x := t.lively
	var sent []message
	rounds := t.b.n(12, 60)
	for i := range rounds {
		o := capgen.Options{Profile: capgen.Profiles[i%len(capgen.Profiles)], Sent: time.Now().Add(-time.Duration(7200+2*i) * time.Second), Lasts: 24 * time.Hour}
		m, err := t.f.d.loud(o, 0, countyKinds[i%len(countyKinds)], i)
		if err != nil {
			return 0, 0, err
		}
		if v, err := x.insist(m.Signed); err != nil || !v.stands() {
			return 0, 0, fmt.Errorf("what is to be replayed was refused: %s, %v", v.why(), err)
		}
		sent = append(sent, m)
		if i%2 == 1 { // half of them are cancelled before they come again
			o.MsgType, o.Sender, o.References, o.Sent = "Cancel", m.Ref.Sender, []capgen.Ref{m.Ref}, m.Ref.Sent.Add(time.Second)
			c, err := t.f.d.make(o, 0, m.Key, i)
			if err != nil {
				return 0, 0, err
			}
			if v, err := x.insist(c.Signed); err != nil || !v.Trusted {
				return 0, 0, fmt.Errorf("a cancel was refused: %s, %v", v.why(), err)
			}
			sent = append(sent, c)
		}
	}
	if err := t.b.pause(2 * time.Second); err != nil { // what began is in the journal
		return 0, 0, err
	}
	_, last, _, err := x.beganSince(0)
	if err != nil {
		return 0, 0, err
	}
	for _, m := range sent {
		for _, text := range [][]byte{m.Signed, append(bytes.Clone(m.Signed), '\n')} {
			if _, err := x.insist(text); err != nil {
				return 0, 0, err
			}
			n++
		}
	}
	if err := t.b.pause(2 * time.Second); err != nil {
		return 0, 0, err
	}
	var some []string
	bad, _, some, err = x.beganSince(last)
	if bad > 0 {
		t.b.log("REPLAYS BEGAN: %v", some)
	}
	return bad, n, err
}

// silence counts what began at the silent box, and proves that it was not deaf.
func (t *trial) silence() (bad int, err error) {
	if err := t.b.pause(time.Second); err != nil {
		return 0, err
	}
	bad, last, some, err := t.silent.beganSince(0)
	if err != nil {
		return 0, err
	}
	if bad > 0 {
		t.b.log("BEGAN AT THE SILENT BOX: %v", some)
	}
	if at, any := t.v.ear.FirstAbove(t.begun, audible); any {
		t.b.log("HEARD at %v", at)
		bad++
	}
	_, relay := t.v.load()
	if at, any := t.v.Board.Coil(relay).FirstOn(t.begun); any {
		t.b.log("THE COIL WAS ON at %v", at)
		bad++
	}
	at := time.Now()
	m, err := t.f.d.loud(capgen.Options{Sent: at.Add(-time.Second), Lasts: time.Hour}, 0, "rsa", 0)
	if err != nil {
		return bad, err
	}
	if v, err := t.silent.insist(m.Signed); err != nil || !v.stands() {
		return bad, fmt.Errorf("the silent box refused a genuine alert too: %s, %v", v.why(), err)
	}
	ctx, cancel := context.WithTimeout(t.b.ctx, mostWait)
	defer cancel()
	if _, err := t.v.ear.WaitAbove(ctx, at, audible); err != nil {
		return bad, fmt.Errorf("the silent box was deaf: %w", err)
	}
	if err := t.b.pause(time.Second); err != nil {
		return bad, err
	}
	if n, _, _, err := t.silent.beganSince(last); err != nil || n == 0 {
		return bad, fmt.Errorf("the journal tells of no beginning: %w", err)
	}
	return bad, nil
}

func clipped(b []byte) string {
	if len(b) > 6000 {
		return string(b[:3000]) + " … " + string(b[len(b)-3000:])
	}
	return string(b)
}
