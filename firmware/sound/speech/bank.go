package speech

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

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

// Bank holds clips in RAM, in one format, levelled. It never changes.
type Bank struct {
	rate  int
	clips map[clipKey]*clip
}

type clipKey struct {
	id   string
	lang Lang
}

type clip struct {
	id      string
	lang    Lang
	samples []int16 // none where packed
	packed  packed
}

func (c *clip) length() int { return len(c.samples) + c.packed.n }

func (c *clip) bytes() int { return 2*len(c.samples) + len(c.packed.blocks) }

// pcm gives the samples; those of a packed clip are put into buf.
func (c *clip) pcm(buf []int16) []int16 {
	if c.packed.n == 0 {
		return c.samples
	}
	// It was read once without an error, when the bank was loaded.
	s, _ := unpackIMA(buf[:0], c.packed.blocks, c.packed.align, c.packed.n)
	return s
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
}

// LoadBank reads the files <id>.<lang>.wav of a folder into RAM and levels
// them to DefaultLoudness where they are more than 3 dB off. It always gives a
// Bank, of what could be read; each clip that could not, or that IDs and Langs
// name and nothing has, is one error (a *phrase.Error).
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
			errs = append(errs, phrase.E("speech.clips.memory", "file", e.Name(), "mib", maxBankBytes>>20))
			continue
		}
		c, err := readClip(fsys, path.Join(dir, e.Name()), k, o.Rate)
		if err != nil {
			errs = append(errs, phrase.Wrap(err, "speech.clip.broken", "file", e.Name()))
			continue
		}
		if bytes += c.bytes(); bytes > maxBankBytes {
			errs = append(errs, phrase.E("speech.clips.memory", "file", e.Name(), "mib", maxBankBytes>>20))
			break
		}
		b.clips[k] = c
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

func readClip(fsys fs.FS, name string, k clipKey, rate int) (*clip, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, q, err := readWAV(f)
	if err != nil {
		return nil, err
	}
	c, err := newClip(k, p, rate)
	if err == nil && q.n > 0 && slices.Equal(c.samples, p.Samples) {
		// As loud as it should be, and at the bank's rate: it stays as small as it came.
		c.samples, c.packed = nil, q
	}
	return c, err
}

func newClip(k clipKey, p PCM, rate int) (*clip, error) {
	if len(p.Samples) > maxClipSeconds*p.Rate {
		return nil, phrase.E("speech.clip.long", "seconds", len(p.Samples)/p.Rate, "most", maxClipSeconds)
	}
	rms, peak := Measure(p.Samples)
	if rms < -60 || len(p.Samples) < p.Rate/10 {
		return nil, phrase.E("speech.clip.silent", "dbfs", fmt.Sprintf("%.0f", rms))
	}
	p = Resample(p, rate)
	if want := DefaultLoudness; rms < want.RMS-3 || rms > want.RMS+3 || peak > -1 {
		p = Level(p, want)
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

// Has tells whether a clip is there in a language.
func (b *Bank) Has(id string, lang Lang) bool {
	_, ok := b.clips[clipKey{id, lang}]
	return ok
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
		s = append(s, k.id+"."+string(k.lang))
	}
	slices.Sort(s)
	return s
}

// find gives a clip in the languages asked, those that are missing, and, where
// none of them is there, in any other language.
func (b *Bank) find(id string, langs []Lang) (found []*clip, missing []Lang) {
	for _, l := range langs {
		if c := b.clips[clipKey{id, l}]; c != nil {
			found = append(found, c)
		} else {
			missing = append(missing, l)
		}
	}
	if len(found) == 0 {
		for _, n := range b.List() {
			if i, l, _ := strings.Cut(n, "."); i == id {
				return []*clip{b.clips[clipKey{i, Lang(l)}]}, missing
			}
		}
	}
	return found, missing
}
