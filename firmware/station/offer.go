package station

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"

	"github.com/google/renameio/v2"

	"tocsin/firmware/decide/command"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
)

// A site's file comes from outside in two parts: its bytes, by anybody, and a signed
// command that names their digest. Whichever comes second has it proved and applied.

const (
	documentsMost = 4
	documentMost  = 256 << 10
)

// documents are bytes and orders that wait for each other. The county's goroutine
// owns them.
type documents struct {
	bytes  map[string][]byte // by SHA-256, in hexadecimal
	order  []string          // of bytes, oldest first
	wanted map[string]string // digest → id of the command
}

// OfferDocument takes the bytes of a site's file that a signed command names.
func (h *House) OfferDocument(ctx context.Context, b []byte) (t api.Text, err error) {
	if len(b) == 0 || len(b) > documentMost {
		return t, phrase.E("station.document_size", "bytes", len(b), "most", documentMost)
	}
	sum := sha256.Sum256(b)
	digest := hex.EncodeToString(sum[:])
	busy := h.county.do(ctx, func() {
		d := &h.county.documents
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
		if _, ok := d.wanted[digest]; !ok {
			t = api.TextOf(phrase.M("station.document_waits", "digest", digest))
			return
		}
		var m phrase.Message
		if m, err = h.county.apply(digest); err == nil {
			t = api.TextOf(m)
		}
	})
	if busy != nil {
		err = busy
	}
	return t, err
}

// offered is what a configuration command does.
func (c *county) offered(cmd *command.Command) (phrase.Message, error) {
	d := &c.documents
	if d.wanted == nil || len(d.wanted) >= documentsMost {
		d.wanted = map[string]string{}
	}
	d.wanted[cmd.Content.SHA256] = cmd.ID
	if d.bytes[cmd.Content.SHA256] == nil {
		return phrase.M("station.document_expected", "digest", cmd.Content.SHA256), nil
	}
	return c.apply(cmd.Content.SHA256)
}

// apply proves a document and puts it in the place of the site's file, whose old
// text stays beside it. While a level stands nothing is changed.
func (c *county) apply(digest string) (phrase.Message, error) {
	if c.h.seen().worst > point.Calm {
		return phrase.Message{}, phrase.E("station.document_level")
	}
	b, file := c.documents.bytes[digest], c.bp.Doc.File
	trial := file + ".offered"
	if err := renameio.WriteFile(trial, b, 0o644); err != nil {
		return phrase.Message{}, phrase.Wrap(err, "station.document_disk", "detail", err)
	}
	defer os.Remove(trial)
	bp, problems := Load(trial)
	if config.Fatal(problems) {
		p := problems[0]
		return phrase.Message{}, phrase.E("station.document_bad", "problem", phrase.Text{ZH: p.In(phrase.ZH), EN: p.In(phrase.EN)})
	}
	if bp.Doc.Site.Site.ID != c.bp.Doc.Site.Site.ID {
		return phrase.Message{}, phrase.E("station.document_other", "id", bp.Doc.Site.Site.ID)
	}
	old, err := os.ReadFile(file)
	if err == nil {
		err = renameio.WriteFile(file+".previous", old, 0o644)
	}
	if err == nil {
		err = renameio.WriteFile(file, b, 0o644)
	}
	if err != nil {
		return phrase.Message{}, phrase.Wrap(err, "station.document_disk", "detail", err)
	}
	id := c.documents.wanted[digest]
	delete(c.documents.wanted, digest)
	c.h.write(journal.Record{Kind: "order.configured", Cause: causeOfCommand(id), At: c.h.clock.Now(), Message: phrase.M("station.document_applied", "digest", digest)}, nil)
	select {
	case c.h.again <- struct{}{}:
	default: // a reload is due already, and reads the new file
	}
	return phrase.M("station.document_applied", "digest", digest), nil
}
