package station

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/firmware/phrase"
)

// national is what a site adds that has to do with GB/T 28181 both ways.
const national = `video:
  streams:
    drone: {name: {zh: 无人机, en: drone}, device: "44188200001320000031", password: secrets/drone}
    dam: {key: secrets/dam}
  record: {quota: 1 GiB}
  upper: {id: "44188210002000000001", listen: ":5061", from: [192.168.1.0/24]}
  platforms:
    county:
      name: {zh: 县视频平台, en: the county's}
      id: "44188200002000000001"
      address: "10.8.0.5:5060"
      device: "44188200001180000017"
      password: secrets/county
      channels: {drone: "44188200001310000171", dam: 44188200001310000172}
      records: true
`

// proveNationally proves the whole site with that, some text replaced.
func proveNationally(t *testing.T, replace ...string) (bp *Blueprint, wrong, warned string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"s.yaml": strings.NewReplacer(replace...).Replace(whole + national), "secrets/drone": "Dr-0ne", "secrets/dam": "a-key", "secrets/county": "Xq-71"} {
		f := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bp, ps := Load(filepath.Join(dir, "s.yaml"))
	for _, p := range ps {
		if p.Warning {
			warned += p.In(phrase.EN) + "\n"
		} else {
			wrong += p.In(phrase.EN) + "\n" + p.In(phrase.ZH) + "\n"
		}
	}
	return bp, wrong, warned
}

func TestASiteThatSignsInAtPlatformsProves(t *testing.T) {
	bp, wrong, warned := proveNationally(t)
	if bp == nil || wrong != "" || warned != "" {
		t.Fatalf("wrong %s warned %s", wrong, warned)
	}
	// A code is taken as it stands, with quotes or without.
	if id := bp.Doc.Site.Video.Platforms["county"].Channels["dam"]; id != "44188200001310000172" {
		t.Errorf("a code without quotes is %q", id)
	}
}

func TestWhatIsWrongWithPlatformsIsNamed(t *testing.T) {
	for name, c := range map[string]struct{ from, to, says string }{
		"a short code":                {`id: "44188200002000000001"`, `id: "4418820000"`, "国标编码应为 20 位数字，现在是 “4418820000”"},
		"a code of letters":           {`device: "44188200001180000017"`, `device: box17`, "has 20 digits; it is “box17”"},
		"a domain":                    {`records: true`, `domain: county`, "10 to 20 digits"},
		"an address":                  {`"10.8.0.5:5060"`, `"10.8.0.5:sip"`, "write 10.8.0.5:5060"},
		"no address":                  {"      address: \"10.8.0.5:5060\"\n", "", "the address “” of the platform county"},
		"a transport":                 {`records: true`, `transport: sctp`, "write udp or tcp"},
		"a charset":                   {`records: true`, `charset: BIG5`, "GB2312, GB18030 or UTF-8"},
		"no channels":                 {`channels: {drone: "44188200001310000171", dam: 44188200001310000172}`, `channels: {}`, "sees nothing"},
		"a stream that is not there":  {`dam: 44188200001310000172}`, `damm: 44188200001310000172}`, "no such stream (there are dam, drone)"},
		"a stream for the site alone": {`dam: {key: secrets/dam}`, `dam: {key: secrets/dam, here: true}`, "for this site alone"},
		"a channel twice":             {`44188200001310000172`, `"44188200001310000171"`, "is dam's already"},
		"no password":                 {"      password: secrets/county\n", "", "password"},
		"records of nothing":          {"  record: {quota: 1 GiB}\n", "", "records nothing"},
		"a short signing-in":          {`records: true`, `expires: 5s`, "from 1 min to 1 day"},
		"a breathless keepalive":      {`records: true`, `keepalive: 1s`, "from 5 s to 10 min"},
		"misses":                      {`records: true`, `misses: 40`, "from 1 to 10"},
		"a port that is upper's":      {`records: true`, `local: 5061`, "not that of upper"},
		"a network":                   {`records: true`, `media: [10.8.0.5]`, "“10.8.0.5” is no network"},
		"sessions":                    {"  record:", "  sessions: 99\n  record:", "1 to 16 pictures"},
		"a device without upper":      {"  upper: {id: \"44188210002000000001\", listen: \":5061\", from: [192.168.1.0/24]}\n", "", "there is no upper"},
		"upper without a code":        {`upper: {id: "44188210002000000001", `, `upper: {`, "has 20 digits; it is “”"},
		"upper at no port":            {`":5061"`, `":sip"`, "is no port"},
		"two ways in":                 {`device: "44188200001320000031", password`, `device: "44188200001320000031", key: secrets/dam, password`, "has exactly one of"},
		"a device without a password": {`, password: secrets/drone}`, `}`, "password"},
		"a device twice":              {`dam: {key: secrets/dam}`, `dam: {device: "44188200001320000031", password: secrets/dam}`, "is dam's already"},
		"tcp of no device":            {`dam: {key: secrets/dam}`, `dam: {key: secrets/dam, tcp: true}`, "goes with device"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(national, c.from) {
				t.Fatalf("the site has no %q", c.from)
			}
			bp, wrong, _ := proveNationally(t, c.from, c.to)
			if bp != nil && wrong == "" || !strings.Contains(wrong, c.says) {
				t.Errorf("%s, want %s", wrong, c.says)
			}
		})
	}
	for name, c := range map[string]struct{ from, to, says string }{
		"a channel that is no camera": {`drone: "44188200001310000171"`, `drone: "44188200001340000171"`, "digits 11 to 13"},
		"upper for nobody":            {`device: "44188200001320000031", password: secrets/drone}`, `key: secrets/drone}`, "nothing can sign in"},
	} {
		if bp, wrong, warned := proveNationally(t, c.from, c.to); bp == nil || wrong != "" || !strings.Contains(warned, c.says) {
			t.Errorf("%s: wrong %s, warned %s", name, wrong, warned)
		}
	}
}
