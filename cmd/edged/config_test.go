package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tocsin/firmware/serve/api"

	"tocsin/hwtest/built"
)

// TestAConfigurationIsTriedAndStaysOrComesBack changes a running box's document by the
// command: a change that a reload takes over, and one for which the box begins anew.
func TestAConfigurationIsTriedAndStaysOrComesBack(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the program")
	}
	dir, err := os.MkdirTemp("", "box") // a test's own name would be too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self := filepath.Join(dir, "edged")
	built.Into(t, dir, "edged", "edged-desk")
	file := filepath.Join(dir, "site.yaml")
	write := func(name, text string) string {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	const first = `version: 1
site: {id: "441882103201", name: {zh: 黄渡村, en: Huangdu}, datum: 1985, languages: [cmn]} # 一村
plan: flash-flood-village
page: {listen: "off"}
`
	write("site.yaml", first)
	socket := filepath.Join(dir, "s")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	// Without its desk edged says what is missing; a form that it does not read itself (-cFILE) comes back to it by the desk.
	alone := filepath.Join(dir, "alone", "edged")
	if err := errors.Join(os.Mkdir(filepath.Dir(alone), 0o755), os.Link(self, alone)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(alone, "--lang", "en", "status").CombinedOutput(); err == nil || !strings.Contains(string(out), filepath.Join(filepath.Dir(alone), "edged-desk")+" is missing: put the edged-desk of the same release beside edged") {
		t.Errorf("%v: %s", err, out)
	}
	box := exec.Command(self, "run", "-c"+file, "--data", filepath.Join(dir, "data"), "--socket", socket)
	box.Stdout, box.Stderr = log, log
	if err := box.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- box.Wait() }()
	t.Cleanup(func() {
		_ = box.Process.Signal(syscall.SIGTERM)
		<-ended
		if t.Failed() {
			b, _ := os.ReadFile(log.Name())
			t.Logf("%s", b)
		}
	})
	edged := func(in string, args ...string) (string, error) {
		c := exec.Command(self, append([]string{"--socket", socket, "--lang", "en"}, args...)...)
		c.Stdin = strings.NewReader(in)
		b, err := c.CombinedOutput()
		return string(b), err
	}
	do := func(in string, args ...string) string {
		t.Helper()
		out, err := edged(in, args...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return out
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("not in time: %s", what)
			}
		}
	}
	text := func() string { b, _ := os.ReadFile(file); return string(b) }
	status := func() (s api.Status) {
		out, err := edged("", "status", "--json")
		if err == nil {
			_ = json.NewDecoder(strings.NewReader(out)).Decode(&s)
		}
		return s
	}
	until("it answers", func() bool { return status().Site != "" })
	until("its first revision is kept", func() bool { out, err := edged("", "config"); return err == nil && strings.Contains(out, "in force") })

	// A broken one changes nothing, and says where.
	if out, err := edged("", "config", "apply", write("bad.yaml", strings.Replace(first, "plan:", "plam:", 1)), "--who", "Li", "--why", "test"); err == nil || !strings.Contains(out, ":3:1") {
		t.Errorf("%v: %s", err, out)
	}
	// A name: a reload takes it over. Nobody confirms.
	renamed := write("renamed.yaml", strings.Replace(first, "Huangdu", "Huangdu Upper", 1))
	out := do("", "config", "apply", renamed, "--who", "Li", "--why", "new name", "--within", "4s")
	for _, want := range []string{"-site:", "+site:", "Huangdu Upper", "edged config confirm 2"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	until("the name is in force", func() bool { return status().Name.EN == "Huangdu Upper" })
	until("the old one is back", func() bool { return status().Name.EN == "Huangdu" && text() == first })

	// Another language: the box begins anew, and is still this process. Confirmed.
	spoken := write("spoken.yaml", strings.Replace(first, "[cmn]", "[cmn, yue]", 1))
	began := status().Started
	out = do("", "config", "apply", spoken, "--who", "Li", "--why", "elders", "--within", "5m", "--yes")
	if !strings.Contains(out, "is confirmed") {
		t.Error(out)
	}
	until("it has begun anew", func() bool { s := status().Started; return !s.IsZero() && !s.Equal(began) })
	if b, _ := os.ReadFile(file); !bytes.Contains(b, []byte("yue")) {
		t.Errorf("%s", b)
	}
	// And once more back, of which the start in between knows: not confirmed.
	began = status().Started
	do("", "config", "again", "1", "--who", "Li", "--why", "no elders", "--within", "10s")
	until("it has begun anew with the first", func() bool { s := status().Started; return !s.IsZero() && !s.Equal(began) })
	began = status().Started
	if text() != first {
		t.Errorf("%s", text())
	}
	until("it has begun anew with what nobody took back", func() bool {
		s := status().Started
		return !s.IsZero() && !s.Equal(began) && strings.Contains(text(), "yue")
	})
	// A hand's edit is a revision as soon as somebody looks.
	write("site.yaml", strings.Replace(text(), "一村", "一村一站", 1))
	list := do("", "config")
	for _, want := range []string{"the file was edited", "taken back by 3", "taken back by 6", "the text of 1", "in force"} {
		if !strings.Contains(list, want) {
			t.Errorf("%q is not in\n%s", want, list)
		}
	}
	if d := do("", "config", "diff", "4"); !strings.Contains(d, "+site:") || !strings.Contains(d, "一村一站") {
		t.Error(d)
	}
	if j := do("", "journal", "--limit", "200"); !strings.Contains(j, "nobody confirmed revision 2") || !strings.Contains(j, "Li confirmed revision 4") || !strings.Contains(j, "edited by hand") {
		t.Error(j)
	}
	select {
	case err := <-ended:
		ended <- err
		t.Fatalf("it ended: %v", err)
	default:
	}
}
