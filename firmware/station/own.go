package station

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/firmware/decide/alert"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
)

// own are the box's own messages: its alarms and its answers to others as signed CAP,
// for whoever follows it.
type own struct {
	mu   sync.RWMutex
	all  []ownMessage // oldest first
	last int          // the number of the newest
}

type ownMessage struct {
	ID      string    `json:"id"`
	Title   string    `json:"title"`
	Updated time.Time `json:"updated"`
	XML     []byte    `json:"xml"`
	// Cause, Ref and Type let a later message of the same alarm name this one.
	Cause string    `json:"cause,omitempty"`
	Ref   alert.Ref `json:"ref,omitzero"`
	Type  string    `json:"type,omitempty"`
	// Level is what an alarm's message said.
	Level point.Level `json:"level,omitempty"`
	// Posted: it was given to the county's links, too.
	Posted bool `json:"posted,omitempty"`
}

// ownKept bounds the messages that are kept, keyOwn begins the journal's names of
// them.
const (
	ownKept = 64
	keyOwn  = "own/"
)

// put keeps a message here, lets the oldest go, and gives what the journal must keep of
// that, with its record.
func (o *own) put(m ownMessage, rec journal.Record) journal.Batch {
	state := map[string][]byte{}
	o.mu.Lock()
	o.last++
	b, _ := json.Marshal(m) // strings and times: cannot fail
	state[fmt.Sprintf("%s%012d", keyOwn, o.last)] = b
	o.all = append(o.all, m)
	if n := len(o.all) - ownKept; n > 0 {
		o.all = slices.Delete(o.all, 0, n)
		state[fmt.Sprintf("%s%012d", keyOwn, o.last-ownKept)] = nil
	}
	o.mu.Unlock()
	return journal.Batch{Records: []journal.Record{rec}, State: state}
}

// restore takes back what the journal kept.
func (o *own) restore(j *journal.Journal) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fresh := o.all
	o.all = nil
	for _, k := range j.Keys(keyOwn) {
		b, ok := j.Get(k)
		var m ownMessage
		var n int
		if !ok || json.Unmarshal(b, &m) != nil || m.ID == "" {
			continue
		}
		if _, err := fmt.Sscanf(strings.TrimPrefix(k, keyOwn), "%d", &n); err != nil {
			continue
		}
		o.last = max(o.last, n)
		if !slices.ContainsFunc(fresh, func(f ownMessage) bool { return f.ID == m.ID }) {
			o.all = append(o.all, m)
		}
	}
	o.all = append(o.all, fresh...)
	if n := len(o.all) - ownKept; n > 0 {
		o.all = slices.Delete(o.all, 0, n)
	}
}

// lastOf gives the newest message of an alarm that has not been called off.
func (o *own) lastOf(cause string) (alert.Ref, bool) {
	m, ok := o.lastSaid(cause)
	return m.Ref, ok && m.Type != "Cancel"
}

// lastSaid gives the newest message of an alarm.
func (o *own) lastSaid(cause string) (ownMessage, bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	for _, m := range slices.Backward(o.all) {
		if m.Cause == cause && (m.Type == "Alert" || m.Type == "Update" || m.Type == "Cancel") {
			return m, true
		}
	}
	return ownMessage{}, false
}

// Atom (RFC 4287) as CAP feeds are written: one entry a message, its link of CAP's
// media type.
type (
	atomFeed struct {
		XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
		ID      string      `xml:"id"`
		Title   string      `xml:"title"`
		Updated string      `xml:"updated"`
		Author  string      `xml:"author>name"`
		Entries []atomEntry `xml:"entry"`
	}
	atomEntry struct {
		ID      string   `xml:"id"`
		Title   string   `xml:"title"`
		Updated string   `xml:"updated"`
		Link    atomLink `xml:"link"`
	}
	atomLink struct {
		Rel  string `xml:"rel,attr"`
		Type string `xml:"type,attr"`
		Href string `xml:"href,attr"`
	}
)

// OwnFeed gives the box's own messages, newest first, as an Atom feed.
func (h *House) OwnFeed(base string) []byte {
	bp := h.seen().bp
	f := atomFeed{ID: "urn:tocsin:" + bp.Doc.Site.Site.ID, Title: bp.Doc.Site.Site.Name.ZH, Author: bp.Doc.Site.Site.Name.ZH, Updated: h.begun.Wall.UTC().Format(time.RFC3339)}
	h.own.mu.RLock()
	for _, m := range slices.Backward(h.own.all) {
		at := m.Updated.UTC().Format(time.RFC3339)
		f.Entries = append(f.Entries, atomEntry{ID: "urn:tocsin:" + m.ID, Title: m.Title, Updated: at,
			Link: atomLink{Rel: "enclosure", Type: "application/cap+xml", Href: base + "/" + m.ID}})
	}
	h.own.mu.RUnlock()
	if len(f.Entries) > 0 {
		f.Updated = f.Entries[0].Updated
	}
	var b bytes.Buffer
	b.WriteString(xml.Header)
	if err := xml.NewEncoder(&b).Encode(f); err != nil {
		h.log.Error("own feed", "err", err)
	}
	return b.Bytes()
}

// OwnMessage gives one of them.
func (h *House) OwnMessage(id string) ([]byte, bool) {
	h.own.mu.RLock()
	defer h.own.mu.RUnlock()
	for _, m := range h.own.all {
		if m.ID == id {
			return m.XML, true
		}
	}
	return nil, false
}

var _ api.Warnings = (*House)(nil)
