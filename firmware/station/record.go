package station

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/sense/profile"
	"tocsin/firmware/sense/scan"
	"tocsin/firmware/serve/api"
)

// PickRanges reads picks and gives what a scan must read for them.
func PickRanges(picks []string) ([]scan.Pick, []api.ScanRange, error) {
	var ps []scan.Pick
	var rs []api.ScanRange
	for _, s := range picks {
		p, err := scan.ParsePick(s)
		if err != nil {
			return nil, nil, err
		}
		r := p.Range()
		ps, rs = append(ps, p), append(rs, api.ScanRange{Table: r.Table.String(), Addr: int(r.Addr), Count: r.Count})
	}
	return ps, rs, nil
}

// NewProfile makes a profile of what a scan found and a person picked.
func NewProfile(name string, f api.FoundUnit, picks []scan.Pick, date time.Time) ([]byte, []scan.Entry, error) {
	x := scan.Found{Setting: scan.Setting{Baud: f.Baud, Format: f.Format}, Unit: uint8(f.Unit)}
	for _, b := range f.Blocks {
		t, err := drivers.ParseTable(b.Table)
		if err != nil {
			return nil, nil, err
		}
		x.Blocks = append(x.Blocks, scan.Block{Table: t, Addr: uint16(b.Addr), Words: b.Words, Sent: unhex(b.Sent), Heard: unhex(b.Heard)})
	}
	return scan.Skeleton(name, x, picks, date)
}

// unhex reads "01 03"; what is none gives nothing.
func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		return nil
	}
	return b
}

// RecordProof makes entries of a profile's proof from the frames of a line. The
// profile and its text are looked for beside the site's file first ("" for the
// compiled ones only).
func RecordProof(site, name string, unit int, fs []api.Frame) (entries []scan.Entry, text []byte, err error) {
	p, text, err := profileText(site, name)
	if err != nil {
		return nil, nil, err
	}
	var asked api.Frame
	var xs []scan.Exchange
	for _, f := range fs {
		switch {
		case f.Unit != unit:
		case f.Kind == "asked":
			asked = f
		case f.Kind == "answer" && asked.Seq != 0 && f.Function == asked.Function && f.Addr == asked.Addr && f.Count == asked.Count:
			xs = append(xs, exchange(asked, f))
			asked = api.Frame{}
		case f.Kind != "late":
			asked = api.Frame{} // whose answer is next is not sure
		}
	}
	entries, err = scan.Record(p, xs)
	return entries, text, err
}

// exchange gives a read and its answer as RTU frames, also where they came over
// TCP, seven bytes of header before the PDU (Messaging on TCP/IP V1.0b, 3.1.3), or
// in ASCII (Serial Line V1.02, 2.5.2.1).
func exchange(asked, answer api.Frame) scan.Exchange {
	s, h := unhex(asked.Bytes), unhex(answer.Bytes)
	const mbap = 7
	t := [...]drivers.Table{0, drivers.Coil, drivers.Discrete, drivers.Holding, drivers.Input}[asked.Function%5]
	switch {
	case t == 0:
	case len(s) == mbap+5 && s[2] == 0 && s[3] == 0 && len(h) > mbap+2:
		s, h = scan.Frames(s[mbap-1], t, uint16(asked.Addr), uint16(asked.Count), h[mbap+2:])
	case len(s) > 0 && s[0] == ':':
		if a, b := inASCII(s), inASCII(h); len(a) == 6 && len(b) > 3 {
			s, h = scan.Frames(a[0], t, uint16(asked.Addr), uint16(asked.Count), b[3:])
		}
	}
	return scan.Exchange{Sent: s, Heard: h}
}

// inASCII gives unit and PDU of a frame between colon and CR LF, whose sum the
// line has held; nil where it is none.
func inASCII(frame []byte) []byte {
	b, err := hex.DecodeString(strings.TrimRight(strings.TrimPrefix(string(frame), ":"), "\r\n"))
	if err != nil || len(b) < 3 {
		return nil
	}
	return b[:len(b)-1]
}

func profileText(site, name string) (*profile.Profile, []byte, error) {
	fsys := profilesOf(site)
	p, problems := profile.Load(fsys, name)
	for _, x := range problems {
		return nil, nil, phrase.E("scan.bad_profile", "problem", phrase.Text{ZH: x.In(phrase.ZH), EN: x.In(phrase.EN)})
	}
	text, err := fs.ReadFile(fsys, "profiles/"+name+".yaml")
	return p, text, err
}

// WriteProof adds entries to a profile's text and writes it beside the site's
// file, as profiles/<name>.yaml; it gives the path.
func WriteProof(site, name string, text []byte, entries []scan.Entry) (string, error) {
	out, err := scan.Add(name, text, entries)
	if err != nil {
		return "", err
	}
	return WriteProfile(site, name, out, true)
}

// WriteProfile writes a profile beside the site's file and gives its path. One
// that is there is kept unless over is set.
func WriteProfile(site, name string, text []byte, over bool) (string, error) {
	if slices.Contains([]string{"", ".", ".."}, name) || strings.ContainsAny(name, "/\\") {
		return "", phrase.E("scan.bad_name", "name", name)
	}
	dir := filepath.Join(filepath.Dir(site), "profiles")
	path := filepath.Join(dir, name+".yaml")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", phrase.Wrap(err, "scan.not_written", "path", path, "err", err)
	}
	if _, err := os.Lstat(path); err == nil && !over {
		return "", phrase.E("scan.there", "path", path)
	}
	tmp, err := os.CreateTemp(dir, ".new-*")
	if err == nil {
		_, err = tmp.Write(text)
		for _, f := range []func() error{tmp.Sync, tmp.Close, func() error { return os.Chmod(tmp.Name(), 0o644) }, func() error { return os.Rename(tmp.Name(), path) }} {
			if err == nil {
				err = f()
			}
		}
		os.Remove(tmp.Name()) // nothing is there under this name after the renaming
	}
	if err != nil {
		return "", phrase.Wrap(err, "scan.not_written", "path", path, "err", err)
	}
	return path, nil
}

// NotHeard tells whether a recording failed only because a point was not heard
// yet.
func NotHeard(err error) bool {
	var said *phrase.Error
	return errors.As(err, &said) && said.Code == "scan.not_heard"
}

// ProofYAML writes entries to be pasted.
func ProofYAML(es []scan.Entry) string { return scan.YAML(es, "  ") }
