package speech

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"tocsin/firmware/phrase"
)

// Bounds on a bank: it must fit into a small board's memory.
const (
	maxClipSeconds = 60
	maxBankBytes   = 24 << 20
	maxClips       = 1000
	// BankRate is the usual rate of the clips in RAM, samples a second: twice
	// what a horn carries.
	BankRate = 16000
)

// Bank holds clips in RAM, in one format. Which they are never changes; what Prove finds of one does.
type Bank struct {
	rate  int
	clips map[clipKey]*clip
}

type clipKey struct {
	id   string
	lang Lang
}

func (x clipKey) compare(y clipKey) int {
	return cmp.Or(cmp.Compare(x.id, y.id), cmp.Compare(x.lang, y.lang))
}

type clip struct {
	id      string
	lang    Lang
	samples []int16 // none where packed
	packed  packed

	proof    sync.Once
	bad      error // of the proof
	off      bool  // the proof found it too loud or too quiet
	levelled atomic.Pointer[[]int16]
}

func (c *clip) length() int { return len(c.samples) + c.packed.n }

func (c *clip) bytes() int {
	n := 2*len(c.samples) + len(c.packed.blocks)
	if l := c.levelled.Load(); l != nil {
		n += 2 * len(*l)
	}
	return n
}

// pcm gives the samples; those of a packed clip are put into buf.
func (c *clip) pcm(buf []int16) []int16 {
	if c.packed.n == 0 {
		return c.samples
	}
	if l := c.levelled.Load(); l != nil {
		return *l
	}
	return unpackIMA(buf[:0], c.packed)
}

// proven tells what is wrong with a packed clip, which is heard through once for it.
func (c *clip) proven() error {
	c.proof.Do(func() {
		if c.packed.n == 0 {
			return
		}
		s := c.pcm(nil)
		rms, peak := Measure(s)
		c.bad, c.off = audible(rms), astray(rms, peak)
	})
	return c.bad
}

// level brings a packed clip that is too loud or too quiet to DefaultLoudness, where room is left
// for its samples; it gives how many bytes it took.
func (c *clip) level(rate, room int) (took int, err error) {
	if !c.off || c.levelled.Load() != nil {
		return 0, nil
	}
	if took = 2 * c.packed.n; took > room {
		return 0, tooMuch(c.file())
	}
	s := c.pcm(nil)
	l := Level(PCM{Rate: rate, Samples: s}, DefaultLoudness).Samples
	c.levelled.Store(&l)
	return took, nil
}

func (c *clip) file() string { return c.id + "." + string(c.lang) + ".wav" }

func tooMuch(file string) error {
	return phrase.E("speech.clips.memory", "file", file, "mib", maxBankBytes>>20)
}

// audible refuses a clip in which nothing is to be heard.
func audible(rms float64) error {
	if rms < -60 {
		return phrase.E("speech.clip.silent", "dbfs", fmt.Sprintf("%.0f", rms))
	}
	return nil
}

// astray tells whether a clip's loudness is not what a bank has.
func astray(rms, peak float64) bool {
	return rms < DefaultLoudness.RMS-3 || rms > DefaultLoudness.RMS+3 || peak > -1
}

// BankOpts says what is loaded.
type BankOpts struct {
	// Rate of the clips in RAM; 0 means BankRate.
	Rate int
	// IDs are the clips that armed plans use; nil means every clip in the
	// folder. The words of drills and tests are loaded in any case; those that
	// tones stand for (Tones.Words) are the caller's to add.
	IDs []string
	// Pieces loads every piece of a sentence (PiecePrefix) that is there, whatever IDs say.
	Pieces bool
	// Langs are the languages of the site; nil means all.
	Langs []Lang
	// Later leaves it to Prove to hear packed clips through.
	Later bool
}

// LoadBank reads the files <id>.<lang>.wav of a folder into RAM and levels
// them to DefaultLoudness where they are more than 3 dB off. It always gives a
// Bank, of what could be read; each clip that could not, or that IDs and Langs
// name and nothing has, is one error (a *phrase.Error). Packed clips stay packed; with
// Later they are neither heard through nor levelled before Prove.
func LoadBank(fsys fs.FS, dir string, o BankOpts) (*Bank, []error) {
	if o.Rate == 0 {
		o.Rate = BankRate
	}
	b := &Bank{rate: o.Rate, clips: map[clipKey]*clip{}}
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return b, []error{phrase.Wrap(err, "speech.clips.unreadable", "folder", dir)}
	}
	wanted := map[string]bool{DrillWords: true, TestWords: true}
	for _, id := range o.IDs {
		wanted[id] = true
	}
	var errs []error
	seen, bytes := map[clipKey]bool{}, 0
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), ".wav")
		id, lang, ok2 := strings.Cut(base, ".")
		k := clipKey{id, Lang(lang)}
		if !ok || !ok2 || !plain(id) || !plain(lang) || o.IDs != nil && !wanted[id] && !(o.Pieces && strings.HasPrefix(id, PiecePrefix)) || o.Langs != nil && !slices.Contains(o.Langs, k.lang) {
			continue
		}
		seen[k] = true
		if len(b.clips) >= maxClips {
			errs = append(errs, tooMuch(e.Name()))
			continue
		}
		c, err := readClip(fsys, path.Join(dir, e.Name()), k, o.Rate)
		if err != nil {
			errs = append(errs, phrase.Wrap(err, "speech.clip.broken", "file", e.Name()))
			continue
		}
		if bytes += c.bytes(); bytes > maxBankBytes {
			errs = append(errs, tooMuch(e.Name()))
			break
		}
		b.clips[k] = c
	}
	if !o.Later {
		errs = append(errs, b.Prove()...)
	}
	for _, id := range slices.Sorted(maps.Keys(wanted)) {
		for _, l := range o.Langs {
			if !seen[clipKey{id, l}] {
				errs = append(errs, phrase.E("speech.clip.missing", "clip", id, "lang", string(l)))
			}
		}
	}
	return b, errs
}

// Prove hears every packed clip through: in the place of one that is silent nothing is there from then on, and one that is too
// loud or too quiet is levelled. Each that cannot be used, or not be levelled within the bank's memory, is one error (a *phrase.Error). It
// may run while the bank is used.
func (b *Bank) Prove() []error {
	var errs []error
	bytes := b.Bytes()
	for _, k := range slices.SortedFunc(maps.Keys(b.clips), clipKey.compare) {
		c := b.clips[k]
		if err := c.proven(); err != nil {
			errs = append(errs, phrase.Wrap(err, "speech.clip.broken", "file", c.file()))
			continue
		}
		took, err := c.level(b.rate, maxBankBytes-bytes)
		if bytes += took; err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func readClip(fsys fs.FS, name string, k clipKey, rate int) (*clip, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	w, err := parseWAV(f)
	if err != nil {
		return nil, err
	}
	return clipOf(k, w, rate)
}

// clipOf makes a clip of a file: it stays packed where it came so, at the bank's rate.
func clipOf(k clipKey, w wav, rate int) (*clip, error) {
	if w.packed.n > 0 {
		if err := bounded(w.packed.n, w.rate); err != nil {
			return nil, err
		}
	}
	if w.packed.n == 0 || w.rate != rate {
		return newClip(k, w.pcm(), rate)
	}
	return &clip{id: k.id, lang: k.lang, packed: w.packed}, nil
}

// bounded refuses what is too long or too short for a clip.
func bounded(samples, rate int) error {
	switch {
	case samples > maxClipSeconds*rate:
		return phrase.E("speech.clip.long", "seconds", samples/rate, "most", maxClipSeconds)
	case samples < rate/10:
		return phrase.E("speech.clip.silent", "dbfs", "-120")
	}
	return nil
}

func newClip(k clipKey, p PCM, rate int) (*clip, error) {
	if err := bounded(len(p.Samples), p.Rate); err != nil {
		return nil, err
	}
	rms, peak := Measure(p.Samples)
	if err := audible(rms); err != nil {
		return nil, err
	}
	p = Resample(p, rate)
	if astray(rms, peak) {
		p = Level(p, DefaultLoudness)
	}
	return &clip{id: k.id, lang: k.lang, samples: p.Samples}, nil
}

// With gives a Bank with one clip more, or another in its place, for words
// that were rendered later. The other clips are shared.
func (b *Bank) With(id string, lang Lang, p PCM) (*Bank, error) {
	c, err := newClip(clipKey{id, lang}, p, b.rate)
	if err != nil {
		return nil, err
	}
	n := &Bank{rate: b.rate, clips: maps.Clone(b.clips)}
	n.clips[clipKey{id, lang}] = c
	return n, nil
}

// Has tells whether a clip is there in a language, and is to be heard.
func (b *Bank) Has(id string, lang Lang) bool {
	c := b.clips[clipKey{id, lang}]
	return c != nil && c.proven() == nil
}

// Bytes is how much RAM the clips take.
func (b *Bank) Bytes() int {
	n := 0
	for _, c := range b.clips {
		n += c.bytes()
	}
	return n
}

// List names the clips, as <id>.<lang>, sorted.
func (b *Bank) List() []string {
	var s []string
	for k := range b.clips {
		if b.Has(k.id, k.lang) {
			s = append(s, k.id+"."+string(k.lang))
		}
	}
	slices.Sort(s)
	return s
}

// find gives a clip in the languages asked, those that are missing, and, where
// none of them is there, in any other language.
func (b *Bank) find(id string, langs []Lang) (found []*clip, missing []Lang) {
	for _, l := range langs {
		if c := b.clips[clipKey{id, l}]; c != nil && c.proven() == nil {
			found = append(found, c)
		} else {
			missing = append(missing, l)
		}
	}
	if len(found) == 0 {
		for _, k := range slices.SortedFunc(maps.Keys(b.clips), clipKey.compare) {
			if k.id == id && b.Has(id, k.lang) {
				return []*clip{b.clips[k]}, missing
			}
		}
	}
	return found, missing
}
