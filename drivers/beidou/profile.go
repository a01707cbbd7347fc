package beidou

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/goccy/go-yaml"
)

// Profile is what a maker's terminal says and wants to hear: a file of
// configs/terminals.
type Profile struct {
	Version int
	Name    struct{ ZH, EN string }
	Source  string
	Line    struct {
		Baud   int
		Format string
	}
	// Talker is the two letters with which the terminal's sentences begin.
	Talker  string
	Card    CardPlan
	Signal  SignalPlan
	Send    SendPlan
	Outcome OutcomePlan
	Receive []ReceivePlan
	Levels  struct{ Plain, Encrypted []int }
	Proof   []Proof
}

// CardPlan is how the card is read.
type CardPlan struct {
	Ask      string
	Sentence string
	// Fields names the fields in their order. Used are number, broadcast,
	// frequency, level, encryption.
	Fields    []string
	LevelZero int    `yaml:"level_zero"`
	Encrypted string // the value of encryption that means so
}

// SignalPlan is how the power of the beams is read: each field named power, or
// each group's.
type SignalPlan struct {
	Ask      string
	Sentence string
	Fields   []string
	Groups   []Group
	// Bars are the powers from which on there is one bar, two, three, four.
	Bars []int
}

// Group is a count and so many beams of some fields.
type Group struct {
	Each     int // fields of a beam
	Shortest int // fields of a beam as some makers have it; 0: as Each
	Power    int // which of them, from 0, is its power; 0: the group does not count
}

// SendPlan is the sentence that sends: its fields, of which to, coding and
// content are filled in.
type SendPlan struct {
	Fields   []string
	Digits   int
	Codings  map[string]string
	Lead     string
	Variants map[string][]string
}

// OutcomePlan is what the terminal says of a sentence that was to send.
type OutcomePlan struct {
	Sentence string
	Fields   []string
	Of       string
	Wait     string
	DoneWith []string `yaml:"done_with"`
	Reasons  map[string]string
}

// ReceivePlan is a sentence with a message.
type ReceivePlan struct {
	Sentence  string
	Fields    []string
	Codings   map[string]string
	Broadcast struct {
		Field string
		Is    []string
	}
	Time string
}

// Proof is a published sentence and what must become of it.
type Proof struct {
	Heard, Sent, Ask string
	Card             *struct {
		Number, Broadcast string
		Frequency         string
		Bytes             int
	}
	Bars    *int
	Message *struct{ From, To, Coding, Hex, At string }
	Outcome string
}

// longestProfile bounds a file that somebody may have changed.
const longestProfile = 64 << 10

// Codings of content. Code is hex digits; mixed is code that begins with a mark;
// hanzi is Chinese text as it stands.
const (
	codeCoding  = "code"
	mixedCoding = "mixed"
	hanziCoding = "hanzi"
)

// means are the words of outcome.reasons.
var means = []string{"early", "silenced", "power", "no-card", "no-right"}

var word = regexp.MustCompile(`^[A-Za-z0-9_-]{0,24}$`)

// ParseProfile reads a profile and holds it to its own proof.
func ParseProfile(b []byte) (*Profile, error) {
	if len(b) > longestProfile {
		return nil, fmt.Errorf("the profile has more than %d bytes", longestProfile)
	}
	var p Profile
	if err := decode(b, &p); err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	for i := range p.Proof {
		if err := p.prove(&p.Proof[i]); err != nil {
			return nil, fmt.Errorf("proof %d: %w", i+1, err)
		}
	}
	return &p, nil
}

// decode reads YAML. The package's decoder of structures panics on an alias or a
// null where a list should be; a file that somebody changed must not end the box.
func decode(b []byte, p *Profile) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the file cannot be read: a null or an alias where a list should be (%v)", r)
		}
	}()
	return yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(p)
}

func (p *Profile) check() error {
	for _, c := range []struct {
		bad bool
		say string
	}{
		{p.Version != 1, "version must be 1"},
		{p.Name.ZH == "" || p.Source == "", "name.zh and source are needed"},
		{len(p.Talker) != 2, "talker is two letters"},
		{p.Card.Ask == "" || len(p.Card.Sentence) != 3, "card needs ask and a sentence of three letters"},
		{!holds(p.Card.Fields, "number", "frequency", "level"), "card.fields needs number, frequency and level"},
		{len(p.Signal.Sentence) != 3 || p.Signal.Ask == "", "signal needs ask and a sentence of three letters"},
		{len(p.Signal.Bars) != 4 || !slices.IsSorted(p.Signal.Bars), "signal.bars are four rising powers"},
		{len(p.Signal.Fields) > 64 || len(p.Signal.Groups) > 8, "signal has too many fields"},
		{!holds(p.Send.Fields, "to", "coding", "content"), "send.fields needs to, coding and content"},
		{p.Send.Codings[codeCoding] == "", "send.codings needs code"},
		{p.Send.Digits < 0 || p.Send.Digits > 12, "send.digits is 0 to 12"},
		{len(p.Outcome.Sentence) != 3 || p.Outcome.Of == "", "outcome needs a sentence of three letters and of"},
		{!holds(p.Outcome.Fields, "of", "done", "reason", "wait"), "outcome.fields needs of, done, reason and wait"},
		{p.Outcome.Wait != "hhss" && p.Outcome.Wait != "mmss" && p.Outcome.Wait != "seconds", "outcome.wait is hhss, mmss or seconds"},
		{len(p.Receive) == 0 || len(p.Receive) > 8, "receive needs one to eight sentences"},
		{len(p.Levels.Plain) == 0 || len(p.Levels.Plain) > 16 || len(p.Levels.Encrypted) > 16, "levels.plain is needed"},
		{len(p.Proof) == 0, "proof is needed: sentences that are published, or that the device sent"},
	} {
		if c.bad {
			return fmt.Errorf("%s", c.say)
		}
	}
	for name, fields := range p.orders() {
		if !holds(fields, "to", "coding", "content") {
			return fmt.Errorf("send.variants.%s needs to, coding and content", name)
		}
		for _, f := range fields {
			if !word.MatchString(f) {
				return fmt.Errorf("send.%s: %q is no field", name, f)
			}
		}
	}
	for code, m := range p.Outcome.Reasons {
		if !slices.Contains(means, m) {
			return fmt.Errorf("outcome.reasons %s: %q is none of %v", code, m, means)
		}
	}
	for _, r := range p.Receive {
		if len(r.Sentence) != 3 || !holds(r.Fields, "from", "coding", "content") {
			return fmt.Errorf("receive needs a sentence of three letters and from, coding and content among its fields")
		}
	}
	for _, bits := range append(slices.Clone(p.Levels.Plain), p.Levels.Encrypted...) {
		if bits < 0 || bits > 8*longestContent/2 {
			return fmt.Errorf("levels: %d bits are not believed", bits)
		}
	}
	for _, g := range p.Signal.Groups {
		if g.Each < 1 || g.Each > 16 || g.Power < 0 || g.Power >= g.Each || g.Shortest < 0 || g.Shortest > g.Each || g.Shortest > 0 && g.Power >= g.Shortest {
			return fmt.Errorf("signal.groups: each %d, power %d is not possible", g.Each, g.Power)
		}
	}
	return nil
}

// orders are the orders of the sending sentence, the first one under "".
func (p *Profile) orders() map[string][]string {
	out := map[string][]string{"": p.Send.Fields}
	for name, f := range p.Send.Variants {
		out[name] = f
	}
	return out
}

func holds(fields []string, names ...string) bool {
	for _, n := range names {
		if !slices.Contains(fields, n) {
			return false
		}
	}
	return len(fields) <= 64
}

// bits gives how many bits a message of a level may have, 0 where the level is in
// no table.
func (p *Profile) bits(level int, encrypted bool) int {
	table := p.Levels.Plain
	if encrypted {
		table = p.Levels.Encrypted
	}
	if level < 1 || level > len(table) {
		return 0
	}
	return table[level-1]
}

// room gives how many whole bytes go into so many bits.
func (p *Profile) room(bits int, coding string) int {
	if coding == mixedCoding {
		bits -= 4 * len(p.Send.Lead)
	}
	return max(bits/8, 0)
}

// most is the longest frequency that is believed of a card.
const mostFrequency = 24 * time.Hour
