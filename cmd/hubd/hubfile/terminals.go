package hubfile

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tocsin/configs"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/decide/alert/compact"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/trust"
)

// The kinds of terminals.
const (
	KindBeidou = "beidou"
	KindMesh   = "meshtastic"
	KindSBD    = "sbd"
	KindModem  = "modem"
)

// epochMost bounds an epoch; it rises by hand.
const epochMost = 1 << 20

// terminals proves the gateways for short messages.
func (p *prover) terminals() {
	names, ports := map[string]bool{}, map[string]bool{}
	for _, d := range p.f.Datagrams {
		names[d.Name] = true
	}
	for i, t := range p.f.Terminals {
		at := func(m phrase.Message, key string) { p.wrong(m, "terminals", i, key) }
		switch {
		case !letter.IsLink(t.Name):
			at(phrase.M("letter.link", "link", clip(t.Name), "most", letter.LinkMost), "name")
		case names[t.Name]:
			at(phrase.M("hubd.twice", "what", t.Name), "name")
		case t.Port == "":
			at(phrase.M("hubd.terminal_port", "name", t.Name), "name")
		case ports[t.Port]:
			at(phrase.M("hubd.twice", "what", clip(t.Port)), "port")
		case t.Baud != 0 && (t.Baud < 300 || t.Baud > 4_000_000):
			at(phrase.M("hubd.terminal_baud", "baud", t.Baud), "baud")
		case t.Channel < 0 || t.Channel > 7:
			at(phrase.M("hubd.terminal_channel", "channel", t.Channel), "channel")
		case t.Kind == KindBeidou && !profiled(t.Profile):
			at(phrase.M("hubd.terminal_profile", "profile", clip(t.Profile)), "profile")
		case (t.Kind == KindBeidou || t.Kind == KindMesh || t.Kind == KindSBD || t.Kind == KindModem) && Address(t.Kind, t.Own) == "":
			at(phrase.M("hubd.terminal_own", "name", t.Name, "own", clip(t.Own)), "name")
		}
		names[t.Name], ports[t.Port] = true, true
		var missing string
		x := t.Transmit
		switch t.Kind {
		case KindBeidou:
			if x != nil && (x.Card == "" || x.Approval == "") {
				missing = "card, approval"
			}
		case KindMesh:
			if x != nil && (x.Licence == "" || x.Band == "" || x.Power <= 0) {
				missing = "licence, band, power"
			}
		case KindSBD:
			if x != nil && (x.Licence == "" || x.Card == "") {
				missing = "licence, card (IMEI)"
			}
		case KindModem:
		default:
			at(phrase.M("hubd.terminal_kind", "kind", clip(t.Kind)), "kind")
		}
		if missing != "" {
			at(phrase.M("hubd.terminal_transmit", "name", t.Name, "missing", missing), "transmit")
		}
	}
}

// profiled tells whether a BeiDou terminal's way of speaking is known.
func profiled(name string) bool {
	if name == "" {
		return true
	}
	_, err := fs.Stat(configs.FS, "terminals/"+name+".yaml")
	return err == nil && !strings.ContainsAny(name, "/.")
}

// narrow proves what a station has for short messages.
func (p *prover) narrow(id string, s Station, numbers map[int]string, addresses map[[2]string]string) {
	if s.Number < 0 || s.Number > 1<<16-1 {
		p.wrong(phrase.M("hubd.number", "number", s.Number), "stations", id, "number")
	} else if other, ok := numbers[s.Number]; ok && s.Number > 0 {
		p.wrong(phrase.M("hubd.number_twice", "number", s.Number, "other", other), "stations", id, "number")
	}
	numbers[s.Number] = id
	if s.Epoch < 0 || s.Epoch > epochMost {
		p.wrong(phrase.M("hubd.epoch", "epoch", s.Epoch), "stations", id, "epoch")
	}
	if s.Box != "" && !isKeyID(s.Box) {
		p.wrong(phrase.M("hubd.box", "box", clip(s.Box)), "stations", id, "box")
	}
	if len(s.Addresses) > 0 && s.Root == "" {
		p.wrong(phrase.M("hubd.address_root", "id", id), "stations", id, "addresses")
	}
	for name, a := range s.Addresses {
		t, ok := p.f.Terminal(name)
		at := []any{"stations", id, "addresses", name}
		if !ok {
			p.wrong(phrase.M("hubd.address_terminal", "name", clip(name)), at...)
			continue
		}
		same := [2]string{name, Address(t.Kind, a)}
		switch other, twice := addresses[same]; {
		case same[1] == "":
			p.wrong(phrase.M("hubd.address", "address", clip(a), "kind", t.Kind), at...)
		case twice:
			p.wrong(phrase.M("hubd.address_twice", "address", clip(a), "other", other), at...)
		case same[1] == Address(t.Kind, t.Own):
			p.wrong(phrase.M("hubd.address_own", "address", clip(a), "name", name), at...)
		}
		addresses[same] = id
	}
}

func isKeyID(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 16 && strings.ToLower(s) == s
}

// Terminal gives a gateway by its name.
func (f *File) Terminal(name string) (Terminal, bool) {
	for _, t := range f.Terminals {
		if t.Name == name {
			return t, true
		}
	}
	return Terminal{}, false
}

// ByNumber gives the station that receipts name by a number.
func (f *File) ByNumber(n uint16) (letter.Station, bool) {
	for id, s := range f.Stations {
		if s.Number == int(n) && n > 0 {
			return letter.Station(id), true
		}
	}
	return "", false
}

// Address writes an address as a kind of terminal does, so that two ways of writing one are the same; ""
// is none.
func Address(kind, a string) string {
	digits := func(s string, least, most int) bool {
		return len(s) >= least && len(s) <= most && strings.Trim(s, "0123456789") == ""
	}
	switch kind {
	case KindBeidou:
		if n := strings.TrimLeft(a, "0"); n != "" && digits(a, 1, 12) {
			return n
		}
	case KindMesh:
		a = strings.ToLower(a)
		if _, err := hex.DecodeString(strings.TrimPrefix(a, "!")); err == nil && len(a) == 9 && a[0] == '!' {
			return a
		}
	case KindSBD:
		if digits(a, 15, 15) {
			return a
		}
	case KindModem:
		if digits(strings.TrimPrefix(a, "+"), 3, 20) {
			return a
		}
	}
	return ""
}

// root takes in the root of a station's keys.
func (p *prover) root(id string, s Station) Station {
	if s.Root == "" {
		return s
	}
	b := p.secret(&s.Root, "stations", id, "root")
	if b == nil {
		return s
	}
	root, err := hex.DecodeString(strings.TrimSpace(string(b)))
	epoch := uint32(max(s.Epoch, 1))
	for _, e := range []uint32{epoch + 1, epoch, epoch - 1} { // newest first: whoever rolls over first is understood
		if e == 0 {
			continue
		}
		var k *wire.Keys
		if err == nil {
			k, err = wire.NewKeys(root, id, e)
		}
		if err != nil {
			p.wrong(phrase.M("hubd.root", "file", s.Root), "stations", id, "root")
			return s
		}
		s.Keys = append(s.Keys, k)
	}
	sum := sha256.Sum256(root)
	if p.roots == nil {
		p.roots = map[[32]byte]string{}
	}
	if other, ok := p.roots[sum]; ok {
		p.wrong(phrase.M("hubd.same_key", "id", id, "other", other), "stations", id, "root")
	}
	p.roots[sum] = id
	p.f.Stations[id] = s
	return s
}

// warnings takes in whom the desk may sign for and what the numbers mean.
func (p *prover) warnings() {
	w := &p.f.Warnings
	files := over{configs.FS}
	if w.Tables != "" {
		w.Tables = p.path(w.Tables)
		if st, err := os.Stat(w.Tables); err != nil || !st.IsDir() {
			p.wrong(phrase.M("hubd.tables", "dir", w.Tables, "detail", "?"), "warnings", "tables")
			return
		}
		files = over{os.DirFS(w.Tables), configs.FS}
	}
	var err error
	if w.CAP, err = alert.LoadTables(files); err == nil {
		w.Book, err = compact.LoadTables(files)
	}
	if err != nil {
		p.wrong(phrase.M("hubd.tables", "dir", w.Tables, "detail", err), "warnings", "tables")
		return
	}
	if w.Trust == "" {
		return
	}
	w.Trust = p.path(w.Trust)
	b, err := read(w.Trust)
	var d trust.Document
	if err == nil {
		d, err = trust.ParseDocument(b)
	}
	if err != nil {
		p.wrong(phrase.M("hubd.trust", "file", w.Trust, "detail", err), "warnings", "trust")
		return
	}
	store, faults := trust.New(d, os.DirFS(filepath.Dir(w.Trust)))
	for _, f := range faults {
		m := phrase.M("hubd.trust", "file", w.Trust, "detail", f.Message)
		if f.Warning {
			p.list = append(p.list, p.tree.Warn(m, "warnings", "trust"))
		} else {
			p.wrong(m, "warnings", "trust")
		}
	}
	w.Store = store
}

// over looks in one file system after the other.
type over []fs.FS

// Open opens the first that is there.
func (o over) Open(name string) (fs.File, error) {
	for _, f := range o {
		file, err := f.Open(name)
		if !errors.Is(err, fs.ErrNotExist) {
			return file, err
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}
