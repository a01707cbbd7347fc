package station

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/guard"
	"tocsin/firmware/keep/commission"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/paper"
)

// What a process that draws may take: a font of 5 MB is cut to what is used.
const (
	paperMemory = 160 << 20
	paperWithin = time.Minute
)

// DrawWord tells edged-desk to draw a PDF.
const DrawWord = "draw"

// drawer gives the program that draws and the fonts that lie on this board, or why no PDF
// can be made. Whether a font has Chinese and digits the drawing process finds out.
func (h *House) drawer() (program string, fonts []string, err error) {
	if program, err = Beside(DeskProgram); err != nil {
		return "", nil, err
	}
	fonts, err = paper.Fonts(h.commissioned.table.Fonts)
	return program, fonts, err
}

// Paper makes what is printed.
func (h *House) Paper(ctx context.Context, what, as string, lang phrase.Lang) (api.Paper, error) {
	if _, err := h.sheet(); err != nil {
		return api.Paper{}, err
	}
	var s paper.Sheet
	switch what {
	case "report":
		c, err := h.Commissioning()
		if err != nil {
			return api.Paper{}, err
		}
		s = h.reportSheet(c, lang)
	case "labels":
		s = h.labelSheet(lang)
	default:
		s = h.cardSheet(lang)
	}
	if as != "pdf" {
		b, err := paper.Page(s, "/page/paper.css")
		return api.Paper{Media: "text/html; charset=utf-8", Bytes: b}, err
	}
	b, err := h.draw(ctx, s)
	if err != nil {
		return api.Paper{}, err
	}
	return api.Paper{Media: "application/pdf", Name: fmt.Sprintf("%s-%s-%s.pdf", h.seen().bp.Doc.Site.Site.ID, what, h.clock.Now().Wall.Format("20060102")), Bytes: b}, nil
}

// draw makes a PDF in a process of its own.
func (h *House) draw(ctx context.Context, s paper.Sheet) ([]byte, error) {
	program, fonts, err := h.drawer()
	if err != nil {
		return nil, err
	}
	in, err := json.Marshal(paper.Order{Sheet: s, Fonts: fonts})
	if err != nil {
		return nil, err
	}
	var out, said bytes.Buffer
	cmd := exec.Command(program, DrawWord)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &said
	if err := h.guard.Child(ctx, "serve", "paper", cmd, guard.Caps{Memory: paperMemory, Nice: 10, Within: paperWithin}); err != nil {
		h.log.Error("drawing a PDF", "err", err, "said", fmt.Sprintf("%.500s", said.String()))
		return nil, phrase.E("paper.failed")
	}
	return paper.Drawn(out.Bytes())
}

// writer writes messages in one language.
type writer phrase.Lang

func (w writer) m(m phrase.Message) string { return m.In(phrase.Lang(w)) }

func (w writer) t(t api.Text) string {
	return phrase.Text{ZH: t.ZH, EN: t.EN}.In(phrase.Lang(w))
}

func (w writer) n(t phrase.Text) string { return t.In(phrase.Lang(w)) }

func (h *House) head(w writer) []paper.Fact {
	s, id, now := h.seen(), h.Identity(), h.clock.Now()
	p := s.bp.Doc.Site.Site
	facts := []paper.Fact{
		{Name: w.m(phrase.M("paper.site")), Value: w.n(named(p.Name, p.ID)) + "  " + p.ID},
		{Name: w.m(phrase.M("paper.printed")), Value: now.Wall.In(shanghai()).Format("2006-01-02 15:04")},
		{Name: w.m(phrase.M("paper.version")), Value: Version},
	}
	if len(p.At) == 2 {
		facts = append(facts, paper.Fact{Name: w.m(phrase.M("paper.position")), Value: fmt.Sprintf("%.5f, %.5f", p.At[0], p.At[1])})
	}
	if id.Key != "" {
		facts = append(facts, paper.Fact{Name: w.m(phrase.M("paper.key")), Value: id.Key})
	}
	return facts
}

func shanghai() *time.Location {
	if z, err := time.LoadLocation("Asia/Shanghai"); err == nil {
		return z
	}
	return time.FixedZone("CST", 8*3600)
}

func when(t time.Time) string { return t.In(shanghai()).Format("2006-01-02 15:04") }

func (h *House) reportSheet(c api.Commissioning, lang phrase.Lang) paper.Sheet {
	w := writer(lang)
	s := paper.Sheet{Lang: lang, Title: w.m(phrase.M("paper.report")), Good: c.Commissioned, Facts: h.head(w), Foot: w.m(phrase.M("paper.foot", "number", c.Number)),
		Sign: []string{w.m(phrase.M("paper.sign_installer")), w.m(phrase.M("paper.sign_village")), w.m(phrase.M("paper.sign_county"))}}
	s.Verdict = w.m(phrase.M("paper.commissioned"))
	if !c.Commissioned {
		var left []string
		for _, st := range c.Steps {
			if st.Applies && st.State != string(commission.Passed) && st.State != string(commission.Skipped) {
				left = append(left, w.n(st.Name))
			}
		}
		s.Verdict = w.m(phrase.M("paper.not_commissioned", "left", strings.Join(left, map[bool]string{true: "、", false: ", "}[lang == phrase.ZH])))
	}
	for i, st := range c.Steps {
		p := paper.Part{Title: fmt.Sprintf("%d. %s", i+1, w.n(st.Name))}
		switch {
		case !st.Applies:
			p.Mark, p.Note = w.m(verdictTexts[commission.Skipped]), w.m(phrase.M("paper.none_here"))
		case st.State == string(commission.Open):
			p.Mark, p.Bad = w.m(phrase.M("paper.open")), true
		default:
			p.Mark = w.m(verdictTexts[commission.State(st.State)])
			p.Good, p.Bad = st.State == string(commission.Passed), st.State == string(commission.Failed)
			p.Note = st.Who + "  " + when(*st.At)
			if st.Reason != "" {
				p.Note += "  " + st.Reason
			}
		}
		for _, t := range st.Things {
			if t.Take == nil {
				continue
			}
			verdict := w.m(phrase.M("paper.good"))
			if !t.Take.Good {
				verdict = w.m(phrase.M("paper.bad"))
			}
			p.Lines = append(p.Lines, fmt.Sprintf("%s: %s — %s (%s, %s)", w.n(t.Name), w.t(t.Take.Text), verdict, t.Take.Who, when(t.Take.At)))
			for _, m := range t.Take.More {
				p.Lines = append(p.Lines, "    "+w.t(m))
			}
		}
		for _, q := range st.Ask {
			if q.Answer == "" {
				continue
			}
			a := q.Answer
			switch {
			case q.Kind == "tick" && a == "yes":
				a = w.m(phrase.M("paper.yes"))
			case q.Kind == "tick":
				a = w.m(phrase.M("paper.no"))
			case q.Kind == "choice":
				a = strings.ToUpper(a)
			}
			p.Lines = append(p.Lines, w.n(q.Name)+": "+strings.TrimSpace(a+" "+q.Unit))
		}
		for _, x := range st.Photos {
			p.Shots = append(p.Shots, paper.Shot{URL: "/api/v1/commissioning/photos/" + x.ID, File: filepath.Join(h.o.Data, commissionDir, "photos", x.ID), Kind: map[bool]string{true: "png", false: "jpeg"}[strings.HasSuffix(x.ID, ".png")],
				Width: x.Width, Height: x.Height, Text: x.Who + " " + when(x.At)})
		}
		s.Parts = append(s.Parts, p)
	}
	return s
}

// labelSheet is one label for each line, device, output and input.
func (h *House) labelSheet(lang phrase.Lang) paper.Sheet {
	w, s := writer(lang), h.seen()
	x := paper.Sheet{Lang: lang, Title: w.m(phrase.M("paper.labels")), Foot: w.n(named(s.bp.Doc.Site.Site.Name, s.bp.Doc.Site.Site.ID))}
	for _, l := range s.bp.Lines {
		x.Labels = append(x.Labels, paper.Label{Big: l.Name, Small: []string{l.Config.Port + l.Config.TCP, strings.TrimSpace(strconv.Itoa(l.Baud) + " " + l.Format), "A / B / ⏚"}})
		for _, u := range l.Units {
			name, _ := s.bp.deviceText(u.Device)
			x.Labels = append(x.Labels, paper.Label{Big: w.n(name), Small: []string{w.m(phrase.M("paper.unit", "line", l.Name, "unit", u.Unit)), w.n(u.Profile.Title)}})
		}
	}
	for _, o := range s.bp.Outputs {
		name, _ := s.bp.outputText(o.Name)
		l := paper.Label{Big: w.n(name)}
		for _, r := range []struct {
			what phrase.Message
			to   string
		}{{phrase.M("paper.by_relay"), o.Config.Relay + o.Config.GPIO}, {phrase.M("paper.sensed"), o.Config.SensedBy}, {phrase.M("paper.cut"), o.Config.CutBy}, {phrase.M("paper.sound_card"), o.Config.Card}} {
			if r.to != "" {
				l.Small = append(l.Small, w.m(r.what)+" "+r.to)
			}
		}
		x.Labels = append(x.Labels, l)
	}
	for _, i := range s.bp.Inputs {
		x.Labels = append(x.Labels, paper.Label{Big: i.Config.Means, Small: []string{i.Config.Name, i.Config.Input + i.Config.GPIO}})
	}
	return x
}

// cardSheet is the card for the door: whom to call, what the levels mean.
func (h *House) cardSheet(lang phrase.Lang) paper.Sheet {
	w, s := writer(lang), h.seen()
	x := paper.Sheet{Lang: lang, Large: true, Title: w.n(named(s.bp.Doc.Site.Site.Name, s.bp.Doc.Site.Site.ID)) + " " + w.m(phrase.M("paper.card"))}
	people := paper.Part{Title: w.m(phrase.M("paper.call"))}
	for _, p := range h.People(true).People {
		people.Rows = append(people.Rows, []string{w.n(p.Name), w.n(p.Role), strings.Join(p.Numbers, " ")})
	}
	if len(people.Rows) == 0 {
		// To be filled in by hand: a card without numbers helps nobody.
		for _, m := range []phrase.Message{phrase.M("paper.secretary"), phrase.M("paper.duty"), phrase.M("paper.county_duty"), phrase.M("paper.maintainer")} {
			people.Rows = append(people.Rows, []string{w.m(m), "", ""})
		}
	}
	levels := paper.Part{Title: w.m(phrase.M("paper.levels"))}
	codes := slices.Clone(s.bp.Levels.Codes())
	slices.Reverse(codes)
	for _, code := range codes {
		if l, ok := s.bp.Levels.Level(code); ok && l > 0 {
			levels.Rows = append(levels.Rows, []string{w.n(s.bp.Levels.Rank(l).Name)})
		}
	}
	stop := paper.Part{Title: w.m(phrase.M("paper.stop_title")), Lines: []string{w.m(phrase.M("paper.stop"))}}
	for _, i := range s.bp.Inputs {
		if i.Config.Means == "stop" && i.Config.Name != "" {
			stop.Lines = append(stop.Lines, i.Config.Name)
		}
	}
	x.Parts = []paper.Part{people, levels, stop}
	x.Foot = s.bp.Doc.Site.Site.ID
	return x
}
