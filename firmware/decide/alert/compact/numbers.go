package compact

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var clipName = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)

// numbers are the clips of which numbers are read aloud, and how each language reads them.
type numbers struct {
	Digits    []string           `yaml:"digits"`
	Ten       string             `yaml:"ten"`
	Hundred   string             `yaml:"hundred"`
	Thousand  string             `yaml:"thousand"`
	Wan       string             `yaml:"ten_thousand"`
	Point     string             `yaml:"point"`
	Languages map[string]reading `yaml:"languages"`
}

// reading is how a language differs: a 2 that is 两, a 1 with another tone.
type reading struct {
	Two *other `yaml:"two"`
	One *other `yaml:"one"`
}

type other struct {
	Clip   string   `yaml:"clip"`
	Before []string `yaml:"before"`
}

var befores = []string{"hundred", "thousand", "ten_thousand", "unit"}

// numbersMost is the highest that is read.
const numbersMost = 99_999_999

// with reads a number, written with digits and a point as it is shown, and its unit; false where it cannot be read: below zero or above 99,999,999.
func (n numbers) with(lang, s string, u unit) ([]string, bool) {
	whole, fraction, pointed := strings.Cut(s, ".")
	v, err := strconv.ParseUint(whole, 10, 32)
	if err != nil || v > numbersMost || strings.Trim(fraction, "0123456789") != "" || pointed && fraction == "" {
		return nil, false
	}
	r := n.Languages[lang]
	var said []string
	if !pointed && u.Counted && (v == 1 || v == 2) {
		said = []string{n.digit(r, int(v), "unit", true)}
	} else {
		said = n.whole(r, int(v))
	}
	if pointed {
		said = append(said, n.Point)
		for _, d := range fraction {
			said = append(said, n.Digits[d-'0'])
		}
	}
	if u.Clip != "" {
		said = append(said, u.Clip)
	}
	return said, true
}

// digit gives a digit's clip before what follows it. A 2 is 两 only at the head of the number (两万二千); a 1 has its tone wherever it stands.
func (n numbers) digit(r reading, d int, before string, head bool) string {
	switch {
	case d == 2 && head && r.Two != nil && slices.Contains(r.Two.Before, before):
		return r.Two.Clip
	case d == 1 && r.One != nil && slices.Contains(r.One.Before, before):
		return r.One.Clip
	}
	return n.Digits[d]
}

func (n numbers) whole(r reading, v int) []string {
	if v == 0 {
		return []string{n.Digits[0]}
	}
	var said []string
	if wan := v / 10000; wan > 0 {
		if wan == 1 || wan == 2 {
			said = append(said, n.digit(r, wan, "ten_thousand", true))
		} else {
			said = n.under(r, wan, true)
		}
		said = append(said, n.Wan)
		if v %= 10000; v > 0 && v < 1000 {
			said = append(said, n.Digits[0])
		}
	}
	return append(said, n.under(r, v, len(said) == 0)...)
}

// under reads what is below 10,000; head says that nothing was read before it.
func (n numbers) under(r reading, v int, head bool) (said []string) {
	gap := false // a place without a digit, behind one that has some
	for _, p := range []struct {
		size         int
		clip, before string
	}{{1000, n.Thousand, "thousand"}, {100, n.Hundred, "hundred"}, {10, n.Ten, "ten"}, {1, "", ""}} {
		d := v / p.size % 10
		if d == 0 {
			gap = len(said) > 0
			continue
		}
		if gap {
			said, gap = append(said, n.Digits[0]), false
		}
		if p.size != 10 || d != 1 || len(said) > 0 || !head { // 十二, and 一百一十二
			said = append(said, n.digit(r, d, p.before, head && len(said) == 0))
		}
		if p.clip != "" {
			said = append(said, p.clip)
		}
	}
	return said
}
