package hubfile

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// pictured is a file with live pictures.
func pictured(t testing.TB) string {
	return fmt.Sprintf(`version: 1
data: data
nats: {listen: "127.0.0.1:4222"}
page: {listen: "127.0.0.1:8470"}
stations:
  330483105203: {nkey: %s}
pictures:
  listen: "0.0.0.0:8472"
  tls: {certificate: hub.pem, key: hub.key}
  url: https://hub.example:8472
  media: "0.0.0.0:8473"
  turn: {listen: "0.0.0.0:3478", tls: "0.0.0.0:443", address: 203.0.113.7, allow: [10.20.0.0/16]}
  views:
    - {stations: ["330483105203"], streams: [square], roles: [chief], bare: [police], mask: [{left: 0.5, top: 0, width: 0.5, height: 0.25}]}
    - {stations: ["330483"], streams: [dock*], roles: [fire, chief], talk: [chief]}
  clips: {quota: 8 GiB, most: 16 GiB, keep: 30d}
`, nkey(t))
}

func TestWhoMaySeeAPictureIsTheCountysToSay(t *testing.T) {
	f, _, ps := Parse("hub.yaml", []byte(pictured(t)))
	if f == nil || len(ps) > 0 {
		t.Fatal(ps)
	}
	g := f.Pictures
	for _, c := range []struct {
		station, stream string
		roles           []string
		see, talk       bool
		mask            int
	}{
		{"330483105203", "square", nil, false, false, 1},
		{"330483105203", "square", []string{"fire"}, false, false, 1},
		{"330483105203", "square", []string{"chief"}, true, false, 1},
		{"330483105203", "square", []string{"chief", "police"}, true, false, 0},
		{"330483105203", "square", []string{"police"}, false, false, 0},
		{"330483105203", "dock-1", []string{"fire"}, true, false, 0},
		{"330483105203", "dock-1", []string{"chief"}, true, true, 0},
		{"330483105203", "dock-1", nil, false, false, 0},
		{"330402001001", "dock-1", nil, true, false, 0},
		{"330483105203", "river", nil, true, false, 0},
	} {
		v := g.ViewOf(letter.Station(c.station), c.stream)
		if v.MaySee(c.roles) != c.see || v.MayTalk(c.roles) != c.talk || len(v.MaskFor(c.roles)) != c.mask {
			t.Errorf("%s/%s for %v: see %v, talk %v, mask %v", c.station, c.stream, c.roles, v.MaySee(c.roles), v.MayTalk(c.roles), v.MaskFor(c.roles))
		}
	}
	if q, most, reserve, keep := g.Clips.Bounds(); q != 8<<30 || most != 8<<30 || reserve != 1<<30 || keep != 30*24*time.Hour {
		t.Error(q, most, reserve, keep)
	}
	if g.KeepViewings() != 180*24*time.Hour || g.LingerFor() != 30*time.Second || g.TURN.From != 50000 || g.TURN.To != 50999 || len(g.TURN.Nets) != 1 {
		t.Errorf("%+v %+v", g, g.TURN)
	}
}

func TestWhatIsWrongWithPicturesHasAPlaceAndAMend(t *testing.T) {
	text := pictured(t)
	for name, c := range map[string]struct {
		old, new string
		line     int
		says     string
	}{
		"a mask for everybody":          {"roles: [chief], bare", "bare", 14, "roles"},
		"a mask outside of the picture": {"left: 0.5", "left: 0.6", 14, "0 到 1"},
		"a mask of nothing":             {"height: 0.25", "height: 0", 14, "0 到 1"},
		"stations push in the clear":    {`  tls: {certificate: hub.pem, key: hub.key}` + "\n", "", 8, "TLS"},
		"an address without TLS":        {"url: https://", "url: http://", 10, "https"},
		"no port for pictures":          {`"0.0.0.0:8473"`, `"8473"`, 11, "8473"},
		"a relay without its address":   {"address: 203.0.113.7", "address: hub", 12, "hub"},
		"a relay to everywhere":         {"10.20.0.0/16", "0.0.0.0/0", 12, "0.0.0.0/0"},
		"a relay's ports":               {"address:", "ports: 80-90, address:", 12, "1024"},
		"a station that is none":        {`["330483105203"]`, `["桐乡"]`, 14, "桐乡"},
		"a stream that is none":         {"dock*", "do ck", 15, "do ck"},
		"a role that cannot be":         {"roles: [fire", "roles: [消防", 15, "职责"},
		"a shelf for nothing":           {"8 GiB", "8 MiB", 16, "64 MiB"},
		"clips for ever":                {"30d", "90000h", 16, "十年"},
		"kept for an hour":              {"views:", "keep: 1h\n  views:", 13, "1 天"},
	} {
		if !strings.Contains(text, c.old) {
			t.Fatalf("%s: the sample has no %q", name, c.old)
		}
		f, _, ps := Parse("hub.yaml", []byte(strings.Replace(text, c.old, c.new, 1)))
		if f != nil || len(ps) == 0 {
			t.Errorf("%s: taken", name)
			continue
		}
		i := slices.IndexFunc(ps, func(p config.Problem) bool { return !p.Warning })
		if p := ps[i]; p.Line != c.line || !strings.Contains(p.In(phrase.ZH), c.says) {
			t.Errorf("%s: want line %d with %q, got %s", name, c.line, c.says, p.In(phrase.ZH))
		}
	}
	f, _, ps := Parse("hub.yaml", []byte(strings.Replace(text, "talk: [chief]", "talk: [mayor]", 1)))
	if f == nil || len(ps) != 0 {
		t.Errorf("a duty is given under Accounts, not here: %v", ps)
	}
	if got := f.Pictures.Duties(); !slices.Equal(got, []string{"chief", "police", "fire", "mayor"}) {
		t.Errorf("%v", got)
	}
}

// TestTheExamplesPicturesCanBeUsed reads what stands there as a comment.
func TestTheExamplesPicturesCanBeUsed(t *testing.T) {
	var b strings.Builder
	in := false
	for _, line := range strings.Split(example(t), "\n") {
		if strings.HasPrefix(line, "# pictures:") {
			in = true
		} else if line == "" {
			in = false
		}
		if in {
			line = strings.TrimPrefix(line, "# ")
			// What is commented within is a choice, too.
			if inner := strings.TrimLeft(line, " "); strings.HasPrefix(inner, "# ") {
				line = line[:len(line)-len(inner)] + inner[2:]
			}
			if strings.HasPrefix(strings.TrimSpace(line), "遮挡") || strings.HasPrefix(strings.TrimSpace(line), "The mask") {
				continue
			}
		}
		b.WriteString(line + "\n")
	}
	f, _, ps := Parse("hub.yaml", []byte(b.String()))
	if f == nil || f.Pictures == nil || len(f.Pictures.Views) != 2 || f.Pictures.TURN == nil || len(f.Pictures.Views[1].Bare) != 1 || f.Pictures.Clips == nil {
		t.Errorf("%v: %+v\n%s", ps, f, b.String())
	}
}

func example(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("../hub.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
