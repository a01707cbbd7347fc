package beidou

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// prove holds the profile to one published sentence.
func (p *Profile) prove(x *Proof) error {
	if x.Sent != "" {
		return p.proveSent(x)
	}
	address, v, err := cut(x.Heard)
	if err != nil {
		return fmt.Errorf("%q: %w", x.Heard, err)
	}
	kind, ours := strings.CutPrefix(address, p.Talker)
	differ := func(what string, got, want any) error {
		return fmt.Errorf("%q: %s %v, not %v", x.Heard, what, got, want)
	}
	switch {
	case !ours:
		return fmt.Errorf("%q is not of the talker %s", x.Heard, p.Talker)
	case x.Card != nil && kind == p.Card.Sentence:
		c, present, err := p.cardOf(v)
		want, _ := time.ParseDuration(x.Card.Frequency)
		switch {
		case err != nil:
			return err
		case !present || c.number != x.Card.Number || c.broadcast != x.Card.Broadcast || c.frequency != want:
			return differ("the card is", fmt.Sprintf("%+v", c), fmt.Sprintf("%+v", *x.Card))
		case p.room(c.bits, codeCoding) != x.Card.Bytes:
			return differ("bytes", p.room(c.bits, codeCoding), x.Card.Bytes)
		}
		return nil
	case x.Bars != nil && kind == p.Signal.Sentence:
		bars, err := p.barsOf(v)
		if err != nil || bars != *x.Bars {
			return differ("bars", fmt.Sprint(bars, err), *x.Bars)
		}
		return nil
	case x.Outcome != "" && kind == p.Outcome.Sentence:
		if s := p.outcomeOf(v); s.word != x.Outcome || s.of != p.Outcome.Of {
			return differ("the outcome is", s, x.Outcome)
		}
		return nil
	case x.Message != nil:
		for i := range p.Receive {
			if p.Receive[i].Sentence != kind {
				continue
			}
			m, err := p.messageOf(&p.Receive[i], v, "", time.Unix(0, 0))
			if err != nil {
				return err
			}
			if got := strings.ToUpper(hex.EncodeToString(m.Bytes)); got != x.Message.Hex || m.From != x.Message.From || m.To != x.Message.To {
				return differ("the message is", fmt.Sprintf("%s from %s to %s", got, m.From, m.To), *x.Message)
			}
			if x.Message.At != "" && m.Sent.Format(time.TimeOnly) != x.Message.At {
				return differ("it was sent at", m.Sent, x.Message.At)
			}
			return nil
		}
	}
	return fmt.Errorf("%q proves nothing of what it is said to", x.Heard)
}

func (p *Profile) proveSent(x *Proof) error {
	body := ""
	switch {
	case x.Ask == "card":
		body = p.Card.Ask
	case x.Ask == "signal":
		body = p.Signal.Ask
	case x.Message != nil:
		b, err := hex.DecodeString(x.Message.Hex)
		if err != nil {
			return fmt.Errorf("%q is no hex", x.Message.Hex)
		}
		coding := x.Message.Coding
		if coding == "" {
			coding = codeCoding
		}
		body = p.compose("", x.Message.To, coding, b)
	}
	if got := strings.TrimSpace(frame(body)); got != x.Sent {
		return fmt.Errorf("%q would be sent, not %q", got, x.Sent)
	}
	return nil
}
