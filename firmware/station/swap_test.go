package station

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/firmware/keep/swap"
	"tocsin/firmware/serve/api"
)

func TestAnotherBoardTakesThisOnesPlaceByASealedExport(t *testing.T) {
	t.Parallel()
	const passphrase = "稻田山路水车风铃竹影石桥"
	old := newManaged(t)
	old.write("plans/night.yaml", strings.Replace(townPlan, "plan: town", "plan: night", 1))
	old.start()
	old.until("the revisions", func() bool { var r api.RevisionText; return old.get("/config/revisions/0", &r) == nil })
	for p, code := range map[string]string{"short": "access.password_short", "aaaaaaaaaaaa": "access.password_weak", "elevenrunes": "sealed.passphrase"} {
		if got := old.asks("/config/sealed", api.SealQuery{Passphrase: p, Who: "王工"}, nil); got != code {
			t.Errorf("%q: %q", p, got)
		}
	}
	var s api.SealResult
	if code := old.asks("/config/sealed", api.SealQuery{Passphrase: passphrase, Who: "王工"}, &s); code != "" {
		t.Fatal(code)
	}
	for _, f := range []string{"box.key", "secrets/county.key", "secrets/psk", "plans/town.yaml", "plans/night.yaml", "managed.yaml"} {
		if !strings.Contains(" "+strings.Join(s.Files, " ")+" ", " "+f+" ") {
			t.Errorf("%s is not in it: %v", f, s.Files)
		}
	}
	old.leaks(map[string]string{"the sealed export": string(s.Sealed)})
	if strings.Contains(string(s.Sealed), strings.Repeat("5a", 8)) {
		t.Error("the county's key can be read in it")
	}
	key, err := os.ReadFile(filepath.Join(old.data, "box.key"))
	if err != nil {
		t.Fatal(err)
	}
	document := old.inForce()

	next := newTown(t)
	next.start()
	next.until("the revisions", func() bool { var r api.RevisionText; return next.get("/config/revisions/0", &r) == nil })
	if code := next.asks("/config/sealed", api.SealQuery{Passphrase: passphrase + "x", Sealed: s.Sealed, Who: "王工"}, nil); code != "sealed.wrong" {
		t.Errorf("a wrong passphrase: %q", code)
	}
	if err := os.MkdirAll(filepath.Join(next.dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(next.dir, "bin", "edged"), []byte("#!"), 0o755); err != nil {
		t.Fatal(err)
	}
	// Somebody who knows the passphrase can still not write where nothing is to be written.
	for _, p := range []swap.Part{{Place: swap.Site, Name: "site.yaml", Bytes: []byte("x")}, {Place: swap.Data, Name: "accounts.json", Bytes: []byte("{}")}, {Place: swap.Data, Name: "setup-secret", Bytes: []byte("x")},
		{Place: swap.Site, Name: "data/accounts.json", Bytes: []byte("{}")}, {Place: swap.Site, Name: "data/stop-token", Bytes: []byte("ACDEF34679")},
		{Place: swap.Site, Name: "bin/edged", Bytes: []byte("x")}, {Place: swap.Site, Name: "unnamed/key", Bytes: []byte("x")}} {
		// That a document names it is no leave to write it.
		named := document
		if p.Name != "unnamed/key" {
			named = strings.Replace(document, "secrets/psk", p.Name, 1)
		}
		b, err := swap.Seal(passphrase, swap.Content{Document: named, Parts: []swap.Part{p}})
		if err != nil {
			t.Fatal(err)
		}
		if code := next.asks("/config/sealed", api.SealQuery{Passphrase: passphrase, Sealed: b, Who: "王工"}, nil); code != "sealed.part" {
			t.Errorf("%s: %q", p.Name, code)
		}
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(next.dir, "secrets")); err != nil {
		t.Fatal(err)
	}
	if code := next.asks("/config/sealed", api.SealQuery{Passphrase: passphrase, Sealed: s.Sealed, Who: "王工"}, nil); code != "sealed.disk" {
		t.Errorf("a link out of the folder: %q", code)
	}
	if b, _ := os.ReadFile(filepath.Join(next.data, "box.key")); string(b) == string(key) {
		t.Error("a restore that failed left something behind")
	}
	os.Remove(filepath.Join(next.dir, "secrets"))
	var r api.SealResult
	if code := next.asks("/config/sealed", api.SealQuery{Passphrase: passphrase, Sealed: s.Sealed, Who: "王工"}, &r); code != "" {
		t.Fatal(code)
	}
	if r.Edited == nil || !strings.Contains(r.Edited.Diff, "secrets/county.key") || len(r.Sealed) > 0 {
		t.Fatalf("%+v", r)
	}
	if b, _ := os.ReadFile(filepath.Join(next.data, "box.key")); string(b) != string(key) {
		t.Error("the new board is not known by the old key")
	}
	st, err := os.Stat(filepath.Join(next.dir, "secrets/county.key"))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st, err)
	}
	if next.inForce() != next.text {
		t.Error("the document was used without a draft")
	}
}
