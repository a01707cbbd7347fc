package station

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/decide/command"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/audit"
)

const managedPart = `managed:
  by: {zh: 县防汛指挥部, en: county flood control}
  since: "2026-05-12"
  paths: [/rules/gas] # by order
`

// newManaged is a town whose gas rule is the county's, in which an override may be short.
func newManaged(t *testing.T) *town {
	w := newTown(t)
	w.write("managed.yaml", "version: 1\noverride: {least: 1s, most: 72h}\n")
	w.write("secrets/county.key", strings.Repeat("5a", 32)+"\n")
	w.write("secrets/psk", strings.Repeat("7e", 32)+"\n")
	for _, f := range []string{"county.key", "psk"} {
		if err := os.Chmod(filepath.Join(w.dir, "secrets", f), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.text = strings.Replace(w.text, "page:", "county: {number: 17, root: secrets/county.key}\nlinks: {satellite: {kind: datagrams, servers: [\"127.0.0.1:9\"], psk: secrets/psk}}\npage:", 1) + managedPart
	w.write("site.yaml", w.text)
	return w
}

func (w *town) inForce() string {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.dir, "site.yaml"))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

func (w *town) base() (r api.RevisionText) {
	w.t.Helper()
	if err := w.get("/config/revisions/0", &r); err != nil {
		w.t.Fatal(err)
	}
	return r
}

// kinds counts the journal's records of a kind that say something.
func (w *town) kinds(kind, says string) (n int) {
	w.t.Helper()
	for _, r := range w.journal() {
		if r.Kind == kind && strings.Contains(r.Text.EN, says) {
			n++
		}
	}
	return n
}

func TestACountysSettingIsOverriddenForAWhileAndFallsBackByItself(t *testing.T) {
	t.Parallel()
	w := newManaged(t)
	w.start()
	w.until("the revisions", func() bool { var r api.RevisionText; return w.get("/config/revisions/0", &r) == nil })
	base := w.base()
	if m := base.Managed; m == nil || m.By.ZH != "县防汛指挥部" || len(m.Settings) != 1 || m.Settings[0].Path != "/rules/gas" || m.Most != 72*time.Hour {
		t.Fatalf("%+v", m)
	}
	changed := strings.Replace(w.text, "prepare: 20 %LEL", "prepare: 35 %LEL", 1)
	var j api.Judgement
	if code := w.asks("/config/check", map[string]string{"document": changed}, &j); code != "" || !j.Good || len(j.Managed) != 1 || j.Managed[0].Path != "/rules/gas/any_of/0/prepare" {
		t.Fatalf("%s %+v", code, j)
	}
	p := api.Proposal{Base: base.Number, Document: changed, Who: "王工", Why: "探头标定"}
	for name, c := range map[string]struct {
		change func(*api.Proposal)
		code   string
	}{
		"as any other":           {func(*api.Proposal) {}, "managed.refused"},
		"for too long":           {func(p *api.Proposal) { p.Override = 73 * time.Hour }, "managed.lasts"},
		"shorter than its trial": {func(p *api.Proposal) { p.Override, p.Within, p.Session = time.Minute, 2*time.Minute, "s" }, "managed.trial"},
		"without the mark":       {func(p *api.Proposal) { p.Document = strings.Replace(changed, managedPart, "", 1) }, "managed.touched"},
		"with nothing to bound": {func(p *api.Proposal) {
			p.Document, p.Override = strings.Replace(w.text, "黄渡村", "黄渡", 1), time.Hour
		}, "managed.none"},
		"by an override by hand": {func(p *api.Proposal) {
			p.Document = changed + "  overrides: [{path: /rules/gas/any_of/0/prepare, county: 20 %LEL, who: a, why: b, from: 2026-01-01T00:00:00Z, until: 2026-01-02T00:00:00Z}]\n"
		}, "managed."},
	} {
		q := p
		c.change(&q)
		if code := w.asks("/config", q, nil); !strings.HasPrefix(code, c.code) {
			t.Errorf("%s: %q", name, code)
		}
	}
	// A level stands; the override would not have raised it.
	w.v.Gas.Set(gasPrepare)
	a := w.raised("gas", "prepare")
	p.Override = 8 * time.Second
	if code := w.asks("/config", p, nil); code != "" {
		t.Fatal(code)
	}
	w.until("the override in force", func() bool {
		return strings.Contains(w.log.String(), "reloaded") && strings.Contains(w.inForce(), "prepare: 35 %LEL")
	})
	if v := w.base().Managed; v == nil || len(v.Overrides) != 1 || v.Overrides[0].Who != "王工" || v.Overrides[0].County != "20 %LEL" {
		t.Errorf("%+v", v)
	}
	w.until("the county's value back", func() bool { return w.inForce() == w.text })
	w.until("its end told", func() bool { return w.kinds("config.override_ended", "is over") == 1 })
	if got, ok := w.alarm("gas"); !ok || got.ID != a.ID || got.Level != "prepare" || got.State != "raised" {
		t.Errorf("the level that stood is %+v", got)
	}
	told := 0
	for _, r := range w.journal() {
		if strings.HasPrefix(r.Kind, "config.override") && r.Body["name"] != nil {
			told++
		}
	}
	if told != 2 || w.kinds("config.override", "王工 has overridden") != 1 {
		t.Errorf("the county was told %d times", told)
	}
	audited := 0
	var entries []audit.Entry
	if err := w.get("/audit", &entries); err == nil {
		for _, e := range entries {
			if e.Target == "/rules/gas/any_of/0/prepare" {
				audited++
			}
		}
	}
	if audited != 2 {
		t.Errorf("%d of begin and end are in the audit", audited)
	}
	if r := w.base(); r.By != "lapsed" || r.Managed == nil || len(r.Managed.Overrides) != 0 {
		t.Errorf("%+v", r.Revision)
	}
}

func TestAnOverrideEndsAlsoWhereTheBoxWasOffMeanwhile(t *testing.T) {
	t.Parallel()
	w := newManaged(t)
	w.start()
	w.until("the revisions", func() bool { var r api.RevisionText; return w.get("/config/revisions/0", &r) == nil })
	p := api.Proposal{Base: w.base().Number, Document: strings.Replace(w.text, "prepare: 20 %LEL", "prepare: 35 %LEL", 1), Who: "王工", Why: "探头标定", Override: 6 * time.Second}
	if code := w.asks("/config", p, nil); code != "" {
		t.Fatal(code)
	}
	w.until("the override told", func() bool {
		return w.kinds("config.override", "35") == 0 && w.kinds("config.override", "overridden") == 1
	})
	w.halt()
	w.start()
	w.until("the county's value back", func() bool { return w.inForce() == w.text })
	w.until("its end told", func() bool { return w.kinds("config.override_ended", "is over") == 1 })
	if n := w.kinds("config.override", "overridden"); n != 1 {
		t.Errorf("the county was told %d times that it began", n)
	}
}

func TestTheCountysNextDocumentReplacesAnOverride(t *testing.T) {
	t.Parallel()
	w, county, _ := newDesks(t)
	w.text += managedPart
	w.write("site.yaml", w.text)
	w.start()
	w.until("the revisions", func() bool { var r api.RevisionText; return w.get("/config/revisions/0", &r) == nil })
	p := api.Proposal{Base: w.base().Number, Document: strings.Replace(w.text, "prepare: 20 %LEL", "prepare: 35 %LEL", 1), Who: "王工", Why: "探头标定", Override: time.Hour}
	if code := w.asks("/config", p, nil); code != "" {
		t.Fatal(code)
	}
	w.until("the override told", func() bool { return w.kinds("config.override", "overridden") == 1 })
	next := strings.Replace(w.text, "prepare: 20 %LEL", "prepare: 25 %LEL", 1)
	var said api.Text
	w.hand("/documents", "application/yaml", []byte(next), &said)
	wantedVerdict{accepted: true}.check(t, "the county's document", county.orders(command.Payload{Scope: command.Configuration, Content: contentOf(next)}))
	w.until("the county's document in force", func() bool { return w.inForce() == next })
	w.until("the override's end told", func() bool { return w.kinds("config.override_ended", "new document") == 1 })
	if m := w.base().Managed; m == nil || m.Revision != w.base().Number || len(m.Overrides) != 0 {
		t.Errorf("%+v", m)
	}
}
