package main

import (
	"encoding/csv"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
)

// HistoryCmd prints or exports what was measured at one point. A gap is a line of
// its own, with its quality and why.
type HistoryCmd struct {
	Point string `arg:"" help:"测点，如 river.level · The point"`
	From  string `help:"起：2026-06-14、2026-06-14T08:00、08:00，或 24h、7d（多久以前） · Begin; 24h is 24 hours ago" default:"24h" placeholder:"TIME"`
	To    string `help:"止，默认现在 · End, now by default" default:"now" placeholder:"TIME"`
	CSV   bool   `name:"csv" help:"输出 CSV，每个测值一行 · Export CSV, each value a line"`
	BOM   bool   `name:"bom" help:"CSV 加 UTF-8 标记，Excel 直接打开不乱码 · Begin the CSV with a UTF-8 mark, for spreadsheet programs"`
	JSON  bool   `name:"json" help:"输出 JSON，一行一条 · Print JSON, one value a line"`
	Most  int    `help:"汇总成最多几段（最小、最大、平均）；0 为每个测值 · Sum up in that many rows at most; 0 is each value" default:"0"`
}

// glance is how many rows are printed where nobody asks for more.
const glance = 48

// Run prints.
func (c *HistoryCmd) Run(g *Globals) error {
	now := time.Now()
	from, ok := parseWhen(c.From, now)
	if !ok {
		return &clientError{phrase.E("history.time", "text", api.Clean(c.From, 64)), exitRefused}
	}
	to, ok := parseWhen(c.To, now)
	if !ok {
		return &clientError{phrase.E("history.time", "text", api.Clean(c.To, 64)), exitRefused}
	}
	most := min(max(c.Most, 0), api.HistoryMost)
	if most == 0 && !c.CSV && !c.JSON {
		most = glance
	}
	var w rows
	switch {
	case c.JSON:
		w = &jsonRows{g}
	case c.CSV:
		w = newCSVRows(g.out(), g.lang(), c.BOM, most > 0)
	default:
		w = &tableRows{g: g}
	}
	for {
		q := url.Values{"from": {from.Format(time.RFC3339Nano)}, "to": {to.Format(time.RFC3339Nano)}, "most": {strconv.Itoa(most)}}
		if most == 0 {
			q.Set("raw", "true")
			q.Set("most", strconv.Itoa(api.HistoryMost))
		}
		var h api.History
		if err := g.get("/history/"+url.PathEscape(c.Point)+"?"+q.Encode(), nil, &h); err != nil {
			return err
		}
		if err := w.page(h); err != nil {
			return err
		}
		if h.Next == nil || !h.Next.After(from) {
			return w.end()
		}
		from = *h.Next
	}
}

// whens are the ways to write an instant in local time.
var whens = []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02"}

// parseWhen reads an instant: a date with or without a time, a time of today, a
// length of time before now, or now.
func parseWhen(s string, now time.Time) (time.Time, bool) {
	s = strings.TrimSpace(s)
	if s == "" || s == "now" || s == "现在" {
		return now, true
	}
	if d, err := point.ParseSpan(strings.TrimPrefix(s, "-")); err == nil {
		t := now.Add(-d.Duration())
		return t, sane(t)
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, sane(t)
	}
	for _, f := range whens {
		if t, err := time.ParseInLocation(f, s, now.Location()); err == nil {
			return t, sane(t)
		}
	}
	for _, f := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(f, s); err == nil {
			y, m, d := now.Date()
			return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, now.Location()), true
		}
	}
	return time.Time{}, false
}

// sane holds an instant to what the box answers about.
func sane(t time.Time) bool { return t.Year() >= 1970 && t.Year() <= 9998 }

// rows takes an answer, page by page.
type rows interface {
	page(api.History) error
	end() error
}

type jsonRows struct{ g *Globals }

func (j *jsonRows) page(h api.History) error {
	for _, r := range h.Rows {
		if r.Unit == "" {
			r.Unit = h.Unit
		}
		if err := j.g.printLine(r); err != nil {
			return err
		}
	}
	return nil
}

func (j *jsonRows) end() error { return nil }

// csvRows writes a table after RFC 4180. Times are ISO 8601 in the local zone.
type csvRows struct {
	w      *csv.Writer
	lang   phrase.Lang
	sums   bool
	begun  bool
	header []phrase.Message
}

func newCSVRows(out io.Writer, l phrase.Lang, bom, sums bool) *csvRows {
	if bom {
		io.WriteString(out, "\ufeff")
	}
	c := &csvRows{w: csv.NewWriter(out), lang: l, sums: sums}
	c.w.UseCRLF = true
	c.header = []phrase.Message{phrase.M("history.col_at"), phrase.M("history.col_until")}
	if sums {
		c.header = append(c.header, phrase.M("history.col_mean"), phrase.M("history.col_min"), phrase.M("history.col_max"))
	} else {
		c.header = append(c.header, phrase.M("history.col_value"))
	}
	c.header = append(c.header, phrase.M("history.col_unit"), phrase.M("history.col_quality"), phrase.M("history.col_good"),
		phrase.M("history.col_why"), phrase.M("history.col_clock"))
	return c
}

// iso is how times are written.
const iso = "2006-01-02T15:04:05.000Z07:00"

func (c *csvRows) page(h api.History) error {
	if !c.begun {
		c.begun = true
		var head []string
		for _, m := range c.header {
			head = append(head, m.In(c.lang))
		}
		if err := c.w.Write(head); err != nil {
			return err
		}
	}
	for _, r := range h.Rows {
		cells := []string{r.At.Local().Format(iso), r.Until.Local().Format(iso), decimal(r.Value)}
		if c.sums {
			cells = append(cells, decimal(r.Min), decimal(r.Max))
		}
		unit, why := r.Unit, ""
		if unit == "" {
			unit = h.Unit
		}
		if r.Why != nil {
			why = phrase.Text{ZH: r.Why.ZH, EN: r.Why.EN}.In(c.lang)
		}
		cells = append(cells, harmless(unit), r.Quality.Message().In(c.lang), strconv.FormatFloat(r.Good, 'f', 3, 64),
			harmless(why), trustWord(r.Trust).In(c.lang))
		if err := c.w.Write(cells); err != nil {
			return err
		}
	}
	c.w.Flush()
	return c.w.Error()
}

func (c *csvRows) end() error { c.w.Flush(); return c.w.Error() }

func trustWord(code string) phrase.Message {
	switch code {
	case "set":
		return phrase.M("history.clock_set")
	case "held":
		return phrase.M("history.clock_held")
	}
	return phrase.M("history.clock_free")
}

// harmless makes text that a spreadsheet program would take for a formula text
// again.
func harmless(s string) string {
	if s = api.Clean(s, 500); s != "" && strings.ContainsRune("=+-@", rune(s[0])) {
		return "'" + s
	}
	return s
}

func decimal(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'f', -1, 64)
}

// tableRows prints for people.
type tableRows struct {
	g *Globals
	t table
	h api.History
}

func (p *tableRows) page(h api.History) error {
	l := p.g.lang()
	if p.t == nil {
		p.t = table{{phrase.M("history.col_at").In(l), phrase.M("history.col_mean").In(l), phrase.M("history.col_min").In(l),
			phrase.M("history.col_max").In(l), phrase.M("history.col_unit").In(l), phrase.M("history.col_quality").In(l), phrase.M("history.col_why").In(l)}}
	}
	p.h = h
	short := func(v *float64) string {
		if v == nil {
			return "—"
		}
		return strconv.FormatFloat(*v, 'g', 7, 64)
	}
	for _, r := range h.Rows {
		unit, why := r.Unit, ""
		if unit == "" {
			unit = h.Unit
		}
		if r.Why != nil {
			why = p.g.text(*r.Why)
		}
		p.t = append(p.t, []string{r.At.Local().Format("01-02 15:04:05"), short(r.Value), short(r.Min), short(r.Max), api.Clean(unit, 16), r.Quality.Message().In(l), why})
	}
	return nil
}

func (p *tableRows) end() error {
	if p.h.Trouble != nil {
		p.g.say(phrase.M("error.plain", "text", p.g.text(*p.h.Trouble)))
	}
	return p.t.write(p.g.out(), -1)
}
