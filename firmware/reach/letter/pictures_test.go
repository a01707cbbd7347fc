package letter

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/phrase"
)

func push() Push {
	return Push{Stream: "dock-1", URL: "https://hub.example:8472/whip/x", Token: strings.Repeat("a", 43), Until: time.Date(2026, 7, 1, 22, 40, 0, 0, time.UTC),
		ICE: []ICE{{URLs: []string{"turn:203.0.113.7:3478?transport=udp"}, User: "1782945600:330483105203", Password: "x"}}}
}

func TestWhatTheHubAsksForComesBackAsItWasWritten(t *testing.T) {
	p := push()
	for _, a := range []Ask{{Push: &p}, {Stop: "dock-1"}, {Bring: &Bring{URL: "https://hub.example:8472/clips/x", Token: p.Token, Until: p.Until}}} {
		b, err := a.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseAsk(b)
		a.Version = 1
		if err != nil || !reflect.DeepEqual(got, a) {
			t.Errorf("%+v came back as %+v, %v", a, got, err)
		}
	}
}

func TestAStationPushesOnlyToAnAddressThatCanBeTheHubs(t *testing.T) {
	for name, change := range map[string]func(*Push){
		"without TLS":             func(p *Push) { p.URL = "http://hub.example/whip/x" },
		"another scheme":          func(p *Push) { p.URL = "file:///etc/passwd" },
		"no host":                 func(p *Push) { p.URL = "https:///whip" },
		"a user in the address":   func(p *Push) { p.URL = "https://a:b@hub.example/" },
		"an endless address":      func(p *Push) { p.URL = "https://hub.example/" + strings.Repeat("a", 400) },
		"no token":                func(p *Push) { p.Token = "" },
		"a token that ends lines": func(p *Push) { p.Token = strings.Repeat("a", 20) + "\r\nX: y" },
		"a stream that is none":   func(p *Push) { p.Stream = "../x" },
		"servers of another kind": func(p *Push) { p.ICE[0].URLs = []string{"http://x"} },
		"too many servers":        func(p *Push) { p.ICE = make([]ICE, 9) },
	} {
		p := push()
		change(&p)
		b, err := Ask{Push: &p}.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseAsk(b); err == nil {
			t.Errorf("%s: taken as %+v", name, got)
		}
	}
	for name, g := range map[string]Bring{
		"clips without TLS":   {URL: "http://hub.example/clips/x", Token: strings.Repeat("a", 43)},
		"clips with no token": {URL: "https://hub.example/clips/x"},
		"clips to a file":     {URL: "file:///etc", Token: strings.Repeat("a", 43)},
	} {
		b, err := Ask{Bring: &g}.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseAsk(b); err == nil {
			t.Errorf("%s: taken as %+v", name, got)
		}
	}
	p := push()
	p.URL = "http://127.0.0.1:8472/whip/x"
	b, _ := Ask{Push: &p}.Bytes()
	if _, err := ParseAsk(b); err != nil {
		t.Errorf("a hub on this machine: %v", err)
	}
	for _, bad := range []string{"", "{}", `{"version":1}`, `{"version":1,"stop":"a b"}`, `{"version":0,"stop":"a"}`, `{"version":1,"stop":"a","push":{"stream":"a"}}`, `{"version":1,"stop":"a","bring":{"url":"https://h/x","token":"aaaaaaaaaaaaaaaaaaaaaaaa"}}`, "[" + strings.Repeat(" ", AskMost)} {
		if _, err := ParseAsk([]byte(bad)); err == nil {
			t.Errorf("%.40q: taken", bad)
		}
	}
}

func TestACatalogueLeavesOutWhatCannotBe(t *testing.T) {
	c := Catalogue{Streams: []StreamOf{
		{Name: "dock-1", Title: phrase.Text{ZH: "机场一", EN: "dock one"}, State: StreamLive, Codec: "H.264", Width: 1280, Height: 720, Kbps: 2000, Rung: 3, Reason: phrase.M("letter.empty")},
		{Name: "dock-1", State: StreamIdle}, {Name: "a b", State: StreamIdle}, {Name: "x", State: "odd"}, {Name: "y", State: StreamIdle, Width: -1},
		{Name: "cam", State: StreamLost},
	}, Talk: true, Clips: 3}
	b, err := c.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseCatalogue(b)
	if err != nil || len(got.Streams) != 2 || !reflect.DeepEqual(got.Streams[0], c.Streams[0]) || got.Streams[1].Name != "cam" || !got.Talk || got.Clips != 3 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestACataloguesSubjectIsTheStationsOwn(t *testing.T) {
	s := Station("330483105203-2")
	if got, ok := ParseTold(s.Told()); !ok || got != s {
		t.Errorf("%q: %q %v", s.Told(), got, ok)
	}
	for _, bad := range []string{s.Ask(), "see.33.330402.330483105203.told", "see.33.330483.330483105203.told.x", "see.33.330483.33048310520.told", ""} {
		if got, ok := ParseTold(bad); ok {
			t.Errorf("%q is %q's", bad, got)
		}
	}
}

// FuzzPictures brings what either side may send about pictures.
func FuzzPictures(f *testing.F) {
	p := push()
	b, _ := Ask{Push: &p}.Bytes()
	f.Add(b)
	b, _ = Ask{Bring: &Bring{URL: "https://hub.example:8472/clips/x", Token: p.Token, Until: p.Until}}.Bytes()
	f.Add(b)
	b, _ = Catalogue{Streams: []StreamOf{{Name: "a", State: StreamLive}}}.Bytes()
	f.Add(b)
	f.Add(Answer{Error: phrase.M("letter.empty")}.Bytes())
	f.Add([]byte(`{"version":1,"streams":[{"name":"a","state":"live","reason":{"code":"a","params":{"a":{"code":"b","params":{}}}}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := ParseAsk(b); err == nil {
			if a.Push != nil && (!IsStream(a.Push.Stream) || a.Push.check() != nil) || a.Bring != nil && reach(a.Bring.URL, a.Bring.Token) != nil || a.Push == nil && a.Bring == nil && !IsStream(a.Stop) {
				t.Fatalf("taken: %+v", a)
			}
			again, err := a.Bytes()
			if err != nil {
				return // larger than what came, as escapes may make it
			}
			if _, err := ParseAsk(again); err != nil {
				t.Fatalf("%s reads no more as %s: %v", b, again, err)
			}
		}
		if c, err := ParseCatalogue(b); err == nil {
			if len(c.Streams) > StreamsMost {
				t.Fatal(len(c.Streams))
			}
			if c.Clips < 0 || c.Clips > ClipsMost {
				t.Fatal(c.Clips)
			}
			for _, s := range c.Streams {
				if !IsStream(s.Name) {
					t.Fatalf("%q", s.Name)
				}
				_ = s.Reason.In(phrase.ZH)
			}
		}
		_ = ParseAnswer(b)
	})
}
