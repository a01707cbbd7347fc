package hubfile

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"
	"golang.org/x/crypto/bcrypt"

	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

func nkey(t testing.TB) string {
	t.Helper()
	k, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	p, err := k.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func token(t testing.TB) string {
	t.Helper()
	b, err := bcrypt.GenerateFromPassword([]byte("x"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// good is a file that can be used; dir holds its keys.
func good(t testing.TB) (dir, text string) {
	t.Helper()
	dir = t.TempDir()
	for _, n := range []string{"a", "b"} {
		b := make([]byte, letter.KeySize)
		rand.Read(b)
		if err := os.WriteFile(filepath.Join(dir, n+".psk"), []byte(hex.EncodeToString(b)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "trust.yaml"), []byte("issuers: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, fmt.Sprintf(`version: 1
name: {zh: 桐乡市, en: Tongxiang}
data: data
nats: {listen: "127.0.0.1:4222"}
datagrams: [{name: tiantong, listen: "0.0.0.0:4223"}]
page: {listen: "127.0.0.1:8470"}
stations:
  330483105203:
    name: {zh: 环渡村, en: Huandu}
    nkey: %s
    psk: a.psk
  330483105203-2:
    token: %s
    psk: b.psk
    also: ["330483"]
    number: 7
    root: b.psk
    box: 00112233445566778899aabbccddeeff
    addresses: {bd: "0123456"}
terminals:
  - {name: bd, kind: beidou, port: /dev/ttyS1, own: "247718"}
  - {name: mesh, kind: meshtastic, port: /dev/ttyS2, own: "!0000000a", transmit: {licence: X, band: CN, power: 17}}
warnings: {trust: trust.yaml}
`, nkey(t), token(t))
}

func load(t testing.TB, dir, text string) (*File, []config.Problem) {
	t.Helper()
	name := filepath.Join(dir, "hub.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(name)
}

func TestAGoodFileIsTakenInWithItsKeys(t *testing.T) {
	dir, text := good(t)
	f, ps := load(t, dir, text)
	if f == nil || len(ps) > 0 {
		t.Fatal(ps)
	}
	if s := f.Stations["330483105203-2"]; len(s.Keys) != 2 || s.Keys[1].Epoch != 1 || f.Warnings.Store == nil || f.Warnings.Book == nil {
		t.Errorf("%+v", s)
	}
	if s, ok := f.ByNumber(7); !ok || s != "330483105203-2" {
		t.Error(s, ok)
	}
	if f.Stations["330483105203"].Key == nil || f.Socket != filepath.Join(dir, "data", "hubd.sock") {
		t.Errorf("%+v", f)
	}
}

func TestEachFaultIsNamedWithItsLineAndItsMend(t *testing.T) {
	dir, text := good(t)
	open := filepath.Join(dir, "open.psk")
	if err := os.WriteFile(open, []byte("00"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "short.psk"), []byte("00"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := nkey(t)
	for name, c := range map[string]struct {
		old, new string
		line     int
		says     string
	}{
		"an unknown key":                       {"data: data", "dara: data", 3, "dara"},
		"no data directory":                    {"data: data\n", "", 1, "data: /var/lib/hubd"},
		"no engine":                            {`nats: {listen: "127.0.0.1:4222"}`, "nats: {}", 4, "servers"},
		"two engines":                          {`"127.0.0.1:4222"}`, `"127.0.0.1:4222", servers: ["tls://a:1"]}`, 4, "servers"},
		"plain text to the outside":            {"127.0.0.1:4222", "0.0.0.0:4222", 4, "TLS"},
		"a port that is none":                  {"127.0.0.1:4222", "127.0.0.1:x", 4, "4222"},
		"more replicas than nodes":             {`"127.0.0.1:4222"}`, `"127.0.0.1:4222", replicas: 3}`, 4, "3"},
		"a cluster in plain text":              {`listen: "127.0.0.1:4222"`, `servers: ["nats://10.0.0.1:4222"]`, 4, "tls://"},
		"a cluster's address with a password":  {`listen: "127.0.0.1:4222"`, `servers: ["tls://a:b@10.0.0.1:4222"]`, 4, "tls://"},
		"an open page":                         {"127.0.0.1:8470", "0.0.0.0:8470", 6, "TLS"},
		"a name with a scheme":                 {`"127.0.0.1:8470"}`, `"127.0.0.1:8470", names: ["https://hub.example"]}`, 6, "https://hub.example"},
		"two gateways":                         {`"0.0.0.0:4223"}]`, `"0.0.0.0:4223"}, {name: b, listen: "0.0.0.0:4224"}]`, 5, "计数器"},
		"a station's id that is none":          {"330483105203-2:", "33048310520:", 12, "12 位"},
		"a station's key that is none":         {"psk: a.psk", "psk: short.psk", 11, "64"},
		"a secret that others read":            {"psk: a.psk", "psk: open.psk", 11, "chmod 600"},
		"a secret that is not there":           {"psk: a.psk", "psk: none.psk", 11, "none.psk"},
		"two stations with one key":            {"psk: b.psk", "psk: a.psk", 14, "330483105203"},
		"two credentials":                      {"also:", "nkey: " + other + "\n    also:", 12, "nkey"},
		"a further code that is none":          {`["330483"]`, `["桐乡"]`, 15, "2 到 12"},
		"a time that is too short":             {"page:", "keep: {up: 1h}\npage:", 6, "1 天"},
		"another version":                      {"version: 1", "version: 2", 1, "2"},
		"a list where a name belongs":          {"data: data", "data: [a]", 3, ""},
		"an alias":                             {"data: data", "data: &a data", 3, ""},
		"a station without any credential":     {"    nkey:", "", 8, "nkey"},
		"a seed for the embedded server":       {`"127.0.0.1:4222"}`, `"127.0.0.1:4222", seed: a.psk}`, 4, "servers"},
		"a certificate without a key":          {`"127.0.0.1:4222"}`, `"127.0.0.1:4222", tls: {certificate: a.pem}}`, 4, "key"},
		"a number that is none":                {"number: 7", "number: 70000", 16, "65535"},
		"an epoch that is none":                {"number: 7", "number: 7\n    epoch: -1", 17, "-1"},
		"a root that is none":                  {"root: b.psk", "root: short.psk", 17, "64"},
		"two stations with one root":           {"psk: a.psk", "psk: a.psk\n    root: b.psk", 18, "同一个密钥"},
		"a box's key that is none":             {"box: 00", "box: zz", 18, "32 位"},
		"an address of no terminal":            {"{bd:", "{be:", 19, "be"},
		"an address that is none":              {`"0123456"`, `"!0123456"`, 19, "卡号"},
		"the terminal's own address":           {`"0123456"`, `"00247718"`, 19, "自己"},
		"addresses without a root":             {"    root: b.psk\n", "", 18, "root"},
		"a kind of terminal that is none":      {"kind: meshtastic", "kind: bird", 22, "meshtastic"},
		"a way of speaking that nobody knows":  {"kind: beidou,", "kind: beidou, profile: beidou-bds9,", 21, "beidou-bds3"},
		"a terminal without its own address":   {`, own: "247718"`, "", 21, "own"},
		"a terminal without a port":            {"port: /dev/ttyS1, ", "", 21, "ttyS1"},
		"two terminals on a port":              {"/dev/ttyS2", "/dev/ttyS1", 22, "两次"},
		"two terminals of a name":              {"name: mesh", "name: bd", 22, "两次"},
		"a radio without its licence":          {"licence: X, ", "", 22, "licence"},
		"a card without its approval":          {`own: "247718"`, `own: "247718", transmit: {card: "247718"}`, 21, "approval"},
		"issuers that cannot be read":          {"trust.yaml", "none.yaml", 23, "none.yaml"},
		"tables that cannot be read":           {"trust: trust.yaml", "tables: nowhere", 23, "nowhere"},
		"files of TLS that are no certificate": {`"127.0.0.1:4222"}`, `"127.0.0.1:4222", tls: {certificate: a.psk, key: b.psk}}`, 4, ""},
	} {
		if name == "a station without any credential" {
			at := strings.Index(text, c.old)
			c.old = text[at : at+strings.Index(text[at:], "    psk: a.psk\n")+len("    psk: a.psk\n")]
		}
		if !strings.Contains(text, c.old) {
			t.Fatalf("%s: the sample has no %q", name, c.old)
		}
		f, ps := load(t, dir, strings.Replace(text, c.old, c.new, 1))
		if f != nil || len(ps) == 0 {
			t.Errorf("%s: taken", name)
			continue
		}
		p := ps[0]
		if p.Line != c.line || !strings.Contains(p.In(phrase.ZH), c.says) {
			t.Errorf("%s: want line %d with %q, got %s", name, c.line, c.says, p.In(phrase.ZH))
		}
	}
}

func TestAnAreaNamesTheStationsThatItCovers(t *testing.T) {
	f := &File{Stations: map[string]Station{"330483105203": {}, "330483105203-2": {Also: []string{"330402"}}, "330402001001": {}, "330421100000": {}}}
	for area, want := range map[string]string{
		"33":             "330402001001 330421100000 330483105203 330483105203-2",
		"330000000000":   "330402001001 330421100000 330483105203 330483105203-2",
		"330483":         "330483105203 330483105203-2",
		"330483105000":   "330483105203 330483105203-2",
		"330483105203":   "330483105203 330483105203-2",
		"330483105203-2": "330483105203-2",
		"330402":         "330402001001 330483105203-2",
		"330421100205":   "330421100000", // warns a whole town
		"330483105204":   "",
		"44":             "",
		"":               "",
		"x":              "",
	} {
		got, err := f.Match(area)
		var s []string
		for _, x := range got {
			s = append(s, string(x))
		}
		if strings.Join(s, " ") != want || (err != nil) != (want == "") {
			t.Errorf("%s: %v, %v", area, got, err)
		}
	}
}

// FuzzParse holds that a file never makes the reader fall, and that what is wrong
// has a place.
func FuzzParse(f *testing.F) {
	_, text := good(f)
	f.Add([]byte(text))
	f.Add([]byte("version: 1\nstations:\n  ? [a]\n  : {}\n"))
	f.Add([]byte("nats: {servers: [tls://[]]}\npage: {officers: [{name: a, token: $2a$99$}]}\n"))
	f.Add([]byte("keep: {up: 99999999999d, most: 9e99 GiB}\nstations: {330483105203: }\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, _, ps := Parse("hub.yaml", b)
		if (file == nil) != config.Fatal(ps) {
			t.Fatalf("%v with %v", file, ps)
		}
		for _, p := range ps {
			if p.In(phrase.ZH) == "" || p.In(phrase.EN) == "" {
				t.Fatalf("%+v says nothing", p)
			}
		}
	})
}

// FuzzMatch holds that an area never names what it has nothing to do with.
func FuzzMatch(f *testing.F) {
	file := &File{Stations: map[string]Station{"330483105203": {}, "330483105203-2": {}, "110101000000": {}}}
	for _, a := range []string{"33", "330483105203-2", "1101", "000000000000", "33\x00", "-"} {
		f.Add(a)
	}
	f.Fuzz(func(t *testing.T, area string) {
		got, err := file.Match(area)
		if (err == nil) != (len(got) > 0) {
			t.Fatalf("%q: %v, %v", area, got, err)
		}
		for _, s := range got {
			if len(area) < 2 || !strings.HasPrefix(string(s), area[:2]) {
				t.Fatalf("%q names %s", area, s)
			}
		}
	})
}

// FuzzViews holds that a stream's picture, voice and mask go to nobody whom its view leaves out.
func FuzzViews(f *testing.F) {
	for _, x := range [][3]string{
		{"330483105203", "gate-1", "water"}, {"330483105203-2", "square", "police"}, {"110101000000", "gate", ""}, {"33", "gat", "water\x00"},
	} {
		f.Add(x[0], x[1], x[2])
	}
	mask := []Part{{Width: 1, Height: 0.5}}
	g := &Pictures{Views: []View{
		{Stations: []string{"330483"}, Streams: []string{"gate*"}, Roles: []string{"water", "police"}, Talk: []string{"police", "guest"}, Mask: mask, Bare: []string{"police"}},
		{Stations: []string{"330483105203-2"}},
	}}
	f.Fuzz(func(t *testing.T, station, stream, role string) {
		s := letter.Station(station)
		if !s.Valid() {
			return
		}
		v, roles := g.ViewOf(s, stream), []string{role}
		held := strings.HasPrefix(station, "330483") && strings.HasPrefix(stream, "gate")
		if held != (len(v.Roles) > 0) {
			t.Fatalf("%q of %q: %+v", stream, station, v)
		}
		if see := !held || role == "water" || role == "police"; v.MaySee(roles) != see {
			t.Fatalf("%q sees %q of %q: %v", role, stream, station, !see)
		}
		if talk := held && role == "police"; v.MayTalk(roles) != talk {
			t.Fatalf("%q speaks by %q of %q: %v", role, stream, station, !talk)
		}
		if covered := held && role != "police"; (len(v.MaskFor(roles)) > 0) != covered {
			t.Fatalf("%q sees %q of %q without its mask: %v", role, stream, station, covered)
		}
	})
}

func TestTheExampleIsOneThatCanBeUsed(t *testing.T) {
	b, err := os.ReadFile("../hub.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if f, _, ps := Parse("hub.example.yaml", b); f == nil || len(ps) > 0 {
		t.Error(ps)
	}
}

func TestOneAddressIsOneHoweverItIsWritten(t *testing.T) {
	for _, c := range [][3]string{
		{KindBeidou, "0123456", "123456"}, {KindBeidou, "000", ""}, {KindBeidou, "12a", ""},
		{KindMesh, "!A1B2C3D4", "!a1b2c3d4"}, {KindMesh, "a1b2c3d4", ""}, {KindMesh, "!a1b2", ""},
		{KindSBD, "300234010753370", "300234010753370"}, {KindSBD, "3002340107533", ""},
		{KindModem, "+8613800138000", "+8613800138000"}, {KindModem, "+", ""}, {"pigeon", "1", ""},
	} {
		if got := Address(c[0], c[1]); got != c[2] {
			t.Errorf("%s %q: %q", c[0], c[1], got)
		}
	}
}

// A file from before there were accounts does not stop the hub: it says what opens nothing any more, and what to do.
func TestAnOldFilesOfficersAreRefusedWithTheMend(t *testing.T) {
	_, text := good(t)
	old := strings.Replace(text, `"127.0.0.1:8470"}`, fmt.Sprintf(`"127.0.0.1:8470", officers: [{name: 王芳, token: %q, roles: [chief]}], send: [chief]}`, token(t)), 1)
	if old == text {
		t.Fatal("the sample has no page")
	}
	f, _, ps := Parse("hub.yaml", []byte(old))
	if f == nil || len(ps) != 2 {
		t.Fatal(f, ps)
	}
	for i, want := range []string{"hubd set-up", "值班下发"} {
		if !ps[i].Warning || ps[i].Line != 6 || !strings.Contains(ps[i].In(phrase.ZH), want) {
			t.Errorf("%+v", ps[i])
		}
	}
}
