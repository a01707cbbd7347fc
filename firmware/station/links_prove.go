package station

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nkeys"

	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
)

// The kinds of links.
const (
	kindNATS      = "nats"
	kindDatagrams = "datagrams"
	kindBeidou    = "beidou"
	kindMesh      = "meshtastic"
	kindSBD       = "sbd"
	kindModem     = "modem"
)

const (
	siteLinksMost = 16
	secretMost    = 64 << 10
	airtimeMost   = 10 * time.Second
)

func overIP(l config.Link) bool { return l.Kind == kindNATS || l.Kind == kindDatagrams }

// sends tells whether a link may ever carry something to the county.
func sends(l config.Link) bool { return overIP(l) || l.Transmit != nil && !forPeople(l) }

var (
	stationSuffix = regexp.MustCompile(`^[0-9A-Za-z]{1,8}$`)
	linkPeer      = regexp.MustCompile(`^[!+0-9A-Za-z]{1,32}$`)
	interfaceName = regexp.MustCompile(`^[0-9A-Za-z_.-]{1,15}$`)
)

// countyName is how the county's hub calls this box.
func countyName(s config.Site) letter.Station {
	id := s.Site.ID
	if s.County != nil && s.County.Suffix != "" {
		id += "-" + s.County.Suffix
	}
	return letter.Station(id)
}

// proveLinks proves who hears from this box and the links there.
func (p *prover) proveLinks() {
	p.proveCounty()
	if len(p.site.Links) > siteLinksMost {
		p.problem(phrase.M("site.links_many", "most", siteLinksMost), "links")
		return
	}
	rules := p.linkRules()
	listens := false
	for _, name := range slices.Sorted(maps.Keys(p.site.Links)) {
		l := p.site.Links[name]
		p.named("links", name)
		if rules != nil && sends(l) {
			r, ok := rules.Links[name]
			if !ok {
				p.problem(phrase.M("site.link_row", "link", name, "rows", strings.Join(slices.Sorted(maps.Keys(rules.Links)), "、")), "links", name)
			} else if r.Wide != overIP(l) {
				p.problem(phrase.M("site.link_wide", "link", name, "kind", l.Kind), "links", name, "kind")
			}
			if l.Budget != nil {
				switch costs := r.Cost != (courier.Cost{}); {
				case *l.Budget < 0 || *l.Budget > 1e6 || costs && *l.Budget == 0:
					p.problem(phrase.M("site.link_budget", "budget", *l.Budget), "links", name, "budget")
				case ok:
					r.Budget = *l.Budget
					rules.Links[name] = r
				}
			}
		}
		if overIP(l) {
			p.ipLink(name, l)
		} else {
			p.terminalLink(name, l)
			listens = true
		}
		p.issuers(l.Issuers, "links", name, "issuers")
	}
	p.bp.Rows = rules
	if !listens || len(p.site.Beacons.From) > 0 || p.bp.Trust == nil {
		return
	}
	if !slices.ContainsFunc(p.bp.Trust.Issuers(), hasCompact) {
		p.warn(phrase.M("site.link_nobody"), "links")
	}
}

// linkRules loads links.yaml where something is sent.
func (p *prover) linkRules() *courier.Rules {
	if p.site.County == nil {
		return nil
	}
	r, err := courier.LoadRules(p.fsys)
	if err != nil {
		p.problem(phrase.M("site.bad_links", "detail", err), "links")
		return nil
	}
	return r
}

func (p *prover) proveCounty() {
	c := p.site.County
	if c == nil {
		return
	}
	if c.Suffix != "" && !stationSuffix.MatchString(c.Suffix) || !countyName(p.site).Valid() && len(p.site.Site.ID) == 12 {
		p.problem(phrase.M("site.county_suffix", "suffix", c.Suffix), "county", "suffix")
	}
	if c.Number < 1 || c.Number > 0xffff {
		p.problem(phrase.M("site.county_number", "number", c.Number), "county", "number")
	}
	if c.Epoch < 0 || c.Epoch > 1<<31-1 {
		p.problem(phrase.M("site.county_epoch", "epoch", c.Epoch), "county", "epoch")
	}
	p.secret(c.Root, readKey, "county", "root")
	p.proveTally()
	if !slices.ContainsFunc(slices.Collect(maps.Values(p.site.Links)), sends) {
		p.warn(phrase.M("site.county_links"), "county")
	}
}

// secret proves a file that a link needs. What is wrong with it is a warning here and a
// fault while the box runs: a key that is lost must cost the link and not the sirens.
func (p *prover) secret(name string, read func(string) ([]byte, error), path ...any) {
	if name == "" {
		p.problem(phrase.M("site.secret_none", "key", path[len(path)-1]), path...)
		return
	}
	if _, err := read(beside(p.doc.File, name)); err != nil {
		p.warn(phrase.Of(err), path...)
	}
}

func (p *prover) ipLink(name string, l config.Link) {
	at := func(m phrase.Message, key ...any) { p.problem(m, append([]any{"links", name}, key...)...) }
	if p.site.County == nil {
		at(phrase.M("site.link_county", "link", name))
	}
	if !letter.IsLink(name) {
		at(phrase.M("site.link_name", "link", name))
	}
	if len(l.Servers) == 0 || len(l.Servers) > 8 || l.Kind == kindDatagrams && len(l.Servers) > 1 {
		at(phrase.M("site.link_servers", "link", name, "kind", l.Kind), "servers")
	}
	local := true
	for i, s := range l.Servers {
		host, _, err := net.SplitHostPort(s)
		if err != nil || host == "" {
			at(phrase.M("site.link_server", "server", s), "servers", i)
			continue
		}
		local = local && (host == "localhost" || net.ParseIP(host).IsLoopback())
	}
	if l.Device != "" && !interfaceName.MatchString(l.Device) {
		at(phrase.M("site.link_device", "device", l.Device), "device")
	}
	p.foreign(name, l, map[string]bool{
		"port": l.Port != "", "baud": l.Baud != 0, "profile": l.Profile != "", "sound": l.Sound != "", "channel": l.Channel != 0, "to": l.To != "", "self": l.Self != "", "transmit": l.Transmit != nil, "every": l.Every.Duration() != 0,
	})
	if l.Kind == kindDatagrams {
		p.foreign(name, l, map[string]bool{"ca": l.CA != "", "seed": l.Seed != "", "token": l.Token != "", "certificate": l.Certificate != "", "certificate_key": l.CertificateKey != ""})
		p.secret(l.PSK, readKey, "links", name, "psk")
		return
	}
	p.foreign(name, l, map[string]bool{"psk": l.PSK != ""})
	switch {
	case l.CA == "" && !local:
		at(phrase.M("site.link_ca", "link", name), "ca")
	case l.CA != "":
		p.secret(l.CA, readCA, "links", name, "ca")
	}
	switch {
	case (l.Seed == "") == (l.Token == ""):
		at(phrase.M("site.link_credential", "link", name))
	case l.Seed != "":
		p.secret(l.Seed, readSeed, "links", name, "seed")
	default:
		p.secret(l.Token, readToken, "links", name, "token")
	}
	if (l.Certificate == "") != (l.CertificateKey == "") {
		at(phrase.M("site.link_pair", "link", name), "certificate")
	} else if l.Certificate != "" {
		p.secret(l.CertificateKey, func(key string) ([]byte, error) {
			b, err := readSecret(key)
			if err != nil {
				return nil, err
			}
			return b, pairOf(beside(p.doc.File, l.Certificate), b)
		}, "links", name, "certificate_key")
	}
}

// foreign calls the keys that a kind of link does not have.
func (p *prover) foreign(name string, l config.Link, set map[string]bool) {
	for _, key := range slices.Sorted(maps.Keys(set)) {
		if set[key] {
			p.problem(phrase.M("site.link_foreign", "key", key, "kind", l.Kind), "links", name, key)
		}
	}
}

func (p *prover) terminalLink(name string, l config.Link) {
	at := func(m phrase.Message, key ...any) { p.problem(m, append([]any{"links", name}, key...)...) }
	if l.Port == "" {
		at(phrase.M("site.link_port", "link", name), "port")
	}
	for other, o := range p.site.Lines {
		if o.Port != "" && o.Port == l.Port {
			at(phrase.M("site.line_twice", "line", name, "other", other), "port")
		}
	}
	for other, o := range p.site.Links {
		if other < name && o.Port != "" && o.Port == l.Port {
			at(phrase.M("site.line_twice", "line", name, "other", other), "port")
		}
	}
	if l.Baud < 0 || l.Baud > 4_000_000 || l.Baud > 0 && l.Baud < 300 {
		at(phrase.M("site.line_baud", "baud", l.Baud), "baud")
	}
	p.foreign(name, l, map[string]bool{"servers": len(l.Servers) > 0, "ca": l.CA != "", "certificate": l.Certificate != "", "certificate_key": l.CertificateKey != "", "seed": l.Seed != "",
		"token": l.Token != "", "psk": l.PSK != "", "device": l.Device != "", "profile": l.Profile != "" && l.Kind != kindBeidou && l.Kind != kindModem, "sound": l.Sound != "" && l.Kind != kindModem, "channel": l.Channel != 0 && l.Kind != kindMesh, "every": l.Every.Duration() != 0 && l.Kind != kindSBD})
	for key, s := range map[string]string{"to": l.To, "self": l.Self} {
		if s != "" && !linkPeer.MatchString(s) {
			at(phrase.M("site.link_peer", "value", s), key)
		}
	}
	switch l.Kind {
	case kindBeidou:
		if _, err := beidouProfile(p.fsys, l); err != nil {
			at(phrase.M("site.link_profile", "profile", l.Profile, "detail", err), "profile")
		}
	case kindMesh:
		if l.Channel < 0 || l.Channel > 7 {
			at(phrase.M("site.link_channel", "channel", l.Channel), "channel")
		}
	case kindSBD, kindModem:
		if d := l.Every.Duration(); d < 0 || d > 0 && d < 5*time.Minute {
			at(phrase.M("site.link_every"), "every")
		}
		if l.Kind == kindModem {
			p.proveModem(name, l)
		}
	default:
		at(phrase.M("site.link_kind", "kind", l.Kind), "kind")
		return
	}
	p.transmits(name, l)
}

// transmits holds a terminal to what the law asks of whoever transmits.
func (p *prover) transmits(name string, l config.Link) {
	t := l.Transmit
	if t == nil {
		if l.Kind == kindSBD {
			p.warn(phrase.M("site.link_silent", "link", name), "links", name)
		}
		return
	}
	people := forPeople(l) && len(p.site.People) > 0
	b := p.site.Beacons
	beacons := terminalKind(l.Kind) && l.To == "" && (len(b.Send) > 0 || b.Relay)
	if !people && !beacons && p.site.County == nil {
		p.problem(phrase.M("site.link_county", "link", name), "links", name, "transmit")
	}
	need := func(key string, there bool) {
		if !there {
			p.problem(phrase.M("site.transmit_needs", "kind", l.Kind, "key", key), "links", name, "transmit")
		}
	}
	switch l.Kind {
	case kindBeidou:
		need("card", t.Card != "")
		need("approval", t.Approval != "")
	case kindMesh:
		need("licence", t.Licence != "")
		need("band", t.Band != "")
		need("power", t.Power > 0)
		if d := t.Airtime.Duration(); d < 0 || d > airtimeMost {
			p.problem(phrase.M("site.link_airtime", "most", airtimeMost.String()), "links", name, "transmit", "airtime")
		}
	case kindSBD:
		need("licence", t.Licence != "")
		need("card", t.Card != "")
	case kindModem:
		if t.Satellite {
			need("card", t.Card != "")
			need("approval", t.Approval != "")
		}
	}
	if people || beacons {
		return
	}
	if l.To == "" && l.Kind != kindSBD {
		p.problem(phrase.M("site.link_to", "link", name), "links", name)
	}
	if selfOf(l) == "" || l.Kind == kindModem && l.Self == "" {
		p.problem(phrase.M("site.link_self", "link", name), "links", name)
	}
}

// selfOf is this box's card, node or number as the county sees it.
func selfOf(l config.Link) string {
	if l.Self != "" || l.Transmit == nil {
		return l.Self
	}
	return l.Transmit.Card
}

// readSecret reads a file that only its owner may read.
// shownFile is a file's name for messages. What looks like no file's name is what somebody typed in
// the place of one: the password itself, which a message must not repeat.
func shownFile(name string) string {
	dir, base := filepath.Split(name)
	if strings.Contains(base, ".") || filepath.Base(dir) == "secrets" {
		return name
	}
	return filepath.Join(dir, "***")
}

func readSecret(name string) ([]byte, error) {
	st, err := os.Stat(name)
	switch {
	case err != nil || !st.Mode().IsRegular() || st.Size() > secretMost:
		return nil, phrase.E("site.secret_missing", "file", shownFile(name))
	case st.Mode().Perm()&0o077 != 0:
		return nil, phrase.E("site.secret_open", "file", name)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, phrase.E("site.secret_missing", "file", name)
	}
	return bytes.TrimSpace(b), nil
}

// readKey reads a key of 64 hexadecimal digits.
func readKey(name string) ([]byte, error) {
	b, err := readSecret(name)
	if err != nil {
		return nil, err
	}
	k, err := hex.DecodeString(string(b))
	if err != nil || len(k) != wire.RootSize {
		return nil, phrase.E("site.secret_key", "file", name)
	}
	return k, nil
}

func readSeed(name string) ([]byte, error) {
	b, err := readSecret(name)
	if err != nil {
		return nil, err
	}
	if pair, err := nkeys.FromSeed(b); err != nil {
		return nil, phrase.E("site.secret_seed", "file", name)
	} else if public, err := pair.PublicKey(); err != nil || !nkeys.IsValidPublicUserKey(public) {
		return nil, phrase.E("site.secret_seed", "file", name)
	}
	return b, nil
}

func readToken(name string) ([]byte, error) {
	b, err := readSecret(name)
	if err == nil && len(b) == 0 {
		err = phrase.E("site.secret_missing", "file", name)
	}
	return b, err
}

// readCA reads certificates, which are no secret.
func readCA(name string) ([]byte, error) {
	st, err := os.Stat(name)
	if err != nil || st.Size() > secretMost {
		return nil, phrase.E("site.secret_missing", "file", name)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, phrase.E("site.secret_missing", "file", name)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(b) {
		return nil, phrase.E("site.secret_ca", "file", name)
	}
	return b, nil
}

// pairOf tells what is wrong with a certificate and its key.
func pairOf(certificate string, key []byte) error {
	b, err := readCA(certificate)
	if err != nil {
		return err
	}
	if _, err := tls.X509KeyPair(b, key); err != nil {
		return phrase.E("site.secret_pair", "file", certificate, "detail", err)
	}
	return nil
}
