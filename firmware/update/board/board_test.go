package board

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/configs"
	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
	"tocsin/firmware/update/pack"
	"tocsin/firmware/update/slots"
)

// fakeInit answers as images/init does: an environment of two sectors, and what was asked.
type fakeInit struct {
	mu    sync.Mutex
	env   []byte
	asked []request
	say   func(request) string // another answer, "" for its own
}

func (f *fakeInit) listen(t *testing.T) Init {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go f.answer(c)
		}
	}()
	return Init{path}
}

func (f *fakeInit) answer(c net.Conn) {
	defer c.Close()
	line, err := bufio.NewReader(c).ReadBytes('\n')
	if err != nil {
		return
	}
	var q request
	if json.Unmarshal(line, &q) != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, q)
	if f.say != nil {
		if s := f.say(q); s != "" {
			_, _ = c.Write([]byte(s))
			return
		}
	}
	a := map[string]any{}
	switch q.Do {
	case "environment":
		if q.Environment != nil {
			f.env = append(bytes.Clone(q.Environment), q.Environment...)
		}
		a["bytes"] = f.env
	case "status":
		a["status"] = Status{Version: "1.0", Slot: "B", Crash: "Kernel panic"}
	}
	_ = json.NewEncoder(c).Encode(a)
}

func TestTheChoiceGoesThroughInitAndBack(t *testing.T) {
	f := &fakeInit{env: make([]byte, 2*slots.EnvironmentSize)}
	i := f.listen(t)
	if _, err := i.Read(); err == nil {
		t.Fatal("an empty environment is a choice")
	}
	want := slots.Choice{Good: "B", Next: "A", Left: 3, Floor: 12, Within: time.Minute, Why: phrase.M("update.unconfirmed")}
	if err := i.Write(want); err != nil {
		t.Fatal(err)
	}
	got, err := i.Read()
	if err != nil || got.Good != "B" || got.Next != "A" || got.Left != 3 || got.Floor != 12 || got.Why.Code != want.Why.Code {
		t.Fatalf("%+v %v", got, err)
	}
	f.mu.Lock()
	clear(f.env[:slots.EnvironmentSize]) // the first copy is lost
	f.mu.Unlock()
	if got, err := i.Read(); err != nil || got.Good != "B" {
		t.Fatalf("%+v %v", got, err)
	}
}

func TestAnInitThatFailsIsSaidInWords(t *testing.T) {
	for name, say := range map[string]string{
		"an error of its own": `{"err":"this board was not started from slots"}` + "\n",
		"no JSON":             "hello\n",
		"half an answer":      `{"bytes":"AAAA`,
		"an answer too long":  `{"text":"` + strings.Repeat("x", mostAnswer) + `"}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeInit{say: func(request) string { return say }}
			want := "update.no_init"
			if name == "an error of its own" {
				want = "update.init_refused"
			}
			if _, err := f.listen(t).Status(); err == nil || phrase.Of(err).Code != want {
				t.Fatal(err)
			}
		})
	}
	if _, err := (Init{filepath.Join(t.TempDir(), "none")}).Status(); err == nil || phrase.Of(err).Code != "update.no_init" {
		t.Fatal(err)
	}
	// A status without one.
	f := &fakeInit{say: func(request) string { return "{}\n" }}
	if _, err := f.listen(t).Status(); err == nil {
		t.Fatal("nothing is a status")
	}
}

func TestARestartGoesToInitWithItsReason(t *testing.T) {
	f := &fakeInit{}
	if err := f.listen(t).Restart("update to 1.1"); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.asked) != 1 || f.asked[0].Do != "restart" || f.asked[0].Why != "update to 1.1" {
		t.Fatalf("%+v", f.asked)
	}
}

func TestTheConfigurationThatShipsIsOne(t *testing.T) {
	b, err := fs.ReadFile(configs.FS, "update.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseConfig(b)
	if err != nil {
		t.Fatal(err)
	}
	for tree, want := range map[string]string{"linux,dummy-virt\x00": "virt", "raspberrypi,4-model-b\x00brcm,bcm2711\x00": "pi4", "raspberrypi,3-model-b-plus\x00brcm,bcm2837\x00": "pi3"} {
		if got, err := c.hardware(tree); err != nil || got != want {
			t.Errorf("%q: %q %v", tree, got, err)
		}
	}
	if _, err := c.hardware("acme,toaster\x00"); err == nil || phrase.Of(err).Code != "update.unknown_board" {
		t.Fatal(err)
	}
	for _, bad := range []string{"version: 2", "version: 1\nneed: []\nkeys: /k\nboards: {a: b}", "version: 1\nneed: [rsa]\nkeys: /k\nboards: {a: b}", "version: 1\nneed: [sm2]\nkeys: /k\nboards: {a: b}\nmore: 1"} {
		if _, err := ParseConfig([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestABoardIsCalledWhatItsImageIsFor(t *testing.T) {
	b, err := fs.ReadFile(configs.FS, "update.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseConfig(b)
	if err != nil {
		t.Fatal(err)
	}
	const none, pis, other = "", "virt\npi3\npi4\npi5\n", "arm64\n"
	for _, k := range []struct{ tree, image, want string }{
		{"raspberrypi,4-model-b\x00", none, "pi4"},
		{"raspberrypi,500\x00brcm,bcm2712\x00", pis, "pi5"},
		{"raspberrypi,3-compute-module\x00", pis, "pi3"},
		{"radxa,rockpi4\x00rockchip,rk3399\x00", other, "arm64"},
		{"linux,dummy-virt\x00", other, "arm64"}, // the emulator with another board's image
		{"radxa,rockpi4\x00", pis, ""},
		{"radxa,rockpi4\x00", none, ""},
	} {
		image := filepath.Join(t.TempDir(), "boards")
		if k.image != none {
			if err := os.WriteFile(image, []byte(k.image), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := c.named(k.tree, image)
		if got != k.want || (err != nil) != (k.want == "") {
			t.Errorf("%q with an image for %q: %q %v", k.tree, k.image, got, err)
		}
	}
}

func TestOnlyPublicKeysAreKeys(t *testing.T) {
	dir := t.TempDir()
	for _, k := range []trust.Kind{trust.Ed25519, trust.SM2} {
		s, err := trust.NewSigner(k)
		if err != nil {
			t.Fatal(err)
		}
		pub, err := trust.PublicPEM(s.Public())
		if err != nil {
			t.Fatal(err)
		}
		private, err := s.PEM()
		if err != nil {
			t.Fatal(err)
		}
		for name, b := range map[string][]byte{"pub-" + string(k) + ".pem": pub, "private-" + string(k) + ".pem": private, "noise-" + string(k) + ".pem": []byte("hello")} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := pack.Keys(dir); len(got) != 2 {
		t.Fatalf("%d keys", len(got))
	}
}

func TestABoardWithoutAWayBackIsNotUpdated(t *testing.T) {
	var mu sync.Mutex
	answers := map[string]string{}
	var last string
	set := func(do, a string) {
		mu.Lock()
		defer mu.Unlock()
		answers[do], last = a, ""
	}
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			line, _ := bufio.NewReader(c).ReadString('\n')
			var q struct{ Do string }
			_ = json.Unmarshal([]byte(line), &q)
			mu.Lock()
			last = line
			a := answers[q.Do]
			mu.Unlock()
			_, _ = io.WriteString(c, a+"\n")
			c.Close()
		}
	}()
	i := Init{socket}
	if _, _, err := i.chooser(Status{Slot: "A"}); phrase.Of(err).Code != "update.no_loader" {
		t.Error(err)
	}
	if s, _, err := i.chooser(Status{Slot: "A", Args: map[string]string{"slot": "A"}}); err != nil || s != slots.Selector(i) {
		t.Error(s, err)
	}
	set("autoboot", `{"err":"no autoboot.txt"}`)
	if _, _, err := i.chooser(Status{Slot: "A", Firmware: true}); phrase.Of(err).Code != "update.no_autoboot" {
		t.Error(err)
	}
	// A trial is one start of the other slot; anything else is a plain one.
	set("autoboot", `{"text":"A"}`)
	set("restart", `{}`)
	s, reboot, err := i.chooser(Status{Slot: "A", Firmware: true})
	if _, ok := s.(slots.Tryboot); !ok || err != nil {
		t.Fatal(s, err)
	}
	for next, want := range map[string]string{"B": `"slot":"B"`, "": `"do":"restart"`} {
		env, err := slots.Choice{Good: "A", Next: next}.Environment()
		if err != nil {
			t.Fatal(err)
		}
		both, _ := json.Marshal(append(bytes.Clone(env), env...))
		set("environment", `{"bytes":`+string(both)+`}`)
		if err := reboot("x"); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		if !strings.Contains(last, want) || next == "" && strings.Contains(last, "slot") {
			t.Errorf("next %q: %s", next, last)
		}
		mu.Unlock()
	}
}
