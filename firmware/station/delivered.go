package station

import (
	"encoding/json"
	"slices"
	"sync"
	"time"

	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/serve/api"
)

// deliveries joins what was told to the county with its receipts, so that an alarm's page
// says who has heard of it and by which link.
type deliveries struct {
	mu    sync.Mutex
	about map[string]about // by message
	names []string         // of about, oldest first
	all   []delivery       // oldest first
}

// about is what a message was about.
type about struct {
	cause string
	what  phrase.Message
}

type delivery struct {
	courier.Delivered
	about
	at time.Time
}

// Bounds of what is remembered.
const (
	aboutMost      = 512
	deliveriesMost = 128
	// deliveriesShown bounds an alarm's own.
	deliveriesShown = 8
)

// told notes what a message is about, before it is posted.
func (d *deliveries) told(name, cause string, what phrase.Message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.about == nil {
		d.about = map[string]about{}
	}
	if _, there := d.about[name]; !there {
		if d.names = append(d.names, name); len(d.names) > aboutMost {
			delete(d.about, d.names[0])
			d.names = slices.Delete(d.names, 0, 1)
		}
	}
	d.about[name] = about{cause, what}
}

// took notes a receipt.
func (d *deliveries) took(x courier.Delivered, at time.Time) {
	if x.Class >= courier.Telemetry {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all = append(d.all, delivery{x, d.about[x.ID], at}); len(d.all) > deliveriesMost {
		d.all = slices.Delete(d.all, 0, 1)
	}
}

// recall takes back what the journal has of an earlier run, the oldest first.
func (d *deliveries) recall(records []journal.Record) {
	d.mu.Lock()
	fresh := d.all
	d.all = nil
	d.mu.Unlock()
	for _, r := range records {
		switch r.Kind {
		case "alert.sent", "county.told":
			var b struct{ Name string }
			if json.Unmarshal(r.Body, &b) == nil && b.Name != "" {
				d.told(b.Name, r.Cause, r.Message)
			}
		case "receipt.county":
			var b struct {
				Class, Link string
				Seconds     float64
				Late        bool
			}
			class, ok := courier.Class(0), false
			if json.Unmarshal(r.Body, &b) == nil {
				class, ok = courier.ParseClass(b.Class)
			}
			if !ok {
				continue
			}
			x := courier.Delivered{ID: r.Cause, Class: class, Link: b.Link, After: time.Duration(b.Seconds * float64(time.Second)), Late: b.Late}
			if !slices.ContainsFunc(fresh, func(f delivery) bool { return f.ID == x.ID }) {
				d.took(x, r.At.Wall)
			}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range fresh {
		if fresh[i].cause == "" {
			fresh[i].about = d.about[fresh[i].ID]
		}
	}
	d.all = append(d.all, fresh...)
	d.all = slices.Delete(d.all, 0, max(0, len(d.all)-deliveriesMost))
}

// list gives the receipts, newest first; of one cause, or with "" all.
func (d *deliveries) list(cause string) (out []delivery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, x := range slices.Backward(d.all) {
		if cause == "" || x.cause == cause {
			out = append(out, x)
		}
	}
	return out
}

// delivered is told each message whose receipt came; it neither blocks nor posts.
func (h *House) delivered(d courier.Delivered) {
	h.deliveries.took(d, h.clock.Now().Wall)
	h.tally.arrived(d)
}

func (s shown) delivery(x delivery) api.CountyReceipt {
	r := api.CountyReceipt{Message: x.ID, Class: x.Class.String(), Cause: x.cause, Link: x.Link, LinkText: linkName(x.Link), After: x.After, Late: x.Late, At: x.at}
	if !x.what.IsZero() {
		r.What = s.text(x.what)
	}
	return r
}
