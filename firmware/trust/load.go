package trust

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/emmansun/gmsm/smx509"

	"tocsin/firmware/phrase"
)

// Bounds of what a document names.
const (
	keyFileMost  = 64 << 10
	listFileMost = 1 << 20
	issuersMost  = 64
	keysMost     = 32 // of one issuer
	listsMost    = 64
)

// loader proves a document.
type loader struct {
	files  fs.FS
	zone   *time.Location
	store  *Store
	faults []Fault
}

// New proves a document and makes a Store of it. Files are read from files, which
// may be nil where all is inline. A Store is given also where there are faults;
// what is faulty is left out of it, so that a broken line costs only itself.
func New(d Document, files fs.FS) (*Store, []Fault) {
	l := &loader{files: files, store: &Store{
		keys: map[KeyID]pinned{}, revoked: map[KeyID]revocation{}, sm2: d.SM2.OrDefault(), rsaLeast: rsaModest,
	}}
	name := d.Zone
	if name == "" {
		name = "Asia/Shanghai"
	}
	var err error
	if l.zone, err = time.LoadLocation(name); err != nil {
		l.fault(phrase.M("trust.zone", "zone", name), "zone")
		l.zone = time.UTC
	}
	switch {
	case d.RSABits == 0:
	case d.RSABits < rsaModest || d.RSABits > rsaMost:
		l.fault(phrase.M("trust.rsa_bits", "bits", d.RSABits, "least", rsaModest, "most", rsaMost), "rsa_bits")
	default:
		l.store.rsaLeast = d.RSABits
	}
	for _, u := range slices.Concat(d.SM2.Signatures, d.SM2.Digests) {
		if u == "" || strings.ContainsAny(u, " \t\r\n") {
			l.fault(phrase.M("trust.sm2_uri", "uri", u), "sm2")
		}
	}
	if len(d.Issuers) > issuersMost {
		l.fault(phrase.M("trust.too_many", "count", len(d.Issuers), "most", issuersMost), "issuers")
		return l.store, l.faults
	}
	for _, id := range slices.Sorted(maps.Keys(d.Issuers)) {
		l.issuer(id, d)
	}
	l.lists(d.Lists)
	for n, r := range d.Revoked {
		l.revoked(r, n)
	}
	return l.store, l.faults
}

func (l *loader) fault(m phrase.Message, at ...any) {
	l.faults = append(l.faults, Fault{Path: at, Message: m})
}

func (l *loader) warn(m phrase.Message, at ...any) {
	l.faults = append(l.faults, Fault{Path: at, Message: m, Warning: true})
}

// below names an issuer or list in an error.
func below(what string, err error) phrase.Message {
	var e *phrase.Error
	if errors.As(err, &e) && e.Err != nil {
		return phrase.M("trust.at_cause", "what", what, "why", e.Message, "cause", e.Err)
	}
	return phrase.M("trust.at", "what", what, "why", phrase.Of(err))
}

// read gives the bytes of a PEM entry.
func (l *loader) read(p PEMDocument, most int) ([]byte, error) {
	switch {
	case (p.PEM == "") == (p.File == ""):
		return nil, phrase.E("trust.pem_or_file")
	case p.PEM != "":
		return []byte(p.PEM), nil
	case !fs.ValidPath(p.File):
		return nil, phrase.E("trust.file_path", "file", p.File)
	case l.files == nil:
		return nil, phrase.E("trust.file_missing", "file", p.File)
	}
	st, err := fs.Stat(l.files, p.File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, phrase.E("trust.file_missing", "file", p.File)
	case err != nil:
		return nil, phrase.Wrap(err, "trust.file_unreadable", "file", p.File)
	case !st.Mode().IsRegular() || st.Size() > int64(most):
		return nil, phrase.E("trust.file_large", "file", p.File, "most", most)
	}
	b, err := fs.ReadFile(l.files, p.File)
	if err != nil {
		return nil, phrase.Wrap(err, "trust.file_unreadable", "file", p.File)
	}
	return b, nil
}

// block gives the one PEM block of an entry.
func (l *loader) block(p PEMDocument) (*pem.Block, error) {
	b, err := l.read(p, keyFileMost)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(b)
	switch {
	case block == nil:
		return nil, phrase.E("trust.pem_none")
	case strings.Contains(block.Type, "PRIVATE KEY"):
		return nil, phrase.E("trust.pem_private")
	}
	if more, _ := pem.Decode(rest); more != nil {
		return nil, phrase.E("trust.pem_many")
	}
	return block, nil
}

// PublicKey reads one public key, or the key of a certificate, as an issuer's is read.
func PublicKey(p PEMDocument, files fs.FS) (*Key, error) {
	l := &loader{files: files, store: &Store{rsaLeast: rsaModest}, zone: time.UTC}
	return l.key(p)
}

func (l *loader) certificate(p PEMDocument) (*x509.Certificate, error) {
	b, err := l.block(p)
	if err != nil {
		return nil, err
	}
	if b.Type != "CERTIFICATE" {
		return nil, phrase.E("trust.pem_type", "type", b.Type, "want", "CERTIFICATE")
	}
	c, err := parseCertificate(b.Bytes)
	if err != nil {
		return nil, phrase.Wrap(err, "trust.cert_unreadable")
	}
	return c, strong(c.PublicKey, l.store.rsaLeast)
}

func (l *loader) key(p PEMDocument) (*Key, error) {
	b, err := l.block(p)
	if err != nil {
		return nil, err
	}
	k := &Key{Person: p.Person}
	switch b.Type {
	case "PUBLIC KEY":
		if k.Public, err = smx509.ParsePKIXPublicKey(b.Bytes); err != nil {
			return nil, phrase.Wrap(err, "trust.public_unreadable")
		}
	case "CERTIFICATE":
		c, err := parseCertificate(b.Bytes)
		if err != nil {
			return nil, phrase.Wrap(err, "trust.cert_unreadable")
		}
		switch {
		case c.IsCA:
			return nil, phrase.E("trust.cert_authority", "subject", c.Subject.String())
		case !signs(c):
			return nil, phrase.E("trust.cert_usage", "subject", c.Subject.String())
		}
		k.Certificate, k.Public = c, c.PublicKey
	default:
		return nil, phrase.E("trust.pem_type", "type", b.Type, "want", "PUBLIC KEY, CERTIFICATE")
	}
	if k.ID, err = IDOf(k.Public); err != nil {
		return nil, err
	}
	if err := strong(k.Public, l.store.rsaLeast); err != nil {
		return nil, err
	}
	if k.From, err = l.time(p.From, false); err != nil {
		return nil, err
	}
	if k.Until, err = l.time(p.Until, true); err != nil {
		return nil, err
	}
	if !k.Until.IsZero() && !k.From.Before(k.Until) {
		return nil, phrase.E("trust.times", "from", p.From, "until", p.Until)
	}
	return k, nil
}

// time reads RFC 3339 or a date, which is that day from its first instant, or to
// its last.
func (l *loader) time(s string, end bool) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	t, err := time.ParseInLocation(time.DateOnly, s, l.zone)
	if err != nil {
		return time.Time{}, phrase.E("trust.time", "value", s)
	}
	if end {
		t = t.AddDate(0, 0, 1)
	}
	return t, nil
}

func (l *loader) issuer(id string, all Document) {
	d := all.Issuers[id]
	at := func(more ...any) []any { return append([]any{"issuers", id}, more...) }
	i := &Issuer{ID: id, Name: d.Name, Senders: slices.Clone(d.Senders), Subjects: slices.Clone(d.Subjects),
		Lenient: d.Lenient, SHA1: d.SHA1, SM2UserID: d.SM2UserID}
	if i.Name == (phrase.Text{}) {
		i.Name = phrase.Text{ZH: id, EN: id}
	}
	if len(d.Keys) > keysMost || len(d.Authorities) > keysMost {
		l.fault(phrase.M("trust.too_many", "count", max(len(d.Keys), len(d.Authorities)), "most", keysMost), at("keys")...)
		return
	}
	l.patterns(&i.Senders, at("senders"), false)
	l.patterns(&i.Subjects, at("subjects"), true)
	for n, p := range d.Keys {
		what := id + ": keys[" + whole(n) + "]"
		k, err := l.key(p)
		if err != nil {
			l.fault(below(what, err), at("keys", n)...)
			continue
		}
		if have, ok := l.store.keys[k.ID]; ok {
			l.fault(below(what, phrase.E("trust.key_twice", "key", string(k.ID), "issuer", have.issuer.ID)), at("keys", n)...)
			continue
		}
		i.Keys = append(i.Keys, *k)
		l.store.keys[k.ID] = pinned{issuer: i, key: k}
	}
	for n, p := range d.Authorities {
		what := id + ": authorities[" + whole(n) + "]"
		c, err := l.certificate(p)
		if err == nil && (!c.BasicConstraintsValid || !c.IsCA || c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0) {
			err = phrase.E("trust.not_authority", "subject", c.Subject.String())
		}
		if err == nil && (p.From != "" || p.Until != "") {
			err = phrase.E("trust.authority_times")
		}
		if err != nil {
			l.fault(below(what, err), at("authorities", n)...)
			continue
		}
		i.Authorities = append(i.Authorities, c)
	}
	switch {
	case len(d.Keys)+len(d.Authorities) == 0:
		l.fault(phrase.M("trust.no_keys", "issuer", id), at()...)
	case len(d.Authorities) > 0 && len(d.Subjects) == 0:
		l.fault(phrase.M("trust.no_subjects", "issuer", id), at("authorities")...)
		i.Authorities = nil
	case len(d.Authorities) == 0 && len(d.Subjects) > 0:
		l.warn(phrase.M("trust.no_authorities", "issuer", id), at("subjects")...)
	}
	if len(d.Senders) == 0 && len(d.Grant.Scopes) == 0 {
		l.warn(phrase.M("trust.no_senders", "issuer", id), at()...)
	}
	if d.SHA1 {
		l.warn(phrase.M("trust.sha1", "issuer", id), at("sha1")...)
	}
	l.grant(i, d, all, at)
	l.compact(i, d.Compact, at)
	l.store.issuers = append(l.store.issuers, i)
}

// patterns drops what path.Match cannot read and what would match everybody.
func (l *loader) patterns(ps *[]string, at []any, subjects bool) {
	kept := (*ps)[:0:0]
	for n, p := range *ps {
		_, err := path.Match(p, "x")
		switch {
		case err != nil || strings.TrimSpace(p) == "":
			l.fault(phrase.M("trust.pattern", "pattern", p), append(slices.Clone(at), n)...)
		case strings.Trim(p, "*?") == "":
			l.fault(phrase.M("trust.pattern_all", "pattern", p), append(slices.Clone(at), n)...)
		default:
			kept = append(kept, p)
		}
	}
	*ps = kept
}

var division = regexp.MustCompile(`^[0-9]{2,12}$`)

func (l *loader) grant(i *Issuer, d IssuerDocument, all Document, at func(...any) []any) {
	g := d.Grant
	i.Grant = Grant{Kinds: slices.Clone(g.Kinds), MostLevel: g.MostLevel, Colours: slices.Clone(g.Colours), Areas: slices.Clone(g.Areas),
		Scopes: slices.Clone(g.Scopes), Persons: maps.Clone(g.Persons), Amends: slices.Clone(g.Amends)}
	for n, k := range g.Kinds {
		if !slices.Contains([]string{"real", "drill", "test"}, k) {
			l.fault(phrase.M("trust.grant_kind", "issuer", i.ID, "kind", k), at("grant", "kinds", n)...)
		}
	}
	for n, a := range g.Areas {
		if !division.MatchString(a) {
			l.fault(phrase.M("trust.grant_area", "issuer", i.ID, "area", a), at("grant", "areas", n)...)
		}
	}
	for n, o := range g.Amends {
		if _, ok := all.Issuers[o]; !ok {
			l.fault(phrase.M("trust.grant_amends", "issuer", i.ID, "other", o), at("grant", "amends", n)...)
		}
	}
	var keys []KeyID
	for n := range i.Keys {
		keys = append(keys, i.Keys[n].ID)
	}
	for _, scope := range slices.Sorted(maps.Keys(g.Persons)) {
		n := g.Persons[scope]
		switch {
		case !slices.Contains(g.Scopes, scope):
			l.fault(phrase.M("trust.grant_scope", "issuer", i.ID, "scope", scope), at("grant", "persons", scope)...)
		case n < 1 || n > i.PersonsOf(keys):
			// Orders are signed by pinned keys only.
			l.fault(phrase.M("trust.grant_persons", "issuer", i.ID, "scope", scope, "persons", n, "keys", i.PersonsOf(keys)), at("grant", "persons", scope)...)
		}
	}
}

func (l *loader) lists(ps []PEMDocument) {
	if len(ps) > listsMost {
		l.fault(phrase.M("trust.too_many", "count", len(ps), "most", listsMost), "revocation_lists")
		return
	}
	for n, p := range ps {
		der, err := l.read(p, listFileMost)
		if b, _ := pem.Decode(der); err == nil && b != nil {
			if der = b.Bytes; b.Type != "X509 CRL" {
				err = phrase.E("trust.pem_type", "type", b.Type, "want", "X509 CRL")
			}
		}
		var one *list
		if err == nil {
			one, err = newList(der)
		}
		if err != nil {
			l.fault(below("revocation_lists["+whole(n)+"]", err), "revocation_lists", n)
			continue
		}
		known := false
		for _, i := range l.store.issuers {
			for _, a := range i.Authorities {
				known = known || one.crl.CheckSignatureFrom((*smx509.Certificate)(a)) == nil
			}
		}
		if !known { // it may be that of an authority between, whose certificate comes with messages
			l.warn(phrase.M("trust.list_unknown", "list", whole(n), "issuer", one.name), "revocation_lists", n)
		}
		l.store.lists = append(l.store.lists, one)
	}
}

var keyID = regexp.MustCompile(`^[0-9a-f]{32}$`)

func (l *loader) revoked(r RevokedDocument, n int) {
	if !keyID.MatchString(r.Key) {
		l.fault(phrase.M("trust.revoked_key", "key", r.Key), "revoked", n, "key")
		return
	}
	since, err := l.time(r.Since, false)
	if err != nil {
		l.fault(phrase.Of(err), "revoked", n, "since")
	}
	// A revocation of unknown beginning takes everything: a slip must not give trust back.
	v := revocation{since: since, always: r.Compromised || since.IsZero()}
	if r.Since == "" && !r.Compromised {
		l.fault(phrase.M("trust.revoked_since", "key", r.Key), "revoked", n)
	}
	if have, ok := l.store.revoked[KeyID(r.Key)]; ok {
		v.always = v.always || have.always
		if have.since.Before(v.since) {
			v.since = have.since
		}
	}
	l.store.revoked[KeyID(r.Key)] = v
}
