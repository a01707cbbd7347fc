package station

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/keep/swap"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/secret"
)

// What a board needs that takes the place of this one: the document, the tables and secrets beside
// it, and who the box is to those who pinned its keys. Accounts stay behind: the new board gets its
// owner by its own label.

var _ api.Sealing = (*House)(nil)

// swapData are the files of the data directory that go along: the key that others pinned, and the
// authority that phones have taken.
var swapData = []string{boxKeyFile, "tls-ca.pem"}

// swapFolders are the folders of tables beside the site's file. Recordings are not among them: they
// are large, and nobody's secret.
var swapFolders = []string{".", "alerts", "plans", "profiles", "terminals"}

// SealConfig makes the file, or puts one in place; its document becomes a draft.
func (h *House) SealConfig(ctx context.Context, q api.SealQuery, who api.Who) (api.SealResult, error) {
	if len(q.Sealed) == 0 {
		if err := access.Fit(q.Passphrase); err != nil {
			return api.SealResult{}, err
		}
		return h.seal(q.Passphrase, who)
	}
	c, err := swap.Open(q.Passphrase, q.Sealed)
	if err != nil {
		return api.SealResult{}, err
	}
	if h.seen().worst > 0 {
		return api.SealResult{}, phrase.E("sealed.level")
	}
	if !h.applying.TryLock() {
		return api.SealResult{}, phrase.E("station.busy")
	}
	names, err := h.putInPlace(c)
	h.applying.Unlock()
	if err != nil {
		return api.SealResult{}, err
	}
	h.write(journal.Record{Kind: "config.restored", Who: who.Name, Via: who.Via, At: h.clock.Now(), Message: phrase.M("sealed.restored", "who", who.Name, "n", len(names), "site", api.Clean(c.Site, 32))}, nil)
	e, err := h.Import(ctx, api.ImportQuery{Document: c.Document})
	return api.SealResult{Files: names, Edited: &e}, err
}

func (h *House) seal(passphrase string, who api.Who) (api.SealResult, error) {
	doc := h.seen().bp.Doc
	text, err := readAtMost(doc.File, swap.MostPart)
	if err != nil {
		return api.SealResult{}, phrase.Wrap(err, "sealed.disk", "file", filepath.Base(doc.File), "detail", err)
	}
	now := h.clock.Now()
	c := swap.Content{Site: doc.Site.Site.ID, Made: now.Wall, Document: string(text), Parts: besides(doc.File, text)}
	for _, name := range swapData {
		if b, err := secret.Read(filepath.Join(h.o.Data, name), swap.MostPart); err == nil {
			c.Parts = append(c.Parts, swap.Part{Place: swap.Data, Name: name, Secret: true, Bytes: b})
		}
	}
	b, err := swap.Seal(passphrase, c)
	if err != nil {
		return api.SealResult{}, err
	}
	h.write(journal.Record{Kind: "config.sealed", Who: who.Name, Via: who.Via, At: now, Message: phrase.M("sealed.made", "who", who.Name, "n", len(c.Parts)+1)}, nil)
	return api.SealResult{Sealed: b, Name: "tocsin-" + c.Site + "-" + now.Wall.UTC().Format("20060102") + ".sealed", Files: namesOfParts(c.Parts)}, nil
}

func namesOfParts(all []swap.Part) []string {
	out := []string{}
	for _, p := range all {
		out = append(out, p.Name)
	}
	slices.Sort(out)
	return out
}

// eachNamed gives what in a document may be the name of a file beside it.
func eachNamed(text []byte, f func(name string)) {
	var v any
	if yaml.Unmarshal(text, &v) != nil {
		return
	}
	eachString(v, func(s string) {
		if len(s) < 200 && strings.ContainsAny(s, "/.") && !strings.HasSuffix(s, ".wav") {
			f(s)
		}
	})
}

// belongsBeside tells of a name whether a restore may write it beside the site's file: what the
// restored document names, and tables in their folders. Never the site's file itself, nothing of
// the data directory where that lies there too (accounts, the audit), and no program.
func (h *House) belongsBeside(file string, text []byte) func(name string) bool {
	dir, named := filepath.Dir(file), map[string]bool{}
	eachNamed(text, func(s string) { named[path.Clean(s)] = true })
	data := "?"
	if a, err := filepath.EvalSymlinks(dir); err == nil {
		if b, err := filepath.EvalSymlinks(h.o.Data); err == nil {
			if rel, err := filepath.Rel(a, b); err == nil {
				data = filepath.ToSlash(rel)
			}
		}
	}
	return func(name string) bool {
		table := strings.HasSuffix(name, ".yaml") && slices.Contains(swapFolders, path.Dir(name))
		switch {
		case !table && !named[name], strings.EqualFold(name, filepath.Base(file)), name == data, strings.HasPrefix(name, data+"/"):
			return false
		case data == "." && !table && path.Dir(name) != "secrets":
			return false
		}
		st, err := os.Lstat(filepath.Join(dir, name))
		return err != nil || st.Mode()&0o111 == 0
	}
}

// besides gives the files beside a document: those that it names, and the tables.
func besides(file string, text []byte) (out []swap.Part) {
	dir := filepath.Dir(file)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil
	}
	defer root.Close()
	seen := map[string]bool{filepath.Base(file): true}
	take := func(name string) {
		name = path.Clean(name)
		if seen[name] || !swap.Plain(name) || len(out) >= swap.MostParts-len(swapData) {
			return
		}
		seen[name] = true
		st, err := root.Lstat(name)
		if err != nil || !st.Mode().IsRegular() || st.Size() > swap.MostPart {
			return
		}
		b, err := root.ReadFile(name)
		if err == nil && len(b) <= swap.MostPart {
			out = append(out, swap.Part{Place: swap.Site, Name: name, Secret: st.Mode().Perm()&0o077 == 0, Bytes: b})
		}
	}
	eachNamed(text, take)
	for _, folder := range swapFolders {
		all, _ := fs.ReadDir(root.FS(), folder)
		for _, f := range all {
			if strings.HasSuffix(f.Name(), ".yaml") {
				take(path.Join(folder, f.Name()))
			}
		}
	}
	slices.SortFunc(out, func(a, b swap.Part) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// putInPlace writes what was sealed: all beside first, then each under its name.
func (h *House) putInPlace(c swap.Content) (names []string, err error) {
	doc := h.seen().bp.Doc
	if d, ps := config.Parse("", []byte(c.Document)); d == nil {
		return nil, phrase.E("sealed.content", "detail", ps[0].Message)
	}
	belongs := h.belongsBeside(doc.File, []byte(c.Document))
	for _, p := range c.Parts {
		if p.Place == swap.Data && !slices.Contains(swapData, p.Name) || p.Place == swap.Site && !belongs(p.Name) {
			return nil, phrase.E("sealed.part", "name", p.Name)
		}
	}
	roots := map[string]*os.Root{}
	for place, dir := range map[string]string{swap.Site: filepath.Dir(doc.File), swap.Data: h.o.Data} {
		r, err := os.OpenRoot(dir)
		if err != nil {
			return nil, phrase.Wrap(err, "sealed.disk", "file", dir, "detail", err)
		}
		defer r.Close()
		roots[place] = r
	}
	const beginning = ".tocsin-swap-"
	beside := func(p swap.Part) string { return path.Join(path.Dir(p.Name), beginning+path.Base(p.Name)) }
	defer func() {
		for _, p := range c.Parts {
			_ = roots[p.Place].Remove(beside(p)) // what is in place has gone from there
		}
	}()
	for _, p := range c.Parts {
		if err := writeBeside(roots[p.Place], beside(p), p); err != nil {
			return nil, phrase.Wrap(err, "sealed.disk", "file", p.Name, "detail", err)
		}
	}
	for _, p := range c.Parts {
		if err := roots[p.Place].Rename(beside(p), p.Name); err != nil {
			return nil, phrase.Wrap(err, "sealed.disk", "file", p.Name, "detail", err)
		}
	}
	return namesOfParts(c.Parts), nil
}

func writeBeside(root *os.Root, name string, p swap.Part) error {
	mode := fs.FileMode(0o644)
	if p.Secret {
		mode = 0o600
	}
	folder := fs.FileMode(0o755)
	if p.Secret {
		folder = 0o700
	}
	if err := root.MkdirAll(path.Dir(name), folder); err != nil {
		return err
	}
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(p.Bytes)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
