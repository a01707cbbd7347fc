package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"tocsin/firmware/decide/command"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/api/apitest"
)

// officer has the commands of warnings as main has them.
type officer struct {
	Globals
	Alert   AlertCmd   `cmd:""`
	Command CommandCmd `cmd:""`
}

// desk runs one command line and gives what it printed and its exit code.
func desk(t *testing.T, args ...string) (string, int) {
	t.Helper()
	var c officer
	var out bytes.Buffer
	run, err := kong.Must(&c, kong.Exit(func(int) { panic("exit") })).Parse(args)
	if err != nil {
		t.Fatal(err)
	}
	c.Out, c.Ctx = &out, t.Context()
	err = run.Run(&c.Globals)
	var code exitCode
	switch {
	case err == nil:
		return out.String(), 0
	case errors.As(err, &code):
		return out.String(), int(code)
	}
	t.Logf("%v: %v", args, err)
	return out.String() + err.Error(), 1
}

func TestAnAlertIsCheckedByASitesFileAlone(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(file(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, code := desk(t, "alert", "key", "--kind", "sm2", "-o", file("k.pem")); code != 0 {
		t.Fatal(out)
	}
	if st, err := os.Stat(file("k.pem")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the private key: %v %v", st.Mode(), err)
	}
	if _, code := desk(t, "alert", "key", "-o", file("k.pem")); code == 0 {
		t.Error("a key was overwritten")
	}
	write("site.yaml", `version: 1
site: {id: "441882103201", name: {zh: 黄渡村, en: Huangdu}}
outputs: {horn: {kind: loudspeaker, file: `+dir+`}}
alerts: {trust: {issuers: {county: {name: {zh: 县局, en: County}, senders: [office@county.example], keys: [{file: k.pem.pub}], grant: {kinds: [real], most_level: evacuate}}}}}
plan: flash-flood-village
`)
	example := "../../configs/alerts/example.xml"
	if out, code := desk(t, "alert", "sign", "--key", file("k.pem"), "-o", file("s.xml"), example); code != 0 {
		t.Fatal(out)
	}
	signed, err := os.ReadFile(file("s.xml"))
	if err != nil {
		t.Fatal(err)
	}
	write("f.xml", strings.Replace(string(signed), "黄渡村一带", "全县", 1))
	write("b.xml", strings.Replace(string(signed), "<status>Actual</status>", "", 1))
	check := func(name string, more ...string) (string, int) {
		return desk(t, append([]string{"--lang", "en", "alert", "check", "-c", file("site.yaml"), "--at", "2026-11-26T09:00:00+08:00", name}, more...)...)
	}
	for _, c := range []struct {
		name string
		code int
		says string
	}{
		{file("s.xml"), 0, "Prepare to move"},
		{example, 1, "no signature"},
		{file("f.xml"), 1, "changed"},
		{file("b.xml"), 2, "/alert"},
	} {
		if out, code := check(c.name); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%s: exit %d, want %d\n%s", c.name, code, c.code, out)
		}
	}
	out, code := check(file("f.xml"), "--json")
	var v api.Verdict
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 1 || !v.WellFormed || v.Genuine || v.Trusted || v.InForce || len(v.Reasons) == 0 {
		t.Errorf("%d %v %s", code, err, out)
	}
	if out, code := check(file("s.xml"), "--at", "2037-01-01T00:00:00+08:00"); code != 1 {
		t.Errorf("an alert of ten years ago: exit %d\n%s", code, out)
	}
	if out, code := desk(t, "--lang", "en", "alert", "show", example); code != 0 || !strings.Contains(out, "office@county.example") || !strings.Contains(out, "alert check") {
		t.Errorf("%d %s", code, out)
	}
	if out, code := desk(t, "alert", "show", file("b.xml")); code != 2 {
		t.Errorf("%d %s", code, out)
	}
}

func TestAlertsAndCommandsAreHandedToTheBoxAsTheyAre(t *testing.T) {
	box := apitest.New(apitest.Calm)
	socket, _ := startBox(t, box)
	dir := t.TempDir()
	at := func(args ...string) (string, int) {
		return desk(t, append([]string{"--socket", socket, "--lang", "en"}, args...)...)
	}
	if _, code := at("alert", "send", "../../configs/alerts/example.xml"); code != 2 {
		t.Errorf("what the box finds malformed: exit %d", code)
	}
	example, _ := os.ReadFile("../../configs/alerts/example.xml")
	if acts := box.Acts(); len(acts) != 1 || acts[0].What != "take-alert" || acts[0].ID != string(example) {
		t.Errorf("%+v", acts)
	}
	if out, code := at("alert", "list"); code != 0 || !strings.Contains(out, "Red rainstorm warning") || !strings.Contains(out, "not verified") {
		t.Errorf("%d %s", code, out)
	}
	key, second, signed := filepath.Join(dir, "a.pem"), filepath.Join(dir, "b.pem"), filepath.Join(dir, "c.json")
	for _, k := range []string{key, second} {
		if out, code := at("alert", "key", "--kind", "ed25519", "-o", k); code != 0 {
			t.Fatal(out)
		}
	}
	if out, code := at("command", "sign", "--scope", "sound", "--key", key, "--group", "valley", "--person", "李", "--level", "evacuate", "--output", "siren", "-o", signed); code != 0 {
		t.Fatal(out)
	}
	// One right after the other: a box that has obeyed one obeys the next.
	counted := map[uint64]bool{}
	for range 2 {
		one := filepath.Join(dir, "one.json")
		if out, code := at("command", "sign", "--scope", "stop", "--key", key, "--group", "valley", "--person", "李", "-o", one); code != 0 {
			t.Fatal(out)
		}
		b, err := os.ReadFile(one)
		if err != nil {
			t.Fatal(err)
		}
		p, err := command.Show(b)
		if err != nil || counted[p.Counter] {
			t.Errorf("%+v: %v", p, err)
		} else {
			counted[p.Counter] = true
		}
	}
	if out, code := at("command", "sign", "--scope", "stop", "--key", key, "--group", "valley", "--person", "李", "--level", "evacuate"); code == 0 {
		t.Errorf("a stop with a level was signed: %s", out)
	}
	if out, code := at("command", "cosign", signed, "--key", second, "-o", signed); code != 0 {
		t.Fatal(out)
	}
	if out, code := at("command", "show", signed); code != 0 || !strings.Contains(out, `"level": "evacuate"`) {
		t.Errorf("%d %s", code, out)
	}
	if _, code := at("command", "send", signed); code != 1 {
		t.Errorf("what the box refuses: exit %d", code)
	}
	if _, code := at("command", "offer", "../../configs/sites/huangdu.yaml"); code != 0 {
		t.Errorf("offer: exit %d", code)
	}
	sent, _ := os.ReadFile(signed)
	if acts := box.Acts(); len(acts) != 3 || acts[1].ID != string(sent) || acts[2].What != "offer-document" {
		t.Errorf("%d acts", len(acts))
	}
}
