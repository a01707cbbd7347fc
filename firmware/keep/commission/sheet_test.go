package commission

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/configs"
	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

func shipped(t *testing.T) *Table {
	t.Helper()
	table, err := Load(configs.FS)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func openIn(t *testing.T, dir string, step func(string) error) *Store {
	t.Helper()
	at := clock.Stamp{Boot: "b", Wall: time.Date(2026, 6, 14, 9, 0, 0, 0, time.UTC)}
	s, err := OpenStore(Opts{Dir: dir, Table: shipped(t), Now: func() clock.Stamp { at.Mono += time.Second; return at }, step: step})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func code(err error) string {
	var pe *phrase.Error
	errors.As(err, &pe)
	if pe == nil {
		return ""
	}
	return pe.Code
}

func TestAStepPassesOnlyWithAllThatItAsks(t *testing.T) {
	s := openIn(t, t.TempDir(), nil)
	pass := func(step string, things ...string) string {
		return code(s.Settle(step, Passed, "王", "", things))
	}
	if got := pass("earth"); got != "commission.lacks" {
		t.Errorf("nothing was entered: %q", got)
	}
	for v, want := range map[string]string{"12": "commission.lacks", "3,8": ""} {
		if err := s.Answer("earth", "王", map[string]string{"ohms": v, "instrument": "ZC-8 0417"}); err != nil {
			t.Fatal(err)
		}
		if got := pass("earth"); got != want {
			t.Errorf("%s Ω: %q, want %q", v, got, want)
		}
		if want == "" {
			break
		}
		continue
	}
	if err := s.Answer("earth", "王", map[string]string{"ohms": "3.8", "instrument": "ZC-8"}); code(err) != "commission.settled" && err != nil {
		t.Error(err)
	}
	if got := pass("rain", "rain.total"); got != "commission.lacks" {
		t.Errorf("a gauge that was not measured: %q", got)
	}
	if err := s.Begin("rain", "rain.total", Run{Mark: Mark{Who: "王"}, Base: 4}); err != nil {
		t.Fatal(err)
	}
	if got := pass("rain", "rain.total"); got != "commission.lacks" {
		t.Errorf("a measurement is under way: %q", got)
	}
	l := shipped(t).Steps[slices.IndexFunc(shipped(t).Steps, func(s Step) bool { return s.ID == "rain" })].Limits
	for _, c := range []struct {
		to   float64
		want string
	}{{9, "commission.lacks"}, {14.2, ""}} {
		if err := s.Take("rain", "王", map[string]Take{"rain.total": Bucket(l, 200, 0.2, 4, c.to)}); err != nil {
			t.Fatal(err)
		}
		if got := pass("rain", "rain.total"); got != c.want {
			t.Errorf("counted %v: %q, want %q", c.to-4, got, c.want)
		}
	}
	if got := code(s.Settle("place", Skipped, "王", "不想做", nil)); got != "commission.no_skip" {
		t.Errorf("a step that must be done was left out: %q", got)
	}
	if got := code(s.Settle("gas", Skipped, "王", " ", nil)); got != "commission.needs_reason" {
		t.Errorf("left out without a reason: %q", got)
	}
	if got := code(s.Settle("antenna", Passed, "王", "", nil)); got != "commission.lacks" {
		t.Errorf("without its photo: %q", got)
	}
}

func TestASettledStepIsOpenedBeforeItChanges(t *testing.T) {
	s := openIn(t, t.TempDir(), nil)
	if err := s.Settle("gas", Skipped, "王", "本站没有气体探头", nil); err != nil {
		t.Fatal(err)
	}
	if got := code(s.Answer("gas", "王", nil)); got != "commission.settled" {
		t.Errorf("%q", got)
	}
	if err := s.Settle("gas", Open, "王", "", nil); err != nil {
		t.Fatal(err)
	}
	if e := s.Sheet().Entries["gas"]; e.State != Open || e.Reason != "" {
		t.Errorf("%+v", e)
	}
}

func TestACutAtAnyInstantLeavesTheSheetBeforeOrAfter(t *testing.T) {
	cut := errors.New("the power is cut")
	acts := []struct {
		name string
		do   func(*Store) error
	}{
		{"answer", func(s *Store) error {
			return s.Answer("earth", "王", map[string]string{"ohms": "2.5", "instrument": "ZC-8"})
		}},
		{"begin", func(s *Store) error { return s.Begin("rain", "rain.total", Run{Mark: Mark{Who: "王"}, Base: 7}) }},
		{"photo", func(s *Store) error { _, err := s.AddPhoto("antenna", "王", photo(t, 40, 30)); return err }},
		{"settle", func(s *Store) error { return s.Settle("network", Skipped, "王", "没有链路", nil) }},
		{"anew", func(s *Store) error { return s.Anew("王") }},
	}
	for at := 1; ; at++ {
		dir, n := t.TempDir(), 0
		s := openIn(t, dir, func(string) error {
			if n++; n == at {
				return cut
			}
			return nil
		})
		var before, after Sheet
		died := false
		for _, a := range acts {
			before = s.Sheet()
			if err := a.do(s); err != nil {
				if !errors.Is(err, cut) {
					t.Fatalf("%s: %v", a.name, err)
				}
				died = true
				break
			}
			after = s.Sheet()
			if got := openIn(t, dir, nil).Sheet(); !reflect.DeepEqual(got, after) {
				t.Fatalf("after %s the disk has\n%+v\nwant\n%+v", a.name, got, after)
			}
		}
		if !died {
			return
		}
		again := openIn(t, dir, nil)
		got := again.Sheet()
		before.Next = got.Next // a photo's number that was never used
		if !reflect.DeepEqual(got, before) {
			t.Errorf("cut at step %d: the disk has\n%+v\nwant\n%+v", at, got, before)
		}
		for _, e := range got.Entries {
			for _, p := range e.Photos {
				if _, _, err := again.Picture(p.ID); err != nil {
					t.Errorf("cut at step %d: photo %s: %v", at, p.ID, err)
				}
			}
		}
		if left, _ := os.ReadDir(filepath.Join(dir, photosDir)); len(left) != len(got.Entries["antenna"].Photos) {
			t.Errorf("cut at step %d: %d photos lie there", at, len(left))
		}
	}
}

func TestADamagedSheetIsSetAside(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, sheetFile), []byte(`{"version":1,`), 0o600)
	s := openIn(t, dir, nil)
	if s.Broken == "" || len(s.Sheet().Entries["place"].Answers) != 0 {
		t.Errorf("broken %q", s.Broken)
	}
	if _, err := os.Stat(s.Broken); err != nil {
		t.Error(err)
	}
}

func TestPhotosAreBounded(t *testing.T) {
	s := openIn(t, t.TempDir(), nil)
	for range s.o.Table.Photos.Each {
		if _, err := s.AddPhoto("seals", "王", photo(t, 20, 20)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.AddPhoto("seals", "王", photo(t, 20, 20)); code(err) != "commission.photos_full" {
		t.Error(err)
	}
	s.o.Table.Photos.Quota = 600
	if _, err := s.AddPhoto("antenna", "王", photo(t, 20, 20)); code(err) != "commission.quota" {
		t.Error(err)
	}
	if _, _, err := s.Picture("../sheet.json"); code(err) != "commission.no_photo" {
		t.Error(err)
	}
}

func TestWhatIsMeasuredIsJudged(t *testing.T) {
	rain := Limits{Depth: 10, Funnel: 200, Within: 4}
	move := Limits{Within: 0.03, Least: 0.1}
	gas := Limits{Within: 20, Back: 20}
	has := func(x Take, code string) bool {
		return x.Text.Code == code || slices.ContainsFunc(x.More, func(m phrase.Message) bool { return m.Code == code })
	}
	for name, c := range map[string]struct {
		take Take
		good bool
		says string
	}{
		"ten millimetres":       {Bucket(rain, 200, 0.2, 100, 110), true, "commission.bucket_tips"},
		"one tip short":         {Bucket(rain, 200, 0.5, 100, 109.5), true, ""},
		"five percent short":    {Bucket(rain, 200, 0.2, 100, 109.5), false, "commission.bucket_less"},
		"twice":                 {Bucket(rain, 200, 0.2, 0, 20), false, "commission.bucket_more"},
		"stuck":                 {Bucket(rain, 200, 0.2, 5, 5), false, "commission.bucket_none"},
		"began anew":            {Bucket(rain, 200, 0.2, 100, 3), false, "commission.counter_back"},
		"moved up":              {Target(move, 0.5, 98.2, 98.71), true, ""},
		"reversed":              {Target(move, 0.5, 98.2, 97.7), false, "commission.moved_sign"},
		"frozen":                {Target(move, 0.5, 98.2, 98.2), false, "commission.moved_none"},
		"centimetres as metres": {Target(move, 0.5, 98.2, 148.2), false, "commission.moved_scale"},
		"bumped":                {Bump(gas, 2, 0, 1.9, 0.05, "%CH4"), true, ""},
		"poisoned":              {Bump(gas, 2, 0, 0.1, 0, "%CH4"), false, "commission.bump_none"},
		"weak":                  {Bump(gas, 2, 0, 1.2, 0, "%CH4"), false, "commission.bump_off"},
		"gas left":              {Bump(gas, 2, 0, 2.1, 1.4, "%CH4"), false, "commission.bump_left"},
	} {
		if c.take.Good != c.good || c.says != "" && !has(c.take, c.says) {
			t.Errorf("%s: good %v, %s %v", name, c.take.Good, c.take.Text.In(phrase.EN), c.take.More)
		}
	}
	if ml := round(Millilitres(10, 200), 0); ml != 314 {
		t.Errorf("10 mm in a 200 mm funnel are %v mL", ml)
	}
}

func TestATableThatProvesNothingIsRefused(t *testing.T) {
	head := "version: 1\nphotos: {each: 2, mib: 1, megapixels: 5, quota_mib: 4}\nsteps:\n"
	step := `  - {id: a, name: {zh: 甲, en: a}, `
	if _, err := Parse([]byte(head + step + "photos: 1}\n")); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"}", "photos: 9}", "measure: magic}", "measure: rain}", "ask: [{id: x, kind: number}]}", "colour: red, photos: 1}", "measure: restart, limits: {restart: moon, armed: 1m, most: 1h}}",
		"photos: 1}\n" + step + "photos: 1}"} {
		if _, err := Parse([]byte(head + step + bad + "\n")); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	if _, err := Parse([]byte(strings.Replace(head, "each: 2", "each: 2000", 1) + step + "photos: 1}\n")); err == nil {
		t.Error("2000 photos a step")
	}
}
