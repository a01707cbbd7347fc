package alert

import (
	"crypto/sha1" //nolint:gosec // CAP 1.2's digest of a resource is SHA-1 (section 3.2.3); it guards nothing here
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/phrase"
)

// settle gives the raw alert its meaning under the profile that it shows.
func (r *reader) settle() *Alert {
	a := &r.raw.a
	p := r.t.profileOf(a)
	a.Profile = p.ID
	a.Sent = r.time("/alert/sent", "sent", r.raw.sent, p, true)
	r.names()
	r.scope()
	r.references(p)
	for i := range a.Infos {
		r.info(i, p)
	}
	r.languages()
	r.profile(p)
	r.f.move(p.soft, p.hard)
	return a
}

// time reads one time. Any but sent may be left out where it cannot be read,
// but expires: an alert whose end is unreadable might stand for ever or be
// thought over, so that is fatal.
func (r *reader) time(path, name, s string, p *Profile, must bool) time.Time {
	if s == "" {
		return time.Time{}
	}
	t, form := parseTime(s, p)
	switch form {
	case utcTime:
		// Not CAP's (section 3.3.2), but it means one instant only, and tools that
		// write times by library send it.
		r.f.odd(path, phrase.M("alert.form.time_z", "element", name, "value", clip(s)))
	case noTime:
		if must {
			r.f.wrong(path, phrase.M("alert.form.time", "element", name, "value", clip(s)))
		} else {
			r.f.odd(path, phrase.M("alert.form.time", "element", name, "value", clip(s)))
		}
	}
	return t
}

func (r *reader) names() {
	a := &r.raw.a
	for _, e := range []struct{ name, value string }{{"identifier", a.Identifier}, {"sender", a.Sender}} {
		if e.value == "" {
			continue // missing, and told
		}
		if !isWord(e.value) {
			r.f.wrong("/alert/"+e.name, phrase.M("alert.form.banned", "element", e.name, "value", clip(e.value)))
		} else if len(e.value) > 1000 {
			r.f.wrong("/alert/"+e.name, phrase.M("alert.form.long", "element", e.name, "most", 1000))
		}
	}
}

// scope holds the conditional elements (section 3.2.1).
func (r *reader) scope() {
	a := &r.raw.a
	switch {
	case a.Scope == "Restricted" && a.Restriction == "":
		r.f.wrong("/alert/restriction", phrase.M("alert.rule.no_restriction"))
	case a.Scope != "Restricted" && a.Restriction != "":
		// It narrows nothing that is public; the word of scope stands.
		r.f.odd("/alert/restriction", phrase.M("alert.rule.restriction", "scope", a.Scope))
	}
	if a.Scope == "Private" && len(a.Addresses) == 0 {
		r.f.wrong("/alert/addresses", phrase.M("alert.rule.no_addresses"))
	}
}

func (r *reader) references(p *Profile) {
	const path = "/alert/references"
	a := &r.raw.a
	for _, w := range splitTriples(r.raw.references) {
		ref, ok := readTriple(w, p)
		switch {
		case !ok:
			r.f.odd(path, phrase.M("alert.rule.reference", "text", clip(w)))
		case ref.Key() == a.Ref().Key() || ref.Sender == a.Sender && ref.Identifier == a.Identifier:
			// It cannot replace itself: read as not said.
			r.f.odd(path, phrase.M("alert.rule.reference_self"))
		case !a.Sent.IsZero() && ref.Sent.After(a.Sent):
			// Acting on it would let an old message end a newer one.
			r.f.odd(path, phrase.M("alert.rule.reference_later", "text", clip(w)))
		case len(a.References) >= wordsMost:
			r.f.odd(path, phrase.M("alert.form.too_many", "what", phrase.M("alert.what.references"), "most", wordsMost))
			return
		default:
			a.References = append(a.References, ref)
		}
	}
	if len(a.References) > 0 {
		return
	}
	switch a.MsgType {
	case "Cancel", "Ack", "Error":
		r.f.wrong(path, phrase.M("alert.rule.no_references", "type", a.MsgType))
	case "Update":
		// Composers let updates out without any (wmo-raf/cap-composer, pull request 23). What
		// it says still warns; it then stands beside what it meant to replace.
		r.f.odd(path, phrase.M("alert.rule.update_without"))
	}
}

// splitTriples parts a list of triples. Where the profile's times have a blank in
// them, the piece after the blank belongs to the triple before it.
func splitTriples(s string) []string {
	var out []string
	for _, w := range strings.Fields(s) {
		if len(out) > 0 && clockOnly.MatchString(w) {
			out[len(out)-1] += " " + w
			continue
		}
		out = append(out, w)
	}
	return out
}

var clockOnly = regexp.MustCompile(`^\d\d:\d\d:\d\d([-+]\d\d:\d\d)?$`)

func readTriple(w string, p *Profile) (Ref, bool) {
	parts := strings.Split(w, ",")
	if len(parts) != 3 || !isWord(parts[0]) || !isWord(parts[1]) {
		return Ref{}, false
	}
	t, form := parseTime(parts[2], p)
	return Ref{parts[0], parts[1], t}, form != noTime
}

func (r *reader) info(i int, p *Profile) {
	a := &r.raw.a
	in, raw := &a.Infos[i], &r.raw.infos[i]
	path := infoPath(i)
	if in.Language == "" {
		in.Language = "en-US" // section 3.2.2
	} else if !languageTag.MatchString(in.Language) {
		r.f.odd(path+"/language", phrase.M("alert.form.language", "value", clip(in.Language)))
	}
	in.Effective = r.time(path+"/effective", "effective", raw.effective, p, false)
	in.Onset = r.time(path+"/onset", "onset", raw.onset, p, false)
	in.Expires = r.time(path+"/expires", "expires", raw.expires, p, true)
	if in.Effective.IsZero() {
		in.Effective = a.Sent // section 3.2.2
	}
	if !in.Expires.IsZero() {
		// Published with the times of an old draft (wmo-raf/cap-composer, issue 135). The text is
		// readable; whether it is in force is the life cycle's matter.
		from := in.Effective
		if in.Onset.After(from) {
			from = in.Onset
		}
		if !in.Expires.After(from) {
			r.f.odd(path+"/expires", phrase.M("alert.rule.expires_before"))
		}
	}
	in.Colour = p.colourOf(in, r.t)
	switch {
	case raw.severity != "" && p.SeverityColours:
		r.f.odd(path+"/severity", phrase.M("alert.form.severity_colour", "value", clip(raw.severity)))
		if in.Colour == "" {
			in.Colour = r.t.colour(raw.severity)
		}
	case raw.severity != "":
		r.f.wrong(path+"/severity", phrase.M("alert.form.value", "element", "severity", "value", clip(raw.severity), "want", strings.Join(infoFields[fieldOf(infoFields, "severity")].values, "、")))
	}
	for _, s := range []struct{ name, text string }{
		{"event", in.Event}, {"headline", in.Headline}, {"description", in.Description}, {"instruction", in.Instruction}, {"senderName", in.SenderName},
	} {
		if markup.MatchString(s.text) {
			r.f.odd(path+"/"+s.name, phrase.M("alert.rule.html", "text", clip(markup.FindString(s.text))))
		}
	}
	if in.Web != "" {
		if u, err := url.Parse(in.Web); err != nil || !u.IsAbs() {
			r.f.odd(path+"/web", phrase.M("alert.rule.web", "value", clip(in.Web)))
		}
	}
	for j := range in.Resources {
		r.resource(&in.Resources[j], &raw.resources[j], resourcePath(i, j))
	}
	for j := range in.Areas {
		r.heights(&in.Areas[j], areaPath(i, j))
	}
}

// markup finds tags and entities that would be read aloud letter by letter.
var markup = regexp.MustCompile(`</?[A-Za-z][A-Za-z0-9]{0,15}( [^<>]*)?/?>|&(#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});`)

// resource checks a file that came along. It never makes an alert fatal: the
// words stand without it; what does not agree is not used.
func (r *reader) resource(to *Resource, raw *rawResource, path string) {
	if to.MIME != "" && !isMIME(to.MIME) {
		r.f.odd(path+"/mimeType", phrase.M("alert.rule.mime", "value", clip(to.MIME)))
	}
	if raw.size != "" {
		n, err := strconv.ParseInt(strings.TrimPrefix(raw.size, "+"), 10, 64)
		if err != nil || n < 0 {
			r.f.odd(path+"/size", phrase.M("alert.rule.size", "value", clip(raw.size)))
		} else {
			to.Size = n
		}
	}
	if to.URI != "" && raw.body == "" {
		if u, err := url.Parse(to.URI); err != nil || !u.IsAbs() {
			r.f.odd(path+"/uri", phrase.M("alert.rule.relative_uri", "value", clip(to.URI)))
		}
	}
	if raw.body == "" {
		return
	}
	body, err := base64.StdEncoding.Strict().DecodeString(strings.Map(func(c rune) rune {
		if c < 0x80 && isSpace(byte(c)) {
			return -1
		}
		return c
	}, raw.body))
	if err != nil {
		r.f.odd(path+"/derefUri", phrase.M("alert.rule.base64"))
		return
	}
	if to.Size >= 0 && to.Size != int64(len(body)) {
		r.f.odd(path+"/size", phrase.M("alert.rule.size_differs", "said", to.Size, "is", len(body)))
		return
	}
	if to.Digest != "" {
		sum := sha1.Sum(body)
		if !strings.EqualFold(to.Digest, hex.EncodeToString(sum[:])) && to.Digest != base64.StdEncoding.EncodeToString(sum[:]) {
			r.f.odd(path+"/digest", phrase.M("alert.rule.digest"))
			return
		}
	}
	to.Body = body
}

// heights holds altitude and ceiling (section 3.2.4). A box on a pole is at the
// ground: nothing hangs on them.
func (r *reader) heights(a *Area, path string) {
	low, lowOK := degrees([]byte(a.Altitude))
	high, highOK := degrees([]byte(a.Ceiling))
	switch {
	case a.Altitude != "" && !lowOK:
		r.f.odd(path+"/altitude", phrase.M("alert.rule.height", "value", clip(a.Altitude)))
	case a.Ceiling != "" && !highOK:
		r.f.odd(path+"/ceiling", phrase.M("alert.rule.height", "value", clip(a.Ceiling)))
	case a.Ceiling != "" && a.Altitude == "":
		r.f.odd(path+"/ceiling", phrase.M("alert.rule.ceiling_alone"))
	case a.Ceiling != "" && high < low:
		r.f.odd(path+"/ceiling", phrase.M("alert.rule.ceiling_low"))
	}
}

// languages finds two blocks that claim different languages and say the same:
// one of them was never translated.
func (r *reader) languages() {
	infos := r.raw.a.Infos
	type said struct{ name, text string }
	first := map[said]int{}
	told := map[string]bool{}
	for i := range infos {
		in := &infos[i]
		for _, s := range []said{{"headline", in.Headline}, {"description", in.Description}, {"instruction", in.Instruction}} {
			if len(s.text) < 12 { // a name or a number is the same in all languages
				continue
			}
			j, seen := first[s]
			if !seen {
				first[s] = i
				continue
			}
			if strings.EqualFold(infos[j].Language, in.Language) || told[s.name] {
				continue
			}
			told[s.name] = true
			r.f.odd(infoPath(i)+"/"+s.name, phrase.M("alert.rule.untranslated", "a", clip(infos[j].Language), "b", clip(in.Language)))
		}
	}
}

func has(list []string, s string) bool { return slices.Contains(list, s) }
