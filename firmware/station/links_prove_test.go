package station

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"

	"tocsin/firmware/phrase"
)

// linked is what a site that reports adds.
const linked = `
county: {number: 17, root: secrets/county.key}
links:
  fibre: {kind: nats, servers: ["127.0.0.1:4222"], seed: secrets/seed, device: eth0}
  satellite: {kind: datagrams, servers: ["hub.example:4223"], psk: secrets/psk, budget: 50}
  beidou: {kind: beidou, port: /dev/ttyS7, to: "0179773", transmit: {card: "4207733", approval: CMIIT 2026BD0001}}
  mesh: {kind: meshtastic, port: /dev/ttyS8, to: "!a1b2c3d4", self: "!00000017", transmit: {licence: 2026-17, band: CN, power: 17}}
  sms: {kind: modem, port: /dev/ttyS9, to: "+8613800138000", self: "+8613900139000", transmit: {}}
  listener: {kind: meshtastic, port: /dev/ttyS10}
`

// sitesLinks proves the whole site with links, some text replaced, and gives problems and
// warnings in English.
func sitesLinks(t *testing.T, mode os.FileMode, replace ...string) (bp *Blueprint, wrong, warned string) {
	t.Helper()
	dir := t.TempDir()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, _ := pair.Seed()
	for name, text := range map[string]string{"s.yaml": strings.NewReplacer(replace...).Replace(whole + linked),
		"secrets/county.key": strings.Repeat("17", 32) + "\n", "secrets/psk": strings.Repeat("71", 32), "secrets/seed": string(seed)} {
		f := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	bp, ps := Load(filepath.Join(dir, "s.yaml"))
	for _, p := range ps {
		if p.Warning {
			warned += p.In(phrase.EN) + "\n"
		} else {
			wrong += p.In(phrase.EN) + "\n"
		}
	}
	return bp, wrong, warned
}

func TestASiteThatReportsProves(t *testing.T) {
	bp, wrong, warned := sitesLinks(t, 0o600)
	if bp == nil || wrong != "" || strings.Count(warned, "\n") != 1 || !strings.Contains(warned, "no issuer signs compact warnings") {
		t.Fatalf("wrong %s warned %s", wrong, warned)
	}
	if r := bp.Rows.Links["satellite"]; r.Budget != 50 || bp.Rows.Links["sms"].Budget == 50 {
		t.Errorf("the budget was not taken: %+v", r)
	}
	if countyName(bp.Doc.Site) != "441882103201" {
		t.Errorf("called %q", countyName(bp.Doc.Site))
	}
}

func TestWhatIsWrongWithLinksIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		from, to, says string
	}{
		"no county":                   {"county: {number: 17, root: secrets/county.key}", "", "no county section"},
		"no number":                   {"number: 17", "number: 0", "1 to 65535"},
		"a suffix":                    {"number: 17", "number: 17, suffix: a-b", "eight letters"},
		"no row":                      {"fibre: {kind", "glass: {kind", "has no glass"},
		"a terminal as wide":          {"  beidou: {kind", "  cellular: {kind", "does not suit"},
		"plain text to elsewhere":     {"127.0.0.1:4222", "hub.example:4222", "needs a ca"},
		"no port in a server":         {"hub.example:4223", "hub.example", "host:port"},
		"two servers of datagrams":    {`["hub.example:4223"]`, `["hub.example:4223", "b.example:1"]`, "datagrams have one"},
		"seed and token":              {"seed: secrets/seed", "seed: secrets/seed, token: secrets/psk", "either a seed or a token"},
		"a certificate without key":   {"device: eth0", "certificate: x.pem", "come together"},
		"a key of another kind":       {"device: eth0", "psk: secrets/psk", "no psk"},
		"a terminal with servers":     {"port: /dev/ttyS10", "port: /dev/ttyS10, servers: [a]", "no servers"},
		"no budget":                   {"budget: 50", "budget: 0", "not plausible"},
		"no secret named":             {", psk: secrets/psk", "", "the file for psk"},
		"a card that nobody licensed": {`{card: "4207733", approval: CMIIT 2026BD0001}`, `{card: "4207733"}`, "approval is missing"},
		"a mesh without a licence":    {"licence: 2026-17, ", "", "licence is missing"},
		"nobody to send to":           {`to: "!a1b2c3d4", `, "", "county's card, node or number"},
		"a number nobody knows":       {`self: "+8613900139000", `, "", "box's own card"},
		"one port twice":              {"/dev/ttyS10", "/dev/ttyS8", "same port"},
		"no such kind":                {"listener: {kind: meshtastic", "listener: {kind: pigeon", "unknown kind"},
		"a link's wrong interface":    {"device: eth0", "device: 'eth 0'", "no interface"},
	} {
		if bp, wrong, _ := sitesLinks(t, 0o600, c.from, c.to); bp != nil || !strings.Contains(wrong, c.says) {
			t.Errorf("%s: %v %s", name, bp != nil, wrong)
		}
	}
}

// A key that is lost must cost its link and not the sirens.
func TestASecretThatCannotBeReadCostsNoSite(t *testing.T) {
	for name, c := range map[string]struct {
		mode           os.FileMode
		from, to, says string
	}{
		"others may read it":  {0o644, "", "", "others can read"},
		"it is not there":     {0o600, "secrets/psk", "secrets/gone", "cannot be read"},
		"it is none":          {0o600, "secrets/psk", "secrets/seed", "64 hexadecimal"},
		"a seed that is none": {0o600, "secrets/seed", "secrets/psk", "NKey"},
	} {
		from := c.from
		if from == "" {
			from = "nothing of this"
		}
		if bp, wrong, warned := sitesLinks(t, c.mode, from, c.to); bp == nil || !strings.Contains(warned, c.says) {
			t.Errorf("%s: %s %s", name, wrong, warned)
		}
	}
}

func TestASitesOwnRowsComeFirst(t *testing.T) {
	dir := t.TempDir()
	b, err := os.ReadFile("../../configs/links.yaml")
	if err != nil {
		t.Fatal(err)
	}
	own := strings.Replace(string(b), "  sms: ", "  glass: {wide: true, free: true, batch: 16384, window: 32, latency: 200ms, delivery: 0.99, send: 20s, ack: 6s, ack_slow: 15s}\n  sms: ", 1)
	for name, text := range map[string]string{"links.yaml": own, "s.yaml": strings.Replace(whole+linked, "fibre: {kind", "glass: {kind", 1)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if bp, ps := Load(filepath.Join(dir, "s.yaml")); bp == nil || bp.Rows.Links["glass"].Batch != 16384 {
		t.Errorf("%v", ps)
	}
}
