package speech

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"tocsin/firmware/phrase"
)

// Bounds on a tones file.
const (
	maxTonesFile = 256 << 10
	maxTones     = 64
	maxSegments  = 64
	maxSegment   = 5 * time.Minute
)

// Tones are the tones of a file, checked. It never changes.
type Tones struct {
	pause    Pauses
	byName   map[string]*Tone
	names    []string
	licensed bool
}

// Pauses are the silences between the parts of a sounding.
type Pauses struct {
	Words     time.Duration `yaml:"words"`     // tone to words, words to words
	Languages time.Duration `yaml:"languages"` // one language to the next
	Repeats   time.Duration `yaml:"repeats"`   // before all of it again
	Pieces    time.Duration `yaml:"pieces"`    // between the pieces of a phrase
	Phrases   time.Duration `yaml:"phrases"`   // where a sentence of pieces has a comma
}

// Tone is one attention tone as data.
type Tone struct {
	Name string `yaml:"-"`
	ZH   string `yaml:"zh"`
	EN   string `yaml:"en"`
	// Level is the peak in dB of full scale, -40 to -1.
	Level float64 `yaml:"level"`
	// Lead is how long it sounds before the words, 4 to 10 s (EN 50849).
	Lead time.Duration `yaml:"lead"`
	// Words are the clips that say what the tone means, the best first; they
	// stand in for a clip that is missing. Empty: the tone alone.
	Words []string `yaml:"words"`
	// Segments are the pattern; it is repeated for as long as the tone sounds.
	Segments []Segment `yaml:"segments"`
	// Times is how often a locked pattern is played; 0 means as Lead says.
	Times int `yaml:"times"`
	// Relay is the same tone for what a relay switches.
	Relay Relay `yaml:"relay"`
	// Locked tones are the authorities'; they sound only under a licence.
	Locked bool `yaml:"locked"`
}

// Segment is one sound of a pattern: a frequency, several at once, or a sweep
// from the first to To; then silence for Off.
type Segment struct {
	Hz    []float64     `yaml:"hz"`
	To    float64       `yaml:"to"`
	On    time.Duration `yaml:"on"`
	Off   time.Duration `yaml:"off"`
	Decay bool          `yaml:"decay"` // dies away like a struck bell
}

// Relay says how a relay gives the tone. Electronic sirens and strobes are
// pulsed; a motor runs for a stretch without pulses and rests between, so that
// it never becomes the three minutes' steady tone of the civil-defence all
// clear. Both empty: the relay stays off (a chime is no siren).
type Relay struct {
	Electronic []Pulse `yaml:"electronic"`
	Motor      []Pulse `yaml:"motor"`
}

// Pulse is on for a time, then off for a time. A pulse whose On is 0 keeps the
// relay off.
type Pulse struct {
	On  time.Duration `yaml:"on" json:"on"`
	Off time.Duration `yaml:"off" json:"off"`
}

// Cadence is a row of pulses, repeated from its beginning. It is never empty:
// a tone that no relay may give is one pulse with On 0.
type Cadence []Pulse

// Silent tells whether the cadence keeps the relay off.
func (c Cadence) Silent() bool {
	return !slices.ContainsFunc(c, func(p Pulse) bool { return p.On > 0 })
}

var silent = Cadence{{Off: time.Minute}}

// Kinds of what a relay switches, as in Cadence.
const (
	Electronic = "electronic"
	Motor      = "motor"
	Strobe     = "strobe"
)

// Cadence gives how a relay of a kind gives the tone. What is not known to
// stand pulses gets the motor's.
func (t *Tone) Cadence(kind string) Cadence {
	row := t.Relay.Motor
	if kind == Electronic || kind == Strobe {
		row = t.Relay.Electronic
	}
	if len(row) == 0 {
		return silent
	}
	return slices.Clone(row)
}

// Length is how long the pattern lasts once.
func (t *Tone) Length() time.Duration {
	var d time.Duration
	for _, s := range t.Segments {
		d += s.On + s.Off
	}
	return d
}

// Names lists the tones, sorted.
func (t *Tones) Names() []string { return slices.Clone(t.names) }

// Words lists every clip that a tone stands for, sorted: a Bank needs them.
func (t *Tones) Words() []string {
	var all []string
	for _, tone := range t.byName {
		all = append(all, tone.Words...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Pauses gives the silences between parts.
func (t *Tones) Pauses() Pauses { return t.pause }

// Get gives a tone that may sound. Errors are *phrase.Error: there is none, or
// it is locked and this box has no licence.
func (t *Tones) Get(name string) (*Tone, error) {
	tone, ok := t.byName[name]
	if !ok {
		return nil, phrase.E("speech.tone.unknown", "tone", name)
	}
	if tone.Locked && !t.licensed {
		return nil, phrase.E("speech.tone.locked", "tone", name)
	}
	return tone, nil
}

// Describe gives a tone to be shown, also a locked one.
func (t *Tones) Describe(name string) (Tone, bool) {
	tone, ok := t.byName[name]
	if !ok {
		return Tone{}, false
	}
	return *tone, true
}

type tonesFile struct {
	Version int              `yaml:"version"`
	Pause   Pauses           `yaml:"pause"`
	Tones   map[string]*Tone `yaml:"tones"`
}

// LoadTones reads and checks a tones file. licensed says whether this box may
// sound locked tones. Every error names file, line, column and mend; several
// are joined. A file with an error gives no tones at all.
func LoadTones(fsys fs.FS, name string, licensed bool) (*Tones, error) {
	b, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, phrase.Wrap(err, "speech.tones.unreadable", "file", name)
	}
	return parseTones(b, name, licensed)
}

func parseTones(b []byte, file string, licensed bool) (*Tones, error) {
	if len(b) > maxTonesFile {
		return nil, phrase.E("speech.tones.long", "file", file, "kib", maxTonesFile>>10)
	}
	tree, err := parser.ParseBytes(b, 0)
	if err != nil {
		return nil, yamlError(err, file)
	}
	if at := aliased(tree); at != "" {
		return nil, phrase.E("speech.tones.alias", "at", file+at)
	}
	var f tonesFile
	if err := yaml.UnmarshalWithOptions(b, &f, yaml.Strict()); err != nil {
		return nil, yamlError(err, file)
	}
	c := checker{file: file, tree: tree}
	c.all(&f)
	if len(c.errs) > 0 {
		return nil, errors.Join(c.errs...)
	}
	t := &Tones{pause: f.Pause, byName: f.Tones, licensed: licensed}
	for n, tone := range f.Tones {
		tone.Name = n
		t.names = append(t.names, n)
	}
	slices.Sort(t.names)
	return t, nil
}

// aliased finds an anchor or alias, which would let a small file grow large.
func aliased(f *ast.File) (at string) {
	for _, d := range f.Docs {
		if d.Body == nil {
			continue
		}
		for _, t := range []ast.NodeType{ast.AnchorType, ast.AliasType, ast.MergeKeyType} {
			for _, n := range ast.Filter(t, d.Body) {
				return position(n)
			}
		}
	}
	return ""
}

func position(n ast.Node) string {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return ""
	}
	p := n.GetToken().Position
	return fmt.Sprintf(":%d:%d", p.Line, p.Column)
}

func yamlError(err error, file string) error {
	var y yaml.Error
	if errors.As(err, &y) && y.GetToken() != nil && y.GetToken().Position != nil {
		p := y.GetToken().Position
		return phrase.E("speech.tones.yaml", "at", fmt.Sprintf("%s:%d:%d", file, p.Line, p.Column), "what", y.GetMessage())
	}
	return phrase.E("speech.tones.yaml", "at", file, "what", err.Error())
}

// ramp is how long a sound takes to come and go, so that nothing clicks.
const ramp = 5 * time.Millisecond

// voice is a tone at a rate: any sample of it can be had without the ones
// before, so that the first block costs no more than any other.
type voice struct {
	rate  int
	amp   float64
	ramp  int
	total int // samples of the pattern
	segs  []voiceSegment
}

type voiceSegment struct {
	start, on int
	hz        []float64
	sweep     float64 // Hz a second
	decay     bool
}

func newVoice(t *Tone, rate int) *voice {
	in := func(d time.Duration) int { return int(d * time.Duration(rate) / time.Second) }
	v := &voice{rate: rate, amp: gain(t.Level) * 32767, ramp: max(1, in(ramp))}
	for _, s := range t.Segments {
		g := voiceSegment{start: v.total, on: in(s.On), hz: s.Hz, decay: s.Decay}
		if s.To > 0 {
			g.sweep = (s.To - s.Hz[0]) / s.On.Seconds()
		}
		v.segs = append(v.segs, g)
		v.total += g.on + in(s.Off)
	}
	v.total = max(1, v.total)
	return v
}

// at fills dst with the samples from n on, of a tone that is cut off after
// length samples (with a ramp, like every end).
func (v *voice) at(n, length int, dst []float32) {
	for i := range dst {
		dst[i] = v.sample(n+i, length)
	}
}

func (v *voice) sample(n, length int) float32 {
	k := n % v.total
	j := len(v.segs) - 1
	for j > 0 && v.segs[j].start > k {
		j--
	}
	s := &v.segs[j]
	if k -= s.start; k >= s.on || n >= length {
		return 0
	}
	t, sum := float64(k)/float64(v.rate), 0.0
	for _, hz := range s.hz {
		sum += math.Sin(2 * math.Pi * (hz*t + s.sweep*t*t/2))
	}
	sum *= v.amp / float64(len(s.hz))
	if edge := min(k, s.on-1-k, length-1-n); edge < v.ramp {
		sum *= 0.5 - 0.5*math.Cos(math.Pi*float64(edge)/float64(v.ramp))
	}
	if s.decay {
		sum *= math.Exp(-t / 0.45)
	}
	return float32(sum)
}
