package access

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/firmware/phrase"
)

const good = "稻田 山路 水车 board"

func door(t *testing.T, dir string) *Door {
	t.Helper()
	d, err := OpenDoor(DoorOpts{Dir: dir, Sessions: filepath.Join(dir, "sessions")})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func codeOf(err error) string {
	var pe *phrase.Error
	if errors.As(err, &pe) {
		return pe.Code
	}
	return fmt.Sprint(err)
}

func add(t *testing.T, d *Door, id string, r Role) {
	t.Helper()
	if _, err := d.Add(t.Context(), "", id, "", r, good); err != nil {
		t.Fatal(err)
	}
}

func TestSetUpIsOpenOnceAndToTheLabelAlone(t *testing.T) {
	dir := t.TempDir()
	d := door(t, dir)
	secret := d.SetupSecret()
	if d.SetupLeft() <= 0 || len(secret) != 11 {
		t.Fatalf("not open: %v %q", d.SetupLeft(), secret)
	}
	if again := door(t, dir); again.SetupSecret() != secret {
		t.Error("the label that was printed is worth nothing after a start")
	}
	try := func(s, id, pw string) string {
		_, err := d.Setup(t.Context(), "10.0.0.1:1", "", "", s, id, "陈志强", pw)
		return codeOf(err)
	}
	for _, c := range [][4]string{
		{"AAAAA-AAAAA", "chen", good, "access.setup_wrong"},
		{"", "chen", good, "access.setup_wrong"},
		{secret, "chen", "12345678", "access.password_weak"},
		{secret, "a b", good, "access.bad_account"},
		{strings.ToLower(secret), "Chen", good, "<nil>"},
		{secret, "other", good, "access.setup_closed"},
	} {
		if got := try(c[0], c[1], c[2]); got != c[3] {
			t.Errorf("%.3v: %s", c, got)
		}
	}
	if d.SetupSecret() != "" || d.SetupLeft() != 0 {
		t.Error("still open after the first owner")
	}
	if _, err := os.Stat(filepath.Join(dir, setupFile)); err == nil {
		t.Error("the used secret is still kept")
	}
	again := door(t, dir)
	if _, err := again.Setup(t.Context(), "10.0.0.1:1", "", "", secret, "x", "x", good); codeOf(err) != "access.setup_closed" {
		t.Errorf("replayed after a start: %v", err)
	}
	re, _ := again.OpenSetup()
	if _, err := again.Setup(t.Context(), "10.0.0.2:1", "", "", secret, "x", "x", good); codeOf(err) != "access.setup_wrong" || re == secret {
		t.Errorf("the old secret after it was opened by hand: %v", err)
	}
	if _, err := again.Setup(t.Context(), "10.0.0.2:1", "", "", re, "second", "x", good); err != nil {
		t.Errorf("opened by hand: %v", err)
	}
	if again.SetupLeft() != 0 {
		t.Error("opened by hand, and never closed")
	}
}

func TestSetUpHoldsUpNobodyWhileThePasswordIsHashed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := door(t, t.TempDir())
		secret := d.SetupSecret()
		if err := d.hash.enter(t.Context(), who(1)); err != nil { // another's hash takes for ever
			t.Fatal(err)
		}
		said := make(chan string, 2)
		try := func(id string) {
			go func() {
				_, err := d.Setup(t.Context(), "10.0.0.2:1", "", "", secret, id, "", good)
				said <- codeOf(err)
			}()
			synctest.Wait()
		}
		try("chen")
		if !d.setup.mu.TryLock() {
			d.hash.leave()
			t.Fatal("every page of sign-in waits until the password is hashed")
		}
		d.setup.mu.Unlock()
		try("second")
		if got := <-said; got != "access.busy" {
			t.Errorf("a second with the same secret: %s", got)
		}
		d.hash.leave()
		if got := <-said; got != "<nil>" || d.SetupLeft() != 0 || len(d.List()) != 1 {
			t.Errorf("%s, open for %v, %d accounts", got, d.SetupLeft(), len(d.List()))
		}
	})
}

func TestSetUpClosesByItselfAndAfterAStartItIsOpenAgain(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := door(t, dir)
		time.Sleep(SetupWindow + time.Second)
		if d.SetupLeft() != 0 || d.SetupSecret() != "" {
			t.Error("still open")
		}
		if door(t, dir).SetupLeft() <= 0 {
			t.Error("not open after a start")
		}
	})
}

func TestWrongAccountAndWrongPasswordLookTheSame(t *testing.T) {
	d := door(t, t.TempDir())
	add(t, d, "chen", Owner)
	took := func(addr, id, pw string) (time.Duration, string) {
		best, said := time.Hour, ""
		for i := range 3 {
			began := time.Now()
			_, err := d.SignIn(t.Context(), fmt.Sprintf("%s%d:1", addr, i), "", "", id, pw)
			best, said = min(best, time.Since(began)), codeOf(err)
		}
		return best, said
	}
	right, said := took("10.0.1.", "chen", good)
	if said != "<nil>" {
		t.Fatal(said)
	}
	for i, c := range [][2]string{{"chen", "wrong password"}, {"nobody", good}, {"", good}, {"a b", good}, {"chen", ""}, {"chen", strings.Repeat("a", 1<<16)}, {"chen", "\xff\xfe"}} {
		d, said := took(fmt.Sprintf("10.1.%d.", i), c[0], c[1])
		if said != "access.wrong" || d < right/2 {
			t.Errorf("%.12q %.12q: %s after %v, right one %v", c[0], c[1], said, d, right)
		}
	}
}

func TestAKeyboardThatWritesFullWidthSignsInAllTheSame(t *testing.T) {
	d := door(t, t.TempDir())
	if _, err := d.Add(t.Context(), "", "chen", "陈志强", Cadre, "Rain2026!river"); err != nil {
		t.Fatal(err)
	}
	e, err := d.SignIn(t.Context(), "10.0.0.1:1", "", "", " ＣＨＥＮ ", "Ｒａｉｎ２０２６！ｒｉｖｅｒ")
	if err != nil || e.Account.Role != Cadre {
		t.Errorf("%+v %v", e, err)
	}
}

func TestGuessersWaitAndNobodyIsLockedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := door(t, t.TempDir())
		add(t, d, "chen", Owner)
		took := func(addr, id, pw string) (bool, time.Duration) {
			began := time.Now()
			_, err := d.SignIn(t.Context(), addr, "", "", id, pw)
			return err == nil, time.Since(began)
		}
		for i := range 30 {
			if ok, w := took("10.0.0.9:1", "chen", "wrong"); ok || w > longestWait || i < freeFailures && w != 0 || i > 10 && w != longestWait {
				t.Fatalf("attempt %d: %v after %v", i, ok, w)
			}
		}
		if ok, w := took("10.0.0.9:2", "chen", good); !ok || w != longestWait {
			t.Errorf("the right one from there: %v after %v", ok, w)
		}
		if ok, w := took("10.0.0.8:2", "chen", good); !ok || w != 0 {
			t.Errorf("from elsewhere: %v after %v", ok, w)
		}
		// Other accounts are no way round, and one's own sign-in between does not help.
		for i := range freeOfMachine + 6 {
			took("10.0.0.7:1", fmt.Sprintf("a%d", i), "wrong")
			took("10.0.0.7:1", "chen", good)
		}
		if _, w := took("10.0.0.7:1", "yet another", "wrong"); w != longestWait {
			t.Errorf("many accounts from one machine: waited %v", w)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := d.SignIn(ctx, "10.0.0.7:1", "", "", "chen", good); err == nil {
			t.Error("a caller that left is signed in")
		}
	})
}

func TestAPlantedTokenIsWorthNothing(t *testing.T) {
	d := door(t, t.TempDir())
	add(t, d, "chen", Owner)
	add(t, d, "low", Viewer)
	planted, err := d.SignIn(t.Context(), "10.0.0.1:1", "", "", "low", good)
	if err != nil {
		t.Fatal(err)
	}
	for _, old := range []string{planted.Token, "AAAA", strings.Repeat("x", 43)} {
		e, err := d.SignIn(t.Context(), "10.0.0.2:1", "", old, "chen", good)
		if err != nil || e.Token == old {
			t.Fatalf("%v", err)
		}
		if g, ok := d.Grant(old, "page", "", true); ok {
			t.Errorf("the planted token is %s", g.Role)
		}
	}
}

func TestSessionsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		do  func(d *Door, e Entry)
		end bool
	}{
		"nothing":        {func(*Door, Entry) {}, false},
		"signed out":     {func(d *Door, e Entry) { d.SignOut(e.Token) }, true},
		"revoked":        {func(d *Door, e Entry) { d.EndSession(e.Session) }, true},
		"another":        {func(d *Door, e Entry) { d.EndSession("00000000") }, false},
		"all but it":     {func(d *Door, e Entry) { d.EndSessions("chen", e.Session) }, false},
		"new password":   {func(d *Door, _ Entry) { d.SetPassword(context.Background(), "", "chen", good+"2") }, true},
		"new role":       {func(d *Door, _ Entry) { d.SetRole("chen", Viewer) }, true},
		"removed":        {func(d *Door, _ Entry) { d.Remove("chen") }, true},
		"another's role": {func(d *Door, _ Entry) { d.SetRole("boss", Owner) }, false},
		"idle": {func(d *Door, e Entry) {
			for range 3 {
				time.Sleep(IdleTimeout - time.Second)
				if _, ok := d.Grant(e.Token, "page", "", true); !ok {
					panic("ended while it was used")
				}
			}
			time.Sleep(IdleTimeout / 2)
			d.Grant(e.Token, "page", "", false) // a page that refreshes itself is nobody's doing
			time.Sleep(IdleTimeout/2 + time.Second)
		}, true},
		"old": {func(d *Door, e Entry) {
			for range 12 * 12 {
				time.Sleep(5 * time.Minute)
				d.Grant(e.Token, "page", "", true)
			}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := door(t, t.TempDir())
				add(t, d, "boss", Owner)
				add(t, d, "chen", Operator)
				e, err := d.SignIn(t.Context(), "10.0.0.1:1", "Firefox\n\u202e", "", "chen", good)
				if err != nil {
					t.Fatal(err)
				}
				g, ok := d.Grant(e.Token, "page", "10.0.0.1", true)
				if !ok || g.Role != Operator || g.Account != "chen" || g.Session != e.Session || g.IdleLeft != IdleTimeout || !g.SignedIn() {
					t.Fatalf("%+v", g)
				}
				if l := d.Sessions(); len(l) != 1 || l[0].Agent != "Firefox" || l[0].Addr != "10.0.0.1:1" {
					t.Errorf("%+v", l)
				}
				over := d.Over(e.Session)
				c.do(d, e)
				if _, ok := d.Grant(e.Token, "page", "", true); ok == c.end {
					t.Errorf("lasts: %v", ok)
				}
				if name == "idle" || name == "old" {
					d.Sweep()
				}
				select {
				case <-over.Done():
					if !c.end {
						t.Error("its streams end")
					}
				default:
					if c.end {
						t.Error("its streams go on")
					}
				}
			})
		})
	}
}

func TestSessionsAreBoundedAndOneAccountCostsNoOther(t *testing.T) {
	d := door(t, t.TempDir())
	add(t, d, "boss", Owner)
	add(t, d, "chen", Viewer)
	boss, err := d.SignIn(t.Context(), "10.0.0.1:1", "", "", "boss", good)
	if err != nil {
		t.Fatal(err)
	}
	for range mostOfOneAcc + 3 {
		if _, err := d.SignIn(t.Context(), "10.0.0.2:1", "", "", "chen", good); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(d.Sessions()); n != mostOfOneAcc+1 {
		t.Errorf("%d sessions", n)
	}
	if _, ok := d.Grant(boss.Token, "page", "", true); !ok {
		t.Error("another's sessions ended the owner's")
	}
}

func TestASessionOutlivesTheProcessButNotTheBoot(t *testing.T) {
	dir := t.TempDir()
	d := door(t, dir)
	add(t, d, "chen", Owner)
	e, err := d.SignIn(t.Context(), "10.0.0.1:1", "", "", "chen", good)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "sessions"))
	if err != nil || strings.Contains(string(b), e.Token) {
		t.Fatalf("%v; or the token itself is kept", err)
	}
	if st, _ := os.Stat(filepath.Join(dir, "sessions")); st.Mode().Perm() != 0o600 {
		t.Error(st.Mode())
	}
	again := door(t, dir)
	if g, ok := again.Grant(e.Token, "page", "", true); !ok || g.Role != Owner {
		t.Error("a restart signs everybody out")
	}
	other := strings.Replace(string(b), `"boot":"`, `"boot":"x`, 1)
	if err := os.WriteFile(filepath.Join(dir, "sessions"), []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok := door(t, dir).Grant(e.Token, "page", "", true); ok {
		t.Error("a session of another boot goes on")
	}
}

func TestOnlyWhoHasTheOldPasswordChangesIt(t *testing.T) {
	d := door(t, t.TempDir())
	add(t, d, "chen", Owner)
	e, _ := d.SignIn(t.Context(), "10.0.0.1:1", "", "", "chen", good)
	for _, c := range [][3]string{{"wrong", good + "3", "access.wrong"}, {good, "short", "access.password_short"}, {good, good + "3", "<nil>"}} {
		n, err := d.ChangePassword(t.Context(), "10.0.0.1:1", "", e.Token, "chen", c[0], c[1])
		if codeOf(err) != c[2] {
			t.Errorf("%v: %v", c, err)
		}
		_, old := d.Grant(e.Token, "page", "", true)
		if _, ok := d.Grant(n.Token, "page", "", true); ok != (err == nil) || old != (err != nil) {
			t.Errorf("%v: old session %v, new %v", c, old, ok)
		}
		if n := len(d.Sessions()); n != 1 {
			t.Errorf("%v: %d sessions", c, n)
		}
	}
}
