package acceptance

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Power is a board's power switch: a bench's, or a person's hand.
type Power interface {
	// Off takes it away, On gives it back; each returns when that is done.
	Off(context.Context) error
	On(context.Context) error
}

// Opts is what is to be tried, on which board.
type Opts struct {
	// Address is its page's; Fingerprint that of its certificate, "" to take the one it shows.
	Address, Fingerprint string
	Account, Password    string
	// Watch is for how long its points are looked at; 30 s where it is 0.
	Watch time.Duration
	// Loud lets its outputs sound for a few seconds: nobody may be up the pole, and the
	// neighbours know.
	Loud bool
	// Power takes its power away once; nil leaves that out.
	Power Power
	// Release is a release file to install; "" leaves that out.
	Release io.Reader
	// Report takes the sheet as PDF; nil leaves that out.
	Report io.Writer
	// Armed is how soon it has to stand watch after a restart; 60 s where it is 0.
	Armed time.Duration
	// Say is told of each step as it ends; it may be nil.
	Say func(Result)
}

// State is how a step ended.
type State string

// The states.
const (
	Passed State = "passed"
	Failed State = "failed"
	Left   State = "left out"
)

// Result is one step's.
type Result struct {
	Step  string `json:"step"`
	ZH    string `json:"zh"`
	EN    string `json:"en"`
	State State  `json:"state"`
	// Value is what was measured, in Unit; nil for nothing.
	Value *float64 `json:"value,omitempty"`
	Unit  string   `json:"unit,omitempty"`
	// More says what was found.
	More []string `json:"more,omitempty"`
}

// String is a line of the sheet.
func (r Result) String() string {
	mark := map[State]string{Passed: "✓ 通过", Failed: "✗ 没过", Left: "– 没做"}[r.State]
	v := ""
	if r.Value != nil {
		v = fmt.Sprintf("  %.1f %s", *r.Value, r.Unit)
	}
	s := fmt.Sprintf("%s %-10s %s · %s%s", mark, r.Step, r.ZH, r.EN, v)
	for _, m := range r.More {
		s += "\n             " + m
	}
	return s
}

// run is one taking-over.
type run struct {
	Opts
	box *box
}

// Run does all the steps and gives their results; one that fails does not hold up those
// after it, unless the board is out of reach.
func Run(ctx context.Context, o Opts) ([]Result, error) {
	b, err := open(o.Address, o.Fingerprint)
	if err != nil {
		return nil, err
	}
	if o.Watch == 0 {
		o.Watch = 30 * time.Second
	}
	if o.Armed == 0 {
		o.Armed = time.Minute
	}
	r := &run{o, b}
	var all []Result
	for _, s := range steps {
		x := Result{Step: s.id, ZH: s.zh, EN: s.en, State: Passed}
		if err := s.do(r, ctx, &x); err != nil {
			x.State = Failed
			x.More = append(x.More, err.Error())
		}
		all = append(all, x)
		if o.Say != nil {
			o.Say(x)
		}
		if x.State == Failed && s.first {
			return all, nil
		}
		if err := ctx.Err(); err != nil {
			return all, err
		}
	}
	return all, nil
}

// Verdict is how a taking-over ended as a whole.
type Verdict string

// The verdicts. What was left out in passing (it has no links, no release was given) leaves
// nothing open; a board that was not heard or not cut from its power is not taken over.
const (
	Accepted   Verdict = "accepted"
	Incomplete Verdict = "incomplete"
	Refused    Verdict = "refused"
)

// Judge gives the verdict, and the steps that stand in its way.
func Judge(all []Result) (v Verdict, steps []string) {
	v = Accepted
	for _, r := range all {
		switch {
		case r.State == Failed:
			if v != Refused {
				v, steps = Refused, nil
			}
			steps = append(steps, r.Step)
		case v != Refused && r.State == Left && slices.Contains(needed, r.Step):
			v, steps = Incomplete, append(steps, r.Step)
		}
	}
	return v, steps
}

// Lines writes results as JSON, one a line.
func Lines(w io.Writer, all []Result) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, r := range all {
		if err := e.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

func (x *Result) leave(why string) error {
	x.State = Left
	x.More = append(x.More, why)
	return nil
}

func (x *Result) measured(v float64, unit string) { x.Value, x.Unit = &v, unit }

func (x *Result) note(format string, a ...any) { x.More = append(x.More, fmt.Sprintf(format, a...)) }

// failed joins what is wrong, at most a handful of it.
func failed(what []string) error {
	if len(what) == 0 {
		return nil
	}
	const most = 12
	if n := len(what); n > most {
		what = append(what[:most:most], fmt.Sprintf("… %d more · 另有 %d 项", n-most, n-most))
	}
	return fmt.Errorf("%s", strings.Join(what, "\n             "))
}
