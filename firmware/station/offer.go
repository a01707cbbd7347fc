package station

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/command"
	"tocsin/firmware/keep/config/revision"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
)

// A site's file comes from outside in two parts: its bytes, by anybody, and a signed
// command that names their digest. Whichever comes second has it proved and applied,
// by the goroutine of whoever brought it: a disk that hangs holds up no warning.

const (
	documentsMost = 4
	documentMost  = 256 << 10
)

// documents are bytes and the order that wait for each other. The county's goroutine
// owns them.
type documents struct {
	bytes map[string][]byte // by SHA-256, in hexadecimal
	order []string          // of bytes, oldest first
	// wanted is the newest order alone, and only as long as it is good: nobody brings
	// back by an old file what a newer order has replaced.
	wanted *wanted
	newest time.Time // when that was issued, also once it was carried out
}

type wanted struct {
	digest, cause string
	expires       time.Time
	came          clock.Stamp
	life          time.Duration // a box without a clock knows its end by this
	waits         bool          // a level stood when bytes and order were both here
}

func (w *wanted) over(now clock.Stamp, floor time.Time) bool {
	d, _ := now.Since(w.came)
	return d >= w.life || clock.Expired(w.expires, now, floor)
}

// find gives the bytes that are both here and ordered.
func (d *documents) find(digest string, now clock.Stamp, floor time.Time) (b []byte, w *wanted) {
	if d.wanted != nil && d.wanted.over(now, floor) {
		d.wanted = nil
	}
	if d.wanted == nil || d.wanted.digest != digest {
		return nil, nil
	}
	return d.bytes[digest], d.wanted
}

// drop forgets an order, unless another has replaced it.
func (d *documents) drop(w *wanted) {
	if d.wanted == w {
		d.wanted = nil
	}
}

func (d *documents) put(digest string, b []byte) {
	if d.bytes == nil {
		d.bytes = map[string][]byte{}
	}
	if _, ok := d.bytes[digest]; !ok {
		d.bytes[digest] = b
		d.order = append(d.order, digest)
	}
	for len(d.order) > documentsMost {
		delete(d.bytes, d.order[0])
		d.order = d.order[1:]
	}
}

// OfferDocument takes the bytes of a site's file that a signed command names.
func (h *House) OfferDocument(ctx context.Context, b []byte) (api.Text, error) {
	if len(b) == 0 || len(b) > documentMost {
		return api.Text{}, phrase.E("station.document_size", "bytes", len(b), "most", documentMost)
	}
	sum := sha256.Sum256(b)
	digest := hex.EncodeToString(sum[:])
	var w *wanted
	err := h.county.do(ctx, func() {
		now, floor := h.county.now()
		h.county.documents.put(digest, b)
		_, w = h.county.documents.find(digest, now, floor)
	})
	if err != nil {
		return api.Text{}, err
	}
	if w == nil {
		return api.TextOf(phrase.M("station.document_waits", "digest", digest)), nil
	}
	m, err := h.apply(ctx, b, w)
	if phrase.Of(err).Code == "station.document_level" {
		if err := h.county.do(ctx, func() { w.waits = true }); err != nil {
			return api.Text{}, err
		}
		return api.TextOf(phrase.M("station.document_deferred", "digest", digest)), nil
	}
	if err != nil {
		return api.Text{}, err
	}
	return api.TextOf(m), nil
}

// want is what a configuration command does. Where the bytes are here already,
// whoever brought the command applies them.
func (c *county) want(cmd *command.Command, j *job, now clock.Stamp) (func() (phrase.Message, error), error) {
	d, digest := &c.documents, cmd.Content.SHA256
	if cmd.Issued.Before(d.newest) {
		return nil, phrase.E("station.document_older", "newest", d.newest.Format(time.RFC3339))
	}
	w := &wanted{digest: digest, cause: causeOfCommand(cmd), expires: cmd.Expires, came: now, life: cmd.Expires.Sub(cmd.Issued)}
	if b := d.bytes[digest]; b != nil {
		if c.h.mayConfigure() != nil {
			w.waits, d.wanted, d.newest = true, w, cmd.Issued
			return saying(phrase.M("station.document_deferred", "digest", digest)), nil
		}
		j.then = func(ctx context.Context) (phrase.Message, error) {
			m, err := c.h.apply(ctx, b, w)
			if err != nil { // what was told as refused is not done later
				_ = c.do(ctx, func() { d.drop(w) })
			}
			return m, err
		}
	}
	d.wanted, d.newest = w, cmd.Issued
	return saying(phrase.M("station.document_expected", "digest", digest)), nil
}

// mayConfigure refuses while a level stands.
func (h *House) mayConfigure() error {
	if h.seen().worst > point.Calm {
		return phrase.E("station.document_level")
	}
	return nil
}

// apply proves a document and puts it in the place of the site's file, whose old text
// stays as a revision.
func (h *House) apply(ctx context.Context, b []byte, w *wanted) (phrase.Message, error) {
	if !h.applying.TryLock() {
		return phrase.Message{}, phrase.E("station.busy")
	}
	defer h.applying.Unlock()
	if err := h.mayConfigure(); err != nil {
		return phrase.Message{}, err
	}
	restart, err := h.fits(b)
	if err != nil {
		return phrase.Message{}, err
	}
	// Another order may have come while this was proved.
	var still bool
	err = h.county.do(ctx, func() {
		still = h.county.documents.wanted == w
		h.county.documents.drop(w)
	})
	switch {
	case err != nil:
		return phrase.Message{}, err
	case !still:
		return phrase.Message{}, phrase.E("station.document_gone")
	}
	s, err := h.adopted()
	if err == nil {
		_, err = s.Propose(revision.Change{Base: s.Newest().Number, Document: b, By: revision.County, Why: w.cause, Restart: restart})
		h.nudge()
	}
	if err != nil {
		return phrase.Message{}, phrase.Wrap(err, "station.document_disk", "detail", err)
	}
	for _, o := range overridesOf(h.seen().bp.Doc.Site.Managed) {
		h.overridden.ends(o.Path, phrase.M("managed.replaced", "path", o.Path))
	}
	done := phrase.M("station.document_applied", "digest", w.digest)
	if restart {
		done = phrase.M("station.document_restart", "digest", w.digest)
	}
	h.write(journal.Record{Kind: "order.configured", Cause: w.cause, At: h.clock.Now(), Message: done}, nil)
	select {
	case h.again <- struct{}{}:
	default: // a reload is due already, and reads the new file
	}
	return done, nil
}
