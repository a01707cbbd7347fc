package access

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/firmware/phrase"
)

func TestWhatDeclaresNoRoleIsRefusedToAll(t *testing.T) {
	for _, have := range Roles {
		for _, need := range Roles {
			if got, want := have.Allows(need), need != Nobody && have >= need; got != want {
				t.Errorf("%s for %s: %v", have, need, got)
			}
		}
	}
	if Role(200).Allows(Viewer) || Owner.Allows(Role(200)) {
		t.Error("a role that does not exist may something")
	}
	for _, r := range Roles {
		if got, err := ParseRole(r.String()); err != nil || got != r {
			t.Errorf("%s reads back as %s, %v", r, got, err)
		}
	}
}

func open(t *testing.T, dir string) (*Token, string, error) {
	t.Helper()
	var log bytes.Buffer
	tok, err := Open(dir, slog.New(slog.NewTextHandler(&log, nil)))
	if tok == nil {
		t.Fatal("no token: ", err)
	}
	return tok, log.String(), err
}

// printed tells whether a log gives a token away, however its letters are grouped.
func printed(log string, tok *Token) bool {
	return strings.Contains(strings.ReplaceAll(log, "-", ""), tok.letters)
}

func TestTheTokenIsInNoLogAndKeptForTheServiceOnly(t *testing.T) {
	dir := t.TempDir()
	first, log, err := open(t, dir)
	if err != nil || printed(log, first) || !strings.Contains(log, tokenFile) || !first.Saved() {
		t.Fatalf("first start: %v, log %q", err, log)
	}
	st, err := os.Stat(filepath.Join(dir, tokenFile))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("file: %v %v", st, err)
	}
	again, log, err := open(t, dir)
	if err != nil || log != "" || again.String() != first.String() {
		t.Errorf("second start: %v, token kept %v, log %q", err, again.String() == first.String(), log)
	}
	if other, _, _ := open(t, t.TempDir()); other.String() == first.String() {
		t.Error("two boxes have one token")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestALooseFileIsTightened(t *testing.T) {
	dir := t.TempDir()
	first, _, _ := open(t, dir)
	name := filepath.Join(dir, tokenFile)
	if err := os.Chmod(name, 0o644); err != nil {
		t.Fatal(err)
	}
	again, _, err := open(t, dir)
	st, _ := os.Stat(name)
	if err != nil || again.String() != first.String() || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, mode %v", err, st.Mode())
	}
}

func TestADamagedFileIsReplaced(t *testing.T) {
	for _, s := range []string{"", "short", strings.Repeat("A", 5000), "IIIIIIIIII", "\x00\xff"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, tokenFile), []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		tok, log, err := open(t, dir)
		if err != nil || !tok.Saved() || log == "" || printed(log, tok) {
			t.Errorf("%.20q: %v %q", s, err, log)
		}
	}
}

func TestADeadDiskLeavesATokenInRAMAndSaysSo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	loop := t.TempDir()
	if err := os.Symlink("/etc/hostname", filepath.Join(loop, tokenFile)); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Join(t.TempDir(), "gone"), file, loop} {
		tok, log, err := open(t, dir)
		var pe *phrase.Error
		if !errors.As(err, &pe) || pe.Code != "serve.token_in_ram" {
			t.Errorf("%s: %v", dir, err)
		}
		if tok.Saved() || log == "" || printed(log, tok) || !tok.Is(tok.String()) {
			t.Errorf("%s: that the token is in RAM is not told, or it is, or it does not work: %q", dir, log)
		}
	}
}

func TestTheTokenIsTakenAsPeopleTypeIt(t *testing.T) {
	tok := newToken("ACDEF34679", false)
	for given, want := range map[string]bool{
		"ACDEF-34679": true, "acdef34679": true, " acdef 34679 ": true, "ＡＣＤＥＦ－３４６７９": true, "ACDEF—34679": true,
		"": false, "ACDEF": false, "ACDEF-34677": false, "ACDEF-34679A": false, strings.Repeat("A", 1<<16): false,
	} {
		if tok.Is(given) != want {
			t.Errorf("%.40q: want %v", given, want)
		}
	}
}

func TestLettersThatLookAlikeAreNotUsed(t *testing.T) {
	seen := map[rune]int{}
	for range 2000 {
		for _, r := range generate() {
			seen[r]++
		}
	}
	for _, r := range "01258OILZSB" {
		if seen[r] > 0 {
			t.Errorf("%c is used", r)
		}
	}
	for _, r := range alphabet {
		// 20000 letters over 25: 800 each, and 5 standard deviations.
		if n := seen[r]; n < 660 || n > 940 {
			t.Errorf("%c came %d times, about 800 expected", r, n)
		}
	}
}

func TestTheTokenDoesNotSlipIntoALog(t *testing.T) {
	var b bytes.Buffer
	tok := newToken("ACDEF34679", false)
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "token", tok)
	if strings.Contains(b.String(), "ACDEF") {
		t.Error(b.String())
	}
}

func TestWrongTokensWaitAndTheRightOneIsNeverLockedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tok := newToken("ACDEF34679", false)
		took := func(addr, given string) (bool, time.Duration) {
			began := time.Now()
			ok := tok.Verify(context.Background(), addr, given)
			return ok, time.Since(began)
		}
		for i := range 200 {
			ok, d := took("192.168.1.9:4001", "WRONG")
			if ok || d > longestWait || i < freeFailures && d != 0 || i > 10 && d != longestWait {
				t.Fatalf("attempt %d: %v after %v", i, ok, d)
			}
		}
		if ok, d := took("192.168.1.9:4002", "ACDEF34679"); !ok || d > longestWait {
			t.Errorf("the right token from the same address: %v after %v", ok, d)
		}
		if ok, d := took("192.168.1.9:4002", "ACDEF34679"); !ok || d != 0 {
			t.Errorf("and once more: %v after %v", ok, d)
		}
		for range 20 {
			took("[fd00::1:2]:1", "WRONG")
		}
		if _, d := took("[fd00::9:9]:1", "WRONG"); d != longestWait {
			t.Errorf("another address of the same machine waited %v", d)
		}
		if ok, d := took("192.168.1.10:1", "ACDEF34679"); !ok || d != 0 {
			t.Errorf("from elsewhere: %v after %v", ok, d)
		}
		time.Sleep(forgetAfter + time.Second)
		if _, d := took("[fd00::1:2]:1", "WRONG"); d != 0 {
			t.Errorf("nothing was forgotten: waited %v", d)
		}
	})
}

func TestManyAttemptsAtOnceGainNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tok := newToken("ACDEF34679", false)
		for range 10 {
			tok.Verify(context.Background(), "10.0.0.1:1", "WRONG")
		}
		began := time.Now()
		done := make(chan time.Duration, 50)
		for range 50 {
			go func() {
				tok.Verify(context.Background(), "10.0.0.1:1", "WRONG")
				done <- time.Since(began)
			}()
		}
		for range 50 {
			if d := <-done; d != longestWait {
				t.Errorf("compared after %v", d)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if tok.Verify(ctx, "10.0.0.1:1", "ACDEF34679") {
			t.Error("a caller that left was let in")
		}
	})
}

func TestTheTableOfFailuresIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tok := newToken("ACDEF34679", false)
		for i := range 5 * mostAddrs {
			tok.Verify(context.Background(), fmt.Sprintf("10.0.%d.%d:1", i/250, i%250), "WRONG")
			time.Sleep(time.Millisecond)
		}
		if n := len(tok.back.seen); n > mostAddrs {
			t.Errorf("%d addresses are kept", n)
		}
	})
}

func FuzzAGivenTokenIsOnlyEverTheRightOne(f *testing.F) {
	for _, s := range []string{"ACDEF-34679", "ａｃｄｅｆ３４６７９", "\xff\xfe", "----------", ""} {
		f.Add(s)
	}
	tok := newToken("ACDEF34679", false)
	f.Fuzz(func(t *testing.T, s string) {
		if tok.Is(s) != (normal(s) == "ACDEF34679") {
			t.Errorf("%q", s)
		}
		if p, err := parse(s); err == nil && (len(p) != tokenLength || strings.Trim(p, alphabet) != "") {
			t.Errorf("%q reads as %q", s, p)
		}
	})
}
