package main

import (
	"bytes"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/firmware/serve/api/apitest"
)

func TestAccountsAreManagedWithTheNameOfWhoActs(t *testing.T) {
	box := apitest.New(apitest.Calm)
	path, _ := startBox(t, box)
	for _, args := range [][]string{
		{"user", "role", "chen", "operator", "-w", "李雷"}, {"user", "remove", "chen", "-w", "李雷"}, {"user", "sessions", "--end", "5f0c11aa", "-w", "李雷"}, {"label", "--open", "-w", "李雷"},
	} {
		var out bytes.Buffer
		if err := edged(t, t.Context(), &out, append(args, "--socket", path)...); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
	var did []string
	for _, a := range box.Acts() {
		if a.Who.Name != "李雷" || a.Who.Via != "socket" {
			t.Errorf("%+v", a)
		}
		did = append(did, a.What+" "+a.ID)
	}
	if got := strings.Join(did, ","); got != "change-user chen,remove-user chen,end-sign-in 5f0c11aa,open-setup " {
		t.Error(got)
	}
	var out bytes.Buffer
	if err := edged(t, t.Context(), &out, "user", "--lang", "zh", "--socket", path); err != nil || !strings.Contains(out.String(), "陈志强") || !strings.Contains(out.String(), "cadre") {
		t.Errorf("%v %s", err, out.String())
	}
}

func TestTheLabelHoldsTheSecretWhereNoLogSeesIt(t *testing.T) {
	path, _ := startBox(t, apitest.New(apitest.Calm))
	svgFile := filepath.Join(t.TempDir(), "label.svg")
	var out bytes.Buffer
	if err := edged(t, t.Context(), &out, "label", "--open", "-w", "x", "--svg", svgFile, "--lang", "en", "--socket", path); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"https://192.168.1.5:8080", "ACDEF-34679", "Huangdu", "▀"} {
		if !strings.Contains(out.String(), s) {
			t.Errorf("no %q in\n%s", s, out.String())
		}
	}
	b, err := os.ReadFile(svgFile)
	if err != nil || xml.Unmarshal(b, &struct{}{}) != nil {
		t.Errorf("%v", err)
	}
	if u := setupURL("https://192.168.1.5:8080/", "ACDEF-34679"); u != "https://192.168.1.5:8080/setup#s=ACDEF-34679" {
		t.Error(u)
	}
	if u := setupURL("https://192.168.1.5:8080", ""); u != "https://192.168.1.5:8080/" {
		t.Error(u)
	}
}

func TestPasswordsAreReadFromAPipe(t *testing.T) {
	for in, want := range map[string]string{"secret word\n": "secret word", "secret": "secret", " blanks stay \r\nmore": " blanks stay ", "": ""} {
		g := &Globals{In: strings.NewReader(in)}
		if got, err := g.password(); got != want || (err != nil) != (in == "") {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
}

func TestAnAuditThatDoesNotHoldIsSaid(t *testing.T) {
	path, _ := startBox(t, apitest.New(apitest.Calm)) // its one entry carries no digest
	var out bytes.Buffer
	if err := edged(t, t.Context(), &out, "audit", "verify", "--socket", path); err == nil || !strings.Contains(err.Error(), "entry 1") {
		t.Errorf("%v", err)
	}
	if err := edged(t, t.Context(), &out, "audit", "--socket", path); err != nil || !strings.Contains(out.String(), "李雷@page") {
		t.Errorf("%v %s", err, out.String())
	}
}
