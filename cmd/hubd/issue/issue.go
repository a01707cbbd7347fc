package issue

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"time"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/decide/alert/compact"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/trust"
)

// Words are what a person chose: a template of the tables, and its two numbers.
type Words struct {
	Template uint16
	P, Q     uint8
}

// Short is a warning of 78 bytes.
type Short struct {
	Bytes []byte
	// Told is what it says wider or longer than the document.
	Told []phrase.Message
	// Says is what a station reads in it.
	Says phrase.Text
}

// LoadKey reads an issuer's key, which nobody else may read.
func LoadKey(file string) (*trust.PrivateKey, error) {
	st, err := os.Stat(file)
	if err != nil || !st.Mode().IsRegular() || st.Size() > 64<<10 {
		return nil, phrase.E("hubd.issuer_missing", "file", file)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return nil, phrase.E("hubd.secret_open", "file", file)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, phrase.Wrap(err, "hubd.issuer_missing", "file", file)
	}
	k, err := trust.LoadSigner(b)
	if err != nil {
		return nil, phrase.Wrap(err, "hubd.issuer_key", "file", file)
	}
	return k, nil
}

// Condense makes the 78 bytes of a document and signs them. The number is on the disk before.
func Condense(f *hubfile.File, raw []byte, key trust.Signer, w Words, now time.Time) (*Short, error) {
	if f.Warnings.Store == nil {
		return nil, phrase.E("hubd.issuer_trust")
	}
	id, err := trust.IDOf(key.Public())
	if err != nil {
		return nil, err
	}
	if key.Algorithm() != trust.EdDSA {
		return nil, phrase.E("compact.key")
	}
	issuer, _, ok := f.Warnings.Store.Key(id)
	switch {
	case !ok:
		return nil, phrase.E("hubd.issuer_stranger", "key", string(id), "file", f.Warnings.Trust)
	case issuer.Compact == nil:
		return nil, phrase.E("hubd.issuer_compact", "issuer", issuer.Name, "file", f.Warnings.Trust)
	}
	if t, ok := f.Warnings.Book.Templates[int(w.Template)]; !ok || t.P == nil && w.P > 0 || t.Q == nil && w.Q > 0 || w.Q > 127 {
		return nil, phrase.E("hubd.issuer_template", "template", int(w.Template))
	}
	a, found := alert.Parse(raw, f.Warnings.CAP)
	for _, x := range found {
		if x.Fatal {
			return nil, phrase.E("hubd.alert_form", "path", x.Path, "what", x.What)
		}
	}
	if a == nil {
		return nil, phrase.E("hubd.alert_unsigned")
	}
	in := compact.Issue{Issuer: issuer.Compact.Number, Region: issuer.Compact.Region, At: now, Template: w.Template, P: w.P, Q: w.Q, Sequence: 1}
	// What the form cannot say costs no number.
	if _, _, err := f.Warnings.Book.Condense(a, in); err != nil {
		return nil, err
	}
	b, err := openBook(f.Data, issuer.Compact.Number)
	if err != nil {
		return nil, err
	}
	defer b.close()
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %d %s", w.Template, w.P, w.Q, raw))
	var refs []string
	for _, r := range a.References {
		refs = append(refs, r.Key())
	}
	e, again, err := b.reserve(hex.EncodeToString(sum[:]), a.Ref().Key(), a.MsgType, refs, compact.DayOf(now))
	if err != nil {
		return nil, err
	}
	var out Short
	if !again {
		in.Serial, in.Sequence, in.Chain = uint8(e.Serial), uint8(e.Sequence), compact.Chain{DayBits: uint8(e.Began & 7), Serial: uint8(e.Serial)}
		var x compact.Warning
		if x, out.Told, err = f.Warnings.Book.Condense(a, in); err != nil {
			return nil, err
		}
		if e.Body, err = x.Pack(); err != nil {
			return nil, err
		}
		if err := b.write(); err != nil {
			return nil, err
		}
	}
	x, err := compact.Unpack(e.Body)
	if err != nil {
		return nil, err
	}
	if out.Bytes, err = compact.Sign(x, key, e.Day, issuer.Compact.Region); err != nil {
		return nil, err
	}
	o := Open(f, out.Bytes, now)
	if !o.Trusted || !o.WellFormed {
		for _, x := range o.Findings {
			if x.Fatal {
				return nil, phrase.E("hubd.issuer_refused", "what", x.What)
			}
		}
		return nil, phrase.E("hubd.issuer_refused", "what", issuer.Name)
	}
	if zh, en := o.Alert.Info("zh-CN"), o.Alert.Info("en-US"); zh != nil {
		out.Says = phrase.Text{ZH: zh.Headline + " " + zh.Description, EN: en.Headline + " " + en.Description}
	}
	return &out, nil
}

// Open reads 78 bytes as a station would that has the hub's tables and issuers.
func Open(f *hubfile.File, b []byte, now time.Time) *alert.Opened {
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		zone = time.UTC
	}
	store := f.Warnings.Store
	if store == nil {
		store, _ = trust.New(trust.Document{}, nil)
	}
	r := &compact.Reader{Alerts: &alert.Reader{Trust: store, Tables: f.Warnings.CAP}, Tables: f.Warnings.Book, Zone: zone}
	return r.Open(b, compact.When{Now: now, Trusted: true})
}

// Named is what is known of a compact warning that somebody signed.
type Named struct {
	// Names are the warning's in receipts; About is its headline.
	Names []wire.About
	About string
	// Until is when it is over; a cancel's is a day after it.
	Until time.Time
}

// NamesOf reads the names of 78 bytes. It errs where no issuer of the hub's file signed them.
func NamesOf(f *hubfile.File, b []byte, now time.Time) (n Named, err error) {
	o := Open(f, b, now)
	if !o.Genuine || o.Alert == nil {
		return n, phrase.E("hubd.issuer_refused", "what", phrase.M("compact.unverified"))
	}
	w, err := compact.Unpack(b[:compact.BodySize])
	if err != nil {
		return n, err
	}
	issued := o.Alert.Sent // a cancel's is its own; what begins a chain is of the chain's day
	n.About, n.Until = o.Alert.Identifier, issued.Add(24*time.Hour)
	if in := o.Alert.Info("zh-CN"); in != nil {
		issued, n.About, n.Until = in.Onset, in.Headline, in.Expires
	}
	day := compact.DayOf(issued)
	n.Names = []wire.About{wire.AboutCompact(uint8(w.Type), w.Issuer, int(day), w.Number()), wire.AboutAlert(o.Alert.Ref().Key())}
	if chain := day - (day-compact.Day(w.Chain.DayBits))&7; chain != day { // some count by the chain's day
		n.Names = append(n.Names, wire.AboutCompact(uint8(w.Type), w.Issuer, int(chain), w.Number()))
	}
	return n, nil
}
