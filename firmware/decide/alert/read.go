package alert

import (
	"bytes"
	"fmt"
	"strings"

	"tocsin/firmware/phrase"
)

// Parse reads CAP 1.2, under the profile that the alert itself shows. It gives
// nil where the text is no CAP alert at all; otherwise everything that could be read,
// so that a person can be shown it, whatever was found. Any fatal finding means:
// not well-formed.
//
// What is fatal and what is only told: whatever breaks the schema is fatal, as
// is what leaves open what the sender means (a Cancel of nothing, a banned
// character in an identifier). A broken rule that has one safe reading is told
// and read so; the reason is beside each rule. configs/alerts/profiles.yaml moves
// single rules either way, for a county whose sender is known to break one.
func Parse(b []byte, t *Tables) (*Alert, []Finding) {
	limits := t.limits.filled()
	r := reader{f: &finder{most: limits.Findings}, limits: limits, t: t}
	if len(b) > limits.Bytes {
		r.f.wrong("/", phrase.M("alert.form.too_large", "bytes", len(b), "most", limits.Bytes))
		return nil, r.f.all()
	}
	r.s = newScanner(b, limits)
	if err := r.document(); err != nil {
		r.f.wrong(r.where(), phrase.Of(err))
		if !r.rooted {
			return nil, r.f.all()
		}
	}
	a := r.settle()
	return a, r.f.all()
}

// reader follows the sequences of the schema through the pieces of the scanner.
// Interpretation waits for the end: the profile is known only then.
type reader struct {
	s      *scanner
	f      *finder
	t      *Tables
	limits Limits
	path   []step
	rooted bool
	raw    raw
	areas  int
	files  int
	work   int    // comparisons that polygons took
	leaf   []byte // text of the leaf that is read
	joined []byte // its store where it came in more than one piece
}

type step struct {
	name string
	n    int // 0: cannot repeat
}

// raw is an alert as it was written, before the profile is known.
type raw struct {
	a          Alert
	sent       string
	references string
	infos      []rawInfo
}

type rawInfo struct {
	effective, onset, expires string
	severity                  string // a colour that stood in its place
	resources                 []rawResource
}

type rawResource struct {
	size, body string
}

func (r *reader) where() string {
	if len(r.path) == 0 {
		return "/"
	}
	var b strings.Builder
	for _, p := range r.path {
		b.WriteString("/" + p.name)
		if p.n > 0 {
			fmt.Fprintf(&b, "[%d]", p.n)
		}
	}
	return b.String()
}

func (r *reader) document() error {
	k, err := r.s.next()
	if err != nil {
		return err
	}
	if k != start {
		return r.s.broken("cut")
	}
	if r.s.local != "alert" {
		return phrase.E("alert.form.root", "name", clip(r.s.local))
	}
	if r.s.space != Namespace && !r.t.speaks(r.s.space) {
		return phrase.E("alert.form.namespace", "have", clip(r.s.space), "want", Namespace)
	}
	r.rooted = true
	r.path = append(r.path, step{"alert", 0})
	if err := r.block(r.s.space, alertFields, r.alertField); err != nil {
		return err
	}
	for {
		k, err := r.s.next()
		if err != nil || k == done {
			return err
		}
	}
}

// block reads one sequence, its start already read, up to its end.
func (r *reader) block(space string, fields []field, take func(f field, space string) error) error {
	seen := make([]int, len(fields))
	at := 0
	foreign := false
	r.attributes()
	for {
		k, err := r.s.next()
		if err != nil {
			return err
		}
		switch k {
		case text:
			if !blank(r.s.chars) {
				r.f.wrong(r.where(), phrase.M("alert.form.stray_text", "text", clip(strings.TrimSpace(string(r.s.chars)))))
			}
		case end:
			for i, f := range fields {
				if seen[i] < f.least {
					r.f.wrong(r.where()+"/"+f.name, phrase.M("alert.form.missing", "element", f.name))
				}
			}
			return nil
		case start:
			if r.s.space != space {
				// xs:any of other namespaces, at the end of alert: signatures live there.
				if len(r.path) > 1 {
					r.f.wrong(r.where(), phrase.M("alert.form.unknown_element", "element", clip(r.s.local)))
				} else {
					foreign = true
				}
				if err := r.skip(); err != nil {
					return err
				}
				continue
			}
			i := fieldOf(fields, r.s.local)
			if i < 0 {
				r.f.wrong(r.where(), phrase.M("alert.form.unknown_element", "element", clip(r.s.local)))
				if err := r.skip(); err != nil {
					return err
				}
				continue
			}
			f := fields[i]
			seen[i]++
			s := step{f.name, 0}
			if f.most != 1 {
				s.n = seen[i]
			}
			r.path = append(r.path, s)
			switch {
			case f.most > 0 && seen[i] > f.most:
				r.f.wrong(r.where(), phrase.M("alert.form.twice", "element", f.name))
			case i < at:
				r.f.wrong(r.where(), phrase.M("alert.form.order", "element", f.name, "after", fields[at].name))
			case foreign:
				r.f.wrong(r.where(), phrase.M("alert.form.order_foreign", "element", f.name))
				foreign = false // told once
			}
			at = max(at, i)
			if err := take(f, space); err != nil {
				return err
			}
			r.path = r.path[:len(r.path)-1]
		}
	}
}

// attributes tells of attributes that CAP does not have. They say nothing, so
// nothing hangs on them.
func (r *reader) attributes() {
	for _, a := range r.s.attrs {
		if a.prefix == "xmlns" || a.prefix == "" && a.name == "xmlns" {
			continue
		}
		if u, _ := r.s.uri(a.prefix); a.prefix != "" && (u == xmlNS || u == "http://www.w3.org/2001/XMLSchema-instance") {
			continue
		}
		r.f.odd(r.where(), phrase.M("alert.form.attribute", "name", clip(a.name)))
	}
}

// skip passes over an element whose start was read.
func (r *reader) skip() error {
	for depth := 1; depth > 0; {
		k, err := r.s.next()
		if err != nil {
			return err
		}
		switch k {
		case start:
			depth++
		case end:
			depth--
		}
	}
	return nil
}

// text reads the text of a leaf whose start was read. It is good until the next
// call and has no blanks around it.
func (r *reader) text() ([]byte, error) {
	r.attributes()
	r.leaf = nil
	pieces, joined := 0, false
	for {
		k, err := r.s.next()
		if err != nil {
			return nil, err
		}
		switch k {
		case text:
			pieces++
			if pieces == 1 && !r.s.owned { // the usual case, and the large one: no copy
				r.leaf = r.s.chars
				break
			}
			if pieces == 1 {
				r.joined = r.joined[:0]
			} else if len(r.leaf) > 0 && !joined {
				r.joined = append(r.joined[:0], r.leaf...)
			}
			joined = true
			r.joined = append(r.joined, r.s.chars...)
			r.leaf = r.joined
		case start:
			r.f.wrong(r.where(), phrase.M("alert.form.unknown_element", "element", clip(r.s.local)))
			if err := r.skip(); err != nil {
				return nil, err
			}
		case end:
			return bytes.Trim(r.leaf, " \t\r\n"), nil
		}
	}
}

// value reads a leaf that is text, and holds it to its set where it has one.
func (r *reader) value(f field) (string, error) {
	b, err := r.text()
	if err != nil {
		return "", err
	}
	s := string(b)
	if f.values == nil {
		if s == "" {
			r.empty(f)
		}
		return s, nil
	}
	for _, v := range f.values {
		if v != s {
			continue
		}
		if len(b) != len(r.leaf) {
			r.f.odd(r.where(), phrase.M("alert.form.blanks", "element", f.name, "value", v))
		}
		return v, nil
	}
	switch {
	case s == "" && isUnknown(f.name):
		// Samples of the US weather service have them empty (google/cap-library).
		r.f.odd(r.where(), phrase.M("alert.form.empty_unknown", "element", f.name))
		return "Unknown", nil
	case f.name == "certainty" && s == "Very Likely":
		// CAP 1.0's value; 1.2 says to read it as Likely (section 3.2.2).
		r.f.odd(r.where(), phrase.M("alert.form.very_likely"))
		return "Likely", nil
	}
	if f.name == "severity" && r.t.colour(s) != "" {
		r.raw.infos[len(r.raw.infos)-1].severity = s // the profile decides
		return "Unknown", nil
	}
	r.f.wrong(r.where(), phrase.M("alert.form.value", "element", f.name, "value", clip(s), "want", strings.Join(f.values, "、")))
	if isUnknown(f.name) {
		return "Unknown", nil
	}
	return s, nil
}

// empty tells of an element without text. Samples of the US weather service have
// empty references; what may be left out is read as left out.
func (r *reader) empty(f field) {
	if f.name == "identifier" || f.name == "sender" || f.name == "sent" {
		r.f.wrong(r.where(), phrase.M("alert.form.missing", "element", f.name))
		return
	}
	r.f.odd(r.where(), phrase.M("alert.form.empty", "element", f.name))
}

func (r *reader) alertField(f field, space string) error {
	a := &r.raw.a
	if f.name == "info" {
		if len(a.Infos) >= r.limits.Infos {
			return phrase.E("alert.form.too_many", "what", phrase.M("alert.what.infos"), "most", r.limits.Infos)
		}
		a.Infos = append(a.Infos, Info{})
		r.raw.infos = append(r.raw.infos, rawInfo{})
		return r.block(space, infoFields, r.infoField)
	}
	s, err := r.value(f)
	if err != nil {
		return err
	}
	set := func(p *string) {
		if *p == "" { // of two, the first: what is shown is what stands first
			*p = s
		}
	}
	switch f.name {
	case "identifier":
		set(&a.Identifier)
	case "sender":
		set(&a.Sender)
	case "sent":
		set(&r.raw.sent)
	case "status":
		set(&a.Status)
	case "msgType":
		set(&a.MsgType)
	case "source":
		set(&a.Source)
	case "scope":
		set(&a.Scope)
	case "restriction":
		set(&a.Restriction)
	case "addresses":
		a.Addresses = r.list(s)
	case "code":
		if s != "" {
			a.Codes = append(a.Codes, s)
		}
	case "note":
		set(&a.Note)
	case "references":
		set(&r.raw.references)
	case "incidents":
		a.Incidents = r.list(s)
	}
	return nil
}

func (r *reader) list(s string) []string {
	out, cut := words(s)
	if cut {
		r.f.odd(r.where(), phrase.M("alert.form.too_many", "what", phrase.M("alert.what.words"), "most", wordsMost))
	}
	return out
}

func (r *reader) infoField(f field, space string) error {
	in := &r.raw.a.Infos[len(r.raw.a.Infos)-1]
	ri := &r.raw.infos[len(r.raw.infos)-1]
	switch f.name {
	case "eventCode":
		return r.named(space, &in.EventCodes)
	case "parameter":
		return r.named(space, &in.Parameters)
	case "resource":
		if r.files++; r.files > r.limits.Resources {
			return phrase.E("alert.form.too_many", "what", phrase.M("alert.what.resources"), "most", r.limits.Resources)
		}
		in.Resources = append(in.Resources, Resource{Size: -1})
		ri.resources = append(ri.resources, rawResource{})
		return r.block(space, resourceFields, r.resourceField)
	case "area":
		if r.areas++; r.areas > r.limits.Areas {
			return phrase.E("alert.form.too_many", "what", phrase.M("alert.what.areas"), "most", r.limits.Areas)
		}
		in.Areas = append(in.Areas, Area{})
		return r.block(space, areaFields, r.areaField)
	}
	s, err := r.value(f)
	if err != nil {
		return err
	}
	set := func(p *string) {
		if *p == "" {
			*p = s
		}
	}
	switch f.name {
	case "language":
		set(&in.Language)
	case "category":
		in.Categories = append(in.Categories, s)
	case "event":
		set(&in.Event)
	case "responseType":
		if s != "" {
			in.Responses = append(in.Responses, s)
		}
	case "urgency":
		set(&in.Urgency)
	case "severity":
		set(&in.Severity)
	case "certainty":
		set(&in.Certainty)
	case "audience":
		set(&in.Audience)
	case "effective":
		set(&ri.effective)
	case "onset":
		set(&ri.onset)
	case "expires":
		set(&ri.expires)
	case "senderName":
		set(&in.SenderName)
	case "headline":
		set(&in.Headline)
	case "description":
		set(&in.Description)
	case "instruction":
		set(&in.Instruction)
	case "web":
		set(&in.Web)
	case "contact":
		set(&in.Contact)
	}
	return nil
}

func (r *reader) named(space string, to *[]Named) error {
	var n Named
	err := r.block(space, namedFields, func(f field, _ string) error {
		s, err := r.value(f)
		if f.name == "valueName" {
			n.Name = s
		} else {
			n.Value = s
		}
		return err
	})
	*to = append(*to, n)
	return err
}

func (r *reader) resourceField(f field, _ string) error {
	infos, raws := r.raw.a.Infos, r.raw.infos
	rs := infos[len(infos)-1].Resources
	rr := raws[len(raws)-1].resources
	to, raw := &rs[len(rs)-1], &rr[len(rr)-1]
	s, err := r.value(f)
	if err != nil {
		return err
	}
	switch f.name {
	case "resourceDesc":
		to.Desc = s
	case "mimeType":
		to.MIME = s
	case "size":
		raw.size = s
	case "uri":
		to.URI = s
	case "derefUri":
		raw.body = s
	case "digest":
		to.Digest = s
	}
	return nil
}

func (r *reader) areaField(f field, space string) error {
	infos := r.raw.a.Infos
	as := infos[len(infos)-1].Areas
	a := &as[len(as)-1]
	switch f.name {
	case "geocode":
		return r.named(space, &a.Geocodes)
	case "polygon":
		b, err := r.text()
		if err != nil {
			return err
		}
		r.polygon(a, b)
		return nil
	}
	s, err := r.value(f)
	if err != nil {
		return err
	}
	switch f.name {
	case "areaDesc":
		a.Desc = s
	case "circle":
		if s != "" {
			r.circle(a, s)
		}
	case "altitude":
		a.Altitude = s
	case "ceiling":
		a.Ceiling = s
	}
	return nil
}

// clip shortens what is quoted from outside.
func clip(s string) string {
	const most = 60
	n := 0
	for i := range s {
		if n == most {
			return s[:i] + "…"
		}
		n++
	}
	return s
}
