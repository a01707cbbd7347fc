package profile

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"tocsin/firmware/phrase"
)

// settable is a profile with one write, whose proof says what it sends.
func settable(keys, proof string) string {
	return strings.Replace(skeleton, "proof:\n", "writes:\n  - {id: s, name: {zh: 设, en: set}, write: holding 0x0010, "+keys+"}\nproof:\n"+proof, 1)
}

func sealed(hexes ...byte) string {
	c := CRC(hexes)
	return fmt.Sprintf("% X", append(slices.Clone(hexes), byte(c), byte(c>>8)))
}

func TestASetPointIsWrittenAsAPointOfItsKindIsRead(t *testing.T) {
	for _, c := range []struct {
		keys  string
		value float64
		want  []uint16
	}{
		{"unit: m, range: [0, 100]", 7, []uint16{7}},
		{"unit: m, scale: 0.1, range: [0, 100]", 12.3, []uint16{123}},
		{"unit: m, scale: 0.1, offset: -40, range: [-40, 100]", -12.5, []uint16{275}},
		{"unit: m, type: int16, scale: 0.1, range: [-10, 10]", -10, []uint16{0xFF9C}},
		{"unit: m, type: int32, range: [-100000, 100000]", -2, []uint16{0xFFFF, 0xFFFE}},
		{"unit: m, type: int32, order: CDAB, range: [-100000, 100000]", 70000, []uint16{0x1170, 0x0001}},
		{"unit: m, type: uint32, order: BADC, range: [0, 4000000000]", 0x11223344, []uint16{0x2211, 0x4433}},
		{"unit: m, type: uint32, order: DCBA, range: [0, 4000000000]", 0x11223344, []uint16{0x4433, 0x2211}},
		{"unit: m, type: float32, range: [0, 20]", 3.25, []uint16{0x4050, 0}},
		{"unit: m, type: float32, order: CDAB, range: [0, 20]", 3.25, []uint16{0, 0x4050}},
		{"unit: m, type: float64, order: DCBA, range: [-20, 20]", -1, []uint16{0, 0, 0, 0xF0BF}},
		{"unit: m, type: int64, range: [-5, 5]", -1, []uint16{0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF}},
		{"unit: m, type: uint64, order: CDAB, range: [0, 1000000000000]", 1 << 33, []uint16{0, 0, 2, 0}},
		{"type: enum, states: {0: {zh: 关, en: off}, 3: {zh: 开, en: on}}", 3, []uint16{3}},
	} {
		t.Run(c.keys, func(t *testing.T) {
			p := good(t, settable(c.keys, ""))
			w, _ := p.Write("s")
			got, err := w.Setting.Encode(c.value)
			if err != nil || !slices.Equal(got, c.want) {
				t.Fatalf("%X, %v; want %X", got, err, c.want)
			}
			var b []byte
			for _, x := range got {
				b = append(b, byte(x>>8), byte(x))
			}
			if v, ok := w.Setting.Decode(b); !ok || math.Abs(v-c.value) > 1e-9 {
				t.Errorf("reads back %v", v)
			}
			if w.Confirm == nil || w.Confirm.Addr != w.Addr || w.Confirm.Table != w.Table {
				t.Error("it is not read back from its own register")
			}
		})
	}
}

func TestNoSetPointGoesBeyondItsProfileOrIsRounded(t *testing.T) {
	for _, c := range []struct {
		keys  string
		value float64
	}{
		{"unit: m, range: [0, 100]", 101}, {"unit: m, range: [0, 100]", -1}, {"unit: m, range: [0, 100]", 0.5},
		{"unit: m, range: [0, 100]", math.NaN()}, {"unit: m, range: [0, 100]", math.Inf(1)},
		{"unit: m, scale: 0.1, range: [0, 100]", 0.25}, {"unit: m, type: float32, range: [0, 20]", 20.001},
		{"type: enum, states: {0: {zh: 关, en: off}, 3: {zh: 开, en: on}}", 1},
	} {
		w, _ := good(t, settable(c.keys, "")).Write("s")
		if got, err := w.Setting.Encode(c.value); err == nil {
			t.Errorf("%s takes %v as %X", c.keys, c.value, got)
		} else if phrase.In(err, phrase.ZH) == phrase.In(err, phrase.EN) {
			t.Errorf("%v is in one language", err)
		}
	}
}

func TestASetPointThatCannotBeIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ yaml, want string }{
		"no range":             {settable("unit: m", ""), "writes lacks range"},
		"range beyond type":    {settable("unit: m, type: int16, range: [0, 40000]", ""), "40000 does not fit into int16"},
		"range between steps":  {settable("unit: m, range: [0, 1.5]", ""), "1.5 m cannot be written exactly"},
		"a string":             {settable("unit: m, type: string, range: [0, 1]", ""), "string"},
		"function 5":           {settable("unit: m, range: [0, 1], function: 7", ""), "function"},
		"timed":                {settable("unit: m, range: [0, 1], timed: {write: coil 0, unit: 1s, longest: 9s}", ""), "timed"},
		"confirm by a coil":    {settable("unit: m, range: [0, 1], confirm: {read: coil 0}", ""), "holding or input"},
		"fail-safe beyond":     {settable("unit: m, range: [0, 1], fail_safe: {value: 2, after: 10m}", ""), "2 m is beyond"},
		"fail-safe at once":    {settable("unit: m, range: [0, 1], fail_safe: {value: 0, after: 1s}", ""), "must be between 5s and"},
		"a coil with a scale":  {strings.Replace(settable("scale: 2", ""), "write: holding", "write: coil", 1), "belongs to writes of holding"},
		"past the end":         {strings.Replace(settable("unit: m, type: uint32, range: [0, 1]", ""), "0x0010", "0xFFFF", 1), "0xFFFF"},
		"a proof with on":      {settable("unit: m, range: [0, 9]", "  - {sent: \""+sealed(1, 6, 0, 16, 0, 7)+"\", heard: \""+sealed(1, 6, 0, 16, 0, 7)+"\", does: {write: s, on: true}}\n"), "must say value"},
		"a proof that differs": {settable("unit: m, range: [0, 9]", "  - {sent: \""+sealed(1, 6, 0, 16, 0, 7)+"\", heard: \""+sealed(1, 6, 0, 16, 0, 7)+"\", does: {write: s, value: 8}}\n"), "the profile sends 01 06 00 10 00 08"},
		"no echo":              {settable("unit: m, range: [0, 9]", "  - {sent: \""+sealed(1, 6, 0, 16, 0, 7)+"\", heard: \""+sealed(1, 6, 0, 16, 0, 6)+"\", does: {write: s, value: 7}}\n"), "echo"},
		"no proof":             {settable("unit: m, range: [0, 9]", ""), "s"},
	} {
		t.Run(name, func(t *testing.T) {
			p, problems := Parse("x.yaml", []byte(c.yaml))
			if p != nil {
				problems = p.Prove()
			}
			var all []string
			for _, pr := range problems {
				all = append(all, pr.In(phrase.EN))
			}
			if got := strings.Join(all, "\n"); len(all) == 0 || !strings.Contains(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestAProofOfASetPointHoldsBothFunctions(t *testing.T) {
	one := settable("unit: m, range: [0, 9]", "  - {sent: \""+sealed(1, 6, 0, 16, 0, 7)+"\", heard: \""+sealed(1, 6, 0, 16, 0, 7)+"\", does: {write: s, value: 7}}\n")
	many := settable("unit: m, range: [0, 9], function: 16", "  - {sent: \""+sealed(1, 16, 0, 16, 0, 1, 2, 0, 7)+"\", heard: \""+sealed(1, 16, 0, 16, 0, 1)+"\", does: {write: s, value: 7}}\n")
	for _, y := range []string{one, many} {
		for _, pr := range good(t, y).Prove() {
			t.Error(pr.In(phrase.EN))
		}
	}
}
