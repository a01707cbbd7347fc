package station

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// licences that allow a product which is sold, by a phrase that each text has.
var licences = map[string]*regexp.Regexp{
	"Apache-2.0":    regexp.MustCompile(`(?i)Apache License\s+Version 2\.0`),
	"MIT":           regexp.MustCompile(`(?i)Permission is hereby granted, free of charge`),
	"BSD":           regexp.MustCompile(`(?i)Redistribution and use in source and binary forms`),
	"ISC":           regexp.MustCompile(`(?i)Permission to use, copy, modify, and(/or)? distribute this software`),
	"public domain": regexp.MustCompile(`(?i)This is free and unencumbered software`),
}

var forbidden = regexp.MustCompile(`(?i)GNU (AFFERO |LESSER )?GENERAL PUBLIC LICENSE\s+Version`)

// TestTheBoxDoesNotLinkTheHubsServer holds the box's size: of NATS it needs the
// client alone.
func TestTheBoxDoesNotLinkTheHubsServer(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "tocsin/cmd/edged", "tocsin/firmware/reach/uplink").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "github.com/nats-io/nats.go") {
		t.Fatal("the list has no NATS at all: it is wrong")
	}
	if strings.Contains(string(out), "nats-io/nats-server") {
		t.Error("nats-server is linked into the box")
	}
}

// TestLinkedModulesAllowASoldProduct reads the licence text of every module that
// is linked into the box's programs.
func TestLinkedModulesAllowASoldProduct(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Dir}}\t{{$.Dir}}{{end}}{{end}}", "tocsin/cmd/edged", "tocsin/cmd/edged-desk", "tocsin/cmd/hubd", "tocsin/firmware/reach/uplink").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen, linked := map[string]string{}, map[string][]string{}
	for _, l := range strings.Split(string(out), "\n") {
		if f := strings.Split(l, "\t"); len(f) == 3 {
			seen[f[0]] = f[1]
			linked[f[0]] = append(linked[f[0]], f[2])
		}
	}
	if len(seen) < 5 {
		t.Fatalf("only %d modules: the list is wrong", len(seen))
	}
	found := map[string]string{}
	for path, dir := range seen {
		files, _ := filepath.Glob(filepath.Join(dir, "[LlCU][IiOoN][CcPpL]*"))
		// Eclipse's projects give a choice: the Eclipse Distribution License is the BSD text, in a
		// file of its own, and is the one that is taken.
		choice, _ := filepath.Glob(filepath.Join(dir, "edl-v10*"))
		files = append(files, choice...)
		// A module without such a file is licensed by the heads of its sources: those of the
		// packages that are linked, each with code in it.
		if len(files) == 0 {
			for _, pkg := range linked[path] {
				all, _ := filepath.Glob(filepath.Join(pkg, "*.go"))
				for _, f := range all {
					if base := filepath.Base(f); base != "doc.go" && !strings.HasSuffix(base, "_test.go") {
						files = append(files, f)
					}
				}
			}
			for _, f := range files {
				if b, err := os.ReadFile(f); err != nil || !headed(string(b)) {
					t.Errorf("%s: no licence in its folder, and none at the head of %s", path, f)
				}
			}
		}
		text := ""
		for _, f := range files {
			if b, err := os.ReadFile(f); err == nil {
				text += string(b)
			}
		}
		if forbidden.MatchString(text) {
			t.Errorf("%s: its licence is not for linking into a sold product", path)
		}
		for name, re := range licences {
			if re.MatchString(text) {
				found[path] = name
			}
		}
		if found[path] == "" {
			t.Errorf("%s: no licence on the list was recognised in %s", path, dir)
		}
	}
	b, _ := json.Marshal(found)
	t.Logf("%s", b)
}

// headed says that a source begins with a licence of the list.
func headed(source string) bool {
	head, _, _ := strings.Cut(source, "\npackage ")
	for _, re := range licences {
		if re.MatchString(head) {
			return true
		}
	}
	return false
}
