package station

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/configs"
	"tocsin/drivers"
	"tocsin/firmware/decide/alert/compact"
	"tocsin/firmware/decide/plan"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/speech"
	"tocsin/firmware/trust"
)

func TestASentenceIsPutTogetherOfWhatIsThere(t *testing.T) {
	both := []speech.Lang{"cmn", "yue"}
	for name, c := range map[string]struct {
		cmn, yue string
		gone     []string
		langs    []speech.Lang
		clips    string
		missing  string
	}{
		"the same in both":                {"a , b", "a , b", nil, both, "a , b", ""},
		"a piece of one language":         {"a b c", "a d c", nil, both, "a b.cmn d.yue c", ""},
		"of different lengths":            {"a b", "a , c d", nil, both, "a.cmn b.cmn a.yue , c.yue d.yue", ""},
		"one language":                    {"a b", "x", nil, both[:1], "a b", ""},
		"a place that is there":           {"to p|q", "to p|q", nil, both, "to p", ""},
		"a place without a clip":          {"to p|q", "to p|q", []string{"p"}, both, "to q", ""},
		"a place without one in one":      {"to p|q", "to p|q", []string{"p.yue"}, both, "to p.cmn q.yue", ""},
		"nor a generic one":               {"to p|q", "to p|q", []string{"p", "q"}, both, "", "q.cmn q.yue"},
		"an area that may be left out":    {"a , x| , b", "a , x| , b", []string{"x"}, both, "a , b", ""},
		"a piece missing in one language": {"a b", "a b", []string{"b.yue"}, both, "a.cmn b.cmn plan.yue", "b.yue"},
		"missing in both":                 {"a b", "a b", []string{"a"}, both, "", "a.cmn a.yue"},
		"a language without numbers":      {"a b", "", nil, both, "a.cmn b.cmn plan.yue", "*.yue"},
		"nothing to say":                  {"", "", nil, both, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			say := map[string][]string{}
			for l, s := range map[string]string{"cmn": c.cmn, "yue": c.yue} {
				if s != "" {
					say[l] = strings.Fields(s)
				}
			}
			has := func(id string, l speech.Lang) bool {
				return !slices.Contains(c.gone, id) && !slices.Contains(c.gone, id+"."+string(l))
			}
			clips, missing := spoken(say, c.langs, has, []string{"plan"})
			if got := strings.Join(clips, " "); got != c.clips {
				t.Errorf("%q, want %q", got, c.clips)
			}
			if got := strings.Join(missing, " "); got != c.missing {
				t.Errorf("missing %q, want %q", got, c.missing)
			}
		})
	}
}

// shippedClip reads a clip as it is shipped.
func shippedClip(t *testing.T, name string) []int16 {
	t.Helper()
	b, err := configs.FS.ReadFile("clips/" + name + ".wav")
	if err != nil {
		t.Fatal(err)
	}
	p, err := speech.ReadWAV(bytes.NewReader(b))
	if err != nil || p.Rate != speech.BankRate {
		t.Fatalf("%s: %v, %d Hz", name, err, p.Rate)
	}
	return p.Samples
}

// follow finds clips in a sound, sample by sample, one behind the other, and gives the silence before each, in samples: what
// lies between two and what is next to silent at their ends.
func follow(t *testing.T, sound []int16, from int, clips []string) (gaps []int, end int) {
	t.Helper()
	at, tail := from, 0
	for _, name := range clips {
		c := shippedClip(t, name)
		i := at
		for ; i+len(c) <= len(sound) && !slices.Equal(sound[i:i+len(c)], c); i++ {
		}
		if i+len(c) > len(sound) {
			t.Fatalf("%s is not heard behind %.2f s", name, float64(at)/speech.BankRate)
		}
		_, peak := speech.Measure(c)
		still := func(v int16) bool { return float64(max(v, -v)) < 32768*0.01*math.Pow(10, peak/20) }
		lead := slices.IndexFunc(c, func(v int16) bool { return !still(v) })
		gaps = append(gaps, tail+i-at+lead)
		tail = 0
		for tail < len(c) && still(c[len(c)-1-tail]) {
			tail++
		}
		at = i + len(c)
	}
	return gaps, at
}

// What the loudspeaker plays for 68 mm in an hour is the bank's clips, in order and nothing between
// them but short pauses, as loud as the bank.
func TestWhatIsHeardOfATemplateIsItsClipsInOrder(t *testing.T) {
	tables, err := compact.LoadTables(configs.FS)
	if err != nil {
		t.Fatal(err)
	}
	tones, err := speech.LoadTones(configs.FS, "tones.yaml", false)
	if err != nil {
		t.Fatal(err)
	}
	langs := []speech.Lang{speech.Mandarin, speech.Cantonese}
	bank, errs := speech.LoadBank(configs.FS, "clips", speech.BankOpts{IDs: []string{"drill"}, Pieces: true, Langs: langs})
	if len(errs) > 1 { // the test's words are not asked for, and are there
		t.Fatal(errs)
	}
	w := compact.Warning{Template: 2, Event: 3, Severity: 3, P: 68, Q: 1, Area: compact.Area{Digits: 103201}}
	clips, missing := spoken(tables.Speech(w, 20000, "441882", time.UTC), langs, bank.Has, nil)
	if len(missing) > 0 {
		t.Fatal(missing)
	}
	p, err := speech.Composer{Bank: bank, Tones: tones}.Compose(speech.Content{Tone: "evacuate", Clips: clips, Langs: langs, Repeat: 1})
	if err != nil || len(p.Problems()) > 0 {
		t.Fatal(err, p.Problems())
	}
	var sound []int16
	buf := make([]int16, 8000)
	for r, done, n := p.Samples(drivers.Format{Rate: speech.BankRate, Channels: 1}), false, 0; !done; {
		n, done = r.Read(buf)
		sound = append(sound, buf[:n]...)
	}
	words := strings.Fields("say-attention say-issued say-flash-flood say-red say-warning say-huangdu say-one-hour say-has-rained say-6 say-10 say-8 say-mm say-flood-now say-danger-zone say-go-to say-village-school say-no-return")
	tone, _ := tones.Get("evacuate")
	at := int(tone.Lead.Seconds() * speech.BankRate)
	total := 0
	for _, l := range langs {
		var named []string
		for _, x := range words {
			named = append(named, x+"."+string(l))
			total += len(shippedClip(t, x+"."+string(l)))
		}
		gaps, end := follow(t, sound, at, named)
		for i, g := range gaps[1:] {
			if ms := g * 1000 / speech.BankRate; ms > 250 {
				t.Errorf("%d ms of silence before %s", ms, named[i+1])
			}
		}
		if rms, peak := speech.Measure(sound[at+gaps[0] : end]); rms < -18.5 || rms > -15 || peak > -2.9 {
			t.Errorf("%s: %.1f dBFS RMS, %.1f dBFS peak", l, rms, peak)
		}
		at = end
	}
	if rest := sound[at:]; slices.ContainsFunc(rest, func(v int16) bool { return v != 0 }) {
		t.Error("something is said behind the last clip")
	}
	t.Logf("%.1f s in all, %.1f s of it clips, %d bytes of bank", p.Round().Seconds(), float64(total)/speech.BankRate, bank.Bytes())
}

// Each template, with the numbers that take longest, is said whole in the time that the shipped plan gives.
func TestEveryTemplateFitsIntoItsTurn(t *testing.T) {
	tables, err := compact.LoadTables(configs.FS)
	if err != nil {
		t.Fatal(err)
	}
	tones, err := speech.LoadTones(configs.FS, "tones.yaml", false)
	if err != nil {
		t.Fatal(err)
	}
	langs := []speech.Lang{speech.Mandarin, speech.Cantonese}
	bank, _ := speech.LoadBank(configs.FS, "clips", speech.BankOpts{Pieces: true, Langs: langs})
	levels, err := plan.LoadLevels(configs.FS, "levels.yaml")
	if err != nil {
		t.Fatal(err)
	}
	pl, err := plan.Load(configs.FS, "plans/"+warnedPlan+".yaml", levels)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range tables.Spoken() {
		w := compact.Warning{Template: n, Event: 20, Severity: 3, Start: 15*60 + 57, Duration: 12, P: 233, Q: 125, Area: compact.Area{Mode: compact.Listed, Row: 1}}
		k, most := speech.Content{Tone: pl.Notice.Tone, Langs: langs, Repeat: 1}, pl.Notice.For.Duration()
		if w.Type = compact.Alert; tables.Speech(w, 20000, "441882", siteZone()) == nil {
			w.Type = compact.Drill
		}
		for _, drill := range []bool{false, true} {
			if drill {
				k.Kind, k.Tone, most, w.Type = speech.Drill, pl.Drill.Tone, pl.Drill.For.Duration(), compact.Drill
			} else if w.Type == compact.Drill {
				continue
			}
			clips, missing := spoken(tables.Speech(w, 20000, "441882", siteZone()), langs, bank.Has, nil)
			if len(missing) > 0 {
				t.Errorf("%d: %v", n, missing)
			}
			k.Clips = clips
			p, err := speech.Composer{Bank: bank, Tones: tones}.Compose(k)
			if err != nil || len(p.Problems()) > 0 {
				t.Fatal(err, p.Problems())
			}
			if p.Round() > most {
				t.Errorf("%d takes %v (drill %v), and has %v", n, p.Round().Round(time.Second/10), drill, most)
			}
		}
	}
}

// A compact warning is said in its own words, also after an update, a restart and as a drill, and its end in the plan's.
func TestACompactWarningIsSpokenInItsOwnWords(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	newOffice(t, w)
	key, err := trust.NewSigner(trust.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := trust.PublicPEM(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	w.write("narrow.pub", string(pub))
	raw, err := configs.FS.ReadFile("alerts/compact.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// A piece that nobody recorded, and a place whose name the site says itself, in Mandarin.
	w.write("alerts/compact.yaml", strings.NewReplacer("say-rising ,", "say-not-recorded ,", ", clip: say-town-school}", "}").Replace(string(raw)))
	own, err := configs.FS.ReadFile("clips/say-town-school.cmn.wav")
	if err != nil {
		t.Fatal(err)
	}
	w.write("clips/say-place-441882-4.cmn.wav", string(own))
	w.text = strings.NewReplacer("    issuers:\n", `    issuers:
      narrow:
        name: {zh: 窄带, en: Narrow}
        senders: [narrow@example]
        keys: [{file: narrow.pub}]
        grant: {kinds: [real, drill], most_level: evacuate, areas: ["4418"]}
        compact: {number: 7, region: "441882", sender: narrow@example}
`, "languages: [cmn]", "languages: [cmn, yue]", "inputs:\n", "  horn: {kind: loudspeaker, file: "+filepath.Join(w.dir, "horn")+"}\ninputs:\n").Replace(w.text)
	w.write("site.yaml", w.text)
	if _, ps := Load(filepath.Join(w.dir, "site.yaml")); !slices.ContainsFunc(ps, func(p config.Problem) bool { return strings.Contains(p.In(phrase.EN), "say-not-recorded") }) {
		t.Error("the check does not say which piece is missing")
	}
	w.start()

	now := time.Now().UTC()
	warn := compact.Warning{Type: compact.Alert, Issuer: 7, Chain: compact.Chain{DayBits: uint8(compact.DayOf(now) & 7), Serial: 12}, Event: 3, Severity: 3, Certainty: 1,
		Start: uint16(now.Hour()*60 + now.Minute()), Duration: 11, Area: compact.Area{Mode: compact.Division, Digits: 103201}, Template: 2, P: 68, Q: 1}
	send := func(x compact.Warning) *job {
		t.Helper()
		b, err := compact.Sign(x, key, compact.DayOf(now), "441882")
		if err != nil {
			t.Fatal(err)
		}
		j := &job{way: "link sky", compact: true}
		if err := w.house.Load().county.bring(context.Background(), b, wayAir, j); err != nil {
			t.Fatal(err)
		}
		return j
	}
	heard := func(what, want string) {
		t.Helper()
		var said string
		defer func() {
			if t.Failed() {
				t.Logf("said: %s", said)
			}
		}()
		w.until(what, func() bool {
			h := w.house.Load()
			h.mu.RLock()
			p := h.sounded
			h.mu.RUnlock()
			if p == nil {
				return false
			}
			said = strings.Join(p.Said(), " ")
			return said == want
		})
	}
	in := func(cmn, yue string) string {
		var all []string
		for l, words := range map[string]string{"1cmn": cmn, "2yue": yue} {
			for i, id := range strings.Fields(words) {
				all = append(all, fmt.Sprintf("%s %03d %s.%s", l, i, id, l[1:]))
			}
		}
		slices.Sort(all)
		for i, s := range all {
			all[i] = s[strings.LastIndex(s, " ")+1:]
		}
		return strings.Join(all, " ")
	}
	before, behind := "say-attention say-issued say-flash-flood say-red say-warning say-huangdu say-one-hour say-has-rained ", " say-mm say-flood-now say-danger-zone say-go-to say-village-school say-no-return"
	words := before + "say-6 say-10 say-8" + behind
	drill := warn
	drill.Type, drill.Chain.Serial = compact.Drill, 13
	send(drill)
	heard("a drill, that says so before and after", in("drill", "drill")+" "+in(words, words)+" "+in("drill", "drill"))

	if j := send(warn); !j.verdict.Trusted {
		t.Fatalf("%+v", j.verdict)
	}
	heard("68 mm", in(words, words))
	var wav bytes.Buffer
	if ok, err := w.house.Load().LastSound(&wav); !ok || err != nil {
		t.Fatal(ok, err)
	}
	p, err := speech.ReadWAV(&wav)
	if err != nil {
		t.Fatal(err)
	}
	follow(t, p.Samples, 0, strings.Fields(in(words, words)))
	w.until("the horn plays", func() bool { _, err := os.Stat(filepath.Join(w.dir, "horn", "latest.wav")); return err == nil })
	a := w.warning("evacuate", "raised")
	if said := fmt.Sprint(w.recorded("receipt.started", a.ID).Body["said"]); !strings.Contains(said, "say-6 say-10 say-8 say-mm") {
		t.Errorf("the journal does not keep what was said: %s", said)
	}

	update := warn
	update.Type, update.Sequence, update.P, update.Q = compact.Update, 1, 105, 4
	send(update)
	mandarin, cantonese := strings.Replace(behind, "say-village-school", "say-place-441882-4", 1), strings.Replace(behind, "say-village-school", "say-agreed-place", 1)
	more := in(before+"say-yi4 say-100 say-0 say-5"+mandarin, before+"say-1 say-100 say-0 say-5"+cantonese)
	heard("105 mm", more)
	w.halt()
	w.start()
	heard("105 mm after a restart", more)

	later := func(x compact.Warning) compact.Warning {
		if x.Start++; x.Start >= 24*60 {
			x.Start = 24*60 - 1
		}
		return x
	}
	send(later(compact.Warning{Type: compact.Cancel, Issuer: 7, Chain: warn.Chain, Start: warn.Start, Template: warn.Template}))
	heard("the end", "county-all-clear.cmn county-all-clear.yue")

	// A piece that is not there: the plan's words, and a finding that says which.
	river := warn
	river.Template, river.Chain.Serial, river.P = 4, 14, 15
	j := send(river)
	heard("the plan's words", "county-evacuate.cmn county-evacuate.yue")
	if !slices.ContainsFunc(j.verdict.Reasons, func(r api.Reason) bool { return strings.Contains(r.Text.EN, "say-not-recorded.yue") }) {
		t.Errorf("%+v", j.verdict.Reasons)
	}
}
