package hubfile

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nkeys"
	"golang.org/x/crypto/bcrypt"

	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// Bounds of a file.
const (
	stationsMost = 20_000
	secretMost   = 64 << 10
)

// The defaults of what is kept.
const (
	dayLong         = 24 * time.Hour
	defaultUp       = 90 * dayLong
	defaultDown     = 7 * dayLong
	defaultReceipts = 14 * dayLong
	defaultMost     = 20 << 30
)

// Load reads, decodes and proves a hub's file. The file is nil where it cannot be
// used.
func Load(name string) (*File, []config.Problem) {
	b, ps := config.Read(name)
	if ps != nil {
		return nil, ps
	}
	f, t, ps := Parse(name, b)
	if f == nil {
		return nil, ps
	}
	p := &prover{tree: t, f: f, dir: filepath.Dir(name), list: ps}
	p.files()
	config.Sort(p.list)
	if config.Fatal(p.list) {
		return nil, p.list
	}
	return f, p.list
}

// Parse decodes a document and proves what needs no other file.
func Parse(name string, b []byte) (*File, *config.Tree, []config.Problem) {
	f := &File{}
	t, ps := config.ParseTree(name, b, f)
	if ps != nil {
		return nil, nil, ps
	}
	p := &prover{tree: t, f: f}
	p.document()
	config.Sort(p.list)
	if config.Fatal(p.list) {
		return nil, t, p.list
	}
	return f, t, p.list
}

type prover struct {
	tree *config.Tree
	f    *File
	dir  string
	list []config.Problem
	// roots are who has which, by digest.
	roots map[[32]byte]string
}

func (p *prover) wrong(m phrase.Message, path ...any) {
	p.list = append(p.list, p.tree.At(m, path...))
}

func (p *prover) document() {
	f := p.f
	if f.Version != 1 {
		p.wrong(phrase.M("config.version", "version", f.Version), "version")
	}
	if f.Data == "" {
		p.wrong(phrase.M("hubd.no_data"), "data")
	}
	p.nats()
	p.keep()
	p.datagrams()
	p.terminals()
	p.page()
	p.pictures()
	if len(f.Stations) > stationsMost {
		p.wrong(phrase.M("hubd.stations_many", "most", stationsMost), "stations")
		return
	}
	psk := false
	numbers, addresses := map[int]string{}, map[[2]string]string{}
	for _, id := range f.Order() {
		s := f.Stations[id]
		p.station(id, s)
		p.narrow(id, s, numbers, addresses)
		psk = psk || s.PSK != ""
	}
	if psk && len(f.Datagrams) == 0 {
		p.list = append(p.list, p.tree.Warn(phrase.M("hubd.psk_unused"), "stations"))
	}
	if len(f.NATS.Servers) > 0 {
		p.list = append(p.list, p.tree.Warn(phrase.M("hubd.cluster_rights"), "nats", "servers"))
	}
}

func (p *prover) nats() {
	n := &p.f.NATS
	embedded := n.Listen != ""
	switch {
	case embedded == (len(n.Servers) > 0):
		p.wrong(phrase.M("hubd.nats_one"), "nats")
		return
	case embedded && !address(n.Listen):
		p.wrong(phrase.M("hubd.listen", "what", n.Listen), "nats", "listen")
	case embedded && n.TLS == nil && !Loopback(n.Listen):
		p.wrong(phrase.M("hubd.nats_tls", "listen", n.Listen), "nats", "listen")
	case embedded && (n.CA != "" || n.Seed != "" || n.Credentials != ""):
		p.wrong(phrase.M("hubd.nats_foreign"), "nats")
	case embedded && n.Replicas > 1:
		p.wrong(phrase.M("hubd.replicas_embedded", "replicas", n.Replicas), "nats", "replicas")
	case !embedded && n.TLS != nil:
		p.wrong(phrase.M("hubd.tls_foreign"), "nats", "tls")
	case n.Replicas < 0 || n.Replicas > 5:
		p.wrong(phrase.M("hubd.replicas", "replicas", n.Replicas), "nats", "replicas")
	}
	for i, s := range n.Servers {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.User != nil || !(u.Scheme == "tls" || u.Scheme == "nats" && Loopback(u.Host)) {
			p.wrong(phrase.M("hubd.server", "server", clip(s)), "nats", "servers", i)
		}
	}
	p.tlsNames(n.TLS, "nats", "tls")
}

func (p *prover) tlsNames(t *TLS, path ...any) {
	if t != nil && (t.Certificate == "" || t.Key == "") {
		p.wrong(phrase.M("hubd.tls_files"), path...)
	}
}

func (p *prover) keep() {
	for _, k := range []struct {
		name  string
		d     time.Duration
		least time.Duration
	}{{"up", p.f.Keep.Up.Duration(), dayLong}, {"down", p.f.Keep.Down.Duration(), time.Hour}, {"receipts", p.f.Keep.Receipts.Duration(), dayLong}} {
		if k.d != 0 && (k.d < k.least || k.d > 10*365*dayLong) {
			p.wrong(phrase.M("hubd.keep", "days", float64(k.least)/float64(dayLong)), "keep", k.name)
		}
	}
	if m := p.f.Keep.Most.Bytes(); m != 0 && m < 64<<20 {
		p.wrong(phrase.M("hubd.most"), "keep", "most")
	}
}

func (p *prover) datagrams() {
	seen := map[string]bool{}
	for i, d := range p.f.Datagrams {
		switch {
		case !letter.IsLink(d.Name):
			p.wrong(phrase.M("letter.link", "link", clip(d.Name), "most", letter.LinkMost), "datagrams", i, "name")
		case seen[d.Name]:
			p.wrong(phrase.M("hubd.twice", "what", d.Name), "datagrams", i, "name")
		case !address(d.Listen):
			p.wrong(phrase.M("hubd.listen", "what", d.Listen), "datagrams", i, "listen")
		}
		seen[d.Name] = true
	}
	// One gateway owns the counters of a key: a second would use them again.
	if len(p.f.Datagrams) > 1 {
		p.wrong(phrase.M("hubd.datagrams_one"), "datagrams", 1)
	}
}

func (p *prover) page() {
	g := &p.f.Page
	if g.Listen == "" {
		return
	}
	switch {
	case !address(g.Listen):
		p.wrong(phrase.M("hubd.listen", "what", g.Listen), "page", "listen")
	case !Loopback(g.Listen) && g.TLS == nil:
		p.wrong(phrase.M("hubd.page_open", "listen", g.Listen), "page", "listen")
	}
	p.tlsNames(g.TLS, "page", "tls")
	for i, n := range g.Names {
		if n == "" || len(n) > 253 || strings.ContainsAny(n, "/:@ ") || i >= namesMost {
			p.wrong(phrase.M("hubd.page_name", "name", clip(n)), "page", "names", i)
		}
	}
	// The hub goes on with such a file: links must not fall silent for a page's sake.
	if len(g.Officers) > 0 {
		p.list = append(p.list, p.tree.Warn(phrase.M("hubd.officers_gone"), "page", "officers"))
	}
	if len(g.Send) > 0 {
		p.list = append(p.list, p.tree.Warn(phrase.M("hubd.send_gone"), "page", "send"))
	}
}

// namesMost bounds by how many names the page is called.
const namesMost = 16

func (p *prover) station(id string, s Station) {
	if !letter.Station(id).Valid() {
		p.wrong(phrase.M("hubd.station", "id", clip(id)), "stations", id)
		return
	}
	if s.NKey != "" && s.Token != "" {
		p.wrong(phrase.M("hubd.credential_two", "id", id), "stations", id)
	}
	if s.NKey == "" && s.Token == "" && s.PSK == "" && s.Root == "" {
		p.wrong(phrase.M("hubd.credential_none", "id", id), "stations", id)
	}
	if s.NKey != "" && !nkeys.IsValidPublicUserKey(s.NKey) {
		p.wrong(phrase.M("hubd.nkey"), "stations", id, "nkey")
	}
	if s.Token != "" && !digest(s.Token) {
		p.wrong(phrase.M("hubd.token"), "stations", id, "token")
	}
	for i, c := range s.Also {
		if !code(c) {
			p.wrong(phrase.M("hubd.area", "area", clip(c)), "stations", id, "also", i)
		}
	}
}

// files proves what the document names, and takes in the keys.
func (p *prover) files() {
	f := p.f
	f.Data = p.path(f.Data)
	if f.Socket == "" {
		f.Socket = filepath.Join(f.Data, "hubd.sock")
	}
	f.Socket = p.path(f.Socket)
	p.pair(f.NATS.TLS, "nats", "tls")
	p.pair(f.Page.TLS, "page", "tls")
	if f.Pictures != nil {
		p.pair(f.Pictures.TLS, "pictures", "tls")
	}
	p.authority(&f.NATS.CA, "nats", "ca")
	p.secret(&f.NATS.Seed, "nats", "seed")
	p.secret(&f.NATS.Credentials, "nats", "credentials")
	for i := range f.Talk.Keys {
		p.secret(&f.Talk.Keys[i], "talk", "keys", i)
	}
	p.warnings()
	keys := map[letter.KeyID]string{}
	nkey := map[string]string{}
	for _, id := range f.Order() {
		s := f.Stations[id]
		if other, ok := nkey[s.NKey]; ok && s.NKey != "" {
			p.wrong(phrase.M("hubd.same_key", "id", id, "other", other), "stations", id, "nkey")
		}
		nkey[s.NKey] = id
		s = p.root(id, s)
		if s.PSK == "" {
			continue
		}
		b := p.secret(&s.PSK, "stations", id, "psk")
		if b == nil {
			continue
		}
		root, err := hex.DecodeString(strings.TrimSpace(string(b)))
		if err == nil {
			s.Key, err = letter.NewKey(root)
		}
		if err != nil {
			p.wrong(phrase.M("hubd.psk", "file", s.PSK), "stations", id, "psk")
			continue
		}
		if other, ok := keys[s.Key.ID]; ok {
			p.wrong(phrase.M("hubd.same_key", "id", id, "other", other), "stations", id, "psk")
		}
		keys[s.Key.ID] = id
		f.Stations[id] = s
	}
}

// Order lists the stations' ids, sorted.
func (f *File) Order() []string {
	var ids []string
	for id := range f.Stations {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (p *prover) path(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(p.dir, name)
}

func (p *prover) pair(t *TLS, path ...any) {
	if t == nil {
		return
	}
	t.Certificate = p.path(t.Certificate)
	if p.secret(&t.Key, append(path, "key")...) != nil {
		if _, err := tls.LoadX509KeyPair(t.Certificate, t.Key); err != nil {
			p.wrong(phrase.M("hubd.pair", "err", err), append(path, "certificate")...)
		}
	}
	p.authority(&t.Clients, append(path, "clients")...)
}

func (p *prover) authority(name *string, path ...any) {
	if *name == "" {
		return
	}
	*name = p.path(*name)
	b, err := read(*name)
	if err != nil || !x509.NewCertPool().AppendCertsFromPEM(b) {
		p.wrong(phrase.M("hubd.ca", "file", *name), path...)
	}
}

// secret reads a file that only its owner may read.
func (p *prover) secret(name *string, path ...any) []byte {
	if *name == "" {
		return nil
	}
	*name = p.path(*name)
	st, err := os.Stat(*name)
	if err != nil || !st.Mode().IsRegular() {
		p.wrong(phrase.M("hubd.secret_missing", "file", *name), path...)
		return nil
	}
	if st.Mode().Perm()&0o077 != 0 {
		p.wrong(phrase.M("hubd.secret_open", "file", *name), path...)
		return nil
	}
	b, err := read(*name)
	if err != nil {
		p.wrong(phrase.M("hubd.secret_missing", "file", *name), path...)
		return nil
	}
	return b
}

func read(name string) ([]byte, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if st.Size() > secretMost {
		return nil, os.ErrInvalid
	}
	return os.ReadFile(name)
}

// Bounds gives what is kept, defaults filled in.
func (k Keep) Bounds() (up, down, receipts time.Duration, most int64) {
	or := func(d, def time.Duration) time.Duration {
		if d == 0 {
			return def
		}
		return d
	}
	most = k.Most.Bytes()
	if most == 0 {
		most = defaultMost
	}
	return or(k.Up.Duration(), defaultUp), or(k.Down.Duration(), defaultDown), or(k.Receipts.Duration(), defaultReceipts), most
}

// Loopback tells whether an address is reached from this machine alone.
func Loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func address(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = net.LookupPort("tcp", port)
	return err == nil
}

func digest(s string) bool {
	c, err := bcrypt.Cost([]byte(s))
	return err == nil && len(s) == 60 && c <= 12
}

func code(s string) bool {
	return len(s) >= 2 && len(s) <= 12 && strings.Trim(s, "0123456789") == ""
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}
