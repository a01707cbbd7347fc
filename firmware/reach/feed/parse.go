package feed

import (
	"crypto/sha256"
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"strings"
	"time"

	"tocsin/firmware/phrase"
)

const atom = "http://www.w3.org/2005/Atom"

// entry is one alert that a feed names or carries.
type entry struct {
	key    key
	at     time.Time // when it was updated as it says; only the order depends on it
	link   *url.URL  // nil where there is none
	inline []byte    // the CAP document itself, where the entry carries one
	why    error     // why it cannot be had at all
}

// page is what was read of an answer, also of one that broke off.
type page struct {
	entries []entry // those that want said yes to
	shown   []key   // every entry, for what is remembered
	without int     // entries in which no alert was found
	more    bool    // there were more entries than the bound
}

const (
	textMost = 2 << 10 // an id, a date or a link
	linkMost = 8       // CAP documents of one entry, in several languages
)

// parse reads an Atom or RSS feed. want tells whether an entry is not judged
// yet; the bytes of others are let go at once. What was read before a fault is
// given with it.
func parse(in io.Reader, base *url.URL, l Limits, want func(key) bool) (p page, err error) {
	r := newReader(in, base, l)
	root, err := r.root()
	if err != nil {
		return p, fault(err)
	}
	item := func(c *element) (bool, error) {
		if len(p.shown) >= l.Entries {
			p.more = true
			return false, nil
		}
		raw, err := r.entry()
		if err != nil {
			return false, err
		}
		p.add(raw, l, want)
		return true, nil
	}
	switch {
	case root.local == "feed" && root.space == atom:
		err = r.each(func(c *element) (bool, error) {
			if c.local == "entry" && c.space == atom {
				return item(c)
			}
			return false, nil
		})
	case root.local == "rss" && root.space == "":
		err = r.each(func(c *element) (bool, error) {
			if c.local != "channel" || c.space != "" {
				return false, nil
			}
			return true, r.each(func(c *element) (bool, error) {
				if c.local == "item" && c.space == "" {
					return item(c)
				}
				return false, nil
			})
		})
	default:
		return p, phrase.E("feed.not_feed", "root", cut(root.local, 40))
	}
	// The rest is read too: a document with something behind its root is broken,
	// and a gzip's checksum stands at its end.
	for err == nil {
		var e *element
		var text []byte
		if e, text, err = r.next(); err == nil && (e != nil || strings.TrimSpace(string(text)) != "") {
			err = phrase.E("feed.behind")
		}
	}
	if err == io.EOF {
		err = nil
	}
	return p, fault(err)
}

// root reads up to the first element.
func (r *reader) root() (*element, error) {
	for {
		e, text, err := r.next()
		if err == io.EOF {
			return nil, phrase.E("feed.empty")
		}
		if err != nil || e != nil {
			return e, err
		}
		if strings.TrimSpace(string(text)) != "" {
			return nil, phrase.E("feed.no_xml")
		}
	}
}

// found is what an entry says, Atom's or RSS's.
type found struct {
	id, updated string
	links       []*url.URL // the best ones
	rank        int
	inline      []byte
	large       bool
	bad         bool // a link that is none
}

// Ranks of a link: how surely it leads to a CAP document.
const (
	none  = iota
	guess // an id that looks like an address
	plain
	xmlType
	capType
)

// rank judges a link by its relation and media type.
func rank(rel, media string) int {
	media, _, _ = strings.Cut(strings.ToLower(media), ";")
	n := none
	switch strings.TrimSpace(media) {
	case "application/cap+xml", "application/common-alerting-protocol+xml":
		return capType
	case "application/xml", "text/xml":
		n = xmlType
	case "":
		n = plain
	}
	if rel != "" && rel != "alternate" && rel != "enclosure" {
		return none
	}
	return n
}

func (f *found) offer(base *url.URL, href string, rank int) {
	if rank == none || rank < f.rank || href == "" || rank == f.rank && (rank != capType || len(f.links) >= linkMost) {
		return
	}
	u, err := base.Parse(href)
	if err != nil || len(href) > textMost {
		f.bad = true
		return
	}
	u.Fragment = ""
	if rank > f.rank {
		f.links = nil
	}
	f.rank, f.links = rank, append(f.links, u)
}

// entry reads an Atom entry or an RSS item to its end.
func (r *reader) entry() (*found, error) {
	f := &found{}
	err := r.each(func(c *element) (bool, error) {
		if c.space != atom && c.space != "" && c.local != "alert" && c.local != "encoded" {
			return false, nil
		}
		var err error
		var s string
		switch c.local {
		case "id", "guid":
			f.id, _, err = r.text(textMost)
			if c.local == "guid" && !strings.EqualFold(c.get("isPermaLink"), "false") && (strings.HasPrefix(f.id, "https:") || strings.HasPrefix(f.id, "http:")) {
				f.offer(c.base, f.id, guess)
			}
		case "updated", "pubDate":
			f.updated, _, err = r.text(textMost)
		case "link":
			href := c.get("href")
			s, _, err = r.text(textMost)
			if href == "" && c.space == "" {
				href = s
			}
			f.offer(c.base, href, rank(c.get("rel"), c.get("type")))
		case "enclosure":
			f.offer(c.base, c.get("url"), rank("enclosure", c.get("type")))
			return false, nil
		case "content", "description", "encoded", "summary":
			if src := c.get("src"); src != "" {
				f.offer(c.base, src, rank("", c.get("type")))
			}
			err = r.content(f)
		case "alert":
			err = r.alert(f, c)
		default:
			return false, nil
		}
		return true, err
	})
	return f, err
}

// alert cuts an alert out of the feed.
func (r *reader) alert(f *found, e *element) error {
	b, err := r.cutOut(e)
	if errors.Is(err, errLarge) {
		f.large = true
		return nil
	}
	if err == nil && f.inline == nil {
		f.inline = b
	}
	return err
}

// content looks for an alert within a content: as an element, or as text that is
// a whole document (escaped or in CDATA).
func (r *reader) content(f *found) error {
	var text []byte
	over := false
	for depth := len(r.stack); len(r.stack) >= depth; {
		e, t, err := r.next()
		switch {
		case err != nil:
			return err
		case e != nil && e.local == "alert":
			if err := r.alert(f, e); err != nil {
				return err
			}
		case e == nil && !over:
			if over = int64(len(text)+len(t)) > r.l.Document; over {
				f.large = f.large || isAlert(text)
				text = nil
			}
			text = append(text, t[:min(len(t), int(r.l.Document)-len(text))]...)
		}
	}
	if f.inline == nil && !over && isAlert(text) {
		f.inline = []byte(strings.TrimSpace(string(text)))
	}
	return nil
}

// isAlert tells whether text begins as a document whose root is an alert.
func isAlert(b []byte) bool {
	s := strings.TrimSpace(string(b[:min(len(b), 4<<10)]))
	s = strings.TrimPrefix(s, "\ufeff")
	if !strings.HasPrefix(s, "<") {
		return false
	}
	d := xml.NewDecoder(strings.NewReader(s))
	for {
		t, err := d.RawToken()
		if err != nil {
			return false
		}
		if e, ok := t.(xml.StartElement); ok {
			return e.Name.Local == "alert"
		}
	}
}

// add makes of what was found the entries that are wanted.
func (p *page) add(f *found, l Limits, want func(key) bool) {
	at := when(f.updated)
	put := func(e entry) {
		p.shown = append(p.shown, e.key)
		if want(e.key) {
			e.at = at
			p.entries = append(p.entries, e)
		}
	}
	switch {
	case f.inline != nil:
		sum := sha256.Sum256(f.inline)
		e := entry{key: keyOf("inline", f.id, f.updated, string(sum[:])), inline: f.inline}
		// Should the feed have spoilt the alert that it carries, the link leads
		// to what was signed.
		if f.rank >= xmlType {
			e.link = f.links[0]
		}
		put(e)
	case len(f.links) > 0:
		for i, u := range f.links {
			// An entry's id stays and its update time changes (RFC 4287, sections
			// 4.2.6 and 4.2.15); where either is missing the link is all there is.
			k := keyOf("link", f.id, f.updated, u.String())
			if i == 0 && f.id != "" && f.updated != "" {
				k = keyOf("entry", f.id, f.updated)
			}
			put(entry{key: k, link: u})
		}
	case f.large:
		put(entry{key: keyOf("large", f.id, f.updated), why: phrase.E("feed.too_large", "kib", l.Document>>10)})
	case f.bad:
		put(entry{key: keyOf("bad", f.id, f.updated), why: phrase.E("feed.link_bad")})
	default:
		p.shown = append(p.shown, keyOf("none", f.id, f.updated))
		p.without++
	}
}

// when reads RFC 3339 (Atom) and RFC 822 dates (RSS); zero where it is neither.
func when(s string) time.Time {
	for _, layout := range []string{time.RFC3339, time.RFC1123Z, time.RFC1123, "Mon, 2 Jan 2006 15:04:05 -0700", "Mon, 2 Jan 2006 15:04:05 MST", "2 Jan 2006 15:04:05 -0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t
		}
	}
	return time.Time{}
}

// fault says in a person's words why a feed could not be read.
func fault(err error) error {
	var said *phrase.Error
	var syntax *xml.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &said):
		return said
	case errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &syntax) && syntax.Msg == "unexpected EOF":
		return phrase.E("feed.cut_off")
	}
	return phrase.E("feed.malformed", "err", cut(err.Error(), 200))
}
