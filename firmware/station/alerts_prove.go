package station

import (
	"maps"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"tocsin/firmware/decide/alert"
	"tocsin/firmware/decide/alert/compact"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/trust"
)

// warnedPlan is the plan of warnings where the site names none.
const warnedPlan = "county-warning"

// The shortest and longest that a site may ask for.
const (
	feedOftenest   = 10 * time.Second
	folderOftenest = 500 * time.Millisecond
	warningLongest = 14 * 24 * time.Hour
	earlyMost      = time.Hour
)

// proveAlerts proves whom the site believes and by which ways it takes warnings.
// It comes before the plans are held against what there is, since it names one.
func (p *prover) proveAlerts() {
	a := p.site.Alerts
	store, faults := trust.New(a.Trust, p.fsys)
	for _, f := range faults {
		path := append([]any{"alerts", "trust"}, f.Path...)
		if f.Warning {
			p.warn(f.Message, path...)
		} else {
			p.problem(f.Message, path...)
		}
	}
	p.bp.Trust = store
	tables, err := alert.LoadTables(p.fsys)
	if err != nil {
		p.problem(phrase.M("site.bad_alert_tables", "detail", err), "alerts")
		return
	}
	p.bp.Alerts = tables
	if p.bp.Compact, err = compact.LoadTables(p.fsys); err != nil {
		p.problem(phrase.M("site.bad_alert_tables", "detail", err), "alerts")
		return
	}
	ways := len(a.Feeds) + len(a.Folders) + len(a.Sticks)
	if len(store.Issuers()) > 0 {
		name := a.Plan
		if name == "" {
			name = warnedPlan
		}
		p.bp.Warned = p.plan(name, "alerts", "plan")
		p.levelsOf(tables)
	} else if ways > 0 {
		p.warn(phrase.M("site.alerts_nobody"), "alerts")
	}
	if a.Longest.Duration() < 0 || a.Longest.Duration() > warningLongest {
		p.problem(phrase.M("site.alerts_longest", "most", point.Span(warningLongest).String()), "alerts", "longest")
	}
	if a.Early.Duration() < 0 || a.Early.Duration() > earlyMost {
		p.problem(phrase.M("site.alerts_early", "most", point.Span(earlyMost).String()), "alerts", "early")
	}
	if q := a.Quiet; q != nil {
		for key, t := range map[string]string{"from": q.From, "to": q.To} {
			if _, err := minuteOfDay(t); err != nil {
				p.problem(phrase.M("site.alerts_quiet", "got", t), "alerts", "quiet", key)
			}
		}
	}
	for i, g := range a.Groups {
		if !groupName.MatchString(g) {
			p.problem(phrase.M("site.alerts_group", "group", g), "alerts", "groups", i)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Feeds)) {
		p.feed(name, a.Feeds[name])
	}
	for kind, folders := range map[string]map[string]config.Folder{"folders": a.Folders, "sticks": a.Sticks} {
		for _, name := range slices.Sorted(maps.Keys(folders)) {
			f := folders[name]
			p.named("alerts."+kind, name)
			if !filepath.IsAbs(f.Path) {
				p.problem(phrase.M("site.alerts_path", "path", f.Path), "alerts", kind, name, "path")
			}
			if e := f.Every.Duration(); e != 0 && e < folderOftenest {
				p.problem(phrase.M("site.alerts_every", "least", point.Span(folderOftenest).String()), "alerts", kind, name, "every")
			}
			p.issuers(f.Issuers, "alerts", kind, name, "issuers")
		}
	}
}

var groupName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func (p *prover) feed(name string, f config.Feed) {
	p.named("alerts.feeds", name)
	at := func(m phrase.Message, key string) { p.problem(m, "alerts", "feeds", name, key) }
	if u, err := url.Parse(f.URL); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		at(phrase.M("site.feed_url", "url", config.Hide(f.URL)), "url")
	}
	if e := f.Every.Duration(); e != 0 && e < feedOftenest {
		at(phrase.M("site.alerts_every", "least", point.Span(feedOftenest).String()), "every")
	}
	if s := f.SilentAfter.Duration(); s != 0 && s < 2*max(f.Every.Duration(), feedOftenest) {
		at(phrase.M("site.feed_silent"), "silent_after")
	}
	p.issuers(f.Issuers, "alerts", "feeds", name, "issuers")
}

func (p *prover) issuers(names []string, path ...any) {
	for i, n := range names {
		if _, ok := p.site.Alerts.Trust.Issuers[n]; !ok {
			p.problem(phrase.M("site.no_issuer", "issuer", n, "issuers", strings.Join(slices.Sorted(maps.Keys(p.site.Alerts.Trust.Issuers)), "、")), append(path, i)...)
		}
	}
}

// minuteOfDay reads "22:00".
func minuteOfDay(s string) (int, error) {
	t, err := time.Parse("15:04", s)
	if err != nil {
		return 0, err
	}
	return t.Hour()*60 + t.Minute(), nil
}

// quietAt tells whether notices are not spoken at a time. Where the clock is not
// trusted there is no night.
func quietAt(q *config.Quiet, at time.Time) bool {
	if q == nil {
		return false
	}
	from, err1 := minuteOfDay(q.From)
	to, err2 := minuteOfDay(q.To)
	if err1 != nil || err2 != nil || from == to {
		return false
	}
	now := at.In(siteZone()).Hour()*60 + at.In(siteZone()).Minute()
	if from < to {
		return now >= from && now < to
	}
	return now >= from || now < to
}

// siteZone is China's, whose counties this box serves; the zones are compiled in.
func siteZone() *time.Location {
	z, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		return time.FixedZone("CST", 8*3600)
	}
	return z
}

// levelsOf holds the levels that the tables of warnings name against the site's.
func (p *prover) levelsOf(t *alert.Tables) {
	for _, code := range t.Levels() {
		if _, ok := p.bp.Levels.Level(code); !ok {
			p.problem(phrase.M("site.alerts_level", "level", code, "levels", strings.Join(p.bp.Levels.Codes(), "、")), "alerts")
		}
	}
}
