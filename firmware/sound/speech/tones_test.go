package speech

import (
	"errors"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/phrase"
)

const shippedFile = "../../../configs/tones.yaml"

func shipped(t testing.TB, licensed bool) *Tones {
	t.Helper()
	tones, err := LoadTones(os.DirFS("../../../configs"), "tones.yaml", licensed)
	if err != nil {
		t.Fatal(err)
	}
	return tones
}

func shippedText(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(shippedFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// played gives the first d of a tone as it is heard.
func played(t *Tone, rate int, d time.Duration) []int16 {
	n := int(d * time.Duration(rate) / time.Second)
	f := make([]float32, n)
	newVoice(t, rate).at(0, n, f)
	out := make([]int16, n)
	for i, v := range f {
		out[i] = limited(v)
	}
	return out
}

// power gives how strong a frequency is in samples, by Goertzel's algorithm:
// the amplitude of a sine of it, as a share of full scale.
func power(s []int16, rate int, hz float64) float64 {
	w := 2 * math.Cos(2*math.Pi*hz/float64(rate))
	var a, b float64
	for _, v := range s {
		a, b = float64(v)/32768+w*a-b, a
	}
	return 2 * math.Sqrt(max(0, a*a+b*b-w*a*b)) / float64(len(s))
}

// loudest gives the strongest frequency from lo to hi in steps of 10 Hz.
func loudest(s []int16, rate int, lo, hi float64) float64 {
	best, at := 0.0, 0.0
	for hz := lo; hz <= hi; hz += 10 {
		if p := power(s, rate, hz); p > best {
			best, at = p, hz
		}
	}
	return at
}

func TestEveryToneHasItsFrequenciesAndItsLevel(t *testing.T) {
	tones := shipped(t, true)
	const rate = 16000
	for _, name := range tones.Names() {
		tone, err := tones.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		once := played(tone, rate, tone.Length())
		if _, peak := Measure(once); math.Abs(peak-tone.Level) > 1.5 {
			t.Errorf("%s: peak %.1f dBFS, level %.1f", name, peak, tone.Level)
		}
		at := time.Duration(0)
		for i, s := range tone.Segments {
			from := int(at * rate / time.Second)
			mid := func(share float64) []int16 { // 60 ms around a place of the segment
				c := from + int(share*s.On.Seconds()*rate)
				return once[max(0, c-rate*3/100) : c+rate*3/100]
			}
			if s.To > 0 {
				for share, want := range map[float64]float64{0.25: s.Hz[0] + 0.25*(s.To-s.Hz[0]), 0.75: s.Hz[0] + 0.75*(s.To-s.Hz[0])} {
					if got := loudest(mid(share), rate, 200, 3800); math.Abs(got-want) > 70 {
						t.Errorf("%s segment %d: %.0f Hz at %.0f %%, want %.0f", name, i, got, 100*share, want)
					}
				}
			} else if got := loudest(mid(0.5), rate, 200, s.Hz[0]*1.5); math.Abs(got-s.Hz[0]) > 15 {
				t.Errorf("%s segment %d: %.0f Hz, want %.0f", name, i, got, s.Hz[0])
			}
			at += s.On + s.Off
		}
	}
}

func TestTheSlowToneIsSlowAndTheFastOneFast(t *testing.T) {
	tones := shipped(t, false)
	for name, want := range map[string][2]time.Duration{
		"prepare":  {900 * time.Millisecond, 1100 * time.Millisecond},
		"evacuate": {220 * time.Millisecond, 180 * time.Millisecond},
	} {
		tone, _ := tones.Get(name)
		row := bursts(played(tone, 16000, 10*time.Second), 16000)
		if len(row) < 4 {
			t.Fatalf("%s: %d bursts", name, len(row))
		}
		for _, u := range row[:len(row)-1] {
			if (u.On-want[0]).Abs() > 15*time.Millisecond || (u.Off-want[1]).Abs() > 15*time.Millisecond {
				t.Errorf("%s: %v on, %v off, want %v", name, u.On, u.Off, want)
			}
		}
	}
}

// bursts measures sound and silence, taking less than 50 ms of either for part
// of the other.
func bursts(s []int16, rate int) []Pulse {
	const block = 10 * time.Millisecond
	n := rate / 100
	var row []Pulse
	for i := 0; i+n <= len(s); i += n {
		rms, _ := Measure(s[i : i+n])
		switch {
		case rms > -40 && (len(row) == 0 || row[len(row)-1].Off > 5*block):
			row = append(row, Pulse{On: block})
		case rms > -40:
			row[len(row)-1].On += row[len(row)-1].Off + block
			row[len(row)-1].Off = 0
		case len(row) > 0:
			row[len(row)-1].Off += block
		}
	}
	return row
}

// TestEveryOpenPatternStaysAwayFromTheReservedOnes measures what is heard, and
// reads what relays are given, without the checker's help.
func TestEveryOpenPatternStaysAwayFromTheReservedOnes(t *testing.T) {
	tones := shipped(t, false)
	near := func(a time.Duration, b float64) bool { return math.Abs(a.Seconds()-b) < 0.2*b }
	open := 0
	for _, name := range tones.Names() {
		tone, err := tones.Get(name)
		if err != nil {
			continue
		}
		open++
		rows := [][]Pulse{bursts(played(tone, 8000, 2*time.Minute), 8000), tone.Cadence(Electronic), tone.Cadence(Motor), tone.Cadence(Strobe)}
		for i, row := range rows {
			for _, u := range row {
				for _, r := range [][2]float64{{36, 24}, {6, 6}, {15, 15}} {
					if near(u.On, r[0]) && near(u.Off, r[1]) {
						t.Errorf("%s, row %d: %v on and %v off is near %v", name, i, u.On, u.Off, r)
					}
				}
				if i > 0 && (u.On > 20*time.Second || u.On > 0 && u.Off == 0) {
					t.Errorf("%s: a relay is steady for %v", name, u.On)
				}
			}
		}
		if len(rows[0]) < 2 {
			t.Errorf("%s: it is never silent in 2 min", name)
		}
	}
	if open < 5 {
		t.Errorf("only %d open tones", open)
	}
}

func TestACivilDefencePatternNeedsALicence(t *testing.T) {
	for name, want := range map[string]struct {
		row   Pulse
		times int
	}{
		"civil-prewarning": {Pulse{36 * time.Second, 24 * time.Second}, 3},
		"civil-raid":       {Pulse{6 * time.Second, 6 * time.Second}, 15},
		"civil-clear":      {Pulse{3 * time.Minute, 0}, 1},
		"civil-disaster":   {Pulse{15 * time.Second, 15 * time.Second}, 6},
	} {
		var e *phrase.Error
		if _, err := shipped(t, false).Get(name); !errors.As(err, &e) || e.Code != "speech.tone.locked" {
			t.Errorf("%s without a licence: %v", name, err)
		}
		p, err := Composer{Tones: shipped(t, true)}.Compose(Content{Tone: name, Repeat: 1})
		if err != nil || p.Tone() != name || len(p.Problems()) > 0 {
			t.Fatalf("%s with a licence: %v %v", name, err, p.Problems())
		}
		if c := p.Cadence(Motor); c[0] != want.row {
			t.Errorf("%s: cadence %v", name, c)
		}
		row := bursts(all(t, p, 8000), 8000)
		if len(row) != want.times || (row[0].On-want.row.On).Abs() > 30*time.Millisecond {
			t.Errorf("%s: %d times %v", name, len(row), row[0])
		}
	}
}

const head = "version: 1\npause: {words: 400ms, languages: 700ms, repeats: 1500ms}\ntones:\n"

func tone(more string) string {
	return head + "  x:\n    zh: 音\n    en: tone\n    level: -6\n    lead: 5s\n" + more
}

func TestABadTonesFileIsRefusedWithItsPlace(t *testing.T) {
	const seg = "    segments:\n      - {hz: [700], on: 500ms, off: 500ms}\n"
	for name, c := range map[string]struct{ text, code, at string }{
		"unknown key":          {tone(seg + "    colour: red\n"), "speech.tones.yaml", "t.yaml:11:5"},
		"not YAML":             {"version: [", "speech.tones.yaml", "t.yaml"},
		"empty":                {"", "speech.tones.version", "t.yaml:1:1"},
		"no tones":             {"version: 1\n", "speech.tones.count", "t.yaml:1:1"},
		"version":              {strings.Replace(tone(seg), "version: 1", "version: 2", 1), "speech.tones.version", "t.yaml:1:10"},
		"alias":                {head + "  x: &a {zh: 音}\n  y: *a\n", "speech.tones.alias", "t.yaml:4:6"},
		"name":                 {strings.Replace(tone(seg), "  x:", "  ../x:", 1), "speech.tones.name", "t.yaml"},
		"no title":             {strings.Replace(tone(seg), "    en: tone\n", "", 1), "speech.tones.title", "t.yaml:5:7"},
		"level":                {strings.Replace(tone(seg), "-6", "3", 1), "speech.tones.range", "t.yaml:7:12"},
		"lead too short":       {strings.Replace(tone(seg), "lead: 5s", "lead: 2s", 1), "speech.tones.range", "t.yaml:8:11"},
		"lead too long":        {strings.Replace(tone(seg), "lead: 5s", "lead: 11s", 1), "speech.tones.range", "t.yaml:8:11"},
		"no segments":          {tone("    segments: []\n"), "speech.tones.count", "t.yaml:9:15"},
		"no frequency":         {tone("    segments:\n      - {hz: [], on: 1s}\n"), "speech.tones.hz", "t.yaml:10"},
		"frequency":            {tone("    segments:\n      - {hz: [20], on: 1s, off: 1s}\n"), "speech.tones.range", "t.yaml:10"},
		"not a number":         {tone("    segments:\n      - {hz: [.nan], on: 1s, off: 1s}\n"), "speech.tones.range", "t.yaml:10"},
		"negative":             {tone("    segments:\n      - {hz: [700], on: 1s, off: -1s}\n"), "speech.tones.range", "t.yaml:10"},
		"a whole day":          {tone("    segments:\n      - {hz: [700], on: 24h, off: 1s}\n"), "speech.tones.range", "t.yaml:10"},
		"pre-alarm":            {tone("    segments:\n      - {hz: [700], on: 36s, off: 24s}\n"), "speech.tones.reserved", "t.yaml:10:7"},
		"nearly air raid":      {tone("    segments:\n      - {hz: [700], on: 7s, off: 5s}\n"), "speech.tones.reserved", "t.yaml:10:7"},
		"air raid in pieces":   {tone("    segments:\n      - {hz: [700], on: 3s}\n      - {hz: [900], on: 3s, off: 6s}\n"), "speech.tones.reserved", "t.yaml:10:7"},
		"air raid in gaps":     {tone("    segments:\n      - {hz: [700], on: 3s, off: 20ms}\n      - {hz: [900], on: 3s, off: 6s}\n"), "speech.tones.reserved", "t.yaml:10:7"},
		"air raid wound":       {tone("    segments:\n      - {hz: [700], on: 3s, off: 6s}\n      - {hz: [900], on: 3s}\n"), "speech.tones.reserved", "t.yaml:10:7"},
		"disaster":             {tone("    segments:\n      - {hz: [700], to: 900, on: 15s, off: 15s}\n"), "speech.tones.reserved", "t.yaml:10:7"},
		"steady":               {tone("    segments:\n      - {hz: [700], on: 1s}\n"), "speech.tones.steady", "t.yaml:10:7"},
		"steady in pieces":     {tone("    segments:\n      - {hz: [700], on: 15s}\n      - {hz: [701], on: 15s, off: 5s}\n"), "speech.tones.steady", "t.yaml:10:7"},
		"relay like air raid":  {tone(seg + "    relay:\n      electronic: [{on: 6s, off: 6s}]\n"), "speech.tones.reserved", "t.yaml:12:19"},
		"motor like pre-alarm": {tone(seg + "    relay:\n      motor: [{on: 40s, off: 25s}]\n"), "speech.tones.reserved", "t.yaml:12:14"},
		"motor steady":         {tone(seg + "    relay:\n      motor: [{on: 30s, off: 5s}]\n"), "speech.tones.steady", "t.yaml:12:14"},
		"relay steady":         {tone(seg + "    relay:\n      electronic: [{on: 1s, off: 0s}]\n"), "speech.tones.steady", "t.yaml:12:19"},
		"locked without end":   {tone(seg + "    locked: true\n"), "speech.tones.range", "t.yaml"},
		"locked for an age":    {strings.Replace(tone(seg), "500ms, off: 500ms", "5m, off: 5m", 1) + "    locked: true\n    times: 60\n", "speech.tones.range", "t.yaml:12:12"},
		"too long":             {tone(seg) + strings.Repeat("# and so on\n", 30000), "speech.tones.long", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseTones([]byte(c.text), "t.yaml", true)
			var e *phrase.Error
			if !errors.As(err, &e) || got != nil {
				t.Fatalf("no error: %v", err)
			}
			for _, l := range phrase.Languages {
				if s := phrase.In(err, l); strings.Contains(s, "{") {
					t.Errorf("unfilled: %s", s)
				}
			}
			if at, _ := e.Params["at"].(string); e.Code != c.code || !strings.HasPrefix(at, c.at) {
				t.Errorf("%s at %q, want %s at %q: %v", e.Code, at, c.code, c.at, err)
			}
		})
	}
	if _, err := parseTones([]byte(tone(seg)), "t.yaml", false); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func TestUnlockingACivilDefencePatternInTheFileIsRefused(t *testing.T) {
	text := shippedText(t)
	for part := range strings.SplitSeq(text, "\n\n") {
		if !strings.Contains(part, "locked: true") {
			continue
		}
		free := strings.Replace(part, "    locked: true\n", "    lead: 5s\n", 1)
		if _, err := parseTones([]byte(strings.Replace(text, part, free, 1)), "t.yaml", false); err == nil {
			t.Errorf("accepted:\n%s", free)
		}
	}
}

func TestTheVillageIsNeverGivenAChimeBySiren(t *testing.T) {
	tone, err := shipped(t, false).Get("chime")
	if err != nil {
		t.Fatal(err)
	}
	if !tone.Cadence(Electronic).Silent() || !tone.Cadence(Motor).Silent() {
		t.Error("a siren would sound the all clear")
	}
}

func TestNothingClicks(t *testing.T) {
	tones := shipped(t, true)
	const rate = 48000
	for _, name := range tones.Names() {
		tone, _ := tones.Get(name)
		top := 0.0
		for _, s := range tone.Segments {
			for _, hz := range append([]float64{s.To}, s.Hz...) {
				top = max(top, hz)
			}
		}
		// A sine never changes faster than at its zero crossing.
		most := gain(tone.Level)*32767*2*math.Pi*top/rate + 40
		s := played(tone, rate, min(tone.Length(), 10*time.Second)+137*time.Millisecond)
		prev := 0.0
		for i, v := range append(s, 0) {
			if step := math.Abs(float64(v) - prev); step > most {
				t.Fatalf("%s: a step of %.0f at %d, at most %.0f fits its frequency", name, step, i, most)
			}
			prev = float64(v)
		}
	}
}

func FuzzTones(f *testing.F) {
	b, err := os.ReadFile(shippedFile)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(tone("    segments:\n      - {hz: [700], on: 1s, off: 1s}\n")))
	f.Add([]byte(head + "  x: &a {zh: 音}\n  y: *a\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		tones, err := parseTones(b, "t.yaml", true)
		if err != nil {
			_ = phrase.In(err, phrase.ZH)
			return
		}
		buf := make([]int16, 512)
		for _, n := range tones.Names() {
			p, err := Composer{Tones: tones}.Compose(Content{Tone: n})
			if err != nil {
				t.Fatal(err)
			}
			r := p.Samples(cd)
			for range 4 {
				if got, done := r.Read(buf); done || got != len(buf) {
					t.Fatalf("%s: %d samples, done %v", n, got, done)
				}
			}
		}
	})
}
