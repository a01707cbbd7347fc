package speech

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
)

func script(t *testing.T) Script {
	t.Helper()
	s, err := LoadScript(os.DirFS("../../../configs/clips"), "clips.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEveryShippedClipIsSpeechAtItsLevel(t *testing.T) {
	total := int64(0)
	for id, line := range script(t).Clips {
		for _, lang := range []Lang{Mandarin, Cantonese} {
			name := filepath.Join("../../../configs/clips", id+"."+string(lang)+".wav")
			f, err := os.Open(name)
			if err != nil {
				t.Error(err)
				continue
			}
			defer f.Close()
			if fi, err := f.Stat(); err == nil {
				total += fi.Size()
			}
			p, err := ReadWAV(f)
			if err != nil {
				t.Fatal(err)
			}
			rms, peak := Measure(p.Samples)
			length := float64(len(p.Samples)) / float64(p.Rate)
			if p.Rate != BankRate || length < 2 || length > 15 {
				t.Errorf("%s: %.1f s at %d Hz", name, length, p.Rate)
			}
			if math.Abs(rms+16) > 1 || math.Abs(peak+3) > 0.3 {
				t.Errorf("%s: %.1f dBFS RMS, %.1f dBFS peak", name, rms, peak)
			}
			// Neither read as letters nor rushed: two to six and a half
			// syllables a second, counted in what the voice was given.
			n := len(strings.Fields(line.Pinyin))
			if lang == Cantonese {
				n = len([]rune(strings.NewReplacer("，", "", "。", "", "！", "").Replace(line.Yue)))
			}
			if per := float64(n) / length; per < 2 || per > 6.5 {
				t.Errorf("%s: %.1f syllables a second", name, per)
			}
			if first, _ := Measure(p.Samples[:p.Rate/5]); first < -40 {
				t.Errorf("%s: it begins with silence", name)
			}
			// What a horn carries has the energy: 300 to 3400 Hz.
			low, band := 0.0, 0.0
			part := p.Samples[:2*p.Rate]
			for hz := 60.0; hz < 3400; hz += 25 {
				e := power(part, p.Rate, hz)
				if hz < 250 {
					low += e * e
				} else {
					band += e * e
				}
			}
			if low > band/5 {
				t.Errorf("%s: %.0f %% of it is below 250 Hz", name, 100*low/(low+band))
			}
		}
	}
	// They lie in the program, of which 36 MiB is all there may be.
	if total > 2<<20 {
		t.Errorf("the clips take %d bytes", total)
	}
}

// A piece must be as loud as the clips, have hardly any silence at its ends, and be there in the language that it has words in.
func TestEveryShippedPieceIsSpeechThatCanBeJoined(t *testing.T) {
	bank, errs := shippedBank()
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	pieces := script(t).Pieces
	if len(pieces) < 100 {
		t.Fatalf("%d pieces", len(pieces))
	}
	for id, line := range pieces {
		if line.Pinyin == "" {
			t.Errorf("%s: no Mandarin", id)
		}
		for lang, text := range map[Lang]string{Mandarin: line.Pinyin, Cantonese: line.Yue} {
			if bank.Has(id, lang) != (text != "") {
				t.Errorf("%s.%s: in the bank %v, its words are %q", id, lang, bank.Has(id, lang), text)
			}
			if text == "" {
				continue
			}
			s := bank.clips[clipKey{id, lang}].pcm(nil)
			rms, peak := Measure(s)
			if math.Abs(rms+16) > 2 || peak > -2.9 {
				t.Errorf("%s.%s: %.1f dBFS RMS, %.1f dBFS peak", id, lang, rms, peak)
			}
			n := len(strings.Fields(text))
			if lang == Cantonese {
				n = len([]rune(strings.NewReplacer("，", "", "、", "").Replace(text)))
			}
			if per := float64(len(s)) / BankRate / float64(n); per < 0.12 || per > 0.65 {
				t.Errorf("%s.%s: %.2f s a syllable", id, lang, per)
			}
			if a, b := quietAtEnds(s); a > 45*time.Millisecond || b > 45*time.Millisecond {
				t.Errorf("%s.%s: it begins with %v of silence and ends with %v", id, lang, a, b)
			}
		}
		if hanzi := len([]rune(strings.NewReplacer("，", "", "、", "").Replace(line.ZH))); hanzi != len(strings.Fields(line.Pinyin)) {
			t.Errorf("%s: %d characters and %q", id, hanzi, line.Pinyin)
		}
		for syllable := range strings.FieldsSeq(strings.ReplaceAll(line.Pinyin, ",", "")) {
			if last := syllable[len(syllable)-1]; last < '1' || last > '5' {
				t.Errorf("%s: %q has no tone", id, syllable)
			}
		}
		for _, word := range []string{"预警信号", "政府", "气象", "应急管理", "防汛", "指挥部"} {
			if strings.Contains(line.ZH, word) {
				t.Errorf("%s says %s: who warns is not in its bytes", id, word)
			}
		}
	}
}

// quietAtEnds gives the silence, more than 40 dB below the peak, at both ends.
func quietAtEnds(s []int16) (before, after time.Duration) {
	top := 0
	for _, v := range s {
		top = max(top, abs(int(v)))
	}
	a, b := 0, len(s)
	for a < b && abs(int(s[a])) < top/100 {
		a++
	}
	for b > a && abs(int(s[b-1])) < top/100 {
		b--
	}
	return time.Duration(a) * time.Second / BankRate, time.Duration(len(s)-b) * time.Second / BankRate
}

func TestTheBoxSpeaksOnlyForItself(t *testing.T) {
	s := script(t)
	for _, id := range []string{"prepare", "evacuate", "gas-evacuate", "by-village", "move-now", "get-ready", "all-clear", DrillWords, TestWords, "blind", "generic", "power"} {
		if _, ok := s.Clips[id]; !ok {
			t.Errorf("there is no clip %s", id)
		}
	}
	for id, line := range s.Clips {
		for _, word := range []string{"预警信号", "預警信號", "红色", "紅色", "橙色", "黄色预警", "蓝色预警", "政府", "气象", "氣象", "应急管理", "防汛", "指挥部"} {
			if strings.Contains(line.ZH+line.Yue, word) {
				t.Errorf("%s says %s, which is not the box's to say", id, word)
			}
		}
		// Only what is said on the strength of a verified warning speaks of one.
		if !strings.HasPrefix(id, "county-") && (strings.Contains(line.ZH, "上级") || strings.Contains(line.ZH, "预警")) {
			t.Errorf("%s speaks of a warning that nobody gave", id)
		}
		// What a person or an officer raised was not measured here.
		if slices.Contains([]string{"by-village", "by-site", "by-upstream", "county-order", "move-now", "get-ready", "leave-now", "generic", "notice"}, id) {
			for _, word := range []string{"实测", "實測", "检测", "檢測", "雨量", "水位", "监测到", "超标", "measured", "Measured"} {
				if strings.Contains(line.ZH+line.Yue+line.EN, word) {
					t.Errorf("%s says %s, and nothing was measured", id, word)
				}
			}
		}
		if strings.ContainsAny(line.ZH+line.Yue, "0123456789") {
			t.Errorf("%s: digits are read wrong", id)
		}
		for syllable := range strings.FieldsSeq(strings.NewReplacer(",", " ", ".", " ", "!", " ").Replace(line.Pinyin)) {
			if last := syllable[len(syllable)-1]; last < '1' || last > '5' {
				t.Errorf("%s: %q has no tone", id, syllable)
			}
		}
		// One syllable a character: nothing left out, nothing doubled.
		hanzi := 0
		for _, r := range line.ZH {
			if r >= 0x4e00 && r <= 0x9fff {
				hanzi++
			}
		}
		if n := len(strings.Fields(line.Pinyin)); n != hanzi {
			t.Errorf("%s: %d characters and %d syllables", id, hanzi, n)
		}
	}
	for _, w := range shipped(t, false).Words() {
		if _, ok := s.Clips[w]; !ok {
			t.Errorf("a tone stands for %s, which is no clip", w)
		}
	}
}

func wavOf(t *testing.T, p PCM) *fstest.MapFile {
	t.Helper()
	var b bytes.Buffer
	if err := WriteWAV(&b, p); err != nil {
		t.Fatal(err)
	}
	return &fstest.MapFile{Data: b.Bytes()}
}

func hum(rate int, d time.Duration, db float64) PCM {
	p := PCM{Rate: rate, Samples: make([]int16, int(d.Seconds()*float64(rate)))}
	for i := range p.Samples {
		p.Samples[i] = int16(gain(db) * 32767 * math.Sin(2*math.Pi*1000*float64(i)/float64(rate)))
	}
	return p
}

func TestABankKeepsWhatItCanReadAndListsTheRest(t *testing.T) {
	fsys := fstest.MapFS{
		"c/prepare.cmn.wav":  wavOf(t, hum(44100, 2*time.Second, -30)), // quiet, another rate
		"c/evacuate.cmn.wav": wavOf(t, hum(16000, 2*time.Second, 0)),   // full scale
		"c/drill.cmn.wav":    wavOf(t, hum(16000, time.Second, -14)),
		"c/broken.cmn.wav":   {Data: []byte("RIFF....WAVEnonsense")},
		"c/silent.cmn.wav":   wavOf(t, PCM{Rate: 16000, Samples: make([]int16, 16000)}),
		"c/long.cmn.wav":     wavOf(t, hum(8000, 61*time.Second, -14)),
		"c/other.yue.wav":    wavOf(t, hum(16000, time.Second, -14)),
		"c/unused.cmn.wav":   wavOf(t, hum(16000, time.Second, -14)),
		"c/clips.yaml":       {Data: []byte("version: 1\n")},
		"c/..cmn.wav":        {},
	}
	b, errs := LoadBank(fsys, "c", BankOpts{IDs: []string{"prepare", "evacuate", "broken", "silent", "long", "other"}, Langs: []Lang{Mandarin}})
	if got := strings.Join(b.List(), " "); got != "drill.cmn evacuate.cmn prepare.cmn" {
		t.Errorf("loaded %s", got)
	}
	if got := strings.Join(codes(errs), " "); got != "speech.clip.broken speech.clip.broken speech.clip.broken speech.clip.missing speech.clip.missing" {
		t.Errorf("%s: %v", got, errs)
	}
	for k, c := range b.clips {
		rms, peak := Measure(c.pcm(nil))
		if math.Abs(rms+16) > 3.1 || peak > -2.9 {
			t.Errorf("%v: %.1f dBFS RMS, %.1f peak", k, rms, peak)
		}
		if hz := loudest(c.pcm(nil)[4000:8000], BankRate, 500, 2000); math.Abs(hz-1000) > 10 {
			t.Errorf("%v: %.0f Hz", k, hz)
		}
	}
	if n := len(b.clips[clipKey{"prepare", Mandarin}].pcm(nil)); n != 32000 {
		t.Errorf("2 s became %d samples", n)
	}
	if _, errs := LoadBank(fsys, "nowhere", BankOpts{}); len(errs) != 1 {
		t.Error(errs)
	}
	if b2, err := b.With("name", Mandarin, hum(22050, time.Second, -20)); err != nil || !b2.Has("name", Mandarin) || b.Has("name", Mandarin) {
		t.Errorf("With: %v", err)
	}
	if _, err := b.With("name", Mandarin, PCM{Rate: 16000}); err == nil {
		t.Error("an empty clip was taken")
	}
}

func TestTheShippedClipsStayPackedInRAM(t *testing.T) {
	bank, errs := shippedBank()
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	samples := 0
	for k, c := range bank.clips {
		if c.packed.n == 0 {
			t.Errorf("%v is not packed", k)
		}
		if n := len(c.pcm(nil)); n != c.length() {
			t.Errorf("%v: %d samples of %d", k, n, c.length())
		}
		samples += c.length()
	}
	if bank.Bytes() > samples*6/10 {
		t.Errorf("%d bytes for %d samples", bank.Bytes(), samples)
	}
}

func packedOf(t *testing.T, p PCM) *fstest.MapFile {
	t.Helper()
	var b bytes.Buffer
	if err := WriteADPCM(&b, p); err != nil {
		t.Fatal(err)
	}
	return &fstest.MapFile{Data: b.Bytes()}
}

// A start must not wait until every word was heard through: each is before it is first used, and all are by Prove.
func TestPackedClipsAreHeardThroughLater(t *testing.T) {
	fsys := fstest.MapFS{
		"c/good.cmn.wav":   packedOf(t, hum(16000, time.Second, -13)),
		"c/loud.cmn.wav":   packedOf(t, hum(16000, time.Second, -3)),
		"c/silent.cmn.wav": packedOf(t, PCM{Rate: 16000, Samples: make([]int16, 16000)}),
		"c/short.cmn.wav":  packedOf(t, hum(16000, 50*time.Millisecond, -13)),
		"c/long.cmn.wav":   packedOf(t, hum(16000, 61*time.Second, -13)),
	}
	// What lies behind the samples that a file says it has is not kept.
	more := packedOf(t, hum(16000, 20*time.Second, -13))
	binary.LittleEndian.PutUint32(more.Data[bytes.Index(more.Data, []byte("fact"))+8:], 16000)
	if w, err := parseWAV(bytes.NewReader(more.Data)); err != nil || len(w.packed.blocks) > 9000 || len(unpackIMA(nil, w.packed)) != 16000 {
		t.Errorf("one second of twenty: %d bytes, %v", len(w.packed.blocks), err)
	}
	head := packedOf(t, hum(16000, time.Second, -13))
	head.Data[bytes.Index(head.Data, []byte("data"))+8+2] = 89
	fsys["c/head.cmn.wav"] = head
	load := func(later bool) (*Bank, []error) { return LoadBank(fsys, "c", BankOpts{Later: later}) }
	heard := func(b *Bank) (rms float64) {
		found, _ := b.find("loud", []Lang{Mandarin})
		if len(found) != 1 {
			t.Fatal("a clip that is too loud is not there")
		}
		rms, _ = Measure(found[0].pcm(nil))
		return rms
	}
	now, wrong := load(false)
	if got := strings.Join(now.List(), " "); got != "good.cmn loud.cmn" || len(wrong) != 4 {
		t.Errorf("%s, %v", got, wrong)
	}
	b, errs := load(true)
	if got := strings.Join(codes(errs), " "); got != "speech.clip.broken speech.clip.broken speech.clip.broken" {
		t.Errorf("what the files' heads tell: %v", errs)
	}
	if c := b.clips[clipKey{"silent", Mandarin}]; c == nil || c.bad != nil {
		t.Error("it was heard through at once")
	}
	// Who begins to sound before Prove hears a levelled clip in the next round.
	early := (&Programme{rate: BankRate, tone: &Tone{}, parts: []part{{clip: b.clips[clipKey{"loud", Mandarin}]}}}).Samples(drivers.Format{Rate: BankRate, Channels: 1})
	round := make([]int16, 16000)
	listen := func() float64 {
		for n := 0; n < len(round); {
			k, _ := early.Read(round[n:])
			if n += k; k == 0 {
				t.Fatal("it ended")
			}
		}
		rms, _ := Measure(round)
		return rms
	}
	if rms := listen(); rms < -7 {
		t.Errorf("%.1f dBFS in the first round", rms)
	}
	if found, missing := b.find("silent", []Lang{Mandarin}); len(found) != 0 || len(missing) != 1 || b.Has("silent", Mandarin) {
		t.Errorf("a silent clip is found: %v, %v", found, missing)
	}
	if rms := heard(b); rms < -7 {
		t.Errorf("%.1f dBFS before it was levelled", rms)
	}
	before := b.Bytes()
	if errs := b.Prove(); len(errs) != 1 || codes(errs)[0] != "speech.clip.broken" {
		t.Errorf("the silent one: %v", errs)
	}
	if rms := heard(b); math.Abs(rms-DefaultLoudness.RMS) > 0.5 || math.Abs(rms-heard(now)) > 0.01 || b.Bytes() != before+32000 {
		t.Errorf("%.1f dBFS, %.1f where it is heard through at once; %d bytes, %d before", rms, heard(now), b.Bytes(), before)
	}
	if rms := listen(); math.Abs(rms-DefaultLoudness.RMS) > 0.5 {
		t.Errorf("%.1f dBFS in the round after it was levelled", rms)
	}
	if errs := b.Prove(); len(errs) != 1 || b.Bytes() != before+32000 {
		t.Errorf("once more: %v, %d bytes", errs, b.Bytes())
	}
	again, _ := load(true)
	done := make(chan struct{})
	go func() { defer close(done); again.Prove() }()
	for range 50 {
		heard(again)
	}
	<-done
	if took, err := again.clips[clipKey{"loud", Mandarin}].level(BankRate, 0); took != 0 || err != nil {
		t.Errorf("what is levelled takes %d bytes more, %v", took, err)
	}
	c, _ := load(true)
	if x := c.clips[clipKey{"loud", Mandarin}]; x.proven() != nil {
		t.Error(x.bad)
	} else if took, err := x.level(BankRate, 31999); took != 0 || phrase.Of(err).Code != "speech.clips.memory" {
		t.Errorf("without room for it: %d bytes, %v", took, err)
	}
}

func TestABankStaysWithinItsMemory(t *testing.T) {
	fsys := fstest.MapFS{}
	f := wavOf(t, hum(16000, 59*time.Second, -14))
	for i := range 20 {
		fsys["c/x"+string(rune('a'+i))+".cmn.wav"] = f
	}
	b, errs := LoadBank(fsys, "c", BankOpts{})
	if b.Bytes() > maxBankBytes || len(errs) == 0 {
		t.Errorf("%d bytes, %v", b.Bytes(), errs)
	}
}

func TestABadScriptIsRefusedWithItsPlace(t *testing.T) {
	for text, want := range map[string]string{
		"version: 3\n":                                          "clips.yaml:1:10",
		"version: 1\nclips:\n  a: {zh: 字}\n":                    "clips.yaml:3",
		"version: 1\nclips:\n  a: {zh: 字, en: x, fr: y}\n":      "clips.yaml:3",
		"version: 1\nclips:\n  ../a: {zh: 字, en: x}\n":          "clips.yaml",
		"version: 1\nclips:\n  say-a: {zh: 字, en: x}\n":         "clips.yaml:3",
		"version: 1\npieces:\n  a: {zh: 字, en: x}\n":            "clips.yaml:3",
		"version: 1\nloudness: {rms: 3, peak: -3}\nclips: {}\n": "clips.yaml:2",
	} {
		_, err := LoadScript(fstest.MapFS{"clips.yaml": {Data: []byte(text)}}, "clips.yaml")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := LoadScript(fstest.MapFS{}, "clips.yaml"); err == nil {
		t.Error("no file is no error")
	}
}
