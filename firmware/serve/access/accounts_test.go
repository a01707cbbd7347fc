package access

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAccountsAreKeptForTheServiceOnly(t *testing.T) {
	dir := t.TempDir()
	d := door(t, dir)
	for id, r := range map[string]Role{"chen": Owner, "张伟": Technician, "li.lei-2": Cadre} {
		if _, err := d.Add(t.Context(), "", id, "姓名", r, good); err != nil {
			t.Fatal(err)
		}
	}
	st, err := os.Stat(filepath.Join(dir, accountsFile))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st, err)
	}
	b, _ := os.ReadFile(filepath.Join(dir, accountsFile))
	if strings.Contains(string(b), good) || strings.Count(string(b), "$argon2id$v=19$m=19456,t=2,p=1$") != 3 {
		t.Errorf("%s", b)
	}
	if err := os.Chmod(filepath.Join(dir, accountsFile), 0o644); err != nil {
		t.Fatal(err)
	}
	again := door(t, dir)
	if l := again.List(); len(l) != 3 || !again.HasOwner() || !again.Saved() {
		t.Errorf("%+v", l)
	}
	if st, _ := os.Stat(filepath.Join(dir, accountsFile)); st.Mode().Perm() != 0o600 {
		t.Error("a loose file stays loose")
	}
	if _, err := again.SignIn(t.Context(), "10.0.0.1:1", "", "", "张伟", good); err != nil {
		t.Error(err)
	}
}

func TestADamagedFileLetsNobodyInAndOpensNoSetUp(t *testing.T) {
	dir := t.TempDir()
	add(t, door(t, dir), "chen", Owner)
	b, _ := os.ReadFile(filepath.Join(dir, accountsFile))
	for name, s := range map[string]string{
		"empty": "", "not JSON": "{", "cut": string(b[:len(b)/2]), "another version": strings.Replace(string(b), `"version": 1`, `"version": 9`, 1),
		"a role that is none": strings.Replace(string(b), `"owner"`, `"god"`, 1), "nobody": strings.Replace(string(b), `"owner"`, `"nobody"`, 1),
		"a hash that is none": strings.Replace(string(b), "argon2id", "plain", 1), "one that eats the board": strings.Replace(string(b), "m=19456", "m=4194304", 1),
		"an account that is none": strings.Replace(string(b), `"chen"`, `"../chen"`, 1), "unknown keys": strings.Replace(string(b), `"version"`, `"x":1,"version"`, 1),
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, accountsFile), []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := OpenDoor(DoorOpts{Dir: dir, Log: slog.New(slog.DiscardHandler)})
		if codeOf(err) != "access.accounts_damaged" || len(d.List()) != 0 || d.SetupLeft() != 0 || d.SetupSecret() != "" {
			t.Errorf("%s: %v, set-up %v", name, err, d.SetupLeft())
		}
		if kept, _ := os.ReadFile(filepath.Join(dir, accountsFile+".damaged")); string(kept) != s {
			t.Errorf("%s: what there was is lost", name)
		}
		if _, err := d.Add(t.Context(), "", "anew", "", Owner, good); err != nil || !d.Saved() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestADeadDiskLeavesAccountsInRAMAndSaysSo(t *testing.T) {
	d, err := OpenDoor(DoorOpts{Dir: filepath.Join(t.TempDir(), "gone"), Log: slog.New(slog.DiscardHandler)})
	if codeOf(err) != "access.accounts_in_ram" || d.Saved() {
		t.Errorf("%v", err)
	}
	if _, err := d.Setup(t.Context(), "", "", "", d.SetupSecret(), "chen", "", good); err != nil {
		t.Fatal(err)
	}
	if _, err := d.SignIn(t.Context(), "10.0.0.1:1", "", "", "chen", good); err != nil || d.Saved() {
		t.Errorf("%v, saved %v", err, d.Saved())
	}
}

func TestTheLastOwnerStays(t *testing.T) {
	d := door(t, t.TempDir())
	add(t, d, "chen", Owner)
	if _, err := d.Remove("chen"); codeOf(err) != "access.last_owner" {
		t.Error(err)
	}
	if _, err := d.SetRole("chen", Technician); codeOf(err) != "access.last_owner" {
		t.Error(err)
	}
	add(t, d, "li", Owner)
	if _, err := d.Remove("chen"); err != nil {
		t.Error(err)
	}
	if _, err := d.SetRole("nobody", Viewer); codeOf(err) != "access.no_account" {
		t.Error(err)
	}
	for _, r := range []Role{Nobody, 99} {
		if _, err := d.SetRole("li", r); codeOf(err) != "access.bad_role" {
			t.Error(err)
		}
	}
	if _, err := d.Add(t.Context(), "", "LI", "", Viewer, good); codeOf(err) != "access.account_taken" {
		t.Error(err)
	}
}

func TestAccountsAreBounded(t *testing.T) {
	d := door(t, t.TempDir())
	h := decoy
	d.edit(func([]Account) (all []Account, _ error) {
		for i := range usualAccounts {
			all = append(all, Account{ID: strings.Repeat("a", i%30+1) + strings.Repeat("b", i/30), Name: "x", Role: Owner, hash: h})
		}
		return all, nil
	})
	if _, err := d.Add(t.Context(), "", "chen", "", Viewer, good); codeOf(err) != "access.accounts_full" {
		t.Error(err)
	}
}

func FuzzAccountsFile(f *testing.F) {
	f.Add([]byte(`{"version":1,"accounts":[]}`))
	f.Add([]byte(`{"version":1,"accounts":[{"id":"chen","name":"陈","role":"owner","changed":"2026-06-14T22:40:08Z","hash":"` + decoy.String() + `","gen":1}]}`))
	f.Add([]byte(`{"version":1,"accounts":[{"id":"a"},{"id":"a"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := parseAccounts(b)
		if err != nil && all != nil {
			t.Error("half of the accounts are taken")
		}
		for i, a := range all {
			if id, err := cleanID(a.ID); err != nil || id != a.ID || find(all, a.ID) != i || a.Role == Nobody || a.Role > Owner || a.hash.memory > hashMemory {
				t.Errorf("%+v", a)
			}
		}
	})
}

func FuzzAccountNames(f *testing.F) {
	for _, s := range []string{"chen", "ＣＨＥＮ", "张伟", "a b", "\u202e", strings.Repeat("é", 40), "İ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := cleanID(s)
		if err != nil {
			return
		}
		if again, err := cleanID(id); err != nil || again != id {
			t.Errorf("%q is %q, and that %q (%v)", s, id, again, err)
		}
		if strings.ContainsAny(id, "/\\ \n\"<>&:;=") {
			t.Errorf("%q", id)
		}
	})
}

func FuzzSessionsFile(f *testing.F) {
	f.Add([]byte(`{"boot":"b","sessions":[{"key":"` + strings.Repeat("A", 43) + `","data":{"until":100,"account":"a","id":"x","began":1},"until":90,"touched":2}]}`))
	f.Add([]byte(`{"boot":"b","sessions":[{}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for k, s := range parseSessions(b, "b", 50, IdleTimeout, Lifetime) {
			if len(k) != 43 || s.until <= 50 || s.until > 50+IdleTimeout || s.began > 50 || s.account == "" {
				t.Errorf("%q %+v", k, s)
			}
		}
	})
}
