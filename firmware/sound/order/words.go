package order

import (
	"fmt"

	"tocsin/firmware/phrase"
)

// Kind tells the real thing from a drill and a test. The zero Kind is none.
type Kind uint8

// The kinds.
const (
	Real Kind = iota + 1
	Drill
	Test
)

// Source is who or what asks. The zero Source is none.
type Source uint8

// The sources. Rule is this box's own measurement; Alert a verified alert;
// Command a signed command; Operator a person at the page or the local tool;
// Rehearsal a drill; Hand a key switch or button on the box.
const (
	Rule Source = iota + 1
	Alert
	Command
	Operator
	Rehearsal
	Hand
)

// Action is what is ordered. The zero Action is none.
type Action uint8

// The actions.
const (
	// Sound makes outputs sound.
	Sound Action = iota + 1
	// Silence ends what sounds on outputs. It changes no level.
	Silence
	// AllClear says 解除: a chime and words, by a named person or a signed order.
	AllClear
)

var (
	kindNames   = []string{"", "real", "drill", "test"}
	sourceNames = []string{"", "rule", "alert", "command", "operator", "drill", "hand"}
	actionNames = []string{"", "sound", "silence", "all_clear"}
)

func name(names []string, i uint8) string {
	if i == 0 || int(i) >= len(names) {
		return "none"
	}
	return names[i]
}

func parse(names []string, what string, b []byte) (uint8, error) {
	for i, n := range names {
		if i > 0 && n == string(b) {
			return uint8(i), nil
		}
	}
	return 0, fmt.Errorf("no %s is named %q (there are %v)", what, b, names[1:])
}

// String gives the code: real, drill, test; "none" for no kind.
func (k Kind) String() string { return name(kindNames, uint8(k)) }

// MarshalText writes the code.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a code.
func (k *Kind) UnmarshalText(b []byte) error {
	v, err := parse(kindNames, "kind", b)
	*k = Kind(v)
	return err
}

// Message gives the kind in words.
func (k Kind) Message() phrase.Message {
	switch k {
	case Real:
		return phrase.M("sound.kind_real")
	case Drill:
		return phrase.M("sound.kind_drill")
	case Test:
		return phrase.M("sound.kind_test")
	}
	return phrase.M("sound.kind_none")
}

// String gives the code: rule, alert, command, operator, drill, hand.
func (s Source) String() string { return name(sourceNames, uint8(s)) }

// MarshalText writes the code.
func (s Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a code.
func (s *Source) UnmarshalText(b []byte) error {
	v, err := parse(sourceNames, "source", b)
	*s = Source(v)
	return err
}

// Message gives the source in words.
func (s Source) Message() phrase.Message {
	switch s {
	case Rule:
		return phrase.M("sound.source_rule")
	case Alert:
		return phrase.M("sound.source_alert")
	case Command:
		return phrase.M("sound.source_command")
	case Operator:
		return phrase.M("sound.source_operator")
	case Rehearsal:
		return phrase.M("sound.source_drill")
	case Hand:
		return phrase.M("sound.source_hand")
	}
	return phrase.M("sound.source_none")
}

// String gives the code: sound, silence, all_clear.
func (a Action) String() string { return name(actionNames, uint8(a)) }

// MarshalText writes the code.
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads a code.
func (a *Action) UnmarshalText(b []byte) error {
	v, err := parse(actionNames, "action", b)
	*a = Action(v)
	return err
}
