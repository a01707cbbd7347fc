package main

import (
	"crypto/sha1"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// component is something that an image is made of, as the bill of materials names it.
type component struct {
	Name, Version string
	Origin        string // where it was had
	Purl          string
	Licence       string // an SPDX expression, "" where texts say it
	Source        string // where its source is, of what is under the GPL
	Texts         string // of its licences, in licences/
	Sum           string // SHA-256 of what was had, where one is known
}

func (c component) id() string { return "SPDXRef-" + spdxWord(c.Name+"-"+c.Version) }

func (p *debPackage) component() component {
	purl := fmt.Sprintf("pkg:deb/debian/%s@%s?arch=%s", p.Name, strings.ReplaceAll(p.Version, "+", "%2B"), p.Arch)
	return component{Name: p.Name, Version: p.Version, Origin: "Debian 12", Purl: purl, Texts: "licences/debian/" + p.Name + ".txt",
		Source: fmt.Sprintf("https://snapshot.debian.org/package/%s/%s/", p.Source, p.SourceVersion)}
}

// ledger says whose each file of a root is. What nobody owns does not go in.
type ledger struct {
	root  string
	owner map[string]string // component's id, by path in the root
	parts map[string]component
}

func newLedger(root string) *ledger {
	return &ledger{root: root, owner: map[string]string{}, parts: map[string]component{}}
}

func (l *ledger) add(c component) string {
	l.parts[c.id()] = c
	return c.id()
}

// copy puts a component's file into the root.
func (l *ledger) copy(from, to string, mode fs.FileMode, c component) error {
	if err := copyTo(from, filepath.Join(l.root, to), mode); err != nil {
		return err
	}
	l.owner[to] = l.add(c)
	return nil
}

// write puts a file that was made here into the root.
func (l *ledger) write(to string, b []byte, c component) error {
	at := filepath.Join(l.root, to)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	l.owner[to] = l.add(c)
	return os.WriteFile(at, b, 0o644)
}

// rooted is a file of a finished root.
type rooted struct{ path, owner, sha1 string }

// files gives all files of the root with their owners; one that has none is an error.
func (l *ledger) files() ([]rooted, error) {
	var out []rooted
	err := filepath.WalkDir(l.root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(l.root, p)
		if err != nil {
			return err
		}
		who := l.owner[rel]
		if who == "" {
			return fmt.Errorf("%s is nobody's: who puts a file into the root says whose it is", rel)
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		out = append(out, rooted{rel, who, fmt.Sprintf("%x", sha1.Sum(b))})
		return nil
	})
	slices.SortFunc(out, func(a, b rooted) int { return strings.Compare(a.path, b.path) })
	return out, err
}

// spdxWord makes a word of what SPDX allows in identifiers (SPDX 2.3, 7.2): letters,
// digits, dots and dashes.
func spdxWord(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '-'
	}, s)
}
