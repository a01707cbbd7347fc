package page

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
)

// The cadre's page and the rescue page work when the console does not: rendered here
// whole, by forms, with less than 10 kB for all that one of them loads.
const (
	cadrePath  = "/cadre"
	rescuePath = "/rescue"
)

// hand is what the two pages show, in the reader's language.
type hand struct {
	Lang, Other              phrase.Lang
	Tag, OtherTag, OtherName string
	Path, Title, Site, Name  string

	Said string
	Bad  bool
	// Notes stand until what they tell is over.
	Notes []string
	// May: the caller may see; Cadre: may announce; Full: may do all of this page.
	May, Cadre, Full bool
	Reset            bool // the button allows a reset

	Arm      *armed
	Key      string
	Seconds  int
	Messages []message
	Levels   []raisable
	Heard    []heardBy

	Recordings []recording

	Wrong []string
	Back  *back
	// Running is the software; Staged the one beside it that can be activated, "" for none; NoUpdate says
	// why this box cannot be updated from here.
	Running, Staged, NoUpdate string
	Logs                      []string
}

type armed struct{ Word, Level, Words, Wait, Confirm string }

type message struct{ ID, Name, Words, Missing string }

type raisable struct{ Code, Name, Class string }

type heardBy struct{ Name, State, Class, Why string }

type back struct {
	Now, Do string
	Base    int
}

func (p *page) handRoutes(r *api.Routes) {
	// Open: STOP must be there for whoever has the token, and without TLS.
	r.Open("GET "+cadrePath, true, func(w http.ResponseWriter, q *http.Request) { p.hand(w, q, http.StatusOK, cadrePath, nil) })
	r.Handle(access.Viewer, "GET "+cadrePath+"/now", p.heardNow)
	r.Open("GET "+rescuePath, true, func(w http.ResponseWriter, q *http.Request) { p.hand(w, q, http.StatusOK, rescuePath, nil) })
	for _, path := range []string{cadrePath, rescuePath, recordPath} {
		r.Open("POST "+path+"/stop", true, func(w http.ResponseWriter, q *http.Request) {
			status, done, m := p.tryStop(q)
			p.hand(w, q, status, path, func(x *hand) { x.Said, x.Bad = m.In(x.Lang), !done })
		})
	}
	for name, kind := range map[string]string{"hand.css": "text/css; charset=utf-8", "hand.js": "text/javascript; charset=utf-8", "hand-record.js": "text/javascript; charset=utf-8"} {
		b := packed(name)
		r.Open("GET /page/"+name, true, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Write(b)
		})
	}
	act := func(need access.Role, path, name string, f func(w http.ResponseWriter, q *http.Request, who api.Who) error) {
		// Who is not signed in any more gets the page that says so, not a bare refusal.
		r.Open("POST "+path+name, false, func(w http.ResponseWriter, q *http.Request) {
			g := api.GrantOf(q.Context())
			fail := func(status int, err error) {
				p.hand(w, q, status, path, func(x *hand) { x.Said, x.Bad = p.told(err).In(x.Lang), true })
			}
			switch {
			case name != "/update" && name != "" && !formOnly(q):
				fail(http.StatusUnsupportedMediaType, phrase.E("serve.form_only"))
			case !g.Role.Allows(need):
				fail(http.StatusUnauthorized, phrase.E("hand.not_allowed"))
			default:
				err, big := f(w, q, whoActs(g)), (*http.MaxBytesError)(nil)
				switch {
				case errors.As(err, &big):
					fail(http.StatusRequestEntityTooLarge, err)
				case err != nil:
					fail(http.StatusConflict, err)
				}
			}
		})
	}
	p.recordRoutes(r, act)
	act(access.Cadre, cadrePath, "/say", p.say1)
	act(access.Cadre, cadrePath, "/arm", p.arm)
	act(access.Cadre, cadrePath, "/evacuate", p.evacuate)
	act(access.Technician, rescuePath, "/back", p.takeBack)
	act(access.Technician, rescuePath, "/update", p.stage)
	act(access.Technician, rescuePath, "/activate", func(w http.ResponseWriter, q *http.Request, who api.Who) error {
		if err := p.box.ActivateRelease(0, who); err != nil {
			return err
		}
		p.goOn(w, q, rescuePath, phrase.M("hand.restarting"))
		return nil
	})
	// Without an account: the button was held, and the secret is inside the box.
	r.Open("POST "+api.ResetPath, false, func(w http.ResponseWriter, q *http.Request) {
		fail := func(status int, err error) {
			p.hand(w, q, status, rescuePath, func(x *hand) { x.Said, x.Bad = p.told(err).In(x.Lang), true })
		}
		if !formOnly(q) {
			fail(http.StatusUnsupportedMediaType, phrase.E("serve.form_only"))
			return
		}
		if err := p.box.FactoryReset(q.PostFormValue("secret"), whoActs(api.GrantOf(q.Context()))); err != nil {
			fail(http.StatusConflict, err)
			return
		}
		p.goOn(w, q, rescuePath, phrase.M("reset.begun"))
	})
	act(access.Technician, rescuePath, "/restart", func(w http.ResponseWriter, q *http.Request, who api.Who) error {
		if err := p.box.Restart(who); err != nil {
			return err
		}
		p.goOn(w, q, rescuePath, phrase.M("hand.restarting"))
		return nil
	})
}

// packed gives a file of web without its indentation and its lines of comment: every byte of these two
// pages may come over a link that bears few.
func packed(name string) []byte {
	b, err := web.ReadFile("web/" + name)
	if err != nil {
		panic(err) // it is compiled in
	}
	var out strings.Builder
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "//") || strings.HasPrefix(line, "/*") && strings.HasSuffix(line, "*/") {
			continue
		}
		if strings.HasSuffix(name, ".js") {
			line = unspaced(line)
		}
		out.WriteString(line + "\n")
	}
	return []byte(out.String())
}

// unspaced leaves out the blanks of a line of script that nothing needs: beside signs that are no part of a longer
// one, and never within quotes.
func unspaced(line string) string {
	const signs = "=<>!&|?:;,{}()*[]"
	var out strings.Builder
	quote := byte(0)
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"':
			quote = c
		case c == ' ' && i > 0 && i+1 < len(line) && (strings.IndexByte(signs, line[i-1]) >= 0 || strings.IndexByte(signs, line[i+1]) >= 0):
			continue
		}
		out.WriteByte(c)
	}
	return out.String()
}

// formOnly reads a plain form.
func formOnly(r *http.Request) bool {
	ct, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.TrimSpace(ct) == "application/x-www-form-urlencoded" && r.ParseForm() == nil
}

// whoActs names the person: of who is signed in the account says it.
func whoActs(g access.Grant) api.Who {
	return api.Who{Name: orElse(api.Clean(orElse(g.Name, g.Account), 64), orElse(g.Addr, "?")), Via: g.Via}
}

// told is an error for people; what is none stays in the log.
func (p *page) told(err error) phrase.Message {
	m := phrase.Of(err)
	if m.Code == "error.plain" {
		p.o.Log.Error("a page's act", "err", err)
		return phrase.M("serve.internal")
	}
	return m
}

// flashes are what is told once after a form's redirect. They are few and short-lived.
type flashes struct {
	mu  sync.Mutex
	all []flash
}

type flash struct {
	key string
	m   phrase.Message
	at  time.Time
}

const (
	flashesMost = 32
	flashLasts  = 5 * time.Minute
)

func newKey() string {
	var b [9]byte
	rand.Read(b[:]) // never fails (crypto/rand, Go 1.24)
	return hex.EncodeToString(b[:])
}

func (f *flashes) put(m phrase.Message) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.all) >= flashesMost {
		f.all = slices.Delete(f.all, 0, 1)
	}
	k := newKey()
	f.all = append(f.all, flash{k, m, time.Now()})
	return k
}

func (f *flashes) get(key string) (phrase.Message, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range f.all {
		if x.key == key && time.Since(x.at) < flashLasts {
			return x.m, true
		}
	}
	return phrase.Message{}, false
}

// goOn sends a browser back to the page, so that what was done is not done again by a reload.
func (p *page) goOn(w http.ResponseWriter, r *http.Request, path string, m phrase.Message) {
	q := url.Values{"lang": {string(langOf(r))}, "r": {p.flashes.put(m)}}
	http.Redirect(w, r, path+"?"+q.Encode(), http.StatusSeeOther)
}

func (p *page) say1(w http.ResponseWriter, r *http.Request, who api.Who) error {
	id := r.PostForm.Get("message")
	x, err := p.box.Say(id, api.SayAsk{Key: api.Clean(r.PostForm.Get("key")+" "+id, 64)}, who, api.ActorOf(api.GrantOf(r.Context())))
	if err != nil {
		return err
	}
	p.goOn(w, r, cadrePath, phrase.M("hand.said", "outputs", len(x.Outputs)))
	return nil
}

// arm answers with the second step itself: doing it again by a reload arms anew and sounds nothing.
func (p *page) arm(w http.ResponseWriter, r *http.Request, who api.Who) error {
	x, err := p.box.ArmEvacuation(r.PostForm.Get("level"), who, api.ActorOf(api.GrantOf(r.Context())))
	if err != nil {
		return err
	}
	p.hand(w, r, http.StatusOK, cadrePath, func(v *hand) {
		level := in(x.LevelText, v.Lang)
		v.Arm = &armed{Word: x.Word, Level: level, Words: in(x.Words, v.Lang), Wait: phrase.M("hand.confirm_wait", "seconds", int(x.Left/time.Second), "outputs", len(x.Outputs)).In(v.Lang),
			Confirm: phrase.M("hand.confirm", "level", level).In(v.Lang)}
	})
	return nil
}

func (p *page) evacuate(w http.ResponseWriter, r *http.Request, who api.Who) error {
	x, err := p.box.Evacuate(r.PostForm.Get("word"), "", who, api.ActorOf(api.GrantOf(r.Context())))
	if err != nil {
		return err
	}
	m := phrase.M("hand.evacuated")
	if x.Again {
		m = phrase.M("hand.evacuated_again")
	}
	p.goOn(w, r, cadrePath, m)
	return nil
}

func (p *page) heardNow(w http.ResponseWriter, r *http.Request) {
	l := langOf(r)
	p.render(w, http.StatusOK, l, "hand-now", &hand{Lang: l, Heard: heardOf(p.box.Announcer().Outputs, l)})
}

func heardOf(all []api.Speaker, l phrase.Lang) (out []heardBy) {
	for _, o := range all {
		kind := "" // a drill or a test is told apart, also by eye
		if o.OfKind != "" && o.OfKind != "real" {
			kind = phrase.M("hand.state_kind", "kind", word(kinds, o.OfKind, l)).In(l)
		}
		x := heardBy{Name: orElse(in(o.Text, l), o.ID), Class: o.State}
		switch o.State {
		case "heard":
			x.State = kind + phrase.M("hand.state_heard", "by", word(measures, o.Measured, l)).In(l)
		case "started":
			x.State = kind + phrase.M("hand.state_started").In(l)
		case "failed":
			x.State = phrase.M("hand.state_failed").In(l)
		case "ordered":
			x.State = phrase.M("hand.state_ordered").In(l)
		default:
			x.State = phrase.M("hand.state_silent").In(l)
		}
		if o.Why != nil && o.State == "failed" {
			x.Why = in(*o.Why, l)
		}
		for _, f := range o.Faults {
			x.Class, x.Why = "failed", in(f, l)
		}
		out = append(out, x)
	}
	return out
}

// hand shows one of the two pages.
func (p *page) hand(w http.ResponseWriter, r *http.Request, status int, path string, change func(*hand)) {
	l, g := langOf(r), api.GrantOf(r.Context())
	plain, st := p.plain(l), p.box.Status()
	v := &hand{Lang: l, Other: plain.Other, Tag: plain.Tag, OtherTag: map[phrase.Lang]string{phrase.ZH: "zh-CN", phrase.EN: "en"}[plain.Other], OtherName: plain.OtherName, Path: path,
		Site: orElse(st.Name.In(l), st.Site), Cadre: g.Role.Allows(access.Cadre), May: g.Role.Allows(access.Viewer), Full: g.Role.Allows(access.Cadre)}
	if g.SignedIn() {
		v.Name = orElse(g.Name, g.Account)
	}
	if m, ok := p.flashes.get(r.URL.Query().Get("r")); ok {
		v.Said = m.In(l)
	}
	if st.Level != "" && v.May {
		v.Notes = append(v.Notes, in(st.LevelText, l)+phrase.M("hand.stands").In(l))
	}
	if m := st.Maintenance; m != nil && v.May {
		v.Notes = append(v.Notes, phrase.M("serve.page_maintenance", "who", m.By.Name, "minutes", int((m.Left+time.Minute-1)/time.Minute), "why", m.Why).In(l))
	}
	name := "hand-cadre"
	switch path {
	case recordPath:
		name, v.Title = "hand-record", phrase.M("hand.record").In(l)
		if v.Cadre {
			p.recordings(v, g.Role.Allows(access.Operator))
		}
	case rescuePath:
		name, v.Title, v.Full = "hand-rescue", phrase.M("hand.rescue").In(l), g.Role.Allows(access.Technician)
		p.rescue(v)
	default:
		v.Title = phrase.M("hand.cadre").In(l)
		p.cadre(v)
	}
	if change != nil {
		change(v)
	}
	p.render(w, status, l, name, v)
}

func (p *page) cadre(v *hand) {
	if !v.May {
		return
	}
	a := p.box.Announcer()
	v.Heard = heardOf(a.Outputs, v.Lang)
	if !v.Cadre {
		return
	}
	v.Key, v.Seconds = newKey(), int(a.TalkMost/time.Second)
	for _, m := range a.Messages {
		x := message{ID: m.ID, Name: orElse(in(m.Text, v.Lang), m.ID), Words: in(m.Words, v.Lang)}
		if len(m.Langs) == 0 && len(m.Missing) == 0 {
			x.Words = "" // recorded here: its page says by whom
		}
		if len(m.Missing) > 0 {
			var names []string
			for _, code := range m.Missing {
				names = append(names, word(spokenLangs, code, v.Lang))
			}
			x.Missing = phrase.M("hand.missing", "langs", strings.Join(names, map[phrase.Lang]string{phrase.ZH: "、", phrase.EN: ", "}[v.Lang])).In(v.Lang)
		}
		v.Messages = append(v.Messages, x)
	}
	for _, l := range slices.Backward(a.Levels) {
		class := "orange"
		if l.Level == a.Evacuate {
			class = "red"
		}
		v.Levels = append(v.Levels, raisable{l.Level, in(l.Text, v.Lang), class})
	}
}

var spokenLangs = words{"cmn": phrase.M("hand.lang_cmn"), "yue": phrase.M("hand.lang_yue"), "en": phrase.M("hand.lang_en")}

// What the rescue page shows of a log: the page must stay small.
const (
	rescueLogs    = 24
	rescueLogLong = 140
)

func (p *page) rescue(v *hand) {
	v.Reset = p.box.ResetLeft() > 0
	if !v.Full {
		return
	}
	for _, f := range p.box.Faults() {
		if f.Thing == "site file" || f.Thing == "revisions" {
			v.Wrong = append(v.Wrong, in(f.Why, v.Lang))
		}
	}
	all, err := p.box.Revisions()
	v.Back = backOf(all, v.Lang)
	if err != nil {
		v.Back = &back{Now: p.told(err).In(v.Lang)}
	}
	u := p.box.Update()
	v.Running = u.Running.Version
	if u.Next != nil && u.Phase == "staged" {
		v.Staged = phrase.M("hand.activate", "version", u.Next.Version).In(v.Lang)
	}
	if u.Why != nil {
		v.NoUpdate = in(*u.Why, v.Lang)
	}
	if u.Reason != nil {
		v.Notes = append(v.Notes, in(*u.Reason, v.Lang))
	}
	for _, x := range p.box.Logs(0, "info", rescueLogs) {
		text := []rune(x.Text)
		if len(text) > rescueLogLong {
			text = append(text[:rescueLogLong], '…')
		}
		v.Logs = append(v.Logs, x.At.In(p.o.Zone).Format("01-02 15:04:05 ")+x.Level+" "+string(text))
	}
}

// backOf tells which revision is in force and which one would come back.
func backOf(all []api.Revision, l phrase.Lang) *back {
	if len(all) == 0 {
		return &back{Now: phrase.M("hand.no_revisions").In(l)}
	}
	now := all[len(all)-1]
	b := &back{Base: now.Number, Now: phrase.M("hand.revision", "number", now.Number, "by", in(now.ByText, l), "who", orElse(now.Who, "—"), "why", orElse(now.Why, "—")).In(l)}
	if now.Trial != nil {
		b.Do = phrase.M("hand.take_back", "number", now.Trial.Before).In(l)
	} else if n := before(all); n > 0 {
		b.Do = phrase.M("hand.take_back", "number", n).In(l)
	}
	return b
}

// before gives the last revision with another text that nobody took back; 0 for none.
func before(all []api.Revision) int {
	now := all[len(all)-1]
	for _, r := range slices.Backward(all[:len(all)-1]) {
		if r.UndoneBy == 0 && r.SHA256 != now.SHA256 {
			return r.Number
		}
	}
	return 0
}

// takeBack ends a trial, or brings the text before back. base is what the page showed: where another came
// meanwhile, nothing is done.
func (p *page) takeBack(w http.ResponseWriter, r *http.Request, who api.Who) error {
	base, _ := strconv.Atoi(r.PostForm.Get("base"))
	all, err := p.box.Revisions()
	if err != nil {
		return err
	}
	if len(all) == 0 || all[len(all)-1].Number != base {
		return phrase.E("hand.revision_moved")
	}
	now := all[len(all)-1]
	var to api.Revision
	switch n := before(all); {
	case now.Trial != nil:
		to, err = p.box.TakeBack(base, who)
	case n == 0:
		return phrase.E("hand.no_revisions")
	default:
		to, err = p.box.Propose(r.Context(), api.Proposal{Base: base, Again: n, Why: phrase.M("hand.rescue").In(langOf(r))}, who)
	}
	if err != nil {
		return err
	}
	p.goOn(w, r, rescuePath, phrase.M("hand.taken_back", "number", to.Number))
	return nil
}

// stage brings a signed release by a plain form, piece by piece: it is never held in memory.
func (p *page) stage(w http.ResponseWriter, r *http.Request, who api.Who) error {
	parts, err := r.MultipartReader()
	if err != nil {
		return phrase.E("serve.form_only")
	}
	for {
		part, err := parts.NextPart()
		if err != nil {
			return releaseErr(err, phrase.E("hand.no_file"))
		}
		if part.FileName() == "" {
			continue
		}
		x, err := p.box.StageRelease(r.Context(), &slowly{part, http.NewResponseController(w)}, who)
		if err != nil {
			return releaseErr(err, err)
		}
		p.goOn(w, r, rescuePath, phrase.M("hand.staged", "version", x.Version))
		return nil
	}
}

// releaseErr says that a file is larger than may be, where that is why it could not be read.
func releaseErr(err, or error) error {
	if big := (*http.MaxBytesError)(nil); errors.As(err, &big) {
		return phrase.Wrap(err, "serve.larger", "kib", big.Limit>>10)
	}
	return or
}

// pieceWithin is how long a piece of a release may take to come.
const pieceWithin = 10 * time.Second

// slowly lets a large file take its time as long as it comes.
type slowly struct {
	r io.Reader
	c *http.ResponseController
}

// Read takes the next piece.
func (s *slowly) Read(b []byte) (int, error) {
	_ = s.c.SetReadDeadline(time.Now().Add(pieceWithin)) // where there is none, the server's own holds
	return s.r.Read(b)
}
