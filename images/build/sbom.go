package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The bill of materials: SPDX 2.3 (ISO/IEC 5962), as JSON. Only what we say is in it.
type (
	spdx struct {
		Version       string         `json:"spdxVersion"`
		Licence       string         `json:"dataLicense"`
		ID            string         `json:"SPDXID"`
		Name          string         `json:"name"`
		Namespace     string         `json:"documentNamespace"`
		Creation      spdxCreation   `json:"creationInfo"`
		Packages      []spdxPackage  `json:"packages"`
		Files         []spdxFile     `json:"files"`
		Relationships []spdxRelation `json:"relationships"`
	}
	spdxCreation struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	}
	spdxPackage struct {
		ID        string         `json:"SPDXID"`
		Name      string         `json:"name"`
		Version   string         `json:"versionInfo"`
		Download  string         `json:"downloadLocation"`
		Analyzed  bool           `json:"filesAnalyzed"`
		Declared  string         `json:"licenseDeclared"`
		Concluded string         `json:"licenseConcluded"`
		Copyright string         `json:"copyrightText"`
		Comment   string         `json:"licenseComments,omitempty"`
		Source    string         `json:"sourceInfo,omitempty"`
		Refs      []spdxRef      `json:"externalRefs,omitempty"`
		Checksums []spdxChecksum `json:"checksums,omitempty"`
	}
	spdxRef struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}
	spdxChecksum struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"checksumValue"`
	}
	spdxFile struct {
		ID        string         `json:"SPDXID"`
		Name      string         `json:"fileName"`
		Checksums []spdxChecksum `json:"checksums"`
		Concluded string         `json:"licenseConcluded"`
		Copyright string         `json:"copyrightText"`
	}
	spdxRelation struct {
		From string `json:"spdxElementId"`
		Kind string `json:"relationshipType"`
		To   string `json:"relatedSpdxElement"`
	}
)

const (
	noAssertion = "NOASSERTION"
	document    = "SPDXRef-DOCUMENT"
)

// bill is the bill of materials of a root, and of what starts it.
func bill(name string, built time.Time, l *ledger, others, linked []component, us component) ([]byte, error) {
	files, err := l.files()
	if err != nil {
		return nil, err
	}
	d := spdx{Version: "SPDX-2.3", Licence: "CC0-1.0", ID: document, Name: name, Namespace: "https://tocsin.invalid/sbom/" + name,
		Creation: spdxCreation{built.UTC().Format(time.RFC3339), []string{"Tool: tocsin-images-build"}}}
	all := maps.Clone(l.parts)
	for _, c := range slices.Concat(others, linked) {
		all[c.id()] = c
	}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		c := all[id]
		p := spdxPackage{ID: id, Name: c.Name, Version: c.Version, Download: noAssertion, Declared: noAssertion, Concluded: noAssertion, Copyright: noAssertion, Source: c.Origin}
		if c.Licence != "" {
			p.Declared = c.Licence
		}
		if strings.HasPrefix(c.Source, "https://") {
			p.Download = c.Source
		}
		if c.Texts != "" {
			p.Comment = "the texts are in " + c.Texts
		}
		if c.Purl != "" {
			p.Refs = []spdxRef{{"PACKAGE-MANAGER", "purl", c.Purl}}
		}
		if c.Sum != "" {
			p.Checksums = []spdxChecksum{{"SHA256", c.Sum}}
		}
		d.Packages = append(d.Packages, p)
		d.Relationships = append(d.Relationships, spdxRelation{document, "DESCRIBES", id})
	}
	for _, c := range linked {
		d.Relationships = append(d.Relationships, spdxRelation{us.id(), "STATIC_LINK", c.id()})
	}
	for n, f := range files {
		id := fmt.Sprintf("SPDXRef-file-%d", n+1)
		d.Files = append(d.Files, spdxFile{id, "./" + f.path, []spdxChecksum{{"SHA1", f.sha1}}, noAssertion, noAssertion})
		d.Relationships = append(d.Relationships, spdxRelation{f.owner, "CONTAINS", id})
	}
	return json.MarshalIndent(d, "", " ")
}

// ours is this project, as a component.
func ours(version string) component {
	return component{Name: "tocsin", Version: version, Origin: "this image's own project", Licence: "Apache-2.0", Texts: "licences/tocsin.txt"}
}

// module is a Go module that programs are linked of, and where it lies.
type module struct {
	component
	dir string
}

// linkedModules are the Go modules in programs, as the programs themselves say
// (debug/buildinfo), with the language's own library.
func linkedModules(programs []string) ([]module, error) {
	found := map[string]string{}
	goes := ""
	for _, p := range programs {
		i, err := buildinfo.ReadFile(p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		goes = i.GoVersion
		for _, d := range i.Deps {
			if d.Replace != nil {
				d = d.Replace
			}
			found[d.Path] = d.Version
		}
	}
	c := exec.Command("go", "list", "-m", "-f", "{{.Path}}\t{{.Version}}\t{{.Dir}}", "all")
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("go list -m: %w", err)
	}
	dirs := map[string]string{}
	for l := range strings.Lines(string(out)) {
		if f := strings.Split(strings.TrimSpace(l), "\t"); len(f) == 3 {
			dirs[f[0]+"@"+f[1]] = f[2]
		}
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	ms := []module{{component{Name: "go", Version: strings.TrimPrefix(goes, "go"), Origin: "https://go.dev/dl", Purl: "pkg:generic/go@" + strings.TrimPrefix(goes, "go"), Licence: "BSD-3-Clause", Texts: "licences/go.txt"}, strings.TrimSpace(string(root))}}
	for _, path := range slices.Sorted(maps.Keys(found)) {
		dir := dirs[path+"@"+found[path]]
		if dir == "" {
			return nil, fmt.Errorf("%s@%s is in a program, but not in this source's list of modules: build the programs of this source", path, found[path])
		}
		ms = append(ms, module{component{Name: path, Version: found[path], Origin: "Go module", Purl: "pkg:golang/" + path + "@" + found[path], Texts: "licences/go.txt"}, dir})
	}
	return ms, nil
}

// page are the packages of npm that the console is made of.
func page(lock string) ([]module, error) {
	b, err := os.ReadFile(lock)
	if err != nil {
		return nil, err
	}
	var l struct {
		Packages map[string]struct {
			Version string `json:"version"`
			Licence string `json:"license"`
			Dev     bool   `json:"dev"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(b, &l); err != nil {
		return nil, err
	}
	var out []module
	for _, at := range slices.Sorted(maps.Keys(l.Packages)) {
		p := l.Packages[at]
		name, ok := strings.CutPrefix(at, "node_modules/")
		// svelte is asked for to build with, and its run time goes into the pages.
		if !ok || p.Dev && name != "svelte" && name != "esm-env" && name != "clsx" {
			continue
		}
		out = append(out, module{component{Name: name, Version: p.Version, Origin: "npm", Licence: p.Licence, Purl: "pkg:npm/" + name + "@" + p.Version, Texts: "licences/page.txt"}, filepath.Join(filepath.Dir(lock), at)})
	}
	return out, nil
}

// texts are the licences of modules in one file; the same text stands in it once.
func texts(ms []module) ([]byte, error) {
	by := map[string][]string{}
	var order []string
	for _, m := range ms {
		found := false
		files, err := os.ReadDir(m.dir)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			n := strings.ToUpper(f.Name())
			if f.IsDir() || !(strings.HasPrefix(n, "LICEN") || strings.HasPrefix(n, "COPYING") || strings.HasPrefix(n, "NOTICE") || strings.HasPrefix(n, "PATENTS") || strings.HasPrefix(n, "UNLICENSE") || strings.HasPrefix(n, "EDL-V10")) {
				continue
			}
			b, err := os.ReadFile(filepath.Join(m.dir, f.Name()))
			if err != nil {
				return nil, err
			}
			t := string(bytes.TrimSpace(bytes.ReplaceAll(b, []byte("\r"), nil)))
			if by[t] == nil {
				order = append(order, t)
			}
			by[t] = append(by[t], fmt.Sprintf("%s %s (%s)", m.Name, m.Version, f.Name()))
			found = true
		}
		if !found {
			t, err := heads(m)
			if err != nil {
				return nil, err
			}
			if by[t] == nil {
				order = append(order, t)
			}
			by[t] = append(by[t], m.Name+" "+m.Version)
		}
	}
	var w bytes.Buffer
	for _, t := range order {
		for _, who := range by[t] {
			fmt.Fprintln(&w, who)
		}
		fmt.Fprintf(&w, "\n%s\n\n%s\n\n", t, strings.Repeat("=", 100))
	}
	return w.Bytes(), nil
}

// heads is the licence of a module that has no file of it: what it says of itself, or the
// comment at the head of its sources.
func heads(m module) (string, error) {
	if m.Licence != "" {
		return "No text of a licence is in its folder; it says of itself: " + m.Licence, nil
	}
	var head string
	err := filepath.WalkDir(m.dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, ".go") || head != "" {
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if c, _, ok := strings.Cut(string(b), "\npackage "); ok && strings.Contains(strings.ToLower(c), "licen") {
			head = strings.TrimSpace(c)
		}
		return nil
	})
	if err == nil && head == "" {
		err = fmt.Errorf("%s %s has no text of its licence", m.Name, m.Version)
	}
	return head, err
}
